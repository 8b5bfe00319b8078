//! What the profiles of pictures and of sounds share: counts of classes and parts, the spread of a measure.

use super::collection::Collection;
use lepton_core::Split;
use lepton_sketch::NumberSketch;
use serde::Serialize;
use std::collections::BTreeMap;

/// How many items one class has.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassCount {
    /// The class.
    pub label: String,
    /// Items in all parts.
    pub count: u64,
    /// Items by part, where there are parts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<Split, u64>,
}

/// The spread of a number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Numbers {
    /// The mean.
    pub mean: f64,
    /// Minimum, 5 %, median, 95 %, maximum.
    pub quantiles: [f64; 5],
}

impl Numbers {
    /// `None` where there is no number.
    pub fn of(sketch: &NumberSketch) -> Option<Numbers> {
        let at = |share| sketch.quantile(share);
        Some(Numbers { mean: sketch.mean()?, quantiles: [at(0.0)?, at(0.05)?, at(0.5)?, at(0.95)?, at(1.0)?] })
    }
}

/// The classes of a collection, the most frequent first.
pub(crate) fn class_counts(collection: &Collection) -> Vec<ClassCount> {
    let mut classes: BTreeMap<&str, ClassCount> = BTreeMap::new();
    for item in &collection.items {
        let Some(label) = item.label.as_deref() else { continue };
        let class = classes.entry(label).or_insert_with(|| ClassCount {
            label: label.to_owned(),
            count: 0,
            parts: BTreeMap::new(),
        });
        class.count += 1;
        if let Some(part) = item.part {
            *class.parts.entry(part).or_default() += 1;
        }
    }
    let mut classes: Vec<ClassCount> = classes.into_values().collect();
    classes.sort_by(|left, right| right.count.cmp(&left.count).then_with(|| left.label.cmp(&right.label)));
    classes
}

/// How many items each part has.
pub(crate) fn part_counts(collection: &Collection) -> BTreeMap<Split, u64> {
    let mut parts = BTreeMap::new();
    for part in collection.items.iter().filter_map(|item| item.part) {
        *parts.entry(part).or_default() += 1;
    }
    parts
}
