//! Sound: lengths, silence, standardising, and every input that is refused.

#![allow(clippy::unwrap_used)]

use arrow_array::{Array, Float64Array};
use lepton_core::ErrorCode;
use lepton_recipe::audio::{AudioPlan, AudioStep, MelPlan, resample, waveforms};
use proptest::prelude::*;

fn tone(samples: usize) -> Vec<f32> {
    (0..samples).map(|place| (place as f32 * 0.3).sin() * 0.5).collect()
}

fn wave(seconds: Option<f64>, standardize: bool) -> AudioPlan {
    AudioPlan { rate: 8_000, seconds, mel: None, standardize }
}

#[test]
fn rows_have_one_length_and_one_rate() {
    let (short, long, fast) = (tone(100), tone(250), tone(441));
    let column = waveforms(&[Some((8_000, &short)), Some((8_000, &long)), Some((44_100, &fast))]);
    let step = wave(None, false).fit("sound", &column).unwrap();
    let rows = step.apply("sound", &column).unwrap();
    assert_eq!(rows.shape(), [3, 250], "as long as the longest of training");
    let values = rows.as_float32().unwrap();
    assert_eq!(values[..100], short[..]);
    assert!(values[100..250].iter().all(|value| *value == 0.0), "silence behind");
    assert_eq!(values[500..580], resample(&fast, 44_100, 8_000)[..], "10 ms at 8 kHz");
    let cut = wave(Some(0.01), false).fit("sound", &column).unwrap().apply("sound", &column).unwrap();
    assert_eq!(cut.shape(), [3, 80]);
    assert_eq!(cut.as_float32().unwrap()[80..160], long[..80]);
}

#[test]
fn a_standardised_step_reads_back_to_the_same_bytes() {
    let (one, other) = (tone(300), tone(200));
    let column = waveforms(&[Some((8_000, &one)), Some((16_000, &other))]);
    let plan =
        AudioPlan { mel: Some(MelPlan { window: 64, hop: 32, bands: 8, ..MelPlan::default() }), ..wave(None, true) };
    let step = plan.fit("sound", &column).unwrap();
    let again = AudioStep::from_json(&step.to_json().unwrap()).unwrap();
    assert_eq!(step, again);
    let rows = step.apply("sound", &column).unwrap();
    let values: Vec<f64> = rows.as_float32().unwrap().iter().map(|value| f64::from(*value)).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
    assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-4, "{mean} {variance}");
    assert_eq!(rows, again.apply("sound", &column).unwrap());
    let alone = again.apply("sound", &column.slice(1, 1)).unwrap();
    assert_eq!(alone.as_float32().unwrap(), &rows.as_float32().unwrap()[values.len() / 2..]);
}

#[test]
fn what_is_no_usable_sound_is_refused_with_its_row() {
    let good = tone(50);
    let step = wave(None, false).fit("sound", &waveforms(&[Some((8_000, &good))])).unwrap();
    let bad = [f32::NAN, 0.0];
    for row in
        [None, Some((0, &good[..])), Some((u32::MAX, &good[..])), Some((8_000, &[][..])), Some((8_000, &bad[..]))]
    {
        let error = step.apply("sound", &waveforms(&[Some((8_000, &good)), row])).unwrap_err();
        assert_eq!((error.code(), error.place().row), (ErrorCode::BadData, Some(2)), "{error}");
        assert_eq!(error.place().column.as_deref(), Some("sound"));
    }
    let numbers = Float64Array::from(vec![1.0]);
    assert_eq!(step.apply("sound", &numbers).unwrap_err().code(), ErrorCode::BadData);
}

#[test]
fn settings_that_make_no_features_are_refused() {
    let good = tone(500);
    let column = waveforms(&[Some((8_000, &good))]);
    let mel = |change: fn(&mut MelPlan)| {
        let mut mel = MelPlan { window: 128, hop: 64, bands: 10, ..MelPlan::default() };
        change(&mut mel);
        AudioPlan { mel: Some(mel), ..wave(None, false) }.fit("sound", &column).map(|_| ())
    };
    assert!(mel(|_| {}).is_ok());
    for wrong in [
        mel(|mel| mel.window = 127),
        mel(|mel| mel.window = 0),
        mel(|mel| mel.hop = 0),
        mel(|mel| mel.bands = 0),
        mel(|mel| mel.low = 5_000.0),
        mel(|mel| mel.high = Some(4_001.0)),
        mel(|mel| mel.low = f64::NAN),
        wave(Some(0.0), false).fit("sound", &column).map(|_| ()),
        wave(Some(1e9), false).fit("sound", &column).map(|_| ()),
        wave(Some(f64::NAN), false).fit("sound", &column).map(|_| ()),
        AudioPlan { rate: 0, ..wave(None, false) }.fit("sound", &column).map(|_| ()),
    ] {
        assert_eq!(wrong.unwrap_err().code(), ErrorCode::Config);
    }
    assert!(AudioStep::from_json(b"{}").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn a_constant_stays_one_at_any_rate(from in 1_000u32..20_000, to in 1_000u32..20_000) {
        let samples = vec![0.25f32; from as usize / 10];
        let output = resample(&samples, from, to);
        prop_assert_eq!(output.len(), (samples.len() as u64 * u64::from(to)).div_ceil(u64::from(from)) as usize);
        // Away from the ends, beyond which there is silence.
        let inner = &output[output.len() / 3..output.len() * 2 / 3];
        prop_assert!(inner.iter().all(|value| (value - 0.25).abs() < 2e-3), "{:?}", inner);
    }
}
