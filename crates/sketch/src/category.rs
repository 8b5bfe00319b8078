//! A column of categories: counts of the frequent ones, and how many values are not among them.

use lepton_core::{Digest, Error, ErrorCode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Categories that are counted by name.
const CAPACITY: usize = 256;
/// A longer text is counted under a shortened name.
const LONGEST: usize = 256;

/// The summary of a column of categories.
///
/// Up to 256 categories it is exact. With more, the counters are those of Misra and Gries ("Finding repeated
/// elements", 1982) in the mergeable form of Agarwal et al. ("Mergeable summaries", PODS 2012): a counter may
/// be too low by at most `other() / 257`, is never too high, and what the counters lack is in `other()`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Counts", into = "Counts")]
pub struct CategorySketch {
    missing: u64,
    present: u64,
    counts: BTreeMap<String, u64>,
}

/// The written form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counts {
    missing: u64,
    other: u64,
    counts: BTreeMap<String, u64>,
}

impl From<CategorySketch> for Counts {
    fn from(mut sketch: CategorySketch) -> Counts {
        sketch.trim();
        Counts { missing: sketch.missing, other: sketch.other(), counts: sketch.counts }
    }
}

impl TryFrom<Counts> for CategorySketch {
    type Error = Error;

    fn try_from(Counts { missing, other, counts }: Counts) -> Result<CategorySketch, Error> {
        let wrong = |message: &str| Error::new(ErrorCode::BadData, format!("not a category sketch: {message}"));
        if counts.len() > CAPACITY {
            return Err(wrong("it counts more than 256 categories"));
        }
        let present = counts.values().try_fold(other, |sum, count| sum.checked_add(*count));
        let present = present.ok_or_else(|| wrong("its counts overflow"))?;
        Ok(CategorySketch { missing, present, counts })
    }
}

impl CategorySketch {
    /// Adds a value, or a missing one. A text of more than 256 bytes is counted under its first characters
    /// and its SHA-256.
    pub fn add(&mut self, value: Option<&str>) {
        let Some(value) = value else {
            self.missing += 1;
            return;
        };
        self.present += 1;
        let name = name_of(value);
        match self.counts.get_mut(name.as_ref()) {
            Some(count) => *count += 1,
            None => {
                self.counts.insert(name.into_owned(), 1);
            }
        }
        // Room for twice as many between trims, so that a trim's cost is spread over many values.
        if self.counts.len() > 2 * CAPACITY {
            self.trim();
        }
    }

    /// Adds all that `other` has seen.
    pub fn merge(&mut self, other: &CategorySketch) {
        self.missing += other.missing;
        self.present += other.present;
        for (name, count) in &other.counts {
            *self.counts.entry(name.clone()).or_default() += count;
        }
        self.trim();
    }

    /// How many values, missing ones not counted.
    pub fn count(&self) -> u64 {
        self.present
    }

    /// How many missing values.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Values and missing values together.
    pub fn rows(&self) -> u64 {
        self.present + self.missing
    }

    /// How often each category was seen, by name.
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// How many values are not in [`CategorySketch::counts`]. Zero up to 256 categories.
    pub fn other(&self) -> u64 {
        self.present - self.counts.values().sum::<u64>()
    }

    /// The `limit` most frequent categories, most frequent first, equals by name.
    pub fn top(&self, limit: usize) -> Vec<(&str, u64)> {
        let mut all: Vec<_> = self.counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        all.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(right.0)));
        all.truncate(limit);
        all
    }

    /// Takes the 257th largest count from all counts and drops those without any left.
    fn trim(&mut self) {
        if self.counts.len() <= CAPACITY {
            return;
        }
        let mut sizes: Vec<u64> = self.counts.values().copied().collect();
        let (_, cut, _) = sizes.select_nth_unstable_by(CAPACITY, |left, right| right.cmp(left));
        let cut = *cut;
        self.counts.retain(|_, count| {
            *count = count.saturating_sub(cut);
            *count > 0
        });
    }
}

/// The name that a value is counted under.
fn name_of(value: &str) -> std::borrow::Cow<'_, str> {
    if value.len() <= LONGEST {
        return value.into();
    }
    let begin: String = value.chars().take(32).collect();
    format!("{begin}... sha256:{}", Digest::of(value)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sketch_of(values: &[u32]) -> CategorySketch {
        let mut sketch = CategorySketch::default();
        values.iter().for_each(|value| sketch.add(Some(&value.to_string())));
        sketch
    }

    fn exact(values: &[u32]) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        values.iter().for_each(|value| *counts.entry(value.to_string()).or_default() += 1);
        counts
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn few_categories_are_exact_however_they_are_merged(
            left in prop::collection::vec(0u32..200, 0..2_000), right in prop::collection::vec(0u32..200, 0..2_000),
        ) {
            let mut merged = sketch_of(&left);
            merged.merge(&sketch_of(&right));
            let all: Vec<u32> = left.into_iter().chain(right).collect();
            prop_assert_eq!(merged.counts(), &exact(&all));
            prop_assert_eq!(merged.other(), 0);
            prop_assert_eq!(merged, sketch_of(&all));
        }

        #[test]
        fn many_categories_stay_within_the_bound_however_they_are_merged(
            frequent in prop::collection::vec(0u32..40, 0..3_000),
            rare in prop::collection::vec(1_000u32..1_000_000, 0..3_000),
            cut in any::<prop::sample::Index>(),
        ) {
            // Interleaved, so that frequent ones are trimmed and come back.
            let mut all: Vec<u32> = frequent.into_iter().chain(rare).collect();
            all.sort_unstable_by_key(|value| value.wrapping_mul(2_654_435_761));
            let (left, right) = all.split_at(cut.index(all.len() + 1));
            let (mut forth, mut back) = (sketch_of(left), sketch_of(right));
            forth.merge(&sketch_of(right));
            back.merge(&sketch_of(left));
            for sketch in [forth, back] {
                prop_assert!(sketch.counts().len() <= CAPACITY);
                prop_assert_eq!(sketch.count(), all.len() as u64);
                prop_assert_eq!(sketch.counts().values().sum::<u64>() + sketch.other(), all.len() as u64);
                let bound = sketch.other() / (CAPACITY as u64 + 1);
                for (name, truth) in exact(&all) {
                    let counted = sketch.counts().get(&name).copied().unwrap_or(0);
                    prop_assert!(counted <= truth && truth - counted <= bound, "{}: {} of {}", name, counted, truth);
                }
            }
        }
    }

    #[test]
    fn the_written_form_reads_back_and_hostile_ones_do_not() {
        let mut sketch = sketch_of(&(0..400).collect::<Vec<_>>());
        sketch.add(None);
        let text = serde_json::to_string(&sketch).unwrap();
        sketch.trim();
        assert_eq!(serde_json::from_str::<CategorySketch>(&text).unwrap(), sketch);
        let overflow = format!(r#"{{"missing":0,"other":{},"counts":{{"a":1}}}}"#, u64::MAX);
        assert!(serde_json::from_str::<CategorySketch>(&overflow).is_err());
        let many = (0..257).map(|name| (name.to_string(), 1)).collect();
        let crowded = serde_json::to_string(&Counts { missing: 0, other: 0, counts: many }).unwrap();
        assert!(serde_json::from_str::<CategorySketch>(&crowded).is_err());
    }

    #[test]
    fn long_texts_are_told_apart_without_being_kept() {
        let mut sketch = CategorySketch::default();
        for end in ["a", "b", "b"] {
            sketch.add(Some(&format!("{}{end}", "é".repeat(100_000))));
        }
        let mut counts: Vec<u64> = sketch.counts().values().copied().collect();
        counts.sort_unstable();
        assert_eq!(counts, [1, 2]);
        assert!(sketch.counts().keys().all(|name| name.len() < 200));
        assert_eq!(sketch.top(1)[0].1, 2);
    }
}
