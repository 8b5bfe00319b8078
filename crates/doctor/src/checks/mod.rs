//! From a profile to findings: one file per family of kinds, each a function of the profile alone.

mod formats;
mod missing;
mod outliers;
mod privacy;
mod rows;
mod types;
mod values;

use crate::finding::Finding;
use crate::profile::{ColumnProfile, Profile};
use lepton_core::thousands;

/// What the checks should know besides the data.
#[derive(Clone, Debug, Default)]
pub struct CheckOptions {
    /// The column to predict.
    pub target: Option<String>,
}

/// What a column mostly is, cells with nothing or a word for nothing in them left aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mostly {
    /// Nothing.
    Empty,
    /// Numbers, at least nine tenths.
    Numbers,
    /// Texts, at least nine tenths.
    Texts,
    /// Neither.
    Mixed,
}

impl ColumnProfile {
    /// Cells with a word for nothing.
    pub(crate) fn missing_words(&self) -> u64 {
        self.meaning(crate::profile::Meaning::Missing)
    }

    /// How many cells have a meaning.
    pub(crate) fn meaning(&self, meaning: crate::profile::Meaning) -> u64 {
        self.meanings.iter().find(|counted| counted.meaning == meaning).map_or(0, |counted| counted.count)
    }

    /// Texts that say something.
    pub(crate) fn real_texts(&self) -> u64 {
        self.texts.count.saturating_sub(self.missing_words())
    }

    /// What the column mostly is.
    pub(crate) fn mostly(&self) -> Mostly {
        let (numbers, texts) = (self.numbers.count, self.real_texts());
        let all = numbers + texts + self.booleans.count + self.nested.count;
        match () {
            () if all == 0 => Mostly::Empty,
            () if numbers * 10 >= all * 9 => Mostly::Numbers,
            () if texts * 10 >= all * 9 => Mostly::Texts,
            () => Mostly::Mixed,
        }
    }
}

/// All findings that follow from the profile, the gravest first, then in the order of the columns.
pub fn check(profile: &Profile, options: &CheckOptions) -> Vec<Finding> {
    let mut findings = Vec::new();
    rows::check(profile, &mut findings);
    for column in &profile.columns {
        let is_target = options.target.as_deref() == Some(column.name.as_str());
        missing::check(profile, column, is_target, &mut findings);
        types::check(profile, column, &mut findings);
        formats::check(column, &mut findings);
        outliers::check(column, is_target, &mut findings);
        privacy::check(column, &mut findings);
        values::check(profile, column, is_target, &mut findings);
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

/// `12 cells`, `1 cell`
pub(crate) fn counted(count: u64, thing: &str) -> String {
    format!("{} {thing}{}", thousands(count), if count == 1 { "" } else { "s" })
}

/// `1 row is`, `3 rows are`
pub(crate) fn counted_with(count: u64, thing: &str, [one, more]: [&str; 2]) -> String {
    format!("{} {}", counted(count, thing), if count == 1 { one } else { more })
}

/// `41.5 %`
pub(crate) fn share(count: u64, all: u64) -> String {
    let percent = 100.0 * count as f64 / all.max(1) as f64;
    if percent > 0.0 && percent < 0.1 { "under 0.1 %".to_owned() } else { format!("{percent:.1} %") }
}
