//! Pictures of results as data: what a report or a console draws. Tasks and stages make figures; only the
//! report knows HTML.

use crate::image::Image;
use serde::{Deserialize, Serialize};

/// One line of a line chart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// `[x, y]` points; a gap is a missing point.
    pub points: Vec<[f64; 2]>,
}

/// A cell of a table, with an optional verdict that colours it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelledCell {
    /// What the cell says.
    pub text: String,
    /// `Some(true)` good, `Some(false)` bad, `None` neither.
    pub good: Option<bool>,
}

/// One picture of a prediction grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PictureCell {
    /// Sides and pixels.
    #[serde(with = "picture")]
    pub image: Image,
    /// The true label.
    pub truth: String,
    /// The predicted label.
    pub predicted: String,
    /// Probability of the predicted label.
    pub probability: f64,
}

/// One picture with a line under it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaptionedPicture {
    /// Sides and pixels.
    #[serde(with = "picture")]
    pub image: Image,
    /// What it is.
    pub caption: String,
}

mod picture {
    //! Pictures in JSON: `[height, width, channels, hex pixels]`.
    use crate::image::Image;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(image: &Image, serializer: S) -> Result<S::Ok, S::Error> {
        let hex: String = image.pixels.iter().map(|byte| format!("{byte:02x}")).collect();
        (image.height, image.width, image.channels, hex).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Image, D::Error> {
        let (height, width, channels, hex): (usize, usize, usize, String) = Deserialize::deserialize(deserializer)?;
        let pixels: Option<Vec<u8>> =
            (0..hex.len() / 2).map(|index| u8::from_str_radix(hex.get(2 * index..2 * index + 2)?, 16).ok()).collect();
        let pixels = pixels.ok_or_else(|| D::Error::custom("pixels are not hex"))?;
        Ok(Image { height, width, channels, pixels })
    }
}

/// A picture of a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Figure {
    /// A line chart.
    Curves {
        /// Heading.
        title: String,
        /// Name of the horizontal axis, with its unit.
        x: String,
        /// Name of the vertical axis, with its unit.
        y: String,
        /// The lines.
        series: Vec<Series>,
    },
    /// Counts by true class (row) and predicted class (column).
    ConfusionMatrix {
        /// Heading.
        title: String,
        /// Class names.
        labels: Vec<String>,
        /// `counts[truth][predicted]`.
        counts: Vec<Vec<u64>>,
    },
    /// A table.
    Table {
        /// Heading.
        title: String,
        /// Column names.
        columns: Vec<String>,
        /// Rows of cells.
        rows: Vec<Vec<LabelledCell>>,
    },
    /// Pictures with truth and prediction.
    PredictionGrid {
        /// Heading.
        title: String,
        /// The pictures, in rows of five.
        cells: Vec<PictureCell>,
    },
    /// Pictures without a verdict.
    Pictures {
        /// Heading.
        title: String,
        /// How many stand in a row.
        columns: usize,
        /// The pictures, row by row.
        cells: Vec<CaptionedPicture>,
    },
}
