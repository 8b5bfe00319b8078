//! Changes of pixels: another size, another mode. What has them already stays as it is, byte by byte.

use crate::media::pictures::dynamic;
use crate::repair::TargetMode;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageFormat};
use lepton_core::image::{Image, ImageRef};
use lepton_core::{Error, Result};
use lepton_recipe::raw::PictureFormat;
use std::io::Cursor;

/// Of JPEGs that are written anew.
const JPEG_QUALITY: u8 = 95;

/// One change of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Transform {
    /// Another size, without regard to the shape; smaller by the mean of what falls together (a triangle filter).
    Size { height: u32, width: u32 },
    /// Another mode.
    Mode(TargetMode),
}

/// The picture after all changes, with the step of each that did something; `None` where none did. `channels` are
/// those of the file, transparency among them.
pub(super) fn transformed<'a>(
    picture: ImageRef<'_>,
    channels: u8,
    transforms: &[(&'a str, Transform)],
) -> Result<Option<(Image, Vec<&'a str>)>> {
    let mut image = dynamic(picture)?;
    let mut channels = channels;
    let mut done = Vec::new();
    for (step, transform) in transforms {
        match transform {
            Transform::Size { height, width } => {
                if (image.height(), image.width()) == (*height, *width) {
                    continue;
                }
                image = image.resize_exact(*width, *height, FilterType::Triangle);
            }
            Transform::Mode(mode) => {
                let wanted = match mode {
                    TargetMode::Grey => 1,
                    TargetMode::Rgb => 3,
                };
                if channels == wanted {
                    continue;
                }
                image = match mode {
                    TargetMode::Grey => DynamicImage::from(image.to_luma8()),
                    TargetMode::Rgb => DynamicImage::from(image.to_rgb8()),
                };
                channels = wanted;
            }
        }
        done.push(*step);
    }
    if done.is_empty() {
        return Ok(None);
    }
    let (height, width) = (image.height() as usize, image.width() as usize);
    let (channels, pixels) = match image {
        DynamicImage::ImageLuma8(grey) => (1, grey.into_raw()),
        other => (3, other.into_rgb8().into_raw()),
    };
    Ok(Some((Image { height, width, channels, pixels }, done)))
}

/// A picture as a file of a format.
pub(super) fn encode(picture: ImageRef<'_>, format: PictureFormat) -> Result<Vec<u8>> {
    let image = dynamic(picture)?;
    let mut bytes = Cursor::new(Vec::new());
    let written = match format {
        PictureFormat::Png => image.write_to(&mut bytes, ImageFormat::Png),
        PictureFormat::Jpeg => image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY)),
    };
    written.map_err(|source| Error::internal(format!("a picture cannot be written: {source}")))?;
    Ok(bytes.into_inner())
}
