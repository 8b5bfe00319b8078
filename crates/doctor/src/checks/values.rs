//! Columns by how many values they have: one, a new one in every row, some that are hardly there, classes of very
//! different size.

use super::missing::is_category;
use super::{Mostly, counted};
use crate::finding::{Evidence, Finding, FindingKind, Proposal, Severity};
use crate::profile::{ColumnProfile, Profile, ValueCount};
use crate::repair::Action;

/// The most frequent class is this many times as frequent as the rarest.
const IMBALANCE: u64 = 10;

/// A value of a category with fewer rows cannot be learned.
const RARE: u64 = 5;

pub(super) fn check(profile: &Profile, column: &ColumnProfile, is_target: bool, findings: &mut Vec<Finding>) {
    let present = profile.rows - column.missing.count;
    let mut push = |kind, count, severity, message, evidence, repair| {
        findings.push(Finding { kind, column: Some(column.name.clone()), count, severity, message, evidence, repair });
    };
    let drop_column = || Some(Proposal { action: Action::DropColumn { column: column.name.clone() }, safe: false });
    if present > 1 && column.distinct == 1 {
        let value = column.values.first().map_or("", |value| value.value.as_str());
        let message = format!("one value in all cells that are there: {value:?}");
        push(
            FindingKind::ConstantColumn,
            present,
            Severity::Warning,
            message,
            Evidence::values(&column.values),
            drop_column(),
        );
        return;
    }
    let repeats = profile.duplicates.count;
    let is_whole = column.numbers.count == 0 || column.whole_numbers == column.numbers.count;
    // Numbers with a fraction differ in every row because they are measured.
    let all_differ = if column.distinct_is_exact {
        column.distinct + repeats >= present && column.distinct <= present
    } else {
        column.distinct as f64 + repeats as f64 > 0.97 * present as f64
            && column.values.first().is_none_or(|value| value.count <= 1 + repeats)
    };
    let looks_like_id = match column.mostly() {
        Mostly::Numbers => is_whole && (is_named_id(&column.name) || is_counting(column)),
        Mostly::Texts => column.characters.is_some_and(|characters| characters.most <= 40) && column.shapes.len() <= 12,
        Mostly::Empty | Mostly::Mixed => false,
    };
    if present > 20 && all_differ && looks_like_id && !is_target {
        let message = "another value in every row: it names the row and says nothing about it".to_owned();
        push(
            FindingKind::IdColumn,
            present,
            Severity::Note,
            message,
            Evidence::values(column.values.iter().take(5)),
            drop_column(),
        );
    }
    if !is_category(column) {
        return;
    }
    let rare: Vec<&ValueCount> = column.values.iter().filter(|value| value.count < RARE).collect();
    if !rare.is_empty() && (is_target || column.mostly() == Mostly::Texts) && present >= 100 {
        let count = rare.iter().map(|value| value.count).sum();
        let message = format!("{} with fewer than {RARE} rows each", counted(rare.len() as u64, "value"));
        let severity = if is_target { Severity::Warning } else { Severity::Note };
        let map = rare.iter().map(|value| (value.value.clone(), "other".to_owned())).collect();
        let repair = Some(Proposal { action: Action::MapValues { column: column.name.clone(), map }, safe: false });
        push(FindingKind::RareValues, count, severity, message, Evidence::values(rare), repair);
    }
    if let (true, Some(most), Some(least)) = (is_target, column.values.first(), column.values.last())
        && most.count >= IMBALANCE * least.count
    {
        let message =
            format!("{:?} is {} times as frequent as {:?}", most.value, most.count / least.count.max(1), least.value);
        push(
            FindingKind::ClassImbalance,
            least.count,
            Severity::Warning,
            message,
            Evidence::values([most, least]),
            None,
        );
    }
}

impl ColumnProfile {
    /// Whether it is a column of numbers that name the row and measure nothing.
    pub(crate) fn names_the_row(&self) -> bool {
        let present = self.numbers.count;
        let differs = self.distinct as f64 >= 0.97 * present as f64;
        present > 20
            && differs
            && self.whole_numbers == present
            && self.mostly() == Mostly::Numbers
            && (is_named_id(&self.name) || is_counting(self))
    }
}

/// Whole numbers that fill their range: 0, 1, 2, ...
fn is_counting(column: &ColumnProfile) -> bool {
    let (Some(low), Some(high)) = (column.distribution.min(), column.distribution.max()) else { return false };
    let width = high - low + 1.0;
    (width - column.numbers.count as f64).abs() <= 0.05 * width
}

/// Whether a column is called an id or an index.
fn is_named_id(name: &str) -> bool {
    name.to_lowercase().split(|letter: char| !letter.is_alphanumeric()).any(|word| word == "id" || word == "index")
}
