//! Pictures from PNG and JPEG bytes, measured before they are decoded.

use super::{ColumnBuilder, arrow_schema, check_rows};
use arrow_array::RecordBatch;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader};
use lepton_core::image::Image;
use lepton_core::{ColumnKind, Error, ErrorCode, Limits, Result, Schema};
use std::io::Cursor;

/// The formats of pictures that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PictureFormat {
    /// PNG
    Png,
    /// JPEG
    Jpeg,
}

impl PictureFormat {
    /// `png` or `jpeg`.
    pub fn name(self) -> &'static str {
        match self {
            PictureFormat::Png => "png",
            PictureFormat::Jpeg => "jpeg",
        }
    }

    fn library(self) -> ImageFormat {
        match self {
            PictureFormat::Png => ImageFormat::Png,
            PictureFormat::Jpeg => ImageFormat::Jpeg,
        }
    }
}

/// What a picture says of itself before any pixel is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureHeader {
    /// By its first bytes, whatever it is called.
    pub format: PictureFormat,
    /// Rows of pixels.
    pub height: u32,
    /// Pixels per row.
    pub width: u32,
    /// 1 grey, 3 colour; with transparency one more.
    pub channels: u8,
    /// Bits of each channel as it is decoded: 8 or 16.
    pub bits: u8,
}

/// Reads the header of a PNG or JPEG.
///
/// # Errors
/// [`ErrorCode::BadInput`] for bytes that do not start one.
pub fn picture_header(bytes: &[u8]) -> Result<PictureHeader> {
    let format = match image::guess_format(bytes) {
        Ok(ImageFormat::Png) => PictureFormat::Png,
        Ok(ImageFormat::Jpeg) => PictureFormat::Jpeg,
        _ => return Err(Error::new(ErrorCode::BadInput, "this is not a PNG or JPEG picture")),
    };
    let decoder = ImageReader::with_format(Cursor::new(bytes), format.library()).into_decoder().map_err(wrong)?;
    let ((width, height), color) = (decoder.dimensions(), decoder.color_type());
    let channels = color.channel_count();
    let bits = (color.bits_per_pixel() / u16::from(channels.max(1))) as u8;
    Ok(PictureHeader { format, height, width, channels, bits })
}

fn wrong(source: image::ImageError) -> Error {
    Error::new(ErrorCode::BadInput, format!("the picture cannot be decoded: {source}")).caused_by(source)
}

/// Decodes a PNG or JPEG into unsigned bytes: grey pictures to 1 channel, all others to 3. Deeper samples are
/// reduced to 8 bits, transparency is dropped, orientation tags are not followed.
///
/// # Errors
/// [`ErrorCode::BadInput`] for bytes that are no whole PNG or JPEG; [`ErrorCode::TooLarge`] past `image_pixels`,
/// before any pixel is decoded.
pub fn decode_picture(bytes: &[u8], limits: &Limits) -> Result<Image> {
    let header = picture_header(bytes)?;
    let (height, width) = (header.height, header.width);
    let pixels = u64::from(width) * u64::from(height);
    if pixels > limits.image_pixels {
        let message =
            format!("a picture of {height}x{width} pixels, the limit image_pixels is {}", limits.image_pixels);
        return Err(Error::new(ErrorCode::TooLarge, message));
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), header.format.library());
    let mut allowance = image::Limits::default();
    // 8 bytes a pixel is the deepest format (16-bit RGBA); the rest is the decoder's own working space.
    allowance.max_alloc = Some(pixels.saturating_mul(16).saturating_add(16 << 20));
    reader.limits(allowance);
    let decoded = reader.decode().map_err(wrong)?;
    let (channels, pixels) = match decoded.color() {
        ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16 => (1, decoded.into_luma8().into_raw()),
        _ => (3, to_rgb(decoded)),
    };
    Ok(Image { height: height as usize, width: width as usize, channels, pixels })
}

fn to_rgb(decoded: DynamicImage) -> Vec<u8> {
    decoded.into_rgb8().into_raw()
}

/// One row per PNG or JPEG, for a schema whose one column is a picture.
///
/// # Errors
/// [`ErrorCode::BadInput`] when the schema wants anything else, or with the row (from 1) of a picture that cannot
/// be decoded; [`ErrorCode::TooLarge`] past `batch_rows` or `image_pixels`.
pub fn rows_from_pictures(schema: &Schema, pictures: &[&[u8]], limits: &Limits) -> Result<RecordBatch> {
    check_rows(pictures.len(), limits)?;
    let [column] = schema.columns.as_slice() else {
        return Err(not_a_picture_model(schema));
    };
    if column.kind != ColumnKind::Image {
        return Err(not_a_picture_model(schema));
    }
    let mut builder = ColumnBuilder::new(ColumnKind::Image);
    for (row, bytes) in pictures.iter().enumerate() {
        let placed = |error: Error| error.at_row(row as u64 + 1).at_column(&column.name);
        let picture = decode_picture(bytes, limits).map_err(placed)?;
        builder.push_picture(picture.as_ref()).map_err(placed)?;
    }
    RecordBatch::try_new(arrow_schema(schema), vec![builder.finish()])
        .map_err(|source| Error::internal(format!("raw rows do not fit their schema: {source}")))
}

fn not_a_picture_model(schema: &Schema) -> Error {
    Error::new(ErrorCode::BadInput, "the model does not take a picture alone")
        .fix(format!("send rows with the columns: {}", schema.names().collect::<Vec<_>>().join(", ")))
}
