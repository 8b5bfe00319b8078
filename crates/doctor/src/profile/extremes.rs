//! The smallest and largest numbers of a column with their rows: what an outlier must be among.

use serde::Serialize;

/// Numbers kept at each end, where there are not so many columns that it would be too much.
pub(super) const MOST: usize = 1_000;

/// A number and its row, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Extreme {
    /// The number.
    pub value: f64,
    /// Its row.
    pub row: u64,
}

/// The smallest and the largest numbers, each from the outside inwards, equal ones by row. At most 1,000 at each end.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Extremes {
    /// The smallest.
    pub low: Vec<Extreme>,
    /// The largest.
    pub high: Vec<Extreme>,
}

/// A number must pass these to be among the extremes: not be larger than the first, or not smaller than the second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bars {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Bars {
    pub(super) const OPEN: Bars = Bars { low: f64::INFINITY, high: f64::NEG_INFINITY };
}

impl Extremes {
    /// Adds the numbers of a chunk that begins at `first`; `rows` are their rows in it, all in order where `None`.
    pub(super) fn add(&mut self, first: u64, values: &[f64], rows: Option<&[u32]>, most: usize) {
        let bars = self.bars(most);
        let (mut low, mut high) = (Vec::new(), Vec::new());
        for (place, &value) in values.iter().enumerate() {
            if value <= bars.low || value >= bars.high {
                let extreme = Extreme { value, row: first + rows.map_or(place as u64, |rows| u64::from(rows[place])) };
                if value <= bars.low {
                    low.push(extreme);
                }
                if value >= bars.high {
                    high.push(extreme);
                }
            }
        }
        keep(&mut self.low, low, most, |extreme| extreme.value);
        keep(&mut self.high, high, most, |extreme| -extreme.value);
    }

    pub(super) fn bars(&self, most: usize) -> Bars {
        let bar = |side: &[Extreme], open: f64| if side.len() < most { open } else { side[most - 1].value };
        Bars { low: bar(&self.low, Bars::OPEN.low), high: bar(&self.high, Bars::OPEN.high) }
    }
}

/// Keeps the first `most` of both by key and row.
fn keep(side: &mut Vec<Extreme>, mut new: Vec<Extreme>, most: usize, key: impl Fn(&Extreme) -> f64) {
    if new.is_empty() {
        return;
    }
    let order = |left: &Extreme, right: &Extreme| key(left).total_cmp(&key(right)).then(left.row.cmp(&right.row));
    // A column of few values has whole chunks at the bar.
    if new.len() > most {
        new.select_nth_unstable_by(most, order);
        new.truncate(most);
    }
    side.append(&mut new);
    side.sort_unstable_by(order);
    side.truncate(most);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn they_are_the_ends_of_the_sorted_column(
            values in prop::collection::vec((-20i32..20).prop_map(f64::from), 0..200), piece in 1usize..50, most in 1usize..30,
        ) {
            let mut extremes = Extremes::default();
            for (index, chunk) in values.chunks(piece).enumerate() {
                extremes.add((index * piece) as u64, chunk, None, most);
            }
            let mut sorted: Vec<Extreme> =
                values.iter().enumerate().map(|(row, &value)| Extreme { value, row: row as u64 }).collect();
            sorted.sort_by(|left, right| left.value.total_cmp(&right.value).then(left.row.cmp(&right.row)));
            prop_assert_eq!(&extremes.low[..], &sorted[..most.min(sorted.len())]);
            sorted.sort_by(|left, right| right.value.total_cmp(&left.value).then(left.row.cmp(&right.row)));
            prop_assert_eq!(&extremes.high[..], &sorted[..most.min(sorted.len())]);
        }
    }
}
