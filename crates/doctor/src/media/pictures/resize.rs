//! Grey pictures and their reduction by Lanczos with 8-bit passes, as Pillow's `resize` does it but for rare steps of
//! rounding, so that perceptual hashes are those of the field's tools.

use lepton_core::image::ImageRef;
use std::borrow::Cow;
use std::f64::consts::PI;

/// Half the width of the filter, in pixels of the smaller picture.
const SUPPORT: f64 = 3.0;

/// Weights are whole numbers of this many bits behind the point, as Pillow has them for 8-bit pictures.
const BITS: u32 = 22;

/// A grey picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Luma<'a> {
    /// Rows of pixels.
    pub height: usize,
    /// Pixels per row.
    pub width: usize,
    /// `height * width` bytes.
    pub pixels: Cow<'a, [u8]>,
}

impl<'a> Luma<'a> {
    /// The luma of ITU-R BT.601 in 16-bit fixed point, as Pillow's `convert("L")`.
    pub fn of(picture: ImageRef<'a>) -> Luma<'a> {
        let pixels = match picture.channels {
            3 => Cow::Owned(
                picture
                    .pixels
                    .chunks_exact(3)
                    .map(|rgb| {
                        let sum = u32::from(rgb[0]) * 19595 + u32::from(rgb[1]) * 38470 + u32::from(rgb[2]) * 7471;
                        ((sum + 0x8000) >> 16) as u8
                    })
                    .collect(),
            ),
            _ => Cow::Borrowed(picture.pixels),
        };
        Luma { height: picture.height, width: picture.width, pixels }
    }
}

/// A grey picture in another size.
pub fn resize_lanczos(picture: &Luma<'_>, height: usize, width: usize) -> Luma<'static> {
    let across = if picture.width == width { picture.pixels.to_vec() } else { narrow(picture, width) };
    let pixels = if picture.height == height { across } else { shorten(&across, picture.height, width, height) };
    Luma { height, width, pixels: Cow::Owned(pixels) }
}

fn narrow(picture: &Luma<'_>, width: usize) -> Vec<u8> {
    let taps = taps(picture.width, width);
    let mut pixels = Vec::with_capacity(picture.height * width);
    for line in picture.pixels.chunks_exact(picture.width) {
        for (start, weights) in &taps {
            let sum: i64 =
                weights.iter().zip(&line[*start..]).map(|(weight, pixel)| i64::from(*weight) * i64::from(*pixel)).sum();
            pixels.push(rounded(sum));
        }
    }
    pixels
}

fn shorten(pixels: &[u8], from: usize, width: usize, height: usize) -> Vec<u8> {
    let mut shorter = Vec::with_capacity(height * width);
    let mut sums = vec![0i64; width];
    for (start, weights) in taps(from, height) {
        sums.fill(0);
        for (row, weight) in weights.iter().enumerate() {
            let line = &pixels[(start + row) * width..(start + row + 1) * width];
            for (sum, pixel) in sums.iter_mut().zip(line) {
                *sum += i64::from(*weight) * i64::from(*pixel);
            }
        }
        shorter.extend(sums.iter().map(|sum| rounded(*sum)));
    }
    shorter
}

fn rounded(sum: i64) -> u8 {
    ((sum + (1 << (BITS - 1))) >> BITS).clamp(0, 255) as u8
}

/// For each place of the new side: where in the old one its filter starts, and its weights.
fn taps(from: usize, to: usize) -> Vec<(usize, Vec<i32>)> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let support = SUPPORT * stretch;
    (0..to)
        .map(|place| {
            let centre = (place as f64 + 0.5) * scale;
            let start = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            let raw: Vec<f64> =
                (start..end).map(|source| lanczos((source as f64 - centre + 0.5) * (1.0 / stretch))).collect();
            let sum: f64 = raw.iter().sum();
            let fixed = |weight: f64| {
                let scaled = weight / sum * f64::from(1 << BITS);
                (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
            };
            (start, raw.into_iter().map(fixed).collect())
        })
        .collect()
}

fn lanczos(x: f64) -> f64 {
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) };
    if (-SUPPORT..SUPPORT).contains(&x) { sinc(x) * sinc(x / SUPPORT) } else { 0.0 }
}
