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
    /// Uniform within plus and minus that bound.
    Within(f32),
    /// Random kernels `[kernels, channels, places]`: normal numbers less the mean of their kernel; of several channels a
    /// kernel sees a random part, of 1 up to as many as it has places (Dempster and others 2020).
    Kernels,
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
        Start::Within(bound) => bound,
        Start::Kernels => return kernels(spec, seed),
    };
    let mut rng = seed.rng(&format!("initialize {}", spec.name), &[]);
    (0..spec.len()).map(|_| (2.0 * unit(&mut rng) - 1.0) * bound).collect()
}

/// The values of [`Start::Kernels`].
fn kernels(spec: &ParameterSpec, seed: Seed) -> Vec<f32> {
    let (channels, places) = (spec.shape.get(1).copied().unwrap_or(1), spec.shape.get(2).copied().unwrap_or(1));
    let mut rng = seed.rng(&format!("initialize {}", spec.name), &[]);
    let mut values = Vec::with_capacity(spec.len());
    let mut order: Vec<usize> = (0..channels).collect();
    for _ in 0..spec.shape.first().copied().unwrap_or(0) {
        // The number of channels is as likely to be between 1 and 2 as between 2 and 4.
        let most = channels.min(places).max(1) as f64;
        let seen = (most + 1.0).powf(f64::from(unit(&mut rng))).floor().clamp(1.0, most) as usize;
        for at in 0..seen {
            let other = at + (unit(&mut rng) * (channels - at) as f32) as usize;
            order.swap(at, other.min(channels - 1));
        }
        let drawn: Vec<f32> = (0..seen * places).map(|_| normal(&mut rng)).collect();
        let mean = drawn.iter().sum::<f32>() / drawn.len() as f32;
        let start = values.len();
        values.resize(start + channels * places, 0.0);
        for (channel, numbers) in order.iter().zip(drawn.chunks_exact(places)) {
            for (place, number) in numbers.iter().enumerate() {
                values[start + channel * places + place] = number - mean;
            }
        }
    }
    values
}

/// From the standard normal distribution (Box and Muller 1958).
fn normal(rng: &mut impl Rng) -> f32 {
    let (radius, angle) = (1.0 - f64::from(unit(rng)), std::f64::consts::TAU * f64::from(unit(rng)));
    ((-2.0 * radius.ln()).sqrt() * angle.cos()) as f32
}

/// Uniform in [0, 1) with 24 bits.
pub(crate) fn unit(rng: &mut impl Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1u32 << 24) as f32
}
