//! The plan: actions as TOML.

use crate::finding::Finding;
use lepton_core::{Digest, Error, ErrorCode, Result};
use lepton_recipe::{CellAction, Imputation};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Something that is done to a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Cells with these values become missing.
    SetMissing {
        /// The column.
        column: String,
        /// The values as the file has them.
        values: Vec<String>,
    },
    /// Cells that are no number become missing.
    NonNumbersToMissing {
        /// The column.
        column: String,
    },
    /// White space at the ends of texts is taken away.
    Trim {
        /// The column.
        column: String,
    },
    /// Numbers and booleans become texts.
    ToText {
        /// The column.
        column: String,
    },
    /// Numbers as people write them become numbers: `1,234.50`, `45 %`, `12 kg`.
    ToNumber {
        /// The column.
        column: String,
        /// The unit that all measures are brought to; none where nothing has a unit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<String>,
    },
    /// Dates become `2021-03-04`, with the time as it was behind a `T`.
    ToIsoDate {
        /// The column.
        column: String,
        /// Whether `03/04/2021` is in April.
        day_first: bool,
    },
    /// Missing cells are filled.
    Impute {
        /// The column.
        column: String,
        /// With what.
        with: Imputation,
    },
    /// Numbers outside of these become these.
    Winsorise {
        /// The column.
        column: String,
        /// The smallest that is left.
        low: f64,
        /// The largest that is left.
        high: f64,
    },
    /// Rows with a number outside of these are dropped.
    DropRowsOutside {
        /// The column.
        column: String,
        /// The smallest that is kept.
        low: f64,
        /// The largest that is kept.
        high: f64,
    },
    /// Values become others.
    MapValues {
        /// The column.
        column: String,
        /// From which to which.
        map: BTreeMap<String, String>,
    },
    /// Rows get other labels.
    Relabel {
        /// The column.
        column: String,
        /// Row, from 1, and its new label.
        labels: BTreeMap<String, String>,
    },
    /// Personal data is made unreadable.
    Mask {
        /// The column.
        column: String,
        /// How.
        method: Mask,
    },
    /// Rows that repeat an earlier one in every cell are dropped.
    DropDuplicates,
    /// Rows of one group become one.
    MergeRows {
        /// Rows from 1, the one that stays first.
        groups: Vec<Vec<u64>>,
        /// Which cell survives.
        keep: Survivor,
    },
    /// Rows are dropped.
    DropRows {
        /// From 1.
        rows: Vec<u64>,
    },
    /// Rows without this cell are dropped.
    DropRowsWithMissing {
        /// The column.
        column: String,
    },
    /// Rows with another number of fields than the header are dropped.
    DropRaggedRows,
    /// The column is dropped.
    DropColumn {
        /// The column.
        column: String,
    },
    /// Files of a folder, or pictures of idx files, are left out.
    DropFiles {
        /// By name.
        files: Vec<String>,
    },
    /// Files go to the folder of another class; pictures of idx files get another label.
    RelabelFiles {
        /// By name, with the new label.
        labels: BTreeMap<String, String>,
    },
    /// Files get another name in the folder where they are.
    RenameFiles {
        /// By name, with the new last part of it.
        names: BTreeMap<String, String>,
    },
    /// Pictures are brought to one size.
    ResizePictures {
        /// Rows of pixels.
        height: u32,
        /// Pixels per row.
        width: u32,
    },
    /// Pictures are brought to one mode.
    ConvertPictures {
        /// Which.
        mode: TargetMode,
    },
}

/// What all pictures can be brought to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetMode {
    /// Brightness alone, the luma of ITU-R BT.601; transparency is dropped.
    Grey,
    /// Red, green and blue; transparency is dropped.
    Rgb,
}

/// Which cell survives when rows are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Survivor {
    /// The first row's; where it is missing, that of the next row that has one.
    FirstPresent,
    /// The most frequent one; of equal ones the first.
    MostFrequent,
    /// The longest one; of equal ones the first.
    Longest,
}

/// How personal data is made unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mask {
    /// `***`
    Redact,
    /// The first 16 hex digits of its SHA-256 under the plan's salt: equal values stay equal.
    Hash,
    /// All but the last four letters and digits become `*`.
    Partial,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// A name for it, unique in its plan: what the change log and `undo` call it.
    pub id: String,
    /// Why: the finding's sentence, or a person's.
    pub reason: String,
    /// Whether it is done.
    pub enabled: bool,
    /// What is done.
    #[serde(flatten)]
    pub action: Action,
}

/// Steps for one file, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The hash of the file that it was made for.
    pub sha256: Digest,
    /// What hashes of personal data are salted with; keep it secret, or short values can be guessed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub salt: String,
    /// The steps.
    #[serde(default, rename = "repair")]
    pub steps: Vec<Step>,
}

impl Action {
    /// The order in which actions of several findings make sense: what is nothing is said first, then one way of
    /// writing, then repeats, outliers, gaps; what is dropped goes last.
    fn rank(&self) -> u8 {
        match self {
            Action::DropRaggedRows => 0,
            Action::SetMissing { .. } | Action::NonNumbersToMissing { .. } => 1,
            Action::Trim { .. } | Action::ToText { .. } | Action::ToNumber { .. } | Action::ToIsoDate { .. } => 2,
            Action::MapValues { .. } => 3,
            Action::Relabel { .. } => 4,
            Action::DropDuplicates | Action::MergeRows { .. } => 5,
            Action::DropRowsWithMissing { .. } | Action::DropRows { .. } | Action::DropRowsOutside { .. } => 6,
            Action::Winsorise { .. } => 7,
            Action::Impute { .. } => 8,
            Action::Mask { .. } => 9,
            Action::DropColumn { .. } => 10,
            Action::DropFiles { .. } => 0,
            Action::RelabelFiles { .. } => 1,
            Action::RenameFiles { .. } => 2,
            Action::ConvertPictures { .. } => 3,
            Action::ResizePictures { .. } => 4,
        }
    }

    /// What it does to each cell of its column, where that is all that it does: the same in a file and in a recipe.
    pub fn on_cells(&self) -> Option<CellAction> {
        Some(match self {
            Action::SetMissing { values, .. } => CellAction::SetMissing { values: values.clone() },
            Action::NonNumbersToMissing { .. } => CellAction::NonNumbersToMissing,
            Action::Trim { .. } => CellAction::Trim,
            Action::ToText { .. } => CellAction::ToText,
            Action::ToNumber { unit, .. } => CellAction::ToNumber { unit: unit.clone() },
            Action::ToIsoDate { day_first, .. } => CellAction::ToIsoDate { day_first: *day_first },
            Action::Winsorise { low, high, .. } => CellAction::Winsorise { low: *low, high: *high },
            Action::MapValues { map, .. } => CellAction::MapValues { map: map.clone() },
            _ => return None,
        })
    }

    /// The column that it is about.
    pub fn column(&self) -> Option<&str> {
        match self {
            Action::SetMissing { column, .. }
            | Action::NonNumbersToMissing { column }
            | Action::Trim { column }
            | Action::ToText { column }
            | Action::ToNumber { column, .. }
            | Action::ToIsoDate { column, .. }
            | Action::Impute { column, .. }
            | Action::Winsorise { column, .. }
            | Action::DropRowsOutside { column, .. }
            | Action::MapValues { column, .. }
            | Action::Relabel { column, .. }
            | Action::Mask { column, .. }
            | Action::DropRowsWithMissing { column }
            | Action::DropColumn { column } => Some(column),
            Action::DropDuplicates
            | Action::MergeRows { .. }
            | Action::DropRows { .. }
            | Action::DropRaggedRows
            | Action::DropFiles { .. }
            | Action::RelabelFiles { .. }
            | Action::RenameFiles { .. }
            | Action::ResizePictures { .. }
            | Action::ConvertPictures { .. } => None,
        }
    }

    /// The name in plans.
    pub fn name(&self) -> &'static str {
        match self {
            Action::SetMissing { .. } => "set_missing",
            Action::NonNumbersToMissing { .. } => "non_numbers_to_missing",
            Action::Trim { .. } => "trim",
            Action::ToText { .. } => "to_text",
            Action::ToNumber { .. } => "to_number",
            Action::ToIsoDate { .. } => "to_iso_date",
            Action::Impute { .. } => "impute",
            Action::Winsorise { .. } => "winsorise",
            Action::DropRowsOutside { .. } => "drop_rows_outside",
            Action::MapValues { .. } => "map_values",
            Action::Relabel { .. } => "relabel",
            Action::Mask { .. } => "mask",
            Action::DropDuplicates => "drop_duplicates",
            Action::MergeRows { .. } => "merge_rows",
            Action::DropRows { .. } => "drop_rows",
            Action::DropRowsWithMissing { .. } => "drop_rows_with_missing",
            Action::DropRaggedRows => "drop_ragged_rows",
            Action::DropColumn { .. } => "drop_column",
            Action::DropFiles { .. } => "drop_files",
            Action::RelabelFiles { .. } => "relabel_files",
            Action::RenameFiles { .. } => "rename_files",
            Action::ResizePictures { .. } => "resize_pictures",
            Action::ConvertPictures { .. } => "convert_pictures",
        }
    }
}

impl Plan {
    /// The plan of all proposals, in an order that makes sense; the safe ones are enabled.
    pub fn of(findings: &[Finding], sha256: Digest) -> Plan {
        let mut steps: Vec<Step> = Vec::new();
        let mut ids = BTreeSet::new();
        for finding in findings {
            let Some(proposal) = &finding.repair else { continue };
            if steps.iter().any(|step| step.action == proposal.action) {
                continue;
            }
            let words = [Some(proposal.action.name()), proposal.action.column()];
            let id = slug(&words.into_iter().flatten().collect::<Vec<_>>().join(" "));
            let unique = std::iter::once(id.clone()).chain((2..).map(|number| format!("{id}-{number}")));
            let id = unique.into_iter().find(|id| ids.insert(id.clone())).unwrap_or(id);
            let (reason, action) = (finding.message.clone(), proposal.action.clone());
            steps.push(Step { id, reason, enabled: proposal.safe, action });
        }
        steps.sort_by_key(|step| step.action.rank());
        Plan { sha256, salt: String::new(), steps }
    }

    /// The plan as a file with a head that says what to do with it.
    ///
    /// # Errors
    /// [`ErrorCode::Internal`] only.
    pub fn to_toml(&self, file: &str) -> Result<String> {
        let body =
            toml::to_string(self).map_err(|source| Error::internal(format!("the plan cannot be written: {source}")))?;
        Ok(format!(
            "# What may be done about the findings in {file}, in this order.\n\
             # Steps with `enabled = true` are done. Change, move or delete any step; then:\n\
             #     lepton data repair {file} --plan THIS_FILE --to NEW\n\n{body}"
        ))
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] with the line and what is wrong there; for two steps of one name.
    pub fn from_toml(text: &str) -> Result<Plan> {
        let plan: Plan = toml::from_str(text).map_err(|source| {
            let line = source.span().map(|span| text[..span.start].matches('\n').count() as u64 + 1);
            let error = Error::new(ErrorCode::Config, format!("this is not a plan: {}", source.message()));
            match line {
                Some(line) => error.at_row(line),
                None => error,
            }
        })?;
        let mut ids = BTreeSet::new();
        match plan.steps.iter().find(|step| !ids.insert(&step.id)) {
            Some(step) => Err(Error::new(ErrorCode::Config, format!("two steps have the id \"{}\"", step.id))
                .fix("give each step an id of its own")),
            None => Ok(plan),
        }
    }
}

/// Lower-case letters and digits, joined by hyphens.
fn slug(text: &str) -> String {
    let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}
