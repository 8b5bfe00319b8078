//! How pilots are judged: which training and validation rows each of them gets. All candidates get the same, so that
//! they can be compared row by row. The test part is not among them.
//!
//! Rows are drawn in the order of a hash of seed and row: the rows of a small rung are among those of a larger one.

use lepton_core::{Digest, Seed};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// With at most so many training and validation rows a part of them tells too little, and folds are used.
const FEW_ROWS: usize = 10_000;

/// With at most so many the folds are made twice.
const VERY_FEW_ROWS: usize = 300;

/// Training rows of a rung below the last, at least, where there are so many.
const LEAST_ROWS: usize = 1_000;

/// How scores are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Judging {
    /// Cross-validation over training and validation rows together.
    Folds {
        /// How many.
        folds: usize,
        /// How often they are made, each time with other rows.
        repeats: usize,
    },
    /// The validation part that `[prepare]` cuts or the source gives.
    Part,
}

impl Judging {
    /// For so many rows. Rows that hang together by group or time stay in the parts that `[prepare]` cut.
    pub(super) fn of(pool_rows: usize, is_steered: bool) -> Judging {
        match pool_rows {
            _ if is_steered => Judging::Part,
            rows if rows <= VERY_FEW_ROWS => Judging::Folds { folds: 5, repeats: 2 },
            rows if rows <= FEW_ROWS => Judging::Folds { folds: 5, repeats: 1 },
            _ => Judging::Part,
        }
    }

    /// Scores of a whole pilot.
    pub fn count(&self) -> usize {
        match self {
            Judging::Folds { folds, repeats } => folds * repeats,
            Judging::Part => 1,
        }
    }

    /// The rows of each score: for training and for validation. `classes` are the answers of the rows, where there are
    /// classes, the training part's first: each fold gets every class in proportion.
    pub(super) fn splits(
        &self,
        (training, validation): (usize, usize),
        classes: Option<&[String]>,
        seed: Seed,
    ) -> Vec<(Vec<usize>, Vec<usize>)> {
        let pool = training + validation;
        let &Judging::Folds { folds, repeats } = self else {
            return vec![((0..training).collect(), (training..pool).collect())];
        };
        let mut splits = Vec::new();
        for repeat in 0..repeats {
            let all: Vec<usize> = (0..pool).collect();
            let mut fold_of = vec![0; pool];
            // Counted on from class to class, so that no fold gets the extra row of every class.
            let mut place = 0;
            for mut members in by_class(&all, classes) {
                shuffle(&mut members, seed, &format!("fold {repeat}"));
                for row in members {
                    fold_of[row] = place % folds;
                    place += 1;
                }
            }
            for fold in 0..folds {
                splits.push(all.iter().partition(|row| fold_of[**row] != fold));
            }
        }
        splits
    }
}

impl fmt::Display for Judging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Judging::Folds { folds, repeats: 1 } => write!(f, "{folds} folds of the training and validation rows"),
            Judging::Folds { folds, repeats } => {
                write!(f, "{folds} folds of the training and validation rows, made {repeats} times")
            }
            Judging::Part => f.write_str("the validation rows"),
        }
    }
}

/// So many of `rows`, every class in proportion and none left out.
pub(super) fn draw(rows: &[usize], wanted: usize, classes: Option<&[String]>, seed: Seed) -> Vec<usize> {
    if wanted >= rows.len() {
        return rows.to_vec();
    }
    let share = wanted as f64 / rows.len() as f64;
    let mut drawn = Vec::new();
    for mut members in by_class(rows, classes) {
        shuffle(&mut members, seed, "rung");
        let count = ((members.len() as f64 * share).round() as usize).max(1);
        drawn.extend(members.into_iter().take(count));
    }
    drawn.sort_unstable();
    drawn
}

/// How much of the whole a rung trains on: so many of `rows` training rows, and a share of the epochs. Where there are few
/// rows, all of them and fewer epochs; where there are many, less of both.
pub(super) fn resources(share: f64, rows: usize) -> (usize, f64) {
    if share >= 1.0 {
        return (rows, 1.0);
    }
    let drawn = ((rows as f64 * share.sqrt()).round() as usize).max(LEAST_ROWS.min(rows));
    (drawn, (share * rows as f64 / drawn.max(1) as f64).min(1.0))
}

/// Rows by class, in the order of the classes' names; all together where there are none.
fn by_class(rows: &[usize], classes: Option<&[String]>) -> Vec<Vec<usize>> {
    let Some(classes) = classes else { return vec![rows.to_vec()] };
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for &row in rows {
        members.entry(classes.get(row).map_or("", String::as_str)).or_default().push(row);
    }
    members.into_values().collect()
}

fn shuffle(rows: &mut [usize], seed: Seed, purpose: &str) {
    rows.sort_by_cached_key(|row| Digest::of(format!("{purpose} {} {row}", seed.0)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(rows: usize) -> Vec<String> {
        (0..rows).map(|row| if row % 10 == 0 { "rare" } else { "usual" }.to_owned()).collect()
    }

    #[test]
    fn few_rows_are_judged_by_folds_and_many_by_their_part() {
        assert_eq!(Judging::of(50, false), Judging::Folds { folds: 5, repeats: 2 });
        assert_eq!(Judging::of(1_000, false), Judging::Folds { folds: 5, repeats: 1 });
        assert_eq!(Judging::of(10_001, false), Judging::Part);
        assert_eq!(Judging::of(50, true), Judging::Part, "groups and times stay where they are");
        assert_eq!(Judging::of(50, false).count(), 10);
    }

    #[test]
    fn folds_share_no_row_and_hold_all_of_them_and_every_class() {
        let judging = Judging::Folds { folds: 5, repeats: 2 };
        let labels = classes(103);
        let splits = judging.splits((80, 23), Some(&labels), Seed(1));
        assert_eq!(splits.len(), 10);
        for repeat in splits.chunks(5) {
            let mut seen: Vec<usize> = repeat.iter().flat_map(|(_, valid)| valid.clone()).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..103).collect::<Vec<_>>());
        }
        for (train, valid) in &splits {
            assert_eq!(train.len() + valid.len(), 103);
            assert!(train.iter().all(|row| !valid.contains(row)));
            assert!(valid.iter().filter(|row| labels[**row] == "rare").count() >= 2, "in proportion");
        }
        assert_ne!(splits[0].1, splits[5].1, "the second time with other rows");
        assert_eq!(splits, judging.splits((80, 23), Some(&labels), Seed(1)));
        assert_ne!(splits, judging.splits((80, 23), Some(&labels), Seed(2)));
        let part = Judging::Part.splits((80, 23), None, Seed(1));
        assert_eq!(part, [((0..80).collect(), (80..103).collect())]);
    }

    #[test]
    fn a_smaller_rung_has_rows_of_the_larger_one_and_no_class_is_lost() {
        let (rows, labels) = ((0..100).collect::<Vec<usize>>(), classes(100));
        let (few, more) = (draw(&rows, 20, Some(&labels), Seed(3)), draw(&rows, 50, Some(&labels), Seed(3)));
        assert_eq!((few.len(), more.len()), (20, 50));
        assert!(few.iter().all(|row| more.contains(row)));
        let two = draw(&rows, 2, Some(&labels), Seed(3));
        assert!(two.iter().any(|row| labels[*row] == "rare"));
        assert_eq!(draw(&rows, 100, None, Seed(3)), rows);
    }

    #[test]
    fn a_rung_takes_its_share_of_the_work() {
        for (share, rows) in [(1.0 / 9.0, 300), (1.0 / 9.0, 50_000), (1.0 / 3.0, 50_000), (1.0 / 3.0, 1_200)] {
            let (drawn, epochs) = resources(share, rows);
            let work = drawn as f64 * epochs / rows as f64;
            assert!((work - share).abs() < 0.01, "{share} of {rows}: {drawn} rows, {epochs} of the epochs");
        }
        assert_eq!(resources(1.0 / 9.0, 300).0, 300, "few rows are not made fewer");
        assert_eq!(resources(1.0 / 9.0, 9_000).0, 3_000);
        assert_eq!(resources(1.0, 50_000), (50_000, 1.0));
    }
}
