//! Cutting the test and validation parts from training, every class in proportion, by seed.

use super::{Content, Part, PrepareSettings};
use crate::dataset::Dataset;
use crate::loader::shuffle_rows;
use lepton_core::{Error, ErrorCode, Result, Seed, Split};
use std::collections::{BTreeMap, BTreeSet};

/// The parts after cutting; `kept` are the training rows that remain of the source's.
pub(super) fn parts(
    dataset: &Dataset,
    content: &Content,
    kept: Vec<usize>,
    settings: &PrepareSettings,
    seed: Seed,
) -> Result<BTreeMap<Split, Part>> {
    let labels = &content.labels[&Split::Train];
    let mut parts = BTreeMap::new();
    let mut train = kept;
    check_classes(&train, labels, &dataset.target)?;
    for (split, fraction) in [(Split::Test, settings.test_fraction), (Split::Valid, settings.valid_fraction)] {
        let part = match dataset.parts.get(&split) {
            Some(rows) if rows.num_rows() == 0 => {
                return Err(Error::new(ErrorCode::BadData, format!("the {split} part of the source has no rows")));
            }
            Some(rows) => Part { origin: split, rows: (0..rows.num_rows()).collect() },
            None => {
                let cut = stratified(&train, labels, fraction, split, seed);
                if cut.is_empty() {
                    let message = format!("{} rows are too few to cut a {split} part from", train.len());
                    return Err(Error::new(ErrorCode::BadData, message));
                }
                train.retain(|row| !cut.contains(row));
                Part { origin: Split::Train, rows: cut.into_iter().collect() }
            }
        };
        parts.insert(split, part);
    }
    parts.insert(Split::Train, Part { origin: Split::Train, rows: train });
    Ok(parts)
}

/// A class needs two rows: one to learn from and one to be told apart by.
fn check_classes(rows: &[usize], labels: &[String], target: &str) -> Result<()> {
    for (label, members) in by_class(rows, labels) {
        if let [row] = members.as_slice() {
            return Err(Error::new(ErrorCode::BadData, format!("class \"{label}\" has a single training row"))
                .at_row(*row as u64 + 1)
                .at_column(target)
                .fix("add rows of this class or remove it"));
        }
    }
    Ok(())
}

fn by_class<'a>(rows: &[usize], labels: &'a [String]) -> BTreeMap<&'a str, Vec<usize>> {
    let mut classes: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for &row in rows {
        classes.entry(&labels[row]).or_default().push(row);
    }
    classes
}

/// `fraction` of the rows, rounded: each class gives its share rounded down, and the classes with the largest
/// remainders (ties by label) give one more until the total is reached. Every class keeps at least one row.
fn stratified(rows: &[usize], labels: &[String], fraction: f64, split: Split, seed: Seed) -> BTreeSet<usize> {
    let wanted = ((rows.len() as f64 * fraction).round() as usize).max(1);
    let classes: Vec<(&str, Vec<usize>)> = by_class(rows, labels).into_iter().collect();
    let exact = |members: &[usize]| members.len() as f64 * fraction;
    let mut quota: Vec<usize> =
        classes.iter().map(|(_, members)| (exact(members) as usize).min(members.len() - 1)).collect();
    let mut by_remainder: Vec<usize> = (0..classes.len()).collect();
    let remainder = |class: usize| exact(&classes[class].1).fract();
    by_remainder.sort_by(|&a, &b| remainder(b).total_cmp(&remainder(a)));
    let mut missing = wanted.saturating_sub(quota.iter().sum());
    for class in by_remainder {
        if missing > 0 && quota[class] + 1 < classes[class].1.len() {
            quota[class] += 1;
            missing -= 1;
        }
    }
    let mut cut = BTreeSet::new();
    for (class, ((_, mut members), quota)) in classes.into_iter().zip(quota).enumerate() {
        shuffle_rows(&mut members, &mut seed.rng(&format!("split {split}"), &[class as u64]));
        cut.extend(members.into_iter().take(quota));
    }
    cut
}
