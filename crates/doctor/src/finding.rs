//! What is wrong with a table: kind, place, how much it matters, what shows it, and what would repair it.

use crate::profile::{DuplicateGroup, MeaningExample, RowList, ValueCount};
use crate::repair::Action;
use serde::{Deserialize, Serialize};

/// Something that a person should know about their data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// The column that it is about; `None` where it is about rows.
    pub column: Option<String>,
    /// How many cells or rows.
    pub count: u64,
    /// How much it matters.
    pub severity: Severity,
    /// One sentence.
    pub message: String,
    /// What shows it.
    pub evidence: Evidence,
    /// What would repair it; `None` where a person must decide.
    pub repair: Option<Proposal>,
}

/// What would repair a finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proposal {
    /// What is done.
    #[serde(flatten)]
    pub action: Action,
    /// Whether a plan does it where nobody says otherwise: it loses nothing that a model could use.
    pub safe: bool,
}

/// What shows a finding. Rows count from 1, the first one under the header.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Evidence {
    /// Rows, ascending: all up to 10,000.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<u64>,
    /// Values with their counts, the most frequent first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<ValueEvidence>,
    /// Groups of rows that belong together; the first of each is what the others repeat.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Vec<u64>>,
    /// Pictures or sounds by name, with what shows it in each: all up to 10,000.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileEvidence>,
    /// Groups of pictures or sounds that belong together, by name; the first of each is what the others repeat.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub file_groups: Vec<Vec<String>>,
    /// Labels, the most certain to be wrong first: all up to 10,000.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<LabelEvidence>,
    /// Small pictures for pages that show findings.
    #[serde(skip)]
    pub thumbnails: Vec<Thumbnail>,
}

/// A picture or sound that shows a finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileEvidence {
    /// Its name in its collection.
    pub file: String,
    /// What is wrong with it or was measured in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A small picture of an item.
#[derive(Clone, Debug, PartialEq)]
pub struct Thumbnail {
    /// The item's name in its collection.
    pub file: String,
    /// A PNG of at most 64 by 64 pixels.
    pub png: Vec<u8>,
}

/// A label that is probably wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelEvidence {
    /// The row of a table, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// The picture by its name in its collection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The label that it has.
    pub given: String,
    /// The label that a model gives it which did not see it.
    pub suggested: String,
    /// The probability that the label is wrong, from 0.5 to 1.
    pub confidence: f64,
}

/// A value that shows a finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ValueEvidence {
    /// The value as the file has it.
    pub value: String,
    /// How many cells have it.
    pub count: u64,
    /// The first of their rows, from 1.
    pub row: u64,
}

impl Evidence {
    /// Rows from 0.
    pub(crate) fn rows(rows: &RowList) -> Evidence {
        Evidence { rows: rows.rows.iter().map(|row| row + 1).collect(), ..Evidence::default() }
    }

    pub(crate) fn values<'a>(values: impl IntoIterator<Item = &'a ValueCount>) -> Evidence {
        let shown =
            |value: &ValueCount| ValueEvidence { value: value.value.clone(), count: value.count, row: value.row + 1 };
        Evidence { values: values.into_iter().map(shown).collect(), ..Evidence::default() }
    }

    pub(crate) fn examples<'a>(examples: impl IntoIterator<Item = &'a MeaningExample>) -> Evidence {
        let shown = |example: &MeaningExample| ValueEvidence {
            value: example.text.clone(),
            count: example.count,
            row: example.row + 1,
        };
        let mut values: Vec<ValueEvidence> = examples.into_iter().map(shown).collect();
        values.sort_by(|left, right| right.count.cmp(&left.count).then(left.row.cmp(&right.row)));
        Evidence { values, ..Evidence::default() }
    }

    pub(crate) fn groups(groups: &[DuplicateGroup]) -> Evidence {
        let rows = |group: &DuplicateGroup| {
            std::iter::once(group.first).chain(group.repeats.iter().copied()).map(|row| row + 1).collect()
        };
        Evidence { groups: groups.iter().map(rows).collect(), ..Evidence::default() }
    }
}

/// Kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Cells with nothing in them.
    MissingValues,
    /// Words, blanks or numbers that stand for nothing.
    DisguisedMissing,
    /// Cells of another type than nearly all of their column.
    WrongType,
    /// A column that writes the same kind of thing in several ways.
    MixedFormats,
    /// A column of measures in several units.
    MixedUnits,
    /// Dates of which day and month cannot be told apart.
    AmbiguousDates,
    /// White space at the ends of texts.
    PaddedTexts,
    /// Values that differ in case, blanks or punctuation only.
    SpellingVariants,
    /// Numbers far from all others of their column.
    Outliers,
    /// Rows that are far from all others in several columns together.
    MultivariateOutliers,
    /// Rows that repeat an earlier one in every cell.
    DuplicateRows,
    /// Rows that are nearly the same.
    NearDuplicates,
    /// Rows whose label is probably wrong.
    LabelErrors,
    /// Values of a category that are hardly there.
    RareValues,
    /// Classes of the target of very different size.
    ClassImbalance,
    /// A column with one value.
    ConstantColumn,
    /// A column that has another value in every row.
    IdColumn,
    /// A column that gives the target away.
    TargetLeakage,
    /// A column of times that ascends but for a few rows.
    TimeOrder,
    /// Personal data.
    PersonalData,
    /// Rows with more or fewer fields than the header.
    RaggedRows,
    /// Lists or objects in cells.
    NestedValues,
    /// Pictures or sounds that cannot be read, with the reason of each.
    BrokenFiles,
    /// Files whose system would not give their bytes.
    UnreadableFiles,
    /// Pictures past the limit of what is decoded.
    OversizedFiles,
    /// Files that are in another format than their name says.
    WrongExtension,
    /// Files in the folder that are no pictures or sounds of the collection.
    OtherFiles,
    /// Files beside the folders of classes.
    UnlabelledFiles,
    /// Files with the content of another one.
    DuplicateFiles,
    /// Copies that have different labels.
    ConflictingLabels,
    /// Copies in several parts, so that a part is tested on what was learned.
    PartLeak,
    /// Pictures of which even the bright places are dark.
    DarkPictures,
    /// Pictures of which even the dark places are bright.
    BrightPictures,
    /// Pictures without anything sharp.
    BlurredPictures,
    /// Pictures of nearly one brightness.
    LowContrast,
    /// Pictures of another shape than the others.
    OddAspectRatio,
    /// Pictures far larger or smaller than the others.
    OddSize,
    /// Pictures of another mode than most: grey among colour, with transparency.
    MixedModes,
    /// Sounds whose peaks are cut.
    ClippedAudio,
    /// Sounds without a sound.
    SilentAudio,
    /// Sounds whose middle is not zero.
    DcOffset,
    /// Sounds of several rates.
    MixedRates,
    /// Sounds of several numbers of channels.
    MixedChannels,
    /// Sounds far longer or shorter than the others.
    OddDuration,
}

impl FindingKind {
    /// The name in JSON and in plans.
    pub fn name(self) -> &'static str {
        match self {
            FindingKind::MissingValues => "missing_values",
            FindingKind::DisguisedMissing => "disguised_missing",
            FindingKind::WrongType => "wrong_type",
            FindingKind::MixedFormats => "mixed_formats",
            FindingKind::MixedUnits => "mixed_units",
            FindingKind::AmbiguousDates => "ambiguous_dates",
            FindingKind::PaddedTexts => "padded_texts",
            FindingKind::SpellingVariants => "spelling_variants",
            FindingKind::Outliers => "outliers",
            FindingKind::MultivariateOutliers => "multivariate_outliers",
            FindingKind::DuplicateRows => "duplicate_rows",
            FindingKind::NearDuplicates => "near_duplicates",
            FindingKind::LabelErrors => "label_errors",
            FindingKind::RareValues => "rare_values",
            FindingKind::ClassImbalance => "class_imbalance",
            FindingKind::ConstantColumn => "constant_column",
            FindingKind::IdColumn => "id_column",
            FindingKind::TargetLeakage => "target_leakage",
            FindingKind::TimeOrder => "time_order",
            FindingKind::PersonalData => "personal_data",
            FindingKind::RaggedRows => "ragged_rows",
            FindingKind::NestedValues => "nested_values",
            FindingKind::BrokenFiles => "broken_files",
            FindingKind::UnreadableFiles => "unreadable_files",
            FindingKind::OversizedFiles => "oversized_files",
            FindingKind::WrongExtension => "wrong_extension",
            FindingKind::OtherFiles => "other_files",
            FindingKind::UnlabelledFiles => "unlabelled_files",
            FindingKind::DuplicateFiles => "duplicate_files",
            FindingKind::ConflictingLabels => "conflicting_labels",
            FindingKind::PartLeak => "part_leak",
            FindingKind::DarkPictures => "dark_pictures",
            FindingKind::BrightPictures => "bright_pictures",
            FindingKind::BlurredPictures => "blurred_pictures",
            FindingKind::LowContrast => "low_contrast",
            FindingKind::OddAspectRatio => "odd_aspect_ratio",
            FindingKind::OddSize => "odd_size",
            FindingKind::MixedModes => "mixed_modes",
            FindingKind::ClippedAudio => "clipped_audio",
            FindingKind::SilentAudio => "silent_audio",
            FindingKind::DcOffset => "dc_offset",
            FindingKind::MixedRates => "mixed_rates",
            FindingKind::MixedChannels => "mixed_channels",
            FindingKind::OddDuration => "odd_duration",
        }
    }
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Note,
    /// It may spoil what is learned or measured.
    Warning,
    /// It will spoil it, or it may harm somebody.
    Error,
}

impl Severity {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}
