//! Sounds: WAVs that the tests write in every width, what is measured in them, and what is found.

use super::scenes::{Dice, named, put};
use lepton_core::{Cancel, Limits, Silent};
use lepton_doctor::media::audio::{AudioProfile, check_audio, profile_audio};
use lepton_doctor::media::{Collection, MediaKind, SurveyOptions};
use lepton_doctor::{Finding, FindingKind};
use std::path::Path;

/// How samples are written.
#[derive(Clone, Copy)]
enum Width {
    Unsigned8,
    Signed(u32),
    Float32,
}

/// A WAV of interleaved samples between -1 and 1.
fn wav(samples: &[f32], rate: u32, channels: u16, width: Width) -> Vec<u8> {
    let (code, bits) = match width {
        Width::Unsigned8 => (1u16, 8u16),
        Width::Signed(bits) => (1, bits as u16),
        Width::Float32 => (3, 32),
    };
    let mut data = Vec::new();
    for sample in samples {
        match width {
            Width::Unsigned8 => data.push((sample * 127.0 + 128.0).round().clamp(0.0, 255.0) as u8),
            Width::Signed(bits) => {
                let full = (1i64 << (bits - 1)) as f64;
                let value = (f64::from(*sample) * full).round().clamp(-full, full - 1.0) as i32;
                data.extend(&value.to_le_bytes()[..bits as usize / 8]);
            }
            Width::Float32 => data.extend(sample.to_le_bytes()),
        }
    }
    let align = channels * bits / 8;
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + data.len() as u32).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16u32.to_le_bytes());
    bytes.extend(code.to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate.to_le_bytes());
    bytes.extend((rate * u32::from(align)).to_le_bytes());
    bytes.extend(align.to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes.extend(b"data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

fn tone(seed: u64, seconds: f32, level: f32) -> Vec<f32> {
    let mut dice = Dice(seed);
    let (pitch, count) = (200.0 + 600.0 * dice.share(), (seconds * 8_000.0) as usize);
    (0..count).map(|place| level * (place as f32 * pitch * std::f32::consts::TAU / 8_000.0).sin()).collect()
}

fn look(folder: &Path) -> (AudioProfile, Vec<Finding>) {
    let options =
        SurveyOptions { limits: Limits::default(), threads: 2, progress: &Silent, cancel: &Cancel::default() };
    let collection = Collection::open(folder, &options.limits).unwrap();
    assert_eq!(collection.kind, MediaKind::Audio);
    let profile = profile_audio(collection, &options).unwrap();
    let findings = check_audio(&profile);
    (profile, findings)
}

#[test]
fn every_width_reads_alike() {
    let samples: Vec<f32> = tone(1, 0.5, 0.5).into_iter().flat_map(|sample| [sample, -sample]).collect();
    for (width, bits, slack) in [
        (Width::Unsigned8, 8, 0.01),
        (Width::Signed(16), 16, 1e-4),
        (Width::Signed(24), 24, 1e-6),
        (Width::Signed(32), 32, 1e-6),
        (Width::Float32, 32, 1e-6),
    ] {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "a.wav", &wav(&samples, 8_000, 2, width));
        let (profile, findings) = look(folder.path());
        assert_eq!(findings, []);
        let (_, facts) = profile.survey.read().next().unwrap();
        assert_eq!(
            (facts.rate, facts.channels, facts.bits, facts.frames),
            (8_000, 2, Some(bits), 4_000),
            "{bits} bits"
        );
        let rms = (samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len() as f64).sqrt();
        assert!(
            (facts.rms - rms).abs() < slack && (facts.peak - 0.5).abs() < slack.max(1e-3),
            "{bits} bits: {facts:?}"
        );
        assert!(facts.clipped == 0.0 && facts.silent == 0.0 && facts.offset.abs() < slack, "{bits} bits: {facts:?}");
        assert_eq!(facts.seconds(), 0.5);
    }
}

#[test]
fn each_kind_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let sixteen = |samples: &[f32], rate| wav(samples, rate, 1, Width::Signed(16));
    for seed in 0..20u64 {
        let class = ["yes", "no"][seed as usize % 2];
        put(folder.path(), &format!("{class}/{seed:02}.wav"), &sixteen(&tone(seed, 1.0, 0.4), 8_000));
    }
    let loud: Vec<f32> = tone(50, 1.0, 1.6).into_iter().map(|sample| sample.clamp(-1.0, 1.0)).collect();
    put(folder.path(), "yes/clipped.wav", &sixteen(&loud, 8_000));
    put(folder.path(), "yes/silent.wav", &sixteen(&vec![0.0; 8_000], 8_000));
    let leaning: Vec<f32> = tone(51, 1.0, 0.3).into_iter().map(|sample| sample + 0.1).collect();
    put(folder.path(), "yes/leaning.wav", &sixteen(&leaning, 8_000));
    put(folder.path(), "yes/faster.wav", &sixteen(&tone(52, 2.0, 0.3), 16_000));
    put(folder.path(), "no/stereo.wav", &wav(&tone(53, 2.0, 0.3), 8_000, 2, Width::Signed(16)));
    put(folder.path(), "no/long.wav", &sixteen(&tone(54, 9.0, 0.3), 8_000));
    put(folder.path(), "yes/copy.wav", &sixteen(&tone(0, 1.0, 0.4), 8_000));
    put(folder.path(), "no/other-label.wav", &sixteen(&tone(2, 1.0, 0.4), 8_000));
    let whole = sixteen(&tone(55, 1.0, 0.3), 8_000);
    put(folder.path(), "no/truncated.wav", &whole[..whole.len() / 2]);
    put(folder.path(), "no/empty.wav", b"");
    put(folder.path(), "no/text.wav", b"this is no sound, and it is long enough to look for one in it");
    put(folder.path(), "no/nothing.wav", &sixteen(&[], 8_000));
    let mut claims = whole.clone();
    claims[4..8].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
    claims[40..44].copy_from_slice(&0xffff_ff00_u32.to_le_bytes());
    put(folder.path(), "no/claims.wav", &claims);
    put(folder.path(), "no/called.mp3", &sixteen(&tone(56, 1.0, 0.3), 8_000));
    let (profile, findings) = look(folder.path());
    let reason = |file: &str| {
        let files = findings.iter().flat_map(|finding| &finding.evidence.files);
        files.filter(|said| said.file == file).find_map(|said| said.detail.clone()).unwrap_or_else(|| panic!("{file}"))
    };
    assert_eq!(
        named(&findings, FindingKind::BrokenFiles),
        ["no/claims.wav", "no/empty.wav", "no/nothing.wav", "no/text.wav", "no/truncated.wav"]
    );
    assert!(reason("no/claims.wav").contains("claims 4,294,967,280 bytes"), "{}", reason("no/claims.wav"));
    assert!(reason("no/truncated.wav").contains("claims"), "{}", reason("no/truncated.wav"));
    assert!(reason("no/nothing.wav").contains("no samples"), "{}", reason("no/nothing.wav"));
    assert_eq!(named(&findings, FindingKind::ClippedAudio), ["yes/clipped.wav"]);
    assert_eq!(named(&findings, FindingKind::SilentAudio), ["yes/silent.wav"]);
    assert_eq!(named(&findings, FindingKind::DcOffset), ["yes/leaning.wav"]);
    assert_eq!(named(&findings, FindingKind::MixedRates), ["yes/faster.wav"]);
    assert_eq!(named(&findings, FindingKind::MixedChannels), ["no/stereo.wav"]);
    assert_eq!(named(&findings, FindingKind::OddDuration), ["no/long.wav"]);
    assert_eq!(named(&findings, FindingKind::DuplicateFiles), ["yes/00.wav", "yes/copy.wav"]);
    assert_eq!(named(&findings, FindingKind::ConflictingLabels), ["no/other-label.wav", "yes/02.wav"]);
    assert_eq!(named(&findings, FindingKind::WrongExtension), ["no/called.mp3"]);
    let view = profile.view();
    assert_eq!((view.count, view.broken, view.rates[&16_000]), (34, 5, 1));
    assert_eq!(view.codecs, [("pcm_s16le", 29)].into());
    assert_eq!(profile.sketches().columns().len(), 7);
}

#[test]
fn a_stream_that_breaks_off_says_where() {
    // The first chunk fits the file, and the samples are promised by a chunk that the file ends in.
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = wav(&tone(1, 1.0, 0.4), 8_000, 1, Width::Signed(16));
    bytes[40..44].copy_from_slice(&64_000_u32.to_le_bytes());
    put(folder.path(), "a.wav", &bytes);
    let (_, findings) = look(folder.path());
    let said = findings[0].evidence.files[0].detail.clone().unwrap();
    assert!(said.contains("claims 64,000 bytes of sound"), "{said}");
}

#[test]
fn compressed_sounds_read_as_libsndfile_reads_them() {
    let reference: serde_json::Value = serde_json::from_str(include_str!("../reference/sounds.json")).unwrap();
    let sounds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    for (ending, format, codec) in [("flac", "flac", "flac"), ("ogg", "ogg", "vorbis"), ("mp3", "mp3", "mp3")] {
        let expected = &reference["sounds"][ending];
        let folder = tempfile::tempdir().unwrap();
        let bytes = std::fs::read(sounds.join(format!("tone.{ending}"))).unwrap();
        put(folder.path(), &format!("tone.{ending}"), &bytes);
        let (profile, findings) = look(folder.path());
        let facts = profile.survey.readings[0].seen.as_ref().unwrap_or_else(|fault| panic!("{ending}: {fault:?}"));
        assert_eq!((facts.format, facts.codec), (format, codec));
        assert_eq!(
            (facts.rate, u64::from(facts.channels)),
            (16_000, expected["channels"].as_u64().unwrap()),
            "{ending}"
        );
        let near = |value: f64, key: &str, slack: f64| {
            let wanted = expected[key].as_f64().unwrap();
            assert!((value - wanted).abs() <= slack * wanted.abs().max(0.01), "{ending} {key}: {value} for {wanted}");
        };
        // What an MP3 begins and ends with is padded differently by different decoders.
        near(facts.frames as f64, "frames", if ending == "mp3" { 0.2 } else { 0.0 });
        near(facts.rms, "rms", if ending == "mp3" { 0.1 } else { 1e-3 });
        near(facts.peak, "peak", if ending == "mp3" { 0.05 } else { 1e-3 });
        near(facts.offset, "offset", if ending == "mp3" { 0.2 } else { 1e-2 });
        let offset = findings.iter().filter(|finding| finding.kind == FindingKind::DcOffset).count();
        assert_eq!(offset, 1, "{ending}: {findings:?}");
    }
    // A FLAC that is cut is held to the length that it promises, one that was altered to its checksum.
    let flac = std::fs::read(sounds.join("tone.flac")).unwrap();
    let mut altered = flac.clone();
    let middle = altered.len() / 2;
    altered[middle] ^= 0x10;
    for bytes in [&flac[..flac.len() * 2 / 3], altered.as_slice()] {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "tone.flac", bytes);
        let (_, findings) = look(folder.path());
        assert_eq!(named(&findings, FindingKind::BrokenFiles), ["tone.flac"]);
    }
}
