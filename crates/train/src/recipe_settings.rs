//! `[recipe]`: what a person may say about preprocessing, for all columns and for one, and the steps that come of it.
//! A setting that the column's step does not have is an error that names both.

use lepton_core::{Column, ColumnKind, Error, ErrorCode, Result, Schema, nearest};
use lepton_data::catalogue::find_model;
use lepton_recipe::audio::AudioPlan;
use lepton_recipe::series::SeriesPlan;
use lepton_recipe::{
    CategoryEncode, CategoryMissing, CategoryPlan, DatePart, DatePlan, ImageFit, ImageNormalize, ImagePlan,
    NumberMissing, NumberNormalize, NumberPlan, SeriesStandardize, StepPlan, TextCleaning, TextPlan, TextWeight,
    TokenizerPlan, TokensPlan, Unknown, WholeSeriesPlan,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `[recipe]`. `None` takes the task's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecipeSettings {
    /// Where rows have several labels: what stands between them in the column to predict, `"|"`. A row without a label is
    /// learned from too.
    pub label_separator: Option<String>,
    /// Rows of pixels that pictures are resized to; `None` takes the training pictures' own.
    pub height: Option<usize>,
    /// Pixels per row that pictures are resized to; `None` takes the training pictures' own.
    pub width: Option<usize>,
    /// 1 grey or 3 RGB; `None` takes the training pictures' own.
    pub channels: Option<usize>,
    /// How pictures of other proportions come to that size.
    pub fit: Option<PictureFit>,
    /// With `fit = "crop"`: the length of the shorter side before the centre is cut out.
    pub resize: Option<usize>,
    /// With `fit = "pad"`: the byte beside the picture; 0 is black.
    pub pad_value: Option<u8>,
    /// How pixel values are scaled.
    pub pixels: Option<ImageNormalize>,
    /// How numbers are scaled.
    pub numbers: Option<NumberNormalize>,
    /// Two shares of the training values: numbers beyond these quantiles become them.
    pub clip: Option<[f64; 2]>,
    /// What stands in for a missing number.
    pub missing_numbers: Option<NumberMissing>,
    /// Whether a column with missing numbers also gives a 0/1 feature that says so.
    pub missing_indicator: Option<bool>,
    /// How categories become numbers.
    pub categories: Option<CategoryEncode>,
    /// What stands in for a missing category, date or text.
    pub missing_categories: Option<CategoryMissing>,
    /// What an unseen category becomes.
    pub unknown_categories: Option<Unknown>,
    /// How many categories of one column are told apart.
    pub max_categories: Option<usize>,
    /// A category with fewer training rows than this is a rare one. Of texts that become codes: a word with fewer
    /// occurrences is not known.
    pub min_count: Option<u64>,
    /// How texts that become codes are cut: `words`, `wordpiece` or `bpe`, learned from the training rows, or the path
    /// of a `tokenizer.json` or of a folder that holds one.
    pub tokenizer: Option<String>,
    /// Most codes of a vocabulary that is learned.
    pub vocabulary: Option<usize>,
    /// Most codes of one text; longer texts are cut at their end.
    pub max_length: Option<usize>,
    /// Whether capital letters count as small ones in a vocabulary that is learned.
    pub lowercase: Option<bool>,
    /// What is done to texts before their words are taken.
    pub clean: Option<TextCleaning>,
    /// Features that the words of one text column are hashed into.
    pub text_features: Option<usize>,
    /// What a word weighs.
    pub text_weight: Option<TextWeight>,
    /// Steps that every series gets; `None` takes those of the longest training series. Shorter ones are padded with 0
    /// at their end, longer ones cut there.
    pub series_length: Option<usize>,
    /// How the numbers of a series are scaled.
    pub standardize: Option<SeriesStandardize>,
    /// What holds for one column alone, `[recipe.columns.age]`.
    pub columns: BTreeMap<String, ColumnSettings>,
    /// Sound, `[recipe.audio]`. No task of this build reads it.
    pub audio: Option<AudioPlan>,
    /// Windows of a series, `[recipe.series]`. No task of this build reads them.
    pub series: Option<SeriesPlan>,
}

/// How pictures of other proportions come to the size of the recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PictureFit {
    /// Both sides are resized, whatever the proportions.
    Stretch,
    /// Resized so that it covers the size; the centre is cut out.
    Crop,
    /// Resized so that it fits inside; the rest is filled.
    Pad,
}

/// What a column is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadAs {
    /// A number.
    Number,
    /// A category.
    Category,
    /// A date.
    Date,
    /// A text.
    Text,
}

/// What stands in for a missing value, of whatever kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The mean of the training values.
    Mean,
    /// Their median.
    Median,
    /// This number.
    Constant(f64),
    /// The median of the training rows that are equal in this column.
    Group(String),
    /// The mean of the nearest so many training rows.
    Nearest(usize),
    /// A regression on the other number columns.
    Iterative,
    /// A category of its own.
    OwnCategory,
    /// Nothing: it is an error.
    Refuse,
}

/// `[recipe.columns.NAME]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColumnSettings {
    /// What the column is read as, where its values do not say so: `as = "date"`.
    #[serde(rename = "as")]
    pub read_as: Option<ReadAs>,
    /// What stands in for a missing value.
    pub missing: Option<Missing>,
    /// Of a number: how it is scaled.
    pub scale: Option<NumberNormalize>,
    /// Of a number: two shares of the training values, beyond whose quantiles values become them.
    pub clip: Option<[f64; 2]>,
    /// Of a number: whether a 0/1 feature says that it was missing.
    pub indicator: Option<bool>,
    /// Of a category: how it becomes numbers.
    pub encode: Option<CategoryEncode>,
    /// Of target encoding: rows' worth of the overall share that is mixed in.
    pub smooth: Option<f64>,
    /// Of a category: what an unseen one becomes.
    pub unknown: Option<Unknown>,
    /// Of a category: how many are told apart.
    pub max_categories: Option<usize>,
    /// Of a category: one with fewer training rows than this is a rare one.
    pub min_count: Option<u64>,
    /// Of a date: its features.
    pub parts: Option<Vec<DatePart>>,
    /// Of a date: whether `03/04/2021` is in April.
    pub day_first: Option<bool>,
    /// Of a date: the day that days are counted from.
    pub reference: Option<String>,
    /// Of a text: what is done before its words are taken.
    pub clean: Option<TextCleaning>,
    /// Of a text: the features that its words are hashed into.
    pub features: Option<usize>,
    /// Of a text: what a word weighs.
    pub weight: Option<TextWeight>,
}

impl RecipeSettings {
    /// The steps of a table: one for each column but the target.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for the settings of a column that is not there; [`ErrorCode::Config`] for a setting
    /// that the column's step does not have, or that tables do not have.
    pub fn table_steps(&self, schema: &Schema, target: &str) -> Result<Vec<StepPlan>> {
        self.refuse("a table has no pictures", &self.picture_keys())?;
        self.refuse("a table has no series", &self.series_keys())?;
        self.refuse("a table's texts become no codes", &self.code_keys())?;
        self.refuse_unread()?;
        for name in self.columns.keys() {
            let key = format!("recipe.columns.{name}");
            if name == target {
                let message = "the target is what is learned: no recipe step reads it";
                return Err(Error::new(ErrorCode::Config, message).at_column(name).at_key(key));
            }
            if schema.column(name).is_err() {
                let error = Error::new(ErrorCode::NotFound, "there is no such column").at_column(name).at_key(key);
                let names = || schema.names().filter(|name| *name != target);
                return Err(match nearest(name, names()) {
                    Some(near) => error.fix(format!("did you mean \"{near}\"?")),
                    None => error.fix(format!("the columns are: {}", names().collect::<Vec<_>>().join(", "))),
                });
            }
        }
        let none = ColumnSettings::default();
        let inputs = schema.columns.iter().filter(|column| column.name != target);
        inputs.map(|column| self.step(column, self.columns.get(&column.name).unwrap_or(&none))).collect()
    }

    /// The step of a picture column.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] for settings that pictures do not have, or that do not go together.
    pub fn picture_step(&self, column: &str) -> Result<StepPlan> {
        self.refuse("pictures have no such setting", &self.table_keys())?;
        self.refuse("pictures have no such setting", &self.series_keys())?;
        self.refuse("pictures have no such setting", &self.code_keys())?;
        self.refuse_unread()?;
        let fit = match self.fit.unwrap_or(PictureFit::Stretch) {
            PictureFit::Stretch => ImageFit::Stretch,
            PictureFit::Crop => ImageFit::Crop { resize: self.resize },
            PictureFit::Pad => ImageFit::Pad { value: self.pad_value.unwrap_or(0) },
        };
        if self.resize.is_some() && !matches!(fit, ImageFit::Crop { .. }) {
            self.refuse("only a crop resizes to another length first", &[("resize", true)])?;
        }
        if self.pad_value.is_some() && !matches!(fit, ImageFit::Pad { .. }) {
            self.refuse("nothing is padded", &[("pad_value", true)])?;
        }
        Ok(StepPlan::Image(ImagePlan {
            column: column.to_owned(),
            height: self.height,
            width: self.width,
            channels: self.channels,
            fit,
            normalize: self.pixels.clone().unwrap_or(ImageNormalize::Scale),
        }))
    }

    /// The step of a column of whole series.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] for settings that series do not have.
    pub fn series_step(&self, column: &str) -> Result<StepPlan> {
        self.refuse("series have no such setting", &self.table_keys())?;
        self.refuse("series have no such setting", &self.picture_keys())?;
        self.refuse("series have no such setting", &self.code_keys())?;
        self.refuse_unread()?;
        if self.series_length == Some(0) {
            let message = "a series has at least one step";
            return Err(Error::new(ErrorCode::Config, message).at_key("recipe.series_length"));
        }
        Ok(StepPlan::Series(WholeSeriesPlan {
            length: self.series_length,
            standardize: self.standardize.unwrap_or_default(),
            ..WholeSeriesPlan::new(column)
        }))
    }

    /// The path, or the name of a model of the catalogue, that `tokenizer` is, where it is one.
    pub fn tokenizer_path(&self) -> Option<PathBuf> {
        match self.tokenizer.as_deref().map(tokenizer_plan) {
            Some(Ok(TokenizerPlan::File(path))) => Some(path),
            _ => None,
        }
    }

    /// The step of a column of texts that become codes.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] for settings that such texts do not have, for an unknown tokenizer with the nearest one,
    /// and for settings of learning beside a tokenizer that is read from a file.
    pub fn tokens_step(&self, column: &str) -> Result<StepPlan> {
        let message = "texts that become codes have no such setting";
        let of_both = ["min_count", "missing_categories"];
        let of_tables = self.table_keys().into_iter().filter(|(key, _)| !of_both.contains(key)).collect::<Vec<_>>();
        self.refuse(message, &of_tables)?;
        self.refuse(message, &self.picture_keys())?;
        self.refuse(message, &self.series_keys())?;
        self.refuse_unread()?;
        let default = TokensPlan::new(column);
        let tokenizer = self.tokenizer.as_deref().map(tokenizer_plan).transpose()?.unwrap_or(default.tokenizer);
        if matches!(tokenizer, TokenizerPlan::File(_)) {
            let of_learning = [
                ("vocabulary", self.vocabulary.is_some()),
                ("lowercase", self.lowercase.is_some()),
                ("min_count", self.min_count.is_some()),
            ];
            self.refuse("a tokenizer that is read from a file says this itself", &of_learning)?;
        }
        if self.max_length == Some(0) {
            let message = "a text has at least one code";
            return Err(Error::new(ErrorCode::Config, message).at_key("recipe.max_length"));
        }
        Ok(StepPlan::Tokens(TokensPlan {
            tokenizer,
            vocabulary: self.vocabulary.unwrap_or(default.vocabulary),
            min_count: self.min_count.unwrap_or(default.min_count),
            lowercase: self.lowercase.unwrap_or(default.lowercase),
            max_length: self.max_length.unwrap_or(default.max_length),
            missing: self.missing_categories.unwrap_or(default.missing),
            ..TokensPlan::new(column)
        }))
    }

    fn step(&self, column: &Column, own: &ColumnSettings) -> Result<StepPlan> {
        let name = column.name.as_str();
        let read_as = match (own.read_as, column.kind) {
            (Some(read_as), _) => read_as,
            (None, ColumnKind::Number) => ReadAs::Number,
            (None, ColumnKind::Category) => ReadAs::Category,
            (None, ColumnKind::Text) => ReadAs::Text,
            (None, kind) => {
                let kind = format!("{kind:?}").to_lowercase();
                return Err(Error::new(ErrorCode::Unsupported, format!("no step of a table reads a {kind} column"))
                    .at_column(name)
                    .fix("list the column in collect.ignore"));
            }
        };
        let refuse = |step: &str, keys: &[(&str, bool)]| match keys.iter().find(|(_, set)| *set) {
            Some((key, _)) => Err(Error::new(ErrorCode::Config, format!("a {step} step has no such setting"))
                .at_column(name)
                .at_key(format!("recipe.columns.{name}.{key}"))),
            None => Ok(()),
        };
        let no_gap = |step: &str| {
            Error::new(ErrorCode::Config, format!("a {step} step cannot fill a missing value in this way"))
                .at_column(name)
                .at_key(format!("recipe.columns.{name}.missing"))
        };
        let missing_text = |step: &str| match &own.missing {
            None => Ok(self.missing_categories.unwrap_or(CategoryMissing::OwnCategory)),
            Some(Missing::OwnCategory) => Ok(CategoryMissing::OwnCategory),
            Some(Missing::Refuse) => Ok(CategoryMissing::Refuse),
            Some(_) => Err(no_gap(step)),
        };
        let of_number =
            [("scale", own.scale.is_some()), ("clip", own.clip.is_some()), ("indicator", own.indicator.is_some())];
        let of_category = [
            ("encode", own.encode.is_some()),
            ("smooth", own.smooth.is_some()),
            ("unknown", own.unknown.is_some()),
            ("max_categories", own.max_categories.is_some()),
            ("min_count", own.min_count.is_some()),
        ];
        let of_date = [
            ("parts", own.parts.is_some()),
            ("day_first", own.day_first.is_some()),
            ("reference", own.reference.is_some()),
        ];
        let of_text =
            [("clean", own.clean.is_some()), ("features", own.features.is_some()), ("weight", own.weight.is_some())];
        Ok(match read_as {
            ReadAs::Number => {
                refuse("number", &[&of_category[..], &of_date, &of_text].concat())?;
                let missing = match &own.missing {
                    None => self.missing_numbers.clone().unwrap_or(NumberMissing::Median),
                    Some(Missing::Mean) => NumberMissing::Mean,
                    Some(Missing::Median) => NumberMissing::Median,
                    Some(Missing::Constant(value)) => NumberMissing::Constant(*value),
                    Some(Missing::Group(by)) => NumberMissing::Group(by.clone()),
                    Some(Missing::Nearest(k)) => NumberMissing::Nearest(*k),
                    Some(Missing::Iterative) => NumberMissing::Iterative,
                    Some(Missing::Refuse) => NumberMissing::Refuse,
                    Some(Missing::OwnCategory) => return Err(no_gap("number")),
                };
                let wanted = own.indicator.or(self.missing_indicator).unwrap_or(true);
                StepPlan::Number(NumberPlan {
                    column: name.to_owned(),
                    clip: own.clip.or(self.clip),
                    missing,
                    indicator: column.nullable && wanted,
                    normalize: own.scale.or(self.numbers).unwrap_or(NumberNormalize::Standardize),
                })
            }
            ReadAs::Category => {
                refuse("category", &[&of_number[..], &of_date, &of_text].concat())?;
                let default = CategoryPlan::new(name);
                StepPlan::Category(CategoryPlan {
                    missing: missing_text("category")?,
                    unknown: own.unknown.or(self.unknown_categories).unwrap_or(default.unknown),
                    max_categories: own.max_categories.or(self.max_categories).unwrap_or(default.max_categories),
                    min_count: own.min_count.or(self.min_count).unwrap_or(default.min_count),
                    encode: own.encode.or(self.categories).unwrap_or(default.encode),
                    smooth: own.smooth,
                    ..default
                })
            }
            ReadAs::Date => {
                refuse("date", &[&of_number[..], &of_category, &of_text].concat())?;
                let default = DatePlan::new(name);
                StepPlan::Date(DatePlan {
                    parts: own.parts.clone().unwrap_or(default.parts),
                    day_first: own.day_first,
                    reference: own.reference.clone(),
                    missing: missing_text("date")?,
                    ..DatePlan::new(name)
                })
            }
            ReadAs::Text => {
                refuse("text", &[&of_number[..], &of_category, &of_date].concat())?;
                let default = TextPlan::new(name);
                StepPlan::Text(TextPlan {
                    clean: own.clean.or(self.clean).unwrap_or_default(),
                    features: own.features.or(self.text_features).unwrap_or(default.features),
                    weight: own.weight.or(self.text_weight).unwrap_or_default(),
                    missing: missing_text("text")?,
                    ..default
                })
            }
        })
    }

    fn refuse(&self, message: &str, keys: &[(&str, bool)]) -> Result<()> {
        match keys.iter().find(|(_, set)| *set) {
            Some((key, _)) => {
                Err(Error::new(ErrorCode::Config, message).at_key(format!("recipe.{key}")).fix("remove it"))
            }
            None => Ok(()),
        }
    }

    /// Sound and series have steps (`lepton_recipe::audio`, `lepton_recipe::series`) and no task yet that reads them.
    fn refuse_unread(&self) -> Result<()> {
        for (key, set, what) in
            [("audio", self.audio.is_some(), "sound"), ("series", self.series.is_some(), "windows of a series")]
        {
            if set {
                let message = format!("no task of this build reads {what}");
                return Err(Error::new(ErrorCode::Unsupported, message)
                    .at_key(format!("recipe.{key}"))
                    .fix("remove it"));
            }
        }
        Ok(())
    }

    fn picture_keys(&self) -> [(&'static str, bool); 7] {
        [
            ("height", self.height.is_some()),
            ("width", self.width.is_some()),
            ("channels", self.channels.is_some()),
            ("fit", self.fit.is_some()),
            ("resize", self.resize.is_some()),
            ("pad_value", self.pad_value.is_some()),
            ("pixels", self.pixels.is_some()),
        ]
    }

    fn series_keys(&self) -> [(&'static str, bool); 2] {
        [("series_length", self.series_length.is_some()), ("standardize", self.standardize.is_some())]
    }

    fn code_keys(&self) -> [(&'static str, bool); 4] {
        [
            ("tokenizer", self.tokenizer.is_some()),
            ("vocabulary", self.vocabulary.is_some()),
            ("max_length", self.max_length.is_some()),
            ("lowercase", self.lowercase.is_some()),
        ]
    }

    fn table_keys(&self) -> [(&'static str, bool); 13] {
        [
            ("numbers", self.numbers.is_some()),
            ("clip", self.clip.is_some()),
            ("missing_numbers", self.missing_numbers.is_some()),
            ("missing_indicator", self.missing_indicator.is_some()),
            ("categories", self.categories.is_some()),
            ("missing_categories", self.missing_categories.is_some()),
            ("unknown_categories", self.unknown_categories.is_some()),
            ("max_categories", self.max_categories.is_some()),
            ("min_count", self.min_count.is_some()),
            ("clean", self.clean.is_some()),
            ("text_features", self.text_features.is_some()),
            ("text_weight", self.text_weight.is_some()),
            ("columns", !self.columns.is_empty()),
        ]
    }
}

/// A tokenizer by its name, or the path of one.
fn tokenizer_plan(written: &str) -> Result<TokenizerPlan> {
    Ok(match written {
        "words" => TokenizerPlan::Words,
        "wordpiece" => TokenizerPlan::WordPiece,
        "bpe" => TokenizerPlan::Bpe,
        path if path.contains(['.', '/', '\\']) => TokenizerPlan::File(PathBuf::from(path)),
        model if find_model(model).is_ok() => TokenizerPlan::File(PathBuf::from(model)),
        "unigram" => {
            let message = "a unigram vocabulary is read from a file, and not learned by this build";
            return Err(Error::new(ErrorCode::Unsupported, message)
                .at_key("recipe.tokenizer")
                .fix("name a tokenizer.json, or use \"wordpiece\" or \"bpe\""));
        }
        unknown => {
            let error = Error::new(ErrorCode::Config, format!("there is no tokenizer \"{unknown}\""))
                .at_key("recipe.tokenizer");
            return Err(match nearest(unknown, ["words", "wordpiece", "bpe", "minilm"]) {
                Some(near) => error.fix(format!("did you mean \"{near}\"?")),
                None => error.fix("use words, wordpiece, bpe, minilm, or a path such as ./tokenizer.json"),
            });
        }
    })
}
