//! SpecAugment (Park and others, 2019) without its time warp: bands and frames of a log-mel spectrogram are masked.

use crate::augment::draws::Draws;

/// Masks `masks` times up to `most[0]` neighbouring bands over all frames and up to `most[1]` neighbouring frames over
/// all bands. `frames` holds `bands` values for each frame. Masked places take the mean of all.
pub fn spec_augment(frames: &mut [f32], bands: usize, most: [usize; 2], masks: usize, draws: &mut Draws) {
    if bands == 0 || frames.is_empty() {
        return;
    }
    let count = frames.len() / bands;
    let mean = frames.iter().map(|&value| f64::from(value)).sum::<f64>() / frames.len() as f64;
    let mut part = |most: usize, side: usize| {
        let length = draws.below(most + 1).min(side);
        let start = draws.below(side - length + 1);
        start..start + length
    };
    for _ in 0..masks {
        let (masked_bands, masked_frames) = (part(most[0], bands), part(most[1], count));
        for (index, frame) in frames.chunks_exact_mut(bands).enumerate() {
            if masked_frames.contains(&index) {
                frame.fill(mean as f32);
            } else {
                frame[masked_bands.clone()].fill(mean as f32);
            }
        }
    }
}
