//! Changes to pictures, one file per family, and the sample that they change: a picture with what is marked on it.

pub mod colour;
pub mod erase;
pub mod filter;
pub mod geometry;
pub mod mix;
pub mod noise;
pub mod rand_augment;
mod warp;

use lepton_core::image::{Image, ImageRef};
use lepton_core::{BoundingBox, Error, ErrorCode, KeyPoint, Mask, Result};

/// A picture and its annotations, which move along with the pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The pixels.
    pub picture: Image,
    /// Boxes around objects.
    pub boxes: Vec<BoundingBox>,
    /// Marked places.
    pub key_points: Vec<KeyPoint>,
    /// Masks of the picture's own size.
    pub masks: Vec<Mask>,
}

impl Sample {
    /// A picture with nothing marked on it.
    pub fn of_picture(picture: ImageRef<'_>) -> Sample {
        let ImageRef { height, width, channels, pixels } = picture;
        let picture = Image { height, width, channels, pixels: pixels.to_vec() };
        Sample { picture, boxes: Vec::new(), key_points: Vec::new(), masks: Vec::new() }
    }

    /// No pixels and nothing marked.
    pub fn empty() -> Sample {
        let picture = Image { height: 0, width: 0, channels: 1, pixels: Vec::new() };
        Sample { picture, boxes: Vec::new(), key_points: Vec::new(), masks: Vec::new() }
    }

    /// Refuses pixels or masks that do not fit the picture's size, and boxes without area.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`].
    pub fn check(&self) -> Result<()> {
        let Image { height, width, channels, pixels } = &self.picture;
        if height * width * channels != pixels.len() || ![1, 3].contains(channels) {
            let text = format!("{} bytes are no picture of {height} x {width} x {channels}", pixels.len());
            return Err(Error::new(ErrorCode::BadData, text));
        }
        for mask in &self.masks {
            if (mask.height, mask.width) != (*height, *width) || mask.values.len() != height * width {
                let text =
                    format!("a mask of {} x {} lies on a picture of {height} x {width}", mask.height, mask.width);
                return Err(Error::new(ErrorCode::BadData, text));
            }
        }
        self.boxes.iter().try_for_each(BoundingBox::check)
    }
}
