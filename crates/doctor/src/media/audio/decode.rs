//! One sound file, decoded packet by packet. A header that promises more than the file has is a fault that is found
//! before anything is decoded.

use super::facts::{AudioFacts, Gather};
use crate::media::collection::{Collection, Place};
use crate::media::fault::{Fault, FaultKind};
use crate::media::survey::Reading;
use lepton_core::{Cancel, Error, Result, thousands};
use lepton_data::hash_file;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as AudioError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

/// More channels than any recording has.
const MOST_CHANNELS: usize = 64;

/// Packets that may be damaged in an MP3: the first ones of a cut recording lean on packets that are not there.
const MP3_LEEWAY: u32 = 2;

/// Reads one item.
pub(super) fn look(collection: &Collection, item: usize, cancel: &Cancel) -> Result<Reading<AudioFacts>> {
    let Place::File(path) = &collection.items[item].place else {
        return Err(Error::internal("a sound that is no file"));
    };
    let unreadable = |reason: String| Err(Fault::new(FaultKind::Unreadable, reason));
    match hash_file(path) {
        Err(error) => Ok(Reading { sha256: None, seen: unreadable(error.message().to_owned()) }),
        Ok(source) if source.bytes == 0 => {
            let seen = Err(Fault::new(FaultKind::Empty, "the file has no bytes"));
            Ok(Reading { sha256: Some(source.sha256), seen })
        }
        Ok(source) => {
            let seen = decode(path, source.bytes, cancel);
            cancel.check()?;
            Ok(Reading { sha256: Some(source.sha256), seen })
        }
    }
}

fn damaged(reason: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Damaged, reason)
}

fn decode(path: &Path, bytes: u64, cancel: &Cancel) -> std::result::Result<AudioFacts, Fault> {
    let unreadable = |source: std::io::Error| Fault::new(FaultKind::Unreadable, source.to_string());
    let mut file = File::open(path).map_err(unreadable)?;
    hold_wav_to_its_length(&mut file, bytes)?;
    file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    let stream = MediaSourceStream::new(Box::new(file), Default::default());
    let (reading, meta) = (FormatOptions::default(), MetadataOptions::default());
    let mut format =
        symphonia::default::get_probe().probe(&Hint::new(), stream, reading, meta).map_err(|source| match source {
            AudioError::IoError(source) if source.kind() == ErrorKind::UnexpectedEof => Fault::new(
                FaultKind::Foreign,
                "this is no WAV, FLAC, OGG or MP3 sound, or one that breaks off in its header",
            ),
            AudioError::Unsupported(what) => {
                Fault::new(FaultKind::Foreign, format!("this is not read as a sound: {what}"))
            }
            source => damaged(source.to_string()),
        })?;
    let container = format.format_info().short_name;
    let track = format.default_track(TrackType::Audio).ok_or_else(|| damaged("the file has no sound"))?;
    let (track_id, promised) = (track.id, track.num_frames);
    let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
    let parameters = parameters.ok_or_else(|| damaged("the file does not say how its sound is coded"))?;
    let registry = symphonia::default::get_codecs();
    let known = registry.get_audio_decoder(parameters.codec);
    let codec = known.map_or("unknown", |known| known.codec.info.short_name);
    // The names of codecs of floating samples say their width: `pcm_f32le`.
    let floating = || codec.strip_prefix("pcm_f").and_then(|width| width.get(..2)).and_then(|width| width.parse().ok());
    let bits = parameters.bits_per_coded_sample.or(parameters.bits_per_sample).or_else(floating);
    let mut decoder = registry
        .make_audio_decoder(parameters, &AudioDecoderOptions::default().verify(true))
        .map_err(|source| Fault::new(FaultKind::Foreign, format!("its codec is not read: {source}")))?;
    let mut gather: Option<(Gather, u32, usize)> = None;
    let (mut samples, mut bad): (Vec<f32>, u32) = (Vec::new(), 0);
    let broke_off = |gather: &Option<(Gather, u32, usize)>, why: &str| {
        let (frames, rate) = gather.as_ref().map_or((0, 1), |(gather, rate, _)| (gather.frames(), *rate));
        let seconds = frames as f64 / f64::from(rate.max(1));
        let of = promised.map_or_else(String::new, |all| format!(" of {:.2}", all as f64 / f64::from(rate.max(1))));
        damaged(format!("it breaks off after {seconds:.2}{of} seconds{why}"))
    };
    loop {
        if cancel.is_cancelled() {
            return Err(damaged("not read to its end"));
        }
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(AudioError::IoError(source)) if source.kind() == ErrorKind::UnexpectedEof => break,
            Err(source) => return Err(broke_off(&gather, &format!(": {source}"))),
        };
        if packet.track_id != track_id {
            continue;
        }
        let decoded = match decoder.decode(&packet) {
            Ok(decoded) => decoded,
            Err(AudioError::DecodeError(_)) if container == "mp3" && bad < MP3_LEEWAY => {
                bad += 1;
                continue;
            }
            Err(source) => return Err(broke_off(&gather, &format!(": {source}"))),
        };
        let (rate, channels) = (decoded.spec().rate(), decoded.spec().channels().count());
        if channels == 0 || channels > MOST_CHANNELS || rate == 0 {
            return Err(damaged(format!("{channels} channels at {rate} Hz")));
        }
        let (sink, first_rate, first_channels) =
            gather.get_or_insert_with(|| (Gather::new(rate, channels, bits), rate, channels));
        if (rate, channels) != (*first_rate, *first_channels) {
            return Err(damaged("rate or channels change in the midst of it"));
        }
        decoded.copy_to_vec_interleaved(&mut samples);
        sink.add(&samples);
    }
    // The last packets of an MP3 may be promised and hold nothing.
    let leeway = if container == "mp3" { 4 * 1152 } else { 0 };
    let frames = gather.as_ref().map_or(0, |(gather, _, _)| gather.frames());
    if promised.is_some_and(|promised| frames + leeway < promised) {
        return Err(broke_off(&gather, ""));
    }
    if decoder.finalize().verify_ok == Some(false) {
        return Err(damaged("the samples are not those that its checksum names"));
    }
    match gather {
        Some((gather, rate, _)) if frames > 0 => Ok(gather.finish(container, codec, rate, bits)),
        _ => Err(Fault::new(FaultKind::Empty, "the file has no samples")),
    }
}

/// A WAV says how long it is: in its first chunk, and in that of its samples.
fn hold_wav_to_its_length(file: &mut File, bytes: u64) -> std::result::Result<(), Fault> {
    let mut start = [0; 12];
    if file.read_exact(&mut start).is_err() || !start.starts_with(b"RIFF") || &start[8..] != b"WAVE" {
        return Ok(());
    }
    let length = |field: &[u8]| u64::from(u32::from_le_bytes([field[0], field[1], field[2], field[3]]));
    let claims = |what: &str, claimed: u64| {
        let (claimed, there) = (thousands(claimed), thousands(bytes));
        damaged(format!("its header claims {claimed} bytes of {what}, the file has {there} bytes"))
    };
    let whole = length(&start[4..8]);
    if whole + 8 > bytes + 1 {
        return Err(claims("sound and headers", whole));
    }
    let mut place = 12;
    let mut chunk = [0; 8];
    while place + 8 <= bytes {
        if file.seek(SeekFrom::Start(place)).and_then(|_| file.read_exact(&mut chunk)).is_err() {
            return Ok(());
        }
        let size = length(&chunk[4..]);
        if chunk.starts_with(b"data") {
            return if place + 8 + size > bytes { Err(claims("sound", size)) } else { Ok(()) };
        }
        place += 8 + size + size % 2;
    }
    Ok(())
}
