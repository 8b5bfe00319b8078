//! A column of pictures: how large, how bright, how contrasted. The pixels are not kept.

use crate::NumberSketch;
use lepton_core::image::ImageRef;
use serde::{Deserialize, Serialize};

/// The summary of a column of pictures. A missing picture is a missing value in each part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSketch {
    /// Rows of pixels.
    pub height: NumberSketch,
    /// Pixels per row.
    pub width: NumberSketch,
    /// Mean over all bytes of a picture, 0 black to 1 white.
    pub brightness: NumberSketch,
    /// Standard deviation over all bytes of a picture, 0 to 0.5.
    pub contrast: NumberSketch,
}

/// What a sketch takes from one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PictureLook {
    /// Rows of pixels.
    pub height: f64,
    /// Pixels per row.
    pub width: f64,
    /// Mean over all bytes, 0 black to 1 white.
    pub brightness: f64,
    /// Standard deviation over all bytes, 0 to 0.5.
    pub contrast: f64,
}

impl PictureLook {
    /// What a sketch takes from `image`.
    pub fn of(image: ImageRef<'_>) -> PictureLook {
        // Whole numbers: exact, and the same in any order of addition.
        let (mut sum, mut squares) = (0u64, 0u64);
        for pixel in image.pixels {
            let pixel = u64::from(*pixel);
            sum += pixel;
            squares += pixel * pixel;
        }
        let count = image.pixels.len().max(1) as f64;
        let mean = sum as f64 / count;
        let variance = (squares as f64 / count - mean * mean).max(0.0);
        PictureLook {
            height: image.height as f64,
            width: image.width as f64,
            brightness: mean / 255.0,
            contrast: variance.sqrt() / 255.0,
        }
    }
}

impl ImageSketch {
    /// Adds a picture, or a missing one.
    pub fn add(&mut self, image: Option<ImageRef<'_>>) {
        self.add_look(image.map(PictureLook::of));
    }

    /// Adds what was taken from a picture, or a missing one.
    pub fn add_look(&mut self, look: Option<PictureLook>) {
        self.height.add(look.map(|look| look.height));
        self.width.add(look.map(|look| look.width));
        self.brightness.add(look.map(|look| look.brightness));
        self.contrast.add(look.map(|look| look.contrast));
    }

    /// Adds all that `other` has seen.
    pub fn merge(&mut self, other: &ImageSketch) {
        self.height.merge(&other.height);
        self.width.merge(&other.width);
        self.brightness.merge(&other.brightness);
        self.contrast.merge(&other.contrast);
    }

    /// The parts by name.
    pub fn parts(&self) -> [(&'static str, &NumberSketch); 4] {
        [
            ("height", &self.height),
            ("width", &self.width),
            ("brightness", &self.brightness),
            ("contrast", &self.contrast),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_looks_as_numpy_says() {
        // numpy 2: a = [0, 51, 102, 255]; (a / 255).mean(), (a / 255).std()
        let image = ImageRef { height: 2, width: 2, channels: 1, pixels: &[0, 51, 102, 255] };
        let mut sketch = ImageSketch::default();
        sketch.add(Some(image));
        sketch.add(None);
        assert_eq!((sketch.height.mean(), sketch.width.mean()), (Some(2.0), Some(2.0)));
        assert!((sketch.brightness.mean().unwrap() - 0.4).abs() < 1e-12);
        assert!((sketch.contrast.mean().unwrap() - 0.374_165_738_677_394_17).abs() < 1e-12);
        assert!(sketch.parts().iter().all(|(_, part)| part.missing() == 1));
    }
}
