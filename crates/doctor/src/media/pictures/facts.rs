//! What is kept of one picture: a few numbers, two hashes and 256 bytes of it.

use super::hash::{TRANSFORMED, hash_of_small};
use super::resize::{Luma, resize_lanczos};
use crate::media::collection::{Collection, Place};
use crate::media::fault::{Fault, FaultKind};
use crate::media::survey::{Reading, read_whole};
use lepton_core::image::{Image, ImageRef};
use lepton_core::{Digest, Error, ErrorCode, Limits, Result};
use lepton_recipe::raw::{PictureFormat, PictureHeader, decode_picture, picture_header};
use lepton_sketch::PictureLook;
use serde::Serialize;
use std::path::Path;

/// Side of what is kept of a picture to compare it with others.
pub(super) const SMALL: usize = 16;

/// What a picture's samples mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PictureMode {
    /// Brightness alone.
    Grey,
    /// Brightness and transparency.
    GreyAlpha,
    /// Red, green and blue.
    Rgb,
    /// Red, green, blue and transparency.
    Rgba,
}

impl PictureMode {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            PictureMode::Grey => "grey",
            PictureMode::GreyAlpha => "grey_alpha",
            PictureMode::Rgb => "rgb",
            PictureMode::Rgba => "rgba",
        }
    }

    fn of(channels: u8) -> PictureMode {
        match channels {
            1 => PictureMode::Grey,
            2 => PictureMode::GreyAlpha,
            3 => PictureMode::Rgb,
            _ => PictureMode::Rgba,
        }
    }
}

/// What is kept of one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureFacts {
    /// By its first bytes; `None` of a row.
    pub format: Option<PictureFormat>,
    /// What its samples mean.
    pub mode: PictureMode,
    /// Bits of a sample: 8 or 16.
    pub bits: u8,
    /// Size, mean and standard deviation, as monitoring keeps them.
    pub look: PictureLook,
    /// Rows of pixels.
    pub height: u32,
    /// Pixels per row.
    pub width: u32,
    /// The variance of the Laplacian (four neighbours, samples 0 to 255): small where nothing is sharp.
    pub sharpness: f32,
    /// Brightness that one pixel in a hundred does not reach, and that all but one in a hundred do not pass; 0 to 1.
    pub range: [f32; 2],
    /// Names the decoded pixels and their size.
    pub content: u128,
    /// [`super::perceptual_hash`]
    pub hash: u64,
    /// The picture in grey, 16 by 16.
    pub small: [u8; SMALL * SMALL],
}

impl PictureFacts {
    /// What is kept of decoded pixels.
    pub fn of(picture: ImageRef<'_>, header: Option<&PictureHeader>) -> PictureFacts {
        let grey = Luma::of(picture);
        let reduced = resize_lanczos(&grey, TRANSFORMED, TRANSFORMED);
        let sides = [picture.height as u64, picture.width as u64, picture.channels as u64];
        let mut content = twox_hash::XxHash3_128::new();
        sides.iter().for_each(|side| content.write(&side.to_le_bytes()));
        content.write(picture.pixels);
        PictureFacts {
            format: header.map(|header| header.format),
            mode: PictureMode::of(header.map_or(picture.channels as u8, |header| header.channels)),
            bits: header.map_or(8, |header| header.bits),
            look: PictureLook::of(picture),
            height: picture.height as u32,
            width: picture.width as u32,
            sharpness: laplacian_variance(&grey),
            range: range(&grey),
            content: content.finish_128(),
            hash: hash_of_small(&reduced.pixels),
            small: halved(&reduced.pixels),
        }
    }
}

/// Reads one item.
pub(super) fn look(collection: &Collection, item: usize, limits: &Limits) -> Result<Reading<PictureFacts>> {
    match &collection.items[item].place {
        Place::File(path) => {
            // 8 bytes a pixel is the deepest format (16-bit RGBA); what compression adds is less than a 64th.
            let most =
                limits.image_pixels.saturating_mul(8).saturating_add(limits.image_pixels / 8).saturating_add(16 << 20);
            let (sha256, bytes) = read_whole(path, most);
            let seen = bytes.and_then(|bytes| look_at_bytes(&bytes, path, limits));
            Ok(Reading { sha256, seen })
        }
        Place::Idx { .. } => {
            let picture = collection.picture(item, limits)?;
            Ok(Reading { sha256: None, seen: Ok(PictureFacts::of(picture.as_ref(), None)) })
        }
        Place::Row { .. } => match collection.picture(item, limits) {
            Ok(picture) => {
                let sha256 = Some(Digest::of(&picture.pixels));
                Ok(Reading { sha256, seen: Ok(PictureFacts::of(picture.as_ref(), None)) })
            }
            Err(error) => Ok(Reading { sha256: None, seen: Err(Fault::new(FaultKind::Empty, error.message())) }),
        },
    }
}

fn look_at_bytes(bytes: &[u8], path: &Path, limits: &Limits) -> std::result::Result<PictureFacts, Fault> {
    let (header, picture) = decode(bytes, limits).map_err(|error| fault_of(&error, bytes, path))?;
    Ok(PictureFacts::of(picture.as_ref(), Some(&header)))
}

/// A picture and its header; a JPEG that breaks off is refused although its decoder fills the rest with grey.
pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<(PictureHeader, Image)> {
    let header = picture_header(bytes)?;
    let picture = decode_picture(bytes, limits)?;
    if header.format == PictureFormat::Jpeg && !jpeg_ends(bytes) {
        return Err(Error::new(ErrorCode::BadInput, "the JPEG breaks off before its end marker"));
    }
    Ok((header, picture))
}

fn fault_of(error: &Error, bytes: &[u8], path: &Path) -> Fault {
    if error.code() == ErrorCode::TooLarge {
        return Fault::new(FaultKind::TooLarge, error.message());
    }
    match foreign_format(bytes) {
        Some("png" | "jpeg") => Fault::new(FaultKind::Damaged, error.message()),
        Some(other) => {
            Fault::new(FaultKind::Foreign, format!("a {} file, which is not read as a picture", other.to_uppercase()))
        }
        None => {
            let extension = path
                .extension()
                .map_or_else(String::new, |name| format!(" although it ends in .{}", name.to_string_lossy()));
            Fault::new(FaultKind::Foreign, format!("this is not a PNG or JPEG picture{extension}"))
        }
    }
}

/// What the first bytes say that a file is.
fn foreign_format(bytes: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 9] = [
        (b"\x89PNG", "png"),
        (b"\xff\xd8\xff", "jpeg"),
        (b"GIF8", "gif"),
        (b"BM", "bmp"),
        (b"II*\0", "tiff"),
        (b"MM\0*", "tiff"),
        (b"%PDF", "pdf"),
        (b"PK\x03\x04", "zip"),
        (b"\x1f\x8b", "gzip"),
    ];
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Some("webp");
    }
    known.iter().find(|(start, _)| bytes.starts_with(start)).map(|(_, name)| *name)
}

/// Whether a JPEG has its end marker: segments are skipped by their lengths, so that the end of a picture inside of
/// a segment does not count.
fn jpeg_ends(bytes: &[u8]) -> bool {
    let mut place = 2;
    loop {
        let Some(start) = bytes.get(place..).and_then(|rest| rest.iter().position(|byte| *byte == 0xff)) else {
            return false;
        };
        place += start + 1;
        match bytes.get(place) {
            None => return false,
            Some(0xd9) => return true,
            // Filling, a byte of data that is 0xff, a restart.
            Some(0x00 | 0x01 | 0xff | 0xd0..=0xd8) => {}
            Some(_) => match bytes.get(place + 1..place + 3) {
                Some(length) => place += 1 + usize::from(u16::from_be_bytes([length[0], length[1]])),
                None => return false,
            },
        }
    }
}

/// The variance of `up + down + left + right - 4 here` over all pixels inside, as OpenCV's `Laplacian` without its
/// border; 0 of pictures with a side under 3.
fn laplacian_variance(picture: &Luma<'_>) -> f32 {
    let (height, width) = (picture.height, picture.width);
    if height < 3 || width < 3 {
        return 0.0;
    }
    let line = |row: usize| &picture.pixels[row * width..(row + 1) * width];
    let (mut sum, mut squares) = (0i64, 0i64);
    for row in 1..height - 1 {
        let (above, here, below) = (line(row - 1), line(row), line(row + 1));
        for column in 1..width - 1 {
            let value = i32::from(above[column])
                + i32::from(below[column])
                + i32::from(here[column - 1])
                + i32::from(here[column + 1])
                - 4 * i32::from(here[column]);
            sum += i64::from(value);
            squares += i64::from(value * value);
        }
    }
    let count = ((height - 2) * (width - 2)) as f64;
    let mean = sum as f64 / count;
    (squares as f64 / count - mean * mean).max(0.0) as f32
}

/// The first and the ninety-ninth hundredth of the brightness.
fn range(picture: &Luma<'_>) -> [f32; 2] {
    let mut counts = [0u64; 256];
    picture.pixels.iter().for_each(|pixel| counts[usize::from(*pixel)] += 1);
    let edge = picture.pixels.len() as u64 / 100;
    [reach(&counts, edge, 0..256), reach(&counts, edge, (0..256).rev())]
}

/// The first of these places at which more than `edge` pixels have been passed.
fn reach(counts: &[u64; 256], edge: u64, mut places: impl Iterator<Item = usize>) -> f32 {
    let mut seen = 0;
    let place = places.find(|place| {
        seen += counts[*place];
        seen > edge
    });
    place.unwrap_or(0) as f32 / 255.0
}

/// Means of two by two pixels.
fn halved(pixels: &[u8]) -> [u8; SMALL * SMALL] {
    let mut small = [0; SMALL * SMALL];
    for (place, pixel) in small.iter_mut().enumerate() {
        let corner = place / SMALL * 2 * TRANSFORMED + place % SMALL * 2;
        let four = [corner, corner + 1, corner + TRANSFORMED, corner + TRANSFORMED + 1];
        let sum: u32 = four.iter().map(|at| u32::from(pixels[*at])).sum();
        *pixel = ((sum + 2) / 4) as u8;
    }
    small
}
