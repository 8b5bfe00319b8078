//! Time stretch by WSOLA (Verhelst and Roelands, 1993) and pitch shift made of it: overlapping pieces of the sound are
//! put down at another pace, each taken from where it fits best to what was put down before.

/// Seconds of a piece; half of it overlaps with the next.
const PIECE: f64 = 0.04;

/// Seconds around its place in which a piece may be taken.
const SEARCH: f64 = 0.01;

/// The sound `speed` times as fast at the same pitch; `round(length / speed)` samples.
pub fn time_stretch(samples: &[f32], speed: f64, rate: u32) -> Vec<f32> {
    let length = (samples.len() as f64 / speed).round() as usize;
    let half = ((PIECE / 2.0 * f64::from(rate)).round() as usize).max(8);
    let search = ((SEARCH * f64::from(rate)).round() as usize).max(1);
    if samples.len() < 4 * half || speed == 1.0 {
        // A sound shorter than two pieces is read at the other pace, which is all that can be heard of it.
        return if speed == 1.0 { samples.to_vec() } else { resample(samples, length) };
    }
    // Hann windows that overlap by half add up to 1.
    let rising: Vec<f32> = (0..half)
        .map(|place| (0.5 - 0.5 * (std::f64::consts::PI * (place as f64 + 0.5) / half as f64).cos()) as f32)
        .collect();
    let mut stretched = vec![0f32; length + 2 * half];
    stretched[..half].copy_from_slice(&samples[..half]);
    let mut previous = 0;
    for start in (0..length).step_by(half) {
        let wanted = (start as f64 * speed).round() as usize;
        let last = samples.len() - 2 * half;
        let from = match start {
            0 => 0,
            // What would have come next had the sound gone on at its own pace.
            _ => best_place(samples, (previous + half).min(last), wanted.min(last), search, half),
        };
        let piece = &samples[from..from + 2 * half];
        for (place, &weight) in rising.iter().enumerate() {
            let target = &mut stretched[start + place];
            *target = if start == 0 { piece[place] } else { *target + weight * piece[place] };
            stretched[start + half + place] = (1.0 - weight) * piece[half + place];
        }
        previous = from;
    }
    stretched.truncate(length);
    stretched
}

/// The place around `wanted` whose `half` samples are most like those at `natural` (normalised correlation).
fn best_place(samples: &[f32], natural: usize, wanted: usize, search: usize, half: usize) -> usize {
    let target = &samples[natural..natural + half];
    let last = samples.len() - 2 * half;
    let likeness = |place: usize| {
        let piece = &samples[place..place + half];
        let (mut product, mut own) = (0f32, 1e-9f32);
        for (one, other) in piece.iter().zip(target) {
            product += one * other;
            own += one * one;
        }
        product / own.sqrt()
    };
    let places = wanted.saturating_sub(search)..=(wanted + search).min(last);
    places.max_by(|&one, &other| likeness(one).total_cmp(&likeness(other))).unwrap_or(wanted.min(last))
}

/// The sound `semitones` higher at the same length: stretched, then read faster.
pub fn pitch_shift(samples: &[f32], semitones: f64, rate: u32) -> Vec<f32> {
    let factor = 2f64.powf(semitones / 12.0);
    resample(&time_stretch(samples, 1.0 / factor, rate), samples.len())
}

/// The whole sound on `length` samples, by a windowed sinc of 16 samples on each side; where there are fewer samples
/// after than before, what they cannot hold is filtered out.
fn resample(samples: &[f32], length: usize) -> Vec<f32> {
    const REACH: f64 = 16.0;
    if samples.is_empty() || samples.len() == length {
        return samples.to_vec();
    }
    let step = samples.len() as f64 / length.max(1) as f64;
    let cut = (1.0 / step).min(1.0);
    let reach = REACH / cut;
    let at = |place: usize| {
        let middle = place as f64 * step;
        let (first, last) =
            ((middle - reach).ceil().max(0.0) as usize, ((middle + reach) as usize).min(samples.len() - 1));
        let mut sum = 0.0;
        for (index, &sample) in samples.iter().enumerate().take(last + 1).skip(first) {
            let distance = index as f64 - middle;
            let window = 0.5 + 0.5 * (std::f64::consts::PI * distance / reach).cos();
            let angle = std::f64::consts::PI * distance * cut;
            let sinc = if angle.abs() < 1e-9 { 1.0 } else { angle.sin() / angle };
            sum += f64::from(sample) * sinc * window * cut;
        }
        sum as f32
    };
    (0..length).map(at).collect()
}
