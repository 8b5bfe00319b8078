//! Cutting the test and validation parts from training: by class, by chance, by group or by time; all by seed.

use super::steering::Steering;
use super::{Content, Fold, Part, PrepareSettings, SplitMethod, groups};
use lepton_core::{Error, ErrorCode, Result, Seed, Split};
use std::collections::{BTreeMap, BTreeSet};

/// The parts after cutting; `given` is what the source has, with the training rows that are kept.
pub(super) fn parts(
    mut given: BTreeMap<Split, Part>,
    content: &Content,
    steering: &Steering,
    target: &str,
    settings: &PrepareSettings,
    seed: Seed,
) -> Result<BTreeMap<Split, Part>> {
    let labels = content.strata.as_ref().unwrap_or(&content.labels[&Split::Train]);
    let mut train = given.remove(&Split::Train).map(|part| part.rows).unwrap_or_default();
    if content.strata.is_none() {
        check_classes(&train, labels, target)?;
    }
    let mut parts = BTreeMap::new();
    for (split, fraction) in [(Split::Test, settings.test_fraction), (Split::Valid, settings.valid_fraction)] {
        let part = match given.remove(&split) {
            Some(part) if part.rows.is_empty() => {
                return Err(Error::new(ErrorCode::BadData, format!("the {split} part of the source has no rows")));
            }
            Some(_) if split == Split::Test && settings.fold.is_some() => {
                let message = "the source has a test part of its own, so there are no folds to cut";
                return Err(Error::new(ErrorCode::Config, message).at_key("prepare.fold"));
            }
            Some(part) => part,
            None => {
                let cut = match settings.fold {
                    Some(fold) if split == Split::Test => fold_rows(&train, labels, fold, settings, seed)?,
                    _ => cut(&train, labels, steering, fraction, split, settings, seed)?,
                };
                train.retain(|row| !cut.contains(row));
                Part { origin: Split::Train, rows: cut.into_iter().collect() }
            }
        };
        parts.insert(split, part);
    }
    parts.insert(Split::Train, Part { origin: Split::Train, rows: train });
    Ok(parts)
}

pub(super) fn cut(
    train: &[usize],
    labels: &[String],
    steering: &Steering,
    fraction: f64,
    split: Split,
    settings: &PrepareSettings,
    seed: Seed,
) -> Result<BTreeSet<usize>> {
    let by_class = settings.split.unwrap_or_default() == SplitMethod::Stratified;
    let few =
        |what: &str| Err(Error::new(ErrorCode::BadData, format!("{} {what} to cut a {split} part from", train.len())));
    if let Some(times) = steering.times.get(&Split::Train) {
        return match last_rows(train, times, fraction) {
            Some(cut) => Ok(cut),
            None => few("rows with one and the same time cannot be told apart").map_err(|error: Error| {
                error.at_column(settings.time.as_deref().unwrap_or_default()).at_key("prepare.time")
            }),
        };
    }
    if let Some(names) = steering.groups.get(&Split::Train) {
        let cut = groups::cut(train, names, labels, fraction, by_class, split, seed);
        if !cut.is_empty() {
            return Ok(cut);
        }
        return few("rows have no group that is small enough, and that leaves every class in training,").map_err(
            |error: Error| error.at_column(settings.group.as_deref().unwrap_or_default()).at_key("prepare.group"),
        );
    }
    let cut = if by_class {
        stratified(train, labels, fraction, split, seed)
    } else {
        let mut rows = train.to_vec();
        seed.shuffle(&format!("split {split} random"), &[], &mut rows);
        rows.truncate(((train.len() as f64 * fraction).round() as usize).max(1).min(train.len().saturating_sub(1)));
        rows.into_iter().collect()
    };
    if cut.is_empty() { few("rows are too few") } else { Ok(cut) }
}

/// The rows of one fold: every `of`-th of the shuffled rows, class after class where parts are stratified. The folds of one
/// seed share no row and hold all of them.
fn fold_rows(
    train: &[usize],
    labels: &[String],
    fold: Fold,
    settings: &PrepareSettings,
    seed: Seed,
) -> Result<BTreeSet<usize>> {
    if train.len() < 2 * fold.of {
        let message = format!("{} rows are too few for {} folds", train.len(), fold.of);
        return Err(Error::new(ErrorCode::BadData, message).at_key("prepare.fold"));
    }
    let classes: Vec<Vec<usize>> = match settings.split.unwrap_or_default() {
        SplitMethod::Stratified => by_class(train, labels).into_values().collect(),
        SplitMethod::Random => vec![train.to_vec()],
    };
    // Counted on from class to class, so that no fold gets the extra row of every class.
    let mut place = 0;
    let mut rows = BTreeSet::new();
    for (class, mut members) in classes.into_iter().enumerate() {
        seed.shuffle("folds", &[class as u64], &mut members);
        for row in members {
            if place % fold.of == fold.number - 1 {
                rows.insert(row);
            }
            place += 1;
        }
    }
    Ok(rows)
}

/// The last rows by time, about `fraction` of them. The cut lies between two different times, at the one that is
/// nearest to that share, so that no moment is on both sides; `None` where all times are equal.
fn last_rows(rows: &[usize], times: &[f64], fraction: f64) -> Option<BTreeSet<usize>> {
    let mut order = rows.to_vec();
    order.sort_by(|&left, &right| times[left].total_cmp(&times[right]).then(left.cmp(&right)));
    let wanted = order.len() - ((order.len() as f64 * fraction).round() as usize).max(1);
    let changes = (1..order.len()).filter(|&place| times[order[place - 1]] < times[order[place]]);
    let place = changes.min_by_key(|place| place.abs_diff(wanted))?;
    Some(order.split_off(place).into_iter().collect())
}

/// A class needs two rows: one to learn from and one to be told apart by.
pub(super) fn check_classes(rows: &[usize], labels: &[String], target: &str) -> Result<()> {
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
pub(super) fn stratified(
    rows: &[usize],
    labels: &[String],
    fraction: f64,
    split: Split,
    seed: Seed,
) -> BTreeSet<usize> {
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
        seed.shuffle(&format!("split {split}"), &[class as u64], &mut members);
        cut.extend(members.into_iter().take(quota));
    }
    cut
}
