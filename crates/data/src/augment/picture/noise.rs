//! Noise on pixels. Boxes, masks and key points stay as they are.

use super::colour::to_byte;
use crate::augment::draws::Draws;
use lepton_core::image::Image;
use std::sync::LazyLock;

/// Levels of the table of normal values: a draw is one of 4096 equally likely values, the outermost 3.66 deviations
/// out, which is finer than the rounding of a byte.
const LEVELS: usize = 1 << 12;

static NORMAL: LazyLock<Vec<f32>> =
    LazyLock::new(|| (0..LEVELS).map(|level| normal_quantile((level as f64 + 0.5) / LEVELS as f64) as f32).collect());

/// Adds to each value of each channel an own normal amount with that deviation, in grey levels.
pub fn gaussian(picture: &mut Image, deviation: f64, draws: &mut Draws) {
    let (mut fast, normal) = (draws.fast(), NORMAL.as_slice());
    let deviation = deviation as f32;
    for values in picture.pixels.chunks_mut(5) {
        // 60 of the 64 bits, 12 for each value.
        let mut bits = fast.bits();
        for value in values {
            let amount = normal[bits as usize % LEVELS];
            *value = to_byte(f32::from(*value) + deviation * amount);
            bits >>= 12;
        }
    }
}

/// Makes a share `amount` of the pixels black or white, half of them each.
pub fn salt_and_pepper(picture: &mut Image, amount: f64, draws: &mut Draws) {
    let mut fast = draws.fast();
    let bound = (amount.clamp(0.0, 1.0) * f64::from(u32::MAX)) as u64;
    for pixel in picture.pixels.chunks_exact_mut(picture.channels) {
        let bits = fast.bits();
        if bits >> 32 < bound {
            pixel.fill(if bits & 1 == 0 { 0 } else { 255 });
        }
    }
}

/// The value below which a standard normal lies with that probability: Acklam's rational approximation, off by less
/// than 1.2e-9 of the value.
fn normal_quantile(probability: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 6] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 5] = [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1.0];
    let polynomial = |factors: &[f64], x: f64| factors.iter().fold(0.0, |sum, factor| sum * x + factor);
    if probability > 0.5 {
        return -normal_quantile(1.0 - probability);
    }
    if probability < 0.02425 {
        let x = (-2.0 * probability.ln()).sqrt();
        return polynomial(&C, x) / polynomial(&D, x);
    }
    let x = probability - 0.5;
    x * polynomial(&A, x * x) / polynomial(&B, x * x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_core::Seed;

    #[test]
    fn quantiles_are_those_of_the_normal_distribution() {
        for (probability, value) in
            [(0.5, 0.0), (0.975, 1.959_963_984_540_054), (0.01, -2.326_347_874_040_841), (0.841_344_746_068_543, 1.0)]
        {
            assert!((normal_quantile(probability) - value).abs() < 1e-8, "{probability}");
        }
    }

    fn even(value: u8) -> Image {
        Image { height: 100, width: 101, channels: 3, pixels: vec![value; 30_300] }
    }

    #[test]
    fn gaussian_noise_has_its_deviation_and_no_bias() {
        let mut picture = even(128);
        gaussian(&mut picture, 12.0, &mut Draws::new(Seed(1), "test", &[]));
        let values: Vec<f64> = picture.pixels.iter().map(|&value| f64::from(value) - 128.0).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let deviation = (values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64).sqrt();
        assert!(mean.abs() < 0.3 && (deviation - 12.0).abs() < 0.2, "{mean} {deviation}");
    }

    #[test]
    fn salt_and_pepper_is_as_much_as_asked_for() {
        let mut picture = even(128);
        salt_and_pepper(&mut picture, 0.1, &mut Draws::new(Seed(1), "test", &[]));
        let share = |value: u8| picture.pixels.iter().filter(|&&other| other == value).count() as f64 / 30_300.0;
        assert!((share(0) - 0.05).abs() < 0.01 && (share(255) - 0.05).abs() < 0.01 && (share(128) - 0.9).abs() < 0.01);
        assert!(picture.pixels.chunks_exact(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]));
    }
}
