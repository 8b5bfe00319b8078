//! Whether one column is another in other words: equal to it, or a one-to-one function of it. A feature that is the
//! target in other words makes every score worthless, so stage two and the doctor both ask here.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Pairs that must repeat an earlier one before anything is concluded: a few rows fit together by chance.
const FEWEST_REPEATS: u64 = 20;

/// Different values that are kept of a column.
const MOST_VALUES: usize = 100_000;

/// Pairs of values of two columns. Rows in which one of the two is missing are not added.
#[derive(Clone, Debug, Default)]
pub struct OneToOne {
    forward: HashMap<u64, u64>,
    backward: HashMap<u64, u64>,
    rows: u64,
    is_broken: bool,
    differs: bool,
}

/// How a column is another one in other words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SameInOtherWords {
    /// Rows that show it.
    pub rows: u64,
    /// Different values of each of the two.
    pub values: u64,
    /// Whether the values are written alike.
    pub is_equal: bool,
}

impl OneToOne {
    /// Adds a row's values; whether more rows can change the answer.
    pub fn add(&mut self, left: &str, right: &str) -> bool {
        if self.is_broken {
            return false;
        }
        self.rows += 1;
        self.differs |= left != right;
        let (left, right) = (hash(left), hash(right));
        let fits =
            *self.forward.entry(left).or_insert(right) == right && *self.backward.entry(right).or_insert(left) == left;
        if !fits || self.forward.len() > MOST_VALUES {
            self.is_broken = true;
            (self.forward, self.backward) = (HashMap::new(), HashMap::new());
        }
        !self.is_broken
    }

    /// The answer over all rows that were added; `None` where the columns differ, have a single value, or have too
    /// few rows to say.
    pub fn verdict(&self) -> Option<SameInOtherWords> {
        let values = self.forward.len() as u64;
        let shown = !self.is_broken && values > 1 && self.rows - values >= FEWEST_REPEATS;
        shown.then_some(SameInOtherWords { rows: self.rows, values, is_equal: !self.differs })
    }
}

/// The same for every process: the keys are fixed.
fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(rows: usize, left: impl Fn(usize) -> usize, right: impl Fn(usize) -> usize) -> Option<SameInOtherWords> {
        let mut pairs = OneToOne::default();
        (0..rows).for_each(|row| {
            pairs.add(&left(row).to_string(), &right(row).to_string());
        });
        pairs.verdict()
    }

    #[test]
    fn equal_and_renamed_columns_are_found_and_others_are_not() {
        let same = |is_equal| Some(SameInOtherWords { rows: 60, values: 3, is_equal });
        assert_eq!(verdict(60, |row| row % 3, |row| row % 3), same(true));
        assert_eq!(verdict(60, |row| row % 3, |row| 7 - row % 3), same(false));
        assert_eq!(verdict(60, |row| row % 6, |row| row % 3), None, "a finer column says more than the target");
        assert_eq!(verdict(60, |row| row % 3, |row| row % 6), None);
        assert_eq!(verdict(60, |row| row, |row| row % 3), None, "an id");
        assert_eq!(verdict(60, |row| row, |row| row + 1), None, "nothing repeats");
        assert_eq!(verdict(60, |_| 1, |_| 2), None, "constants");
        assert_eq!(verdict(20, |row| row % 2, |row| row % 2), None, "too few rows");
        assert_eq!(verdict(60, |row| row % 3, |row| if row == 59 { 0 } else { row % 3 }), None);
    }
}
