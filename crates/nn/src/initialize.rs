//! Where parameters start. Each tensor draws from its own stream, named after it, on the host: the values depend
//! on the seed and the name alone, never on threads, on the backend or on the layers around it.

use crate::plan::ParameterSpec;
use lepton_core::Seed;
use rand_chacha::rand_core::Rng;

/// The distribution of a parameter's first values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Start {
    /// Uniform within ±1/√fan_in: Kaiming uniform (He et al. 2015) with a = √5, which is PyTorch's default for
    /// convolutions and dense layers, weights and biases alike.
    FanIn(usize),
    /// Uniform within ±√(6 / (fan_in + fan_out)): Xavier uniform (Glorot and Bengio 2010), PyTorch's default for the
    /// projections of attention.
    FanInOut(usize, usize),
    /// Uniform within ±0.05: Keras's default for embeddings.
    Small,
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
}

/// The first values of one parameter.
pub(crate) fn initialize(spec: &ParameterSpec, seed: Seed) -> Vec<f32> {
    let bound = match spec.start {
        Start::Zeros => return vec![0.0; spec.len()],
        Start::Ones => return vec![1.0; spec.len()],
        Start::FanIn(fan_in) => 1.0 / (fan_in as f32).sqrt(),
        Start::FanInOut(fan_in, fan_out) => (6.0 / (fan_in + fan_out) as f32).sqrt(),
        Start::Small => 0.05,
    };
    let mut rng = seed.rng(&format!("initialize {}", spec.name), &[]);
    (0..spec.len()).map(|_| (2.0 * unit(&mut rng) - 1.0) * bound).collect()
}

/// Uniform in [0, 1) with 24 bits.
pub(crate) fn unit(rng: &mut impl Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1u32 << 24) as f32
}
