//! Pictures and sounds to look at: a PNG that claims to be huge, and a tone as WAV.

use crate::digit_png;

/// A PNG header that claims `side` by `side` pixels.
pub fn bomb(side: u32) -> Vec<u8> {
    let mut bytes = digit_png(0).0;
    bytes[16..20].copy_from_slice(&side.to_be_bytes());
    bytes[20..24].copy_from_slice(&side.to_be_bytes());
    let mut sum = flate2::Crc::new();
    sum.update(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.sum().to_be_bytes());
    bytes
}

/// A WAV of `frames` frames of a tone of `pitch` Hz, 16 bits, one channel.
pub fn wav(pitch: u32, rate: u32, frames: u32) -> Vec<u8> {
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + 2 * frames).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend(rate.to_le_bytes());
    bytes.extend((2 * rate).to_le_bytes());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend((2 * frames).to_le_bytes());
    for frame in 0..frames {
        let phase = f64::from(frame) * f64::from(pitch) * std::f64::consts::TAU / f64::from(rate);
        bytes.extend(((phase.sin() * 12_000.0) as i16).to_le_bytes());
    }
    bytes
}
