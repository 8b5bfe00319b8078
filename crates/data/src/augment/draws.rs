//! Random amounts of augmentation: one stream for each use, fixed by seed, row and epoch, and written out here so
//! that a result never changes with a library's version.

use lepton_core::Seed;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use std::f64::consts::TAU;

/// One stream of random amounts.
pub struct Draws(ChaCha8Rng);

impl Draws {
    /// The stream for one purpose, for example `Draws::new(seed, "augment", &[row, epoch])`.
    pub fn new(seed: Seed, purpose: &str, indices: &[u64]) -> Draws {
        Draws(seed.rng(purpose, indices))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Evenly from 0 to below 1, from the upper 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Evenly from `-bound` to `bound`.
    pub fn within(&mut self, bound: f64) -> f64 {
        (2.0 * self.unit() - 1.0) * bound
    }

    /// Evenly between the two.
    pub fn between(&mut self, [low, high]: [f64; 2]) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Evenly in the logarithm between the two, which are above 0.
    pub fn between_logs(&mut self, [low, high]: [f64; 2]) -> f64 {
        self.between([low.ln(), high.ln()]).exp()
    }

    /// A whole number below `count`; 0 where `count` is 0. The bias is below `count / 2^64`.
    pub fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.bits()) * count as u128) >> 64) as usize
    }

    /// True with that probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        // From 1 down to above 0, so that the logarithm is finite.
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (TAU * self.unit()).cos()
    }

    /// Beta(alpha, alpha), from 0 to 1, as the share of one of two gamma draws.
    pub fn beta(&mut self, alpha: f64) -> f64 {
        let (one, other) = (self.gamma(alpha), self.gamma(alpha));
        // Both may underflow for a tiny alpha, which puts all weight on either end.
        if one + other > 0.0 { one / (one + other) } else { f64::from(u8::from(self.chance(0.5))) }
    }

    /// Gamma(shape, 1) by Marsaglia and Tsang (2000), with their boost below shape 1.
    fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let boost = (1.0 - self.unit()).powf(1.0 / shape);
            return self.gamma(shape + 1.0) * boost;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && (1.0 - self.unit()).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }

    /// A fast generator for one number per pixel.
    pub fn fast(&mut self) -> FastBits {
        FastBits(self.bits())
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): good enough for the noise of a picture, and several times faster than
/// the stream that seeds it.
pub struct FastBits(u64);

impl FastBits {
    /// 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(mut draw: impl FnMut(&mut Draws) -> f64) -> (f64, f64) {
        let mut draws = Draws::new(Seed(3), "test", &[]);
        let values: Vec<f64> = (0..20_000).map(|_| draw(&mut draws)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64)
    }

    #[test]
    fn means_and_variances_are_those_of_the_distributions() {
        let close = |(mean, variance): (f64, f64), expected: (f64, f64)| {
            assert!((mean - expected.0).abs() < 0.03 && (variance - expected.1).abs() < 0.03, "{mean} {variance}");
        };
        close(moments(Draws::unit), (0.5, 1.0 / 12.0));
        close(moments(|draws| draws.between([2.0, 3.0])), (2.5, 1.0 / 12.0));
        close(moments(Draws::normal), (0.0, 1.0));
        // Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)).
        for alpha in [0.2, 1.0, 4.0] {
            close(moments(|draws| draws.beta(alpha)), (0.5, 1.0 / (4.0 * (2.0 * alpha + 1.0))));
        }
        close(moments(|draws| draws.below(3) as f64), (1.0, 2.0 / 3.0));
        close(moments(|draws| f64::from(u8::from(draws.chance(0.3)))), (0.3, 0.21));
    }

    #[test]
    fn a_draw_below_nothing_is_nothing() {
        assert_eq!(Draws::new(Seed(1), "test", &[]).below(0), 0);
    }
}
