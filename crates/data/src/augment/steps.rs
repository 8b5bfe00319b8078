//! `[[augment.steps]]`: the changes that a person can ask for, with their keys, defaults and ranges.

use lepton_core::{ColumnKind, Error, ErrorCode, Result, Schema};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// One entry of `[[augment.steps]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepSettings {
    /// How often the step is applied to a row, 0 to 1; [`StepSettings::DEFAULT_PROBABILITY`] when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// What it does.
    #[serde(flatten)]
    pub step: Step,
}

/// What a step does, by its `kind`. Pairs are bounds, low before high, and the amount is drawn evenly between them;
/// single bounds draw from minus to plus that much.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Mirrors left and right.
    FlipHorizontal {},
    /// Mirrors top and bottom.
    FlipVertical {},
    /// Turns about the middle, by up to `degrees`, 0 to 180.
    Rotate {
        /// The bound.
        #[serde(default = "values::rotate")]
        degrees: f64,
    },
    /// Grows or shrinks about the middle by up to the share `amount`, 0 to below 1.
    Scale {
        /// The bound.
        #[serde(default = "values::tenth")]
        amount: f64,
    },
    /// Moves along each side by up to the share `amount` of it, 0 to 1.
    Shift {
        /// The bound.
        #[serde(default = "values::tenth")]
        amount: f64,
    },
    /// Slants rows and columns by up to `degrees` each, 0 to 60.
    Shear {
        /// The bound.
        #[serde(default = "values::shear")]
        degrees: f64,
    },
    /// Moves each corner inward by up to the share `amount` of the sides, 0 to 0.45.
    Perspective {
        /// The bound.
        #[serde(default = "values::tenth")]
        amount: f64,
    },
    /// Cuts out a part of that many pixels at a drawn place.
    Crop {
        /// Rows, at least 1.
        height: usize,
        /// Columns, at least 1.
        width: usize,
    },
    /// Stretches a drawn part over the whole picture.
    ResizedCrop {
        /// The part's share of the picture, above 0 to 1.
        #[serde(default = "values::crop_area")]
        area: [f64; 2],
        /// Its width over its height, 0.1 to 10.
        #[serde(default = "values::crop_ratio")]
        ratio: [f64; 2],
    },
    /// Changes brightness, contrast and saturation by factors around 1, and turns the hue.
    Colour {
        /// The bound, 0 to 1.
        #[serde(default = "values::fifth")]
        brightness: f64,
        /// The bound, 0 to 1.
        #[serde(default = "values::fifth")]
        contrast: f64,
        /// The bound, 0 to 1.
        #[serde(default = "values::fifth")]
        saturation: f64,
        /// The bound in turns of the colour circle, 0 to 0.5.
        #[serde(default)]
        hue: f64,
    },
    /// Makes colour grey.
    Grey {},
    /// Gaussian blur.
    Blur {
        /// Deviation in pixels, 0.1 to 20.
        #[serde(default = "values::sigma")]
        sigma: [f64; 2],
    },
    /// Gaussian noise on each value.
    Noise {
        /// Deviation in grey levels, 0 to 255.
        #[serde(default = "values::noise")]
        deviation: [f64; 2],
    },
    /// Makes a share of the pixels black or white.
    SaltPepper {
        /// That share, 0 to 1.
        #[serde(default = "values::salt")]
        amount: f64,
    },
    /// Covers a drawn part.
    Erase {
        /// The part's share of the picture, above 0 to 1.
        #[serde(default = "values::erase_area")]
        area: [f64; 2],
        /// Its width over its height, 0.1 to 10.
        #[serde(default = "values::erase_ratio")]
        ratio: [f64; 2],
        /// The grey level of the cover.
        #[serde(default)]
        fill: u8,
    },
    /// Compresses as JPEG and back.
    Jpeg {
        /// Quality, 1 to 100.
        #[serde(default = "values::quality")]
        quality: [u8; 2],
    },
    /// A few drawn changes of one strength.
    RandAugment {
        /// How many, 1 to 14.
        #[serde(default = "values::operations")]
        operations: u32,
        /// Their strength, 0 to 30.
        #[serde(default = "values::magnitude")]
        magnitude: u32,
    },
    /// A weighted mean with another row; the target becomes a mix of both classes.
    Mixup {
        /// The weight is drawn from Beta(alpha, alpha), above 0 to 100.
        #[serde(default = "values::mixup_alpha")]
        alpha: f64,
    },
    /// A part of another row's picture in this one; the target becomes a mix of both classes.
    Cutmix {
        /// The share that stays is drawn from Beta(alpha, alpha), above 0 to 100.
        #[serde(default = "values::one")]
        alpha: f64,
    },
    /// Parts of four rows' pictures around a drawn point; the target becomes a mix of their classes.
    Mosaic {},
    /// New rows of rare classes between neighbours, until all classes are as frequent (SMOTE, SMOTE-NC).
    Smote {
        /// How many neighbours, at least 1.
        #[serde(default = "values::neighbours")]
        neighbours: usize,
    },
    /// Gaussian noise on the numbers of a row.
    NumberNoise {
        /// Deviation as a share of the column's own, 0 to 1.
        #[serde(default = "values::number_noise")]
        amount: f64,
    },
    /// White noise at a drawn distance from the sound.
    SoundNoise {
        /// Signal over noise in decibels, -20 to 100.
        #[serde(default = "values::snr")]
        snr_db: [f64; 2],
    },
    /// Moves a sound along the time, silence comes in.
    TimeShift {
        /// The bound as a share of the length, 0 to 1.
        #[serde(default = "values::tenth")]
        amount: f64,
    },
    /// Makes a sound faster or slower at the same pitch.
    TimeStretch {
        /// Speed, 0.25 to 4.
        #[serde(default = "values::speed")]
        speed: [f64; 2],
    },
    /// Makes a sound higher or lower at the same length.
    PitchShift {
        /// The bound, 0 to 24.
        #[serde(default = "values::semitones")]
        semitones: f64,
    },
    /// Makes a sound louder or softer.
    Gain {
        /// Decibels, -60 to 60.
        #[serde(default = "values::gain")]
        decibels: [f64; 2],
    },
    /// Masks bands and times of log-mel frames (SpecAugment).
    SpecAugment {
        /// Most mel bands of a mask, at least 1.
        #[serde(default = "values::bands")]
        bands: usize,
        /// Most frames of a mask, at least 1.
        #[serde(default = "values::frames")]
        frames: usize,
        /// How many masks of each, at least 1.
        #[serde(default = "values::masks")]
        masks: usize,
    },
    /// Swaps neighbouring words.
    SwapWords {
        /// Share of the words, 0 to 1.
        #[serde(default = "values::tenth")]
        amount: f64,
    },
    /// Leaves words out; one always stays.
    DeleteWords {
        /// Share of the words, 0 to 1.
        #[serde(default = "values::tenth")]
        amount: f64,
    },
    /// Puts synonyms of drawn words at drawn places.
    InsertWords {
        /// Share of the words, 0 to 1.
        #[serde(default = "values::tenth")]
        amount: f64,
        /// The lexicon: one line for each group of words that mean the same, with commas between them.
        lexicon: PathBuf,
    },
    /// Puts synonyms in the place of words.
    Synonyms {
        /// Share of the words, 0 to 1.
        #[serde(default = "values::tenth")]
        amount: f64,
        /// The lexicon: one line for each group of words that mean the same, with commas between them.
        lexicon: PathBuf,
    },
    /// Hits neighbouring keys, doubles, drops and swaps letters.
    Typos {
        /// Share of the letters, 0 to 1.
        #[serde(default = "values::typos")]
        amount: f64,
    },
    /// Runs a command of the user's that says a text in other words.
    BackTranslate {
        /// The program and its arguments; it reads the text from standard input and writes the new one.
        command: Vec<String>,
    },
    /// Adds noise to a series.
    Jitter {
        /// Deviation as a share of the series' own, 0 to 1.
        #[serde(default = "values::number_noise")]
        amount: f64,
    },
    /// Scales a series by one factor around 1.
    Magnitude {
        /// Deviation of the factor, 0 to 1.
        #[serde(default = "values::tenth")]
        amount: f64,
    },
    /// Scales a series by a smooth curve around 1.
    MagnitudeWarp {
        /// Deviation of the curve, 0 to 1.
        #[serde(default = "values::fifth")]
        amount: f64,
        /// Knots of the curve, 1 to 64.
        #[serde(default = "values::knots")]
        knots: usize,
    },
    /// Lets time run faster and slower along a smooth curve.
    TimeWarp {
        /// Deviation of the speed, 0 to 1.
        #[serde(default = "values::fifth")]
        amount: f64,
        /// Knots of the curve, 1 to 64.
        #[serde(default = "values::knots")]
        knots: usize,
    },
    /// Stretches a drawn part of a series and squeezes the rest.
    WindowWarp {
        /// The part's share of the length, above 0 to below 1.
        #[serde(default = "values::tenth")]
        window: f64,
        /// How much longer the part becomes, 0.1 to 10.
        #[serde(default = "values::window_factors")]
        factor: [f64; 2],
    },
}

mod values {
    //! Defaults that are not zero.
    macro_rules! values {
        ($($name:ident: $kind:ty = $value:expr;)*) => { $(pub(super) fn $name() -> $kind { $value })* };
    }
    values! {
        one: f64 = 1.0;
        tenth: f64 = 0.1;
        fifth: f64 = 0.2;
        rotate: f64 = 15.0;
        shear: f64 = 10.0;
        crop_area: [f64; 2] = [0.5, 1.0];
        crop_ratio: [f64; 2] = [0.75, 4.0 / 3.0];
        sigma: [f64; 2] = [0.5, 1.5];
        noise: [f64; 2] = [0.0, 15.0];
        salt: f64 = 0.02;
        erase_area: [f64; 2] = [0.02, 0.2];
        erase_ratio: [f64; 2] = [0.3, 3.3];
        quality: [u8; 2] = [50, 95];
        operations: u32 = 2;
        magnitude: u32 = 9;
        mixup_alpha: f64 = 0.2;
        neighbours: usize = 5;
        number_noise: f64 = 0.05;
        snr: [f64; 2] = [10.0, 30.0];
        speed: [f64; 2] = [0.9, 1.1];
        semitones: f64 = 2.0;
        gain: [f64; 2] = [-6.0, 6.0];
        bands: usize = 8;
        frames: usize = 10;
        masks: usize = 1;
        typos: f64 = 0.05;
        knots: usize = 4;
        window_factors: [f64; 2] = [0.5, 2.0];
    }
}

/// What a step changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Pictures.
    Pictures,
    /// Rows of numbers and categories.
    Tables,
    /// Waveforms or their frames.
    Sounds,
    /// Texts.
    Texts,
    /// Numbers along time.
    Series,
}

impl Domain {
    /// What the columns besides `target` hold. Texts are one column of free text alone.
    pub fn of(schema: &Schema, target: &str) -> Domain {
        let inputs: Vec<ColumnKind> =
            schema.columns.iter().filter(|column| column.name != target).map(|column| column.kind).collect();
        match inputs.as_slice() {
            kinds if kinds.contains(&ColumnKind::Image) => Domain::Pictures,
            kinds if kinds.contains(&ColumnKind::Series) => Domain::Series,
            [ColumnKind::Text] => Domain::Texts,
            _ => Domain::Tables,
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Domain::Pictures => "pictures",
            Domain::Tables => "tables",
            Domain::Sounds => "sounds",
            Domain::Texts => "texts",
            Domain::Series => "series",
        })
    }
}

impl Step {
    /// The word in `kind`.
    pub fn kind(&self) -> String {
        let value = serde_json::to_value(self).ok();
        value.and_then(|value| value["kind"].as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// What it changes.
    pub fn domain(&self) -> Domain {
        match self {
            Step::Smote { .. } | Step::NumberNoise { .. } => Domain::Tables,
            Step::SoundNoise { .. }
            | Step::TimeShift { .. }
            | Step::TimeStretch { .. }
            | Step::PitchShift { .. }
            | Step::Gain { .. }
            | Step::SpecAugment { .. } => Domain::Sounds,
            Step::SwapWords { .. }
            | Step::DeleteWords { .. }
            | Step::InsertWords { .. }
            | Step::Synonyms { .. }
            | Step::Typos { .. }
            | Step::BackTranslate { .. } => Domain::Texts,
            Step::Jitter { .. }
            | Step::Magnitude { .. }
            | Step::MagnitudeWarp { .. }
            | Step::TimeWarp { .. }
            | Step::WindowWarp { .. } => Domain::Series,
            _ => Domain::Pictures,
        }
    }

    /// Whether it makes one row of several.
    pub fn mixes(&self) -> bool {
        matches!(self, Step::Mixup { .. } | Step::Cutmix { .. } | Step::Mosaic {})
    }
}

impl StepSettings {
    /// That of albumentations.
    pub const DEFAULT_PROBABILITY: f64 = 0.5;

    /// A step with that probability.
    pub fn new(step: Step, probability: f64) -> StepSettings {
        StepSettings { probability: Some(probability), step }
    }

    /// How often the step is applied to a row.
    pub fn chance(&self) -> f64 {
        self.probability.unwrap_or(Self::DEFAULT_PROBABILITY)
    }

    /// Refuses values out of range, by their key below `key`.
    pub(super) fn check(&self, key: &str) -> Result<()> {
        let check = Check { key };
        check.one("probability", self.chance(), [0.0, 1.0])?;
        if self.probability.is_some() && matches!(self.step, Step::Smote { .. }) {
            return Err(Error::new(ErrorCode::Config, "smote makes rows once, before training: it has no probability")
                .at_key(format!("{key}.probability"))
                .fix("remove the key"));
        }
        match &self.step {
            Step::Rotate { degrees } => check.one("degrees", *degrees, [0.0, 180.0]),
            Step::Scale { amount } => check.one("amount", *amount, [0.0, 0.99]),
            Step::Shear { degrees } => check.one("degrees", *degrees, [0.0, 60.0]),
            Step::Perspective { amount } => check.one("amount", *amount, [0.0, 0.45]),
            Step::Crop { height, width } => {
                check.at_least_one("height", *height)?;
                check.at_least_one("width", *width)
            }
            Step::ResizedCrop { area, ratio } | Step::Erase { area, ratio, .. } => {
                check.pair("area", *area, [0.001, 1.0])?;
                check.pair("ratio", *ratio, [0.1, 10.0])
            }
            Step::Colour { brightness, contrast, saturation, hue } => {
                check.one("brightness", *brightness, [0.0, 1.0])?;
                check.one("contrast", *contrast, [0.0, 1.0])?;
                check.one("saturation", *saturation, [0.0, 1.0])?;
                check.one("hue", *hue, [0.0, 0.5])
            }
            Step::Blur { sigma } => check.pair("sigma", *sigma, [0.1, 20.0]),
            Step::Noise { deviation } => check.pair("deviation", *deviation, [0.0, 255.0]),
            Step::Jpeg { quality } => check.pair("quality", quality.map(f64::from), [1.0, 100.0]),
            Step::RandAugment { operations, magnitude } => {
                check.one("operations", f64::from(*operations), [1.0, 14.0])?;
                check.one("magnitude", f64::from(*magnitude), [0.0, f64::from(super::picture::rand_augment::MOST)])
            }
            Step::Mixup { alpha } | Step::Cutmix { alpha } => check.one("alpha", *alpha, [0.001, 100.0]),
            Step::Smote { neighbours } => check.at_least_one("neighbours", *neighbours),
            Step::SoundNoise { snr_db } => check.pair("snr_db", *snr_db, [-20.0, 100.0]),
            Step::TimeStretch { speed } => check.pair("speed", *speed, [0.25, 4.0]),
            Step::PitchShift { semitones } => check.one("semitones", *semitones, [0.0, 24.0]),
            Step::Gain { decibels } => check.pair("decibels", *decibels, [-60.0, 60.0]),
            Step::SpecAugment { bands, frames, masks } => {
                check.at_least_one("bands", *bands)?;
                check.at_least_one("frames", *frames)?;
                check.at_least_one("masks", *masks)
            }
            Step::BackTranslate { command } if command.is_empty() => {
                Err(Error::new(ErrorCode::Config, "names no program").at_key(format!("{key}.command")))
            }
            Step::MagnitudeWarp { amount, knots } | Step::TimeWarp { amount, knots } => {
                check.one("amount", *amount, [0.0, 1.0])?;
                check.one("knots", *knots as f64, [1.0, 64.0])
            }
            Step::WindowWarp { window, factor } => {
                check.one("window", *window, [0.001, 0.999])?;
                check.pair("factor", *factor, [0.1, 10.0])
            }
            Step::Shift { amount }
            | Step::SaltPepper { amount }
            | Step::NumberNoise { amount }
            | Step::TimeShift { amount }
            | Step::SwapWords { amount }
            | Step::DeleteWords { amount }
            | Step::InsertWords { amount, .. }
            | Step::Synonyms { amount, .. }
            | Step::Typos { amount }
            | Step::Jitter { amount }
            | Step::Magnitude { amount } => check.one("amount", *amount, [0.0, 1.0]),
            Step::FlipHorizontal {}
            | Step::FlipVertical {}
            | Step::Grey {}
            | Step::Mosaic {}
            | Step::BackTranslate { .. } => Ok(()),
        }
    }
}

struct Check<'a> {
    key: &'a str,
}

impl Check<'_> {
    fn one(&self, name: &str, value: f64, [least, most]: [f64; 2]) -> Result<()> {
        if (least..=most).contains(&value) {
            return Ok(());
        }
        Err(Error::new(ErrorCode::Config, format!("{value} is not between {least} and {most}"))
            .at_key(format!("{}.{name}", self.key)))
    }

    fn pair(&self, name: &str, value: [f64; 2], range: [f64; 2]) -> Result<()> {
        value.iter().try_for_each(|&bound| self.one(name, bound, range))?;
        if value[0] <= value[1] {
            return Ok(());
        }
        Err(Error::new(ErrorCode::Config, format!("{} is above {}", value[0], value[1]))
            .at_key(format!("{}.{name}", self.key))
            .fix("write the lower bound before the upper one"))
    }

    fn at_least_one(&self, name: &str, value: usize) -> Result<()> {
        if value > 0 {
            return Ok(());
        }
        Err(Error::new(ErrorCode::Config, "must be at least 1").at_key(format!("{}.{name}", self.key)))
    }
}
