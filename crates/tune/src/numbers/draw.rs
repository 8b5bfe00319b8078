//! Draws from a stream of random bits.

use rand_chacha::rand_core::Rng;
use std::f64::consts::TAU;

/// Uniform in [0, 1) with 53 bits.
pub(crate) fn uniform(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// A whole number from 0 to `count - 1`; 0 where `count` is 0.
pub(crate) fn below(rng: &mut impl Rng, count: usize) -> usize {
    ((uniform(rng) * count as f64) as usize).min(count.saturating_sub(1))
}

/// Standard normal, by Box and Muller (1958).
pub(crate) fn gaussian(rng: &mut impl Rng) -> f64 {
    let radius = (-2.0 * libm::log(1.0 - uniform(rng))).sqrt();
    radius * libm::cos(TAU * uniform(rng))
}

/// The index of a weight, each with a probability in proportion. Weights are 0 or more and not all 0.
pub(crate) fn weighted(rng: &mut impl Rng, weights: &[f64]) -> usize {
    let mut rest = uniform(rng) * weights.iter().sum::<f64>();
    for (index, weight) in weights.iter().enumerate() {
        if rest < *weight {
            return index;
        }
        rest -= weight;
    }
    weights.len().saturating_sub(1)
}

/// A random order of `0..count` (Fisher and Yates).
pub(crate) fn permutation(rng: &mut impl Rng, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, below(rng, last + 1));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_core::Seed;

    #[test]
    fn draws_have_their_moments() {
        let mut rng = Seed(1).rng("draw", &[]);
        let count = 20_000;
        let normals: Vec<f64> = (0..count).map(|_| gaussian(&mut rng)).collect();
        let mean = normals.iter().sum::<f64>() / count as f64;
        let variance = normals.iter().map(|value| value * value).sum::<f64>() / count as f64;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        let heavy = (0..count).filter(|_| weighted(&mut rng, &[1.0, 0.0, 3.0]) == 2).count();
        assert!((heavy as f64 / count as f64 - 0.75).abs() < 0.02, "{heavy}");
        let mut order = permutation(&mut rng, 50);
        assert_ne!(order, (0..50).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
        assert_eq!(below(&mut rng, 0), 0);
    }
}
