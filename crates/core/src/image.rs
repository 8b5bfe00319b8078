//! How pictures lie in an Arrow column: a struct of `height`, `width`, `channels` and `pixels`, the pixels
//! decoded, unsigned bytes in height-width-channel order (1 channel grey, 3 RGB).
//!
//! Every crate that touches pictures goes through [`ImageColumn`] and [`ImageBuilder`], so the layout is
//! written down here only.

use crate::{Error, ErrorCode, Result};
use arrow_array::builder::{LargeBinaryBuilder, UInt8Builder, UInt32Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{UInt8Type, UInt32Type};
use arrow_array::{Array, ArrayRef, LargeBinaryArray, StructArray, UInt8Array, UInt32Array};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, Fields};
use std::sync::Arc;

/// One decoded picture, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageRef<'a> {
    /// Rows of pixels.
    pub height: usize,
    /// Pixels per row.
    pub width: usize,
    /// 1 grey or 3 RGB.
    pub channels: usize,
    /// `height * width * channels` bytes, height-width-channel order.
    pub pixels: &'a [u8],
}

/// One decoded picture, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Rows of pixels.
    pub height: usize,
    /// Pixels per row.
    pub width: usize,
    /// 1 grey or 3 RGB.
    pub channels: usize,
    /// `height * width * channels` bytes, height-width-channel order.
    pub pixels: Vec<u8>,
}

impl Image {
    /// Borrows it.
    pub fn as_ref(&self) -> ImageRef<'_> {
        ImageRef { height: self.height, width: self.width, channels: self.channels, pixels: &self.pixels }
    }
}

/// The Arrow type of a picture column.
pub fn data_type() -> DataType {
    DataType::Struct(fields())
}

fn fields() -> Fields {
    Fields::from(vec![
        Field::new("height", DataType::UInt32, false),
        Field::new("width", DataType::UInt32, false),
        Field::new("channels", DataType::UInt8, false),
        Field::new("pixels", DataType::LargeBinary, false),
    ])
}

/// Reads a picture column.
#[derive(Clone, Debug)]
pub struct ImageColumn<'a> {
    heights: &'a UInt32Array,
    widths: &'a UInt32Array,
    channels: &'a UInt8Array,
    pixels: &'a LargeBinaryArray,
    nulls: Option<&'a NullBuffer>,
}

impl<'a> ImageColumn<'a> {
    /// A reader over `array`.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] when the array is not a picture column.
    pub fn new(array: &'a dyn Array) -> Result<ImageColumn<'a>> {
        if array.data_type() != &data_type() {
            return Err(Error::new(ErrorCode::BadData, format!("not a picture column but {}", array.data_type())));
        }
        let parts = array.as_struct();
        Ok(ImageColumn {
            heights: parts.column(0).as_primitive::<UInt32Type>(),
            widths: parts.column(1).as_primitive::<UInt32Type>(),
            channels: parts.column(2).as_primitive::<UInt8Type>(),
            pixels: parts.column(3).as_binary::<i64>(),
            nulls: parts.nulls(),
        })
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.heights.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The picture in row `index`; `None` where it is missing, where `index` is past the end, or where the
    /// buffer does not have as many bytes as the sides say.
    pub fn get(&self, index: usize) -> Option<ImageRef<'a>> {
        if index >= self.len() || self.nulls.is_some_and(|nulls| nulls.is_null(index)) {
            return None;
        }
        let (height, width) = (self.heights.value(index) as usize, self.widths.value(index) as usize);
        let (channels, pixels) = (self.channels.value(index) as usize, self.pixels.value(index));
        (height.checked_mul(width)?.checked_mul(channels)? == pixels.len()).then_some(ImageRef {
            height,
            width,
            channels,
            pixels,
        })
    }
}

/// Builds a picture column.
#[derive(Default)]
pub struct ImageBuilder {
    heights: UInt32Builder,
    widths: UInt32Builder,
    channels: UInt8Builder,
    pixels: LargeBinaryBuilder,
    valid: Vec<bool>,
}

impl ImageBuilder {
    /// Adds a picture, or a missing value.
    pub fn push(&mut self, image: Option<ImageRef<'_>>) {
        let empty = ImageRef { height: 0, width: 0, channels: 0, pixels: &[] };
        let ImageRef { height, width, channels, pixels } = image.unwrap_or(empty);
        self.heights.append_value(height as u32);
        self.widths.append_value(width as u32);
        self.channels.append_value(channels as u8);
        self.pixels.append_value(pixels);
        self.valid.push(image.is_some());
    }

    /// How many were added.
    pub fn len(&self) -> usize {
        self.valid.len()
    }

    /// Whether none was added.
    pub fn is_empty(&self) -> bool {
        self.valid.is_empty()
    }

    /// The finished column.
    pub fn finish(mut self) -> ArrayRef {
        let nulls = self.valid.contains(&false).then(|| NullBuffer::from(self.valid));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.heights.finish()),
            Arc::new(self.widths.finish()),
            Arc::new(self.channels.finish()),
            Arc::new(self.pixels.finish()),
        ];
        Arc::new(StructArray::new(fields(), columns, nulls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_reads_back() {
        let picture = Image { height: 2, width: 1, channels: 3, pixels: vec![1, 2, 3, 4, 5, 6] };
        let mut builder = ImageBuilder::default();
        builder.push(Some(picture.as_ref()));
        builder.push(None);
        let array = builder.finish();
        let column = ImageColumn::new(&array).unwrap();
        assert_eq!(column.get(0), Some(picture.as_ref()));
        assert_eq!(column.get(1), None);
        assert_eq!(column.get(2), None);
        assert!(ImageColumn::new(&UInt8Array::from(vec![1])).is_err());
    }
}
