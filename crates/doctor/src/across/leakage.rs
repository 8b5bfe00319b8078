//! Columns that give the target away: what they hold is known only once the answer is.
//!
//! Each column is asked how well it alone foretells the target of a row from the other rows of the sample with the
//! same value (or, of numbers, with the nearest ones). So a value that is there once foretells nothing, and a column
//! that names the row gives nothing away.

use super::features::{Cells, Feature, classes, numbers};
use crate::checks::CheckOptions;
use crate::finding::{Evidence, Finding, FindingKind, Proposal, Severity};
use crate::profile::{ColumnProfile, Profile, SemanticType};
use crate::repair::Action;

/// Fewer rows tell nothing.
const LEAST_ROWS: usize = 50;

/// Of a target of classes, rows that are not of the largest class; fewer may be foretold by chance.
const LEAST_OTHERS: usize = 20;

/// A target of numbers with more different ones than this is a measure.
const MOST_CLASSES: usize = 20;

/// Different values of a column that is held against the target; with more, each is there too rarely.
const MOST_VALUES: usize = 1_000;

/// The part of what there is to foretell from which on a column gives the target away, and from which on it is the
/// target under another name.
const NEARLY: f64 = 0.98;
const WHOLLY: f64 = 0.9995;

pub(super) fn check(profile: &Profile, options: &CheckOptions, features: &[Feature<'_>], findings: &mut Vec<Finding>) {
    let Some(place) = profile.columns.iter().position(|column| options.target.as_deref() == Some(&column.name)) else {
        return;
    };
    let Some(target) = Target::of(profile, place) else { return };
    for (other, column) in profile.columns.iter().enumerate() {
        if other == place {
            continue;
        }
        let owned;
        let cells = match features.iter().find(|feature| feature.column.name == column.name) {
            Some(feature) => &feature.cells,
            // Texts with more values than other comparisons take; ids are left out.
            None if matches!(column.semantic(), SemanticType::Category | SemanticType::Text | SemanticType::Mixed) => {
                match classes(&profile.sample, other, MOST_VALUES) {
                    Some(cells) => {
                        owned = cells;
                        &owned
                    }
                    None => continue,
                }
            }
            None => continue,
        };
        let Some(foretold) = target.foretold_by(cells) else { continue };
        if foretold >= NEARLY {
            findings.push(finding(profile, &profile.columns[place], column, other, place, foretold));
        }
    }
}

fn finding(
    profile: &Profile,
    target: &ColumnProfile,
    column: &ColumnProfile,
    place: usize,
    target_place: usize,
    foretold: f64,
) -> Finding {
    let sample = &profile.sample;
    let same = (0..sample.rows())
        .filter(|row| sample.cell(*row, place).text.trim() == sample.cell(*row, target_place).text.trim())
        .count();
    let is_copy = same as f64 >= NEARLY * sample.rows() as f64;
    let percent = (1_000.0 * foretold).floor() / 10.0;
    let of = if sample.is_whole() { String::new() } else { format!(" in a sample of {} rows", sample.rows()) };
    let message = match () {
        () if is_copy => format!("it is a copy of the target {:?}{of}", target.name),
        () if foretold >= WHOLLY => format!("the target {:?} follows from it in every row{of}", target.name),
        () => {
            format!("it alone foretells {percent} % of what there is to foretell of the target {:?}{of}", target.name)
        }
    };
    Finding {
        kind: FindingKind::TargetLeakage,
        column: Some(column.name.clone()),
        count: profile.rows - column.missing.count,
        severity: Severity::Error,
        message,
        evidence: Evidence::values(column.values.iter().filter(|value| value.count > 1).take(5)),
        repair: Some(Proposal { action: Action::DropColumn { column: column.name.clone() }, safe: false }),
    }
}

/// The column to predict.
enum Target {
    Classes { codes: Vec<u32>, classes: usize },
    Numbers(Vec<f64>),
}

impl Target {
    fn of(profile: &Profile, place: usize) -> Option<Target> {
        let column = &profile.columns[place];
        let is_measure = matches!(column.semantic(), SemanticType::Number | SemanticType::Integer)
            && column.distinct > MOST_CLASSES as u64;
        let cells =
            if is_measure { numbers(&profile.sample, place) } else { classes(&profile.sample, place, MOST_VALUES)? };
        Some(match cells {
            Cells::Numbers(numbers) => Target::Numbers(numbers),
            Cells::Classes { codes, classes } => Target::Classes { codes, classes },
        })
    }

    /// How much of the target a column alone foretells, 0 for as much as without it and 1 for all; `None` where that
    /// cannot be told.
    fn foretold_by(&self, cells: &Cells) -> Option<f64> {
        match (self, cells) {
            (Target::Classes { codes, classes }, Cells::Classes { codes: values, .. }) => {
                by_value(codes, *classes, values)
            }
            (Target::Classes { codes, classes }, Cells::Numbers(numbers)) => {
                // Equal numbers are one value where they repeat, and neighbours where they do not.
                let values = ranked(numbers);
                let different = values.iter().max().map_or(0, |most| *most as usize);
                if different * 5 <= numbers.len() {
                    by_value(codes, *classes, &values)
                } else {
                    by_neighbours(codes, *classes, numbers)
                }
            }
            (Target::Numbers(target), Cells::Classes { codes, classes }) => by_mean(target, codes, *classes),
            (Target::Numbers(target), Cells::Numbers(numbers)) => by_line(target, numbers),
        }
    }
}

/// Numbers from 1 in ascending order, equal ones the same; 0 is missing.
fn ranked(numbers: &[f64]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..numbers.len()).filter(|place| !numbers[*place].is_nan()).collect();
    order.sort_unstable_by(|one, other| numbers[*one].total_cmp(&numbers[*other]));
    let mut ranks = vec![0; numbers.len()];
    for (rank, equal) in (1..).zip(order.chunk_by(|one, other| numbers[*one] == numbers[*other])) {
        equal.iter().for_each(|place| ranks[*place] = rank);
    }
    ranks
}

/// Of the rows that the largest class alone does not tell, the part that is told; for classes that `right` tells.
fn above_guessing(codes: &[u32], classes: usize, right: usize) -> Option<f64> {
    let mut sizes = vec![0usize; classes + 1];
    codes.iter().filter(|code| **code > 0).for_each(|code| sizes[*code as usize] += 1);
    let all: usize = sizes.iter().sum();
    let largest = sizes.iter().copied().max().unwrap_or(0);
    if all < LEAST_ROWS || all - largest < LEAST_OTHERS {
        return None;
    }
    Some((right as f64 - largest as f64) / (all - largest) as f64)
}

/// Each row's class as most other rows with its value have it; a missing value is a value. One that no other row has
/// is told by the largest class.
fn by_value(codes: &[u32], classes: usize, values: &[u32]) -> Option<f64> {
    let different = values.iter().max().map_or(0, |most| *most as usize) + 1;
    let mut table = vec![0u32; different * (classes + 1)];
    let mut sizes = vec![0u32; classes + 1];
    for (code, value) in codes.iter().zip(values).filter(|(code, _)| **code > 0) {
        table[*value as usize * (classes + 1) + *code as usize] += 1;
        sizes[*code as usize] += 1;
    }
    let largest = (0..sizes.len()).max_by_key(|class| sizes[*class])?;
    let mut right = 0;
    for value in table.chunks(classes + 1) {
        let rows: u32 = value.iter().sum();
        if rows == 1 {
            right += value[largest] as usize;
            continue;
        }
        // A row's own class counts for one less; it is told where it is still more than any other.
        right += value
            .iter()
            .enumerate()
            .filter(|(class, count)| {
                let most_other = value.iter().enumerate().filter(|(other, _)| other != class).map(|(_, count)| *count);
                **count > 0 && **count - 1 > most_other.max().unwrap_or(0)
            })
            .map(|(_, count)| *count as usize)
            .sum::<usize>();
    }
    above_guessing(codes, classes, right)
}

/// Each row's class as that of the rows on both sides of it in the order of the numbers, where these are of one class.
fn by_neighbours(codes: &[u32], classes: usize, numbers: &[f64]) -> Option<f64> {
    let mut order: Vec<usize> =
        (0..numbers.len()).filter(|place| codes[*place] > 0 && !numbers[*place].is_nan()).collect();
    if order.len() * 2 < numbers.len() {
        return None;
    }
    order.sort_unstable_by(|one, other| numbers[*one].total_cmp(&numbers[*other]));
    let kept: Vec<u32> = order.iter().map(|place| codes[*place]).collect();
    let right = kept
        .iter()
        .enumerate()
        .filter(|(place, code)| {
            let sides = [place.checked_sub(1), Some(place + 1)];
            let sides = sides.into_iter().flatten().filter_map(|place| kept.get(place));
            sides.into_iter().all(|side| side == *code)
        })
        .count();
    above_guessing(&kept, classes, right)
}

/// The part of the variance that lies between classes of at least two rows, each row left out of its class's mean.
fn by_mean(target: &[f64], codes: &[u32], classes: usize) -> Option<f64> {
    let mut sums = vec![(0.0, 0usize); classes + 1];
    for (code, number) in codes.iter().zip(target).filter(|(_, number)| !number.is_nan()) {
        let (sum, count) = &mut sums[*code as usize];
        *sum += number;
        *count += 1;
    }
    let without = |code: u32, number: f64| {
        let (sum, count) = sums[code as usize];
        (count > 1).then(|| (sum - number) / (count - 1) as f64)
    };
    explained(target, codes.iter().zip(target).map(|(code, number)| without(*code, *number)))
}

/// The same, each row told by the rows on both sides of it in the order of the numbers.
fn by_line(target: &[f64], numbers: &[f64]) -> Option<f64> {
    let mut order: Vec<usize> =
        (0..numbers.len()).filter(|place| !target[*place].is_nan() && !numbers[*place].is_nan()).collect();
    if order.len() * 2 < numbers.len() {
        return None;
    }
    order.sort_unstable_by(|one, other| numbers[*one].total_cmp(&numbers[*other]));
    let kept: Vec<f64> = order.iter().map(|place| target[*place]).collect();
    let at = |place: usize| numbers[order[place]];
    let told = (0..kept.len()).map(|place| {
        let (before, behind) = (place.checked_sub(1), (place + 1 < kept.len()).then_some(place + 1));
        match (before, behind) {
            (Some(before), Some(behind)) if at(behind) > at(before) => {
                let part = (at(place) - at(before)) / (at(behind) - at(before));
                Some(kept[before] + part * (kept[behind] - kept[before]))
            }
            (Some(before), Some(behind)) => Some((kept[before] + kept[behind]) / 2.0),
            (one, other) => one.or(other).map(|place| kept[place]),
        }
    });
    explained(&kept, told)
}

/// One less the share of the variance that is left; what is not told is told by the mean.
fn explained(target: &[f64], told: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let there: Vec<f64> = target.iter().copied().filter(|number| !number.is_nan()).collect();
    if there.len() < LEAST_ROWS {
        return None;
    }
    let mean = there.iter().sum::<f64>() / there.len() as f64;
    let all: f64 = there.iter().map(|number| (number - mean).powi(2)).sum();
    let left: f64 = target
        .iter()
        .zip(told)
        .filter(|(number, _)| !number.is_nan())
        .map(|(number, told)| (number - told.unwrap_or(mean)).powi(2))
        .sum();
    (all > 0.0).then(|| 1.0 - left / all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_foretells_and_what_does_not_repeat_does_not() {
        let target: Vec<u32> = (0..200).map(|row| 1 + u32::from(row % 3 == 0)).collect();
        let copy: Vec<u32> = target.iter().map(|class| 3 - class).collect();
        assert_eq!(by_value(&target, 2, &copy), Some(1.0));
        let finer: Vec<u32> = target.iter().zip(0..).map(|(class, row)| 2 * (row % 7) + class).collect();
        assert_eq!(by_value(&target, 2, &finer), Some(1.0));
        let own: Vec<u32> = (1..=200).collect();
        assert_eq!(by_value(&target, 2, &own), Some(0.0));
        assert!(by_value(&target, 2, &vec![1; 200]).unwrap() <= 0.0);
        let rare: Vec<u32> = (0..200).map(|row| 1 + u32::from(row < 3)).collect();
        assert_eq!(by_value(&rare, 2, &rare), None, "three rows are told by chance");
        let above: Vec<f64> =
            target.iter().zip(0..).map(|(class, row)| f64::from(*class) + f64::from(row) / 1e3).collect();
        assert!(by_neighbours(&target, 2, &above).unwrap() > 0.95);
        let measured: Vec<f64> = (0..200).map(|row| f64::from(row * 37 % 101)).collect();
        let square: Vec<f64> = measured.iter().map(|number| number * number).collect();
        assert!(by_line(&square, &measured).unwrap() > 0.9999);
        let noise: Vec<f64> = (0..200).map(|row| f64::from(row * 61 % 89)).collect();
        assert!(by_line(&square, &noise).unwrap() < 0.5);
        assert!(by_mean(&square, &own, 200).unwrap() < 0.01);
    }
}
