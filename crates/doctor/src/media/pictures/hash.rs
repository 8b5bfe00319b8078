//! Perceptual hashes of 64 bits: of the low frequencies of a discrete cosine transform (`phash` of Zauner, 2010) and
//! of the differences between neighbours (`dhash` of Krawetz, 2013). Bits are in the order of Python's `imagehash`.

use super::resize::{Luma, resize_lanczos};
use std::f64::consts::PI;
use std::sync::LazyLock;

/// Side of the picture that is transformed.
pub(super) const TRANSFORMED: usize = 32;

/// Side of the square of frequencies that is kept.
const KEPT: usize = 8;

/// `2 cos(pi k (2 n + 1) / 64)`: the transform (DCT-II) as scipy has it.
static COSINES: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let cosine = |frequency: usize, place: usize| {
        2.0 * (PI * frequency as f64 * (2 * place + 1) as f64 / (2 * TRANSFORMED) as f64).cos()
    };
    (0..KEPT).flat_map(|frequency| (0..TRANSFORMED).map(move |place| cosine(frequency, place))).collect()
});

/// The perceptual hash: which of the 64 lowest frequencies lie above their median.
pub fn perceptual_hash(picture: &Luma<'_>) -> u64 {
    hash_of_small(&resize_lanczos(picture, TRANSFORMED, TRANSFORMED).pixels)
}

/// The hash of a picture that has the side of the transform already.
pub(super) fn hash_of_small(pixels: &[u8]) -> u64 {
    // Down the columns first, then across, as imagehash does.
    let mut half = [0.0; KEPT * TRANSFORMED];
    for frequency in 0..KEPT {
        let line = &mut half[frequency * TRANSFORMED..(frequency + 1) * TRANSFORMED];
        for (row, pixels) in pixels.chunks_exact(TRANSFORMED).enumerate() {
            let cosine = COSINES[frequency * TRANSFORMED + row];
            for (sum, pixel) in line.iter_mut().zip(pixels) {
                *sum += cosine * f64::from(*pixel);
            }
        }
    }
    let mut low = [0.0; KEPT * KEPT];
    for (row, line) in half.chunks_exact(TRANSFORMED).enumerate() {
        for frequency in 0..KEPT {
            let cosines = &COSINES[frequency * TRANSFORMED..(frequency + 1) * TRANSFORMED];
            low[row * KEPT + frequency] = line.iter().zip(cosines).map(|(value, cosine)| value * cosine).sum();
        }
    }
    let mut sorted = low;
    sorted.sort_unstable_by(f64::total_cmp);
    let median = (sorted[31] + sorted[32]) / 2.0;
    low.iter().fold(0, |hash, value| hash << 1 | u64::from(*value > median))
}

/// The difference hash: which pixels of a 9 by 8 picture are brighter than the one to their left.
pub fn difference_hash(picture: &Luma<'_>) -> u64 {
    let small = resize_lanczos(picture, KEPT, KEPT + 1);
    let lines = small.pixels.chunks_exact(KEPT + 1);
    lines.flat_map(|line| line.windows(2)).fold(0, |hash, pair| hash << 1 | u64::from(pair[1] > pair[0]))
}
