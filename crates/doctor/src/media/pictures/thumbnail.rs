//! Small PNGs of pictures, for pages that show findings.

use image::imageops::FilterType;
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use lepton_core::image::ImageRef;
use lepton_core::{Error, Result};
use std::io::Cursor;

/// The longer side of a thumbnail.
pub const THUMBNAIL_SIDE: u32 = 64;

/// A picture as a PNG of at most 64 by 64 pixels.
///
/// # Errors
/// [`lepton_core::ErrorCode::Internal`] only.
pub fn thumbnail(picture: ImageRef<'_>) -> Result<Vec<u8>> {
    let full = dynamic(picture)?;
    let small = match full.width().max(full.height()) {
        side if side <= THUMBNAIL_SIDE => full,
        _ => full.resize(THUMBNAIL_SIDE, THUMBNAIL_SIDE, FilterType::Triangle),
    };
    let mut png = Cursor::new(Vec::new());
    small
        .write_to(&mut png, ImageFormat::Png)
        .map_err(|source| Error::internal(format!("a thumbnail cannot be written: {source}")))?;
    Ok(png.into_inner())
}

/// A picture as the library has it.
pub(crate) fn dynamic(picture: ImageRef<'_>) -> Result<DynamicImage> {
    let (height, width, pixels) = (picture.height as u32, picture.width as u32, picture.pixels.to_vec());
    let made = match picture.channels {
        1 => GrayImage::from_raw(width, height, pixels).map(DynamicImage::from),
        _ => RgbImage::from_raw(width, height, pixels).map(DynamicImage::from),
    };
    made.ok_or_else(|| Error::internal("a picture has other pixels than its sides say"))
}
