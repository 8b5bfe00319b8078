//! A discrete Fourier transform for lengths of the factors 2, 3 and 5, by Cooley and Tukey (1965). Written out, because
//! a package must give the same bytes on every machine, whatever instructions a library would choose there.

use std::f64::consts::TAU;

/// A complex number.
type Complex = [f64; 2];

/// Whether a length can be transformed.
pub(super) fn is_smooth(length: usize) -> bool {
    let mut rest = length;
    for factor in [2, 3, 5] {
        while rest > 1 && rest.is_multiple_of(factor) {
            rest /= factor;
        }
    }
    length > 1 && rest == 1
}

/// Tables for one length.
pub(super) struct Fourier {
    roots: Vec<Complex>,
}

impl Fourier {
    pub(super) fn new(length: usize) -> Fourier {
        let root = |place: usize| {
            let (sine, cosine) = (TAU * place as f64 / length as f64).sin_cos();
            [cosine, -sine]
        };
        Fourier { roots: (0..length).map(root).collect() }
    }

    /// The squared lengths of the first half of the spectrum: `length / 2 + 1` of them.
    pub(super) fn power(&self, samples: &[f64]) -> Vec<f64> {
        let length = self.roots.len();
        let input: Vec<Complex> = samples.iter().map(|sample| [*sample, 0.0]).collect();
        let mut output = vec![[0.0; 2]; length];
        self.transform(&input, 1, &mut output);
        output[..=length / 2].iter().map(|[real, imaginary]| real * real + imaginary * imaginary).collect()
    }

    /// The transform of every `stride`-th sample of `input` into all of `output`.
    fn transform(&self, input: &[Complex], stride: usize, output: &mut [Complex]) {
        let length = output.len();
        if length == 1 {
            output[0] = input[0];
            return;
        }
        let factor = [2, 3, 5].into_iter().find(|factor| length.is_multiple_of(*factor)).unwrap_or(length);
        let part = length / factor;
        for (place, piece) in output.chunks_exact_mut(part).enumerate() {
            self.transform(&input[place * stride..], stride * factor, piece);
        }
        let step = self.roots.len() / length;
        let mut column = [[0.0; 2]; 5];
        for k in 0..part {
            for (place, value) in column[..factor].iter_mut().enumerate() {
                *value = multiply(output[place * part + k], self.roots[place * k * step]);
            }
            for q in 0..factor {
                let mut sum = [0.0; 2];
                for (place, value) in column[..factor].iter().enumerate() {
                    let turned = multiply(*value, self.roots[(place * q * part * step) % self.roots.len()]);
                    sum = [sum[0] + turned[0], sum[1] + turned[1]];
                }
                output[q * part + k] = sum;
            }
        }
    }
}

fn multiply([a, b]: Complex, [c, d]: Complex) -> Complex {
    [a * c - b * d, a * d + b * c]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transform_is_the_sum_that_defines_it() {
        for length in [2, 3, 4, 5, 6, 8, 12, 15, 30, 400] {
            assert!(is_smooth(length));
            let samples: Vec<f64> = (0..length).map(|place| ((place * place * 7 + 3) % 11) as f64 - 5.0).collect();
            for (bin, power) in Fourier::new(length).power(&samples).into_iter().enumerate() {
                let sum = |wave: fn(f64) -> f64| -> f64 {
                    let angle = |place: usize| TAU * (place * bin) as f64 / length as f64;
                    samples.iter().enumerate().map(|(place, sample)| sample * wave(angle(place))).sum()
                };
                let defined = sum(f64::cos).powi(2) + sum(f64::sin).powi(2);
                assert!((power - defined).abs() < 1e-7 * defined.max(1.0), "{length} {bin}: {power} {defined}");
            }
        }
        assert!(!is_smooth(7) && !is_smooth(1) && !is_smooth(0));
    }
}
