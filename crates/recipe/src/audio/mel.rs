//! The log-mel spectrogram: frames, a Hann window, the power of the spectrum, triangular bands on Slaney's mel scale
//! with equal areas, decibels.

use super::MelPlan;
use super::fourier::Fourier;
use std::f64::consts::TAU;

/// Power below this counts as this: -100 dB.
const LEAST: f64 = 1e-10;

/// Tables for one plan.
pub(super) struct MelSpectrogram {
    plan: MelPlan,
    fourier: Fourier,
    window: Vec<f64>,
    /// For each band, the first bin of the spectrum and the weights from there on.
    bands: Vec<(usize, Vec<f64>)>,
}

impl MelSpectrogram {
    pub(super) fn new(plan: &MelPlan, rate: u32) -> MelSpectrogram {
        let length = plan.window;
        let hann = |place: usize| 0.5 - 0.5 * (TAU * place as f64 / length as f64).cos();
        MelSpectrogram {
            fourier: Fourier::new(length),
            window: (0..length).map(hann).collect(),
            bands: bands(plan, f64::from(rate)),
            plan: plan.clone(),
        }
    }

    /// Decibels, band by band.
    pub(super) fn apply(&self, samples: &[f32]) -> Vec<f32> {
        let frames = 1 + samples.len() / self.plan.hop;
        let mut output = vec![0.0; self.plan.bands * frames];
        let mut frame = vec![0.0; self.plan.window];
        for place in 0..frames {
            let start = (place * self.plan.hop) as i64 - (self.plan.window / 2) as i64;
            for (offset, (value, weight)) in frame.iter_mut().zip(&self.window).enumerate() {
                let sample = usize::try_from(start + offset as i64).ok().and_then(|at| samples.get(at));
                *value = sample.map_or(0.0, |sample| f64::from(*sample)) * weight;
            }
            let power = self.fourier.power(&frame);
            for (band, (first, weights)) in self.bands.iter().enumerate() {
                let sum: f64 = weights.iter().zip(&power[*first..]).map(|(weight, power)| weight * power).sum();
                output[band * frames + place] = (10.0 * sum.max(LEAST).log10()) as f32;
            }
        }
        output
    }
}

/// Slaney's Auditory Toolbox (1998): linear to 1,000 Hz, logarithmic above.
fn to_mel(hertz: f64) -> f64 {
    if hertz < 1_000.0 { hertz * 3.0 / 200.0 } else { 15.0 + (hertz / 1_000.0).ln() * 27.0 / 6.4f64.ln() }
}

fn to_hertz(mel: f64) -> f64 {
    if mel < 15.0 { mel * 200.0 / 3.0 } else { 1_000.0 * ((mel - 15.0) * 6.4f64.ln() / 27.0).exp() }
}

fn bands(plan: &MelPlan, rate: f64) -> Vec<(usize, Vec<f64>)> {
    let (low, high) = (to_mel(plan.low), to_mel(plan.high.unwrap_or(rate / 2.0)));
    let edge = |place: usize| to_hertz(low + (high - low) * place as f64 / (plan.bands + 1) as f64);
    (0..plan.bands)
        .map(|band| {
            let (left, centre, right) = (edge(band), edge(band + 1), edge(band + 2));
            let weight = |bin: usize| {
                let hertz = bin as f64 * rate / plan.window as f64;
                let up = (hertz - left) / (centre - left);
                let down = (right - hertz) / (right - centre);
                up.min(down).max(0.0) * 2.0 / (right - left)
            };
            let mut bins = (0..=plan.window / 2).skip_while(|bin| weight(*bin) == 0.0);
            // A band between two bins of a short transform has no weight at all.
            let first = bins.next().unwrap_or(0);
            (first, (first..=plan.window / 2).map(weight).take_while(|weight| *weight > 0.0).collect())
        })
        .collect()
}
