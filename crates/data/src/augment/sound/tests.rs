//! Levels are exact, tones keep or change their pitch as asked, masks are as large as allowed.

use super::*;
use crate::augment::StepSettings;
use std::f64::consts::TAU;

const RATE: u32 = 16_000;

fn draws() -> Draws {
    Draws::new(Seed(9), "test", &[])
}

fn tone(hertz: f64, seconds: f64) -> Vec<f32> {
    let count = (seconds * f64::from(RATE)) as usize;
    (0..count).map(|place| (0.5 * (TAU * hertz * place as f64 / f64::from(RATE)).sin()) as f32).collect()
}

/// The share of a sound's power at a frequency, over its middle (Goertzel).
fn share_at(samples: &[f32], hertz: f64) -> f64 {
    let middle = &samples[samples.len() / 4..samples.len() * 3 / 4];
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (place, &sample) in middle.iter().enumerate() {
        let angle = TAU * hertz * place as f64 / f64::from(RATE);
        real += f64::from(sample) * angle.cos();
        imaginary += f64::from(sample) * angle.sin();
    }
    let count = middle.len() as f64;
    2.0 * (real * real + imaginary * imaginary) / (count * count) / power(middle)
}

#[test]
fn noise_is_exactly_as_far_below_the_sound_as_asked_for() {
    for decibels in [-5.0, 0.0, 20.0] {
        let sound = tone(440.0, 0.5);
        let mut noisy = sound.clone();
        add_noise(&mut noisy, decibels, &mut draws());
        let noise: Vec<f32> = noisy.iter().zip(&sound).map(|(one, other)| one - other).collect();
        let measured = 10.0 * (power(&sound) / power(&noise)).log10();
        assert!((measured - decibels).abs() < 0.01, "{measured} {decibels}");
    }
    let mut silence = vec![0.0; 100];
    add_noise(&mut silence, 10.0, &mut draws());
    assert_eq!(silence, vec![0.0; 100]);
}

#[test]
fn a_shift_brings_silence_in_and_a_gain_scales() {
    let mut samples = vec![1.0, 2.0, 3.0, 4.0];
    time_shift(&mut samples, 1);
    assert_eq!(samples, [0.0, 1.0, 2.0, 3.0]);
    time_shift(&mut samples, -2);
    assert_eq!(samples, [2.0, 3.0, 0.0, 0.0]);
    time_shift(&mut samples, 9);
    assert_eq!(samples, [0.0; 4]);
    let mut samples = tone(300.0, 0.1);
    let before = power(&samples);
    gain(&mut samples, 6.0);
    assert!((10.0 * (power(&samples) / before).log10() - 6.0).abs() < 1e-4);
}

#[test]
fn a_stretched_tone_keeps_its_pitch_and_loudness() {
    for speed in [0.7, 1.0, 1.3] {
        let sound = tone(440.0, 1.0);
        let stretched = time_stretch(&sound, speed, RATE);
        assert_eq!(stretched.len(), (16_000.0 / speed).round() as usize);
        assert!(share_at(&stretched, 440.0) > 0.95, "{speed}: {}", share_at(&stretched, 440.0));
        let middle = &stretched[2000..stretched.len() - 2000];
        assert!((power(middle) / power(&sound) - 1.0).abs() < 0.1, "{speed}");
    }
}

#[test]
fn a_shifted_tone_has_the_new_pitch_and_the_old_length() {
    for semitones in [-5.0, 4.0, 12.0] {
        let shifted = pitch_shift(&tone(440.0, 1.0), semitones, RATE);
        assert_eq!(shifted.len(), 16_000);
        let hertz = 440.0 * 2f64.powf(semitones / 12.0);
        assert!(share_at(&shifted, hertz) > 0.9, "{semitones}: {}", share_at(&shifted, hertz));
        assert!(share_at(&shifted, 440.0) < 0.05, "{semitones}");
    }
}

#[test]
fn short_and_empty_sounds_come_through() {
    for count in [0, 1, 5, 700] {
        let sound = vec![0.25; count];
        assert_eq!(time_stretch(&sound, 2.0, RATE).len(), (count as f64 / 2.0).round() as usize);
        assert_eq!(pitch_shift(&sound, 3.0, RATE).len(), count);
    }
}

#[test]
fn masks_are_at_most_as_large_as_allowed_and_take_the_mean() {
    let bands = 20;
    let before: Vec<f32> = (0..bands * 50).map(|place| place as f32).collect();
    let mean = 499.5;
    for seed in 0..20 {
        let mut frames = before.clone();
        spec_augment(&mut frames, bands, [4, 6], 1, &mut Draws::new(Seed(seed), "test", &[]));
        let whole = |frame: &[f32]| frame.iter().all(|&value| value == mean);
        let masked_frames = frames.chunks_exact(bands).filter(|frame| whole(frame)).count();
        let other = frames.chunks_exact(bands).find(|frame| !whole(frame)).unwrap();
        let masked_bands = other.iter().filter(|&&value| value == mean).count();
        assert!(masked_frames <= 6 && masked_bands <= 4, "{masked_frames} {masked_bands}");
        let changed = frames.iter().zip(&before).filter(|(one, other)| one != other).count();
        assert_eq!(changed, masked_frames * bands + masked_bands * (50 - masked_frames), "nothing else changes");
    }
}

#[test]
fn seed_row_and_epoch_decide_the_sound() {
    let steps = vec![
        StepSettings::new(Step::SoundNoise { snr_db: [5.0, 20.0] }, 1.0),
        StepSettings::new(Step::TimeShift { amount: 0.2 }, 1.0),
        StepSettings::new(Step::TimeStretch { speed: [0.8, 1.2] }, 1.0),
        StepSettings::new(Step::PitchShift { semitones: 2.0 }, 1.0),
        StepSettings::new(Step::Gain { decibels: [-6.0, 6.0] }, 1.0),
        StepSettings::new(Step::SpecAugment { bands: 4, frames: 6, masks: 2 }, 1.0),
    ];
    let settings = AugmentSettings { steps, ..AugmentSettings::default() };
    let sound = tone(440.0, 0.2);
    let at = |seed, row, epoch| {
        let augmenter = SoundAugmenter::new(&settings, Seed(seed)).unwrap();
        let mut frames: Vec<f32> = (0..200).map(|place| place as f32).collect();
        augmenter.frames(&mut frames, 10, row, epoch);
        (augmenter.waveform(&sound, RATE, row, epoch), frames)
    };
    assert_eq!(at(1, 2, 3), at(1, 2, 3));
    assert!(at(1, 2, 3) != at(2, 2, 3) && at(1, 2, 3) != at(1, 3, 3) && at(1, 2, 3) != at(1, 2, 4));
}
