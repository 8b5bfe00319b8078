//! What each step can be told: the values of the `[recipe]` settings, as `lepton.toml` writes them.

use serde::{Deserialize, Serialize};

/// How the bytes of a picture become floats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageNormalize {
    /// Divided by 255: 0 to 1.
    Scale,
    /// Divided by 255, then per channel minus the training mean and over the training standard deviation
    /// (of the population: divided by n).
    Standardize,
    /// Divided by 255, then per channel minus these means and over these standard deviations: for weights that were
    /// trained elsewhere.
    Given {
        /// One mean per channel.
        mean: Vec<f64>,
        /// One standard deviation per channel.
        std: Vec<f64>,
    },
}

/// How a picture of other proportions comes to its height and width.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageFit {
    /// Both sides are resized, whatever the proportions.
    #[default]
    Stretch,
    /// Resized so that it covers the frame, or so that its shorter side is as long as asked; then the centre is cut
    /// out.
    Crop {
        /// The length of the shorter side before the cut; at least the frame's longer one. `None` just covers.
        resize: Option<usize>,
    },
    /// Resized so that it fits inside; what is left over on both sides gets one byte.
    Pad {
        /// The byte, in every channel.
        value: u8,
    },
}

/// How the numbers of a series are scaled, each dimension by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeriesStandardize {
    /// By the mean and the deviation of all training series.
    #[default]
    Training,
    /// By its own mean and deviation, so that only its shape counts.
    Each,
    /// Not at all.
    None,
}

/// What stands in for a missing number. Everything is learned from the training rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberMissing {
    /// The mean of the training values.
    Mean,
    /// The median of the training values; the mean of the middle two where their count is even.
    Median,
    /// This number.
    Constant(f64),
    /// The median among the training rows that are equal in this column; of all of them where the group has none.
    Group(String),
    /// The mean of the nearest so many training rows by the other number columns, see [`crate::Imputation::Nearest`].
    Nearest(usize),
    /// A ridge regression on the other number columns, see [`crate::Imputation::Iterative`].
    Iterative,
    /// Nothing: a missing value is an error.
    Refuse,
}

/// How numbers are scaled. A column that is constant in training is only shifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberNormalize {
    /// As they are.
    None,
    /// Minus the mean, over the standard deviation of the population.
    Standardize,
    /// Training minimum to 0, maximum to 1; values beyond them go past 0 and 1.
    MinMax,
    /// Minus the median, over the distance between the quartiles: outliers do not move the others.
    Robust,
    /// log(1 + x), then standardised. Values of -1 and below are refused.
    Log1p,
    /// The power transform of Yeo and Johnson whose exponent makes the training values most like a normal
    /// distribution (by maximum likelihood), then standardised.
    YeoJohnson,
    /// One 0/1 feature for each of so many bins of equally many training values.
    Bins(usize),
    /// The number of the bin, from 0, among so many of equally many training values.
    OrdinalBins(usize),
}

/// What a missing category, date or text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CategoryMissing {
    /// A category of its own, with its own feature where training had missing values; where it had none, a
    /// missing value sets no feature.
    OwnCategory,
    /// An error.
    Refuse,
}

/// What a category means that training did not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// It counts as one of the rare categories; where training had none of those, it sets no feature, because a
    /// weight for it would never have been trained.
    Other,
    /// An error.
    Refuse,
}

/// How a category becomes numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CategoryEncode {
    /// One 0/1 feature per category.
    #[default]
    OneHot,
    /// Its place in byte order, from 0; then rare, then missing; -1 for what training did not have.
    Ordinal,
    /// The share of training rows that have it; 0 for what training did not have.
    Frequency,
    /// For each class but the first of two (or each of more), the smoothed share of training rows of the category
    /// that have the class. Training itself sees shares that other training rows gave, see
    /// [`crate::Recipe::apply_in_training`].
    Target,
}

/// What is done to a text before its words are taken. Everything is on unless it is said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextCleaning {
    /// Tags are taken out of HTML, and its entities become the characters that they stand for.
    pub html: bool,
    /// Addresses that begin with `http://`, `https://`, `ftp://` or `www.` are taken out.
    pub urls: bool,
    /// Letters with accents are written one way (Unicode normalization form C).
    pub nfc: bool,
    /// Capital letters become small ones.
    pub lower_case: bool,
    /// Characters that show nothing and do not separate words are taken out.
    pub control: bool,
    /// White space becomes one space between words.
    pub white_space: bool,
}

impl Default for TextCleaning {
    fn default() -> TextCleaning {
        TextCleaning { html: true, urls: true, nfc: true, lower_case: true, control: true, white_space: true }
    }
}

/// How often a word stands in a text becomes its weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextWeight {
    /// The count, over the Euclidean length of all counts of the text.
    Counts,
    /// The count times how rare the word is in training, over the Euclidean length of all of them.
    #[default]
    TfIdf,
}

/// A feature of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatePart {
    /// Days since the reference, standardised.
    Days,
    /// The year, standardised.
    Year,
    /// Sine and cosine of the month on a circle of twelve.
    Month,
    /// Sine and cosine of the day on a circle of seven, Monday first.
    Weekday,
    /// Sine and cosine of the hour on a circle of 24.
    Hour,
}

impl DatePart {
    /// All of them, in the order of their features.
    pub const ALL: [DatePart; 5] = [DatePart::Days, DatePart::Year, DatePart::Month, DatePart::Weekday, DatePart::Hour];
}
