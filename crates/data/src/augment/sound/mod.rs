//! Changes to sounds: waveforms of f32 at a rate, one channel, and frames of a log-mel spectrogram. No task trains on
//! sounds yet.

mod spectrogram;
mod stretch;

pub use spectrogram::spec_augment;
pub use stretch::{pitch_shift, time_stretch};

use super::draws::Draws;
use super::settings::AugmentSettings;
use super::steps::{Domain, Step};
use lepton_core::{Result, Seed};

/// Changes waveforms and frames by the steps of [`AugmentSettings`] and a seed.
pub struct SoundAugmenter {
    settings: AugmentSettings,
    seed: Seed,
}

impl SoundAugmenter {
    /// An augmenter.
    ///
    /// # Errors
    /// What the settings are refused for.
    pub fn new(settings: &AugmentSettings, seed: Seed) -> Result<SoundAugmenter> {
        settings.check()?;
        settings.check_domain(Domain::Sounds)?;
        Ok(SoundAugmenter { settings: settings.clone(), seed })
    }

    fn drawn(&self, row: u64, epoch: u64) -> impl Iterator<Item = (&Step, Draws)> {
        self.settings.steps.iter().enumerate().filter_map(move |(index, entry)| {
            let mut draws = Draws::new(self.seed, "augment step", &[row, epoch, index as u64]);
            draws.chance(entry.chance()).then_some((&entry.step, draws))
        })
    }

    /// The waveform that `row` is in `epoch`, at `rate` samples per second. A stretched sound has another length.
    pub fn waveform(&self, samples: &[f32], rate: u32, row: u64, epoch: u64) -> Vec<f32> {
        let mut samples = samples.to_vec();
        for (step, mut draws) in self.drawn(row, epoch) {
            match *step {
                Step::SoundNoise { snr_db } => {
                    let decibels = draws.between(snr_db);
                    add_noise(&mut samples, decibels, &mut draws);
                }
                Step::TimeShift { amount } => {
                    let places = (draws.within(amount) * samples.len() as f64).round() as isize;
                    time_shift(&mut samples, places);
                }
                Step::TimeStretch { speed } => samples = time_stretch(&samples, draws.between_logs(speed), rate),
                Step::PitchShift { semitones } => samples = pitch_shift(&samples, draws.within(semitones), rate),
                Step::Gain { decibels } => gain(&mut samples, draws.between(decibels)),
                _ => {}
            }
        }
        samples
    }

    /// The frames that `row` has in `epoch`: `bands` values for each frame, frame by frame. Only SpecAugment changes
    /// them; masked places take the mean.
    pub fn frames(&self, frames: &mut [f32], bands: usize, row: u64, epoch: u64) {
        for (step, mut draws) in self.drawn(row, epoch) {
            if let Step::SpecAugment { bands: most_bands, frames: most_frames, masks } = *step {
                spec_augment(frames, bands, [most_bands, most_frames], masks, &mut draws);
            }
        }
    }
}

/// Mean square of the samples.
pub fn power(samples: &[f32]) -> f64 {
    samples.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / samples.len().max(1) as f64
}

/// Adds white noise whose power is exactly `decibels` below that of the sound. Silence stays silent.
pub fn add_noise(samples: &mut [f32], decibels: f64, draws: &mut Draws) {
    let noise: Vec<f32> = samples.iter().map(|_| draws.normal() as f32).collect();
    let (signal, drawn) = (power(samples), power(&noise));
    if drawn > 0.0 {
        let scale = (signal / drawn * 10f64.powf(-decibels / 10.0)).sqrt();
        samples.iter_mut().zip(noise).for_each(|(sample, noise)| *sample += (f64::from(noise) * scale) as f32);
    }
}

/// Moves the sound to later by `places` samples, or to earlier where that is below 0; silence comes in.
pub fn time_shift(samples: &mut [f32], places: isize) {
    let count = places.unsigned_abs().min(samples.len());
    if places >= 0 {
        samples.rotate_right(count);
        samples[..count].fill(0.0);
    } else {
        samples.rotate_left(count);
        let start = samples.len() - count;
        samples[start..].fill(0.0);
    }
}

/// Louder by that many decibels.
pub fn gain(samples: &mut [f32], decibels: f64) {
    let factor = 10f64.powf(decibels / 20.0) as f32;
    samples.iter_mut().for_each(|sample| *sample *= factor);
}

#[cfg(test)]
mod tests;
