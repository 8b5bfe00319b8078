//! Cutting whole groups from training: no group is on both sides, the part has the size that is wanted within half
//! its smallest group, and every class as far as groups allow (the goal of scikit-learn's `StratifiedGroupKFold`).

use lepton_core::{Seed, Split};
use std::collections::{BTreeMap, BTreeSet};

/// Up to this many groups, pairs of them are tried too.
const MOST_SWAPPED: usize = 256;

/// One group: its rows, and how many of each class.
struct Group {
    rows: Vec<usize>,
    classes: Vec<(usize, usize)>,
}

/// What is cut so far.
struct Cut<'a> {
    groups: &'a [Group],
    taken: Vec<bool>,
    rows: usize,
    /// Rows of each class: cut, in all, and how many are wanted.
    have: Vec<usize>,
    totals: Vec<usize>,
    fraction: f64,
    by_class: bool,
    wanted: usize,
}

/// Rows whose groups go to the part; empty where no group can go. A group that holds all rows of a class stays, as
/// a class that training lacks could not be learned.
pub(super) fn cut(
    rows: &[usize],
    groups: &[String],
    labels: &[String],
    fraction: f64,
    by_class: bool,
    split: Split,
    seed: Seed,
) -> BTreeSet<usize> {
    let classes: BTreeMap<&str, usize> =
        rows.iter().map(|&row| labels[row].as_str()).collect::<BTreeSet<_>>().into_iter().zip(0..).collect();
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    rows.iter().for_each(|&row| members.entry(&groups[row]).or_default().push(row));
    let groups: Vec<Group> = members
        .into_values()
        .map(|rows| {
            let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
            rows.iter().for_each(|&row| *counts.entry(classes[labels[row].as_str()]).or_default() += 1);
            Group { rows, classes: counts.into_iter().collect() }
        })
        .collect();
    let mut totals = vec![0; classes.len()];
    groups.iter().flat_map(|group| &group.classes).for_each(|(class, count)| totals[*class] += count);
    let mut cut = Cut {
        groups: &groups,
        taken: vec![false; groups.len()],
        rows: 0,
        have: vec![0; classes.len()],
        totals,
        fraction,
        by_class,
        wanted: ((rows.len() as f64 * fraction).round() as usize).max(1),
    };
    let order = seed.permutation(&format!("split {split} groups"), &[], groups.len());
    for group in order {
        if cut.may_take(group) && cut.change(group, 1.0) < 0.0 {
            cut.toggle(group);
        }
    }
    // Each step brings the size closer to what is wanted, so there is an end.
    loop {
        if let Some(group) = cut.nearer() {
            cut.toggle(group);
        } else if let Some((given, taken)) = cut.nearer_by_swap() {
            cut.toggle(given);
            cut.toggle(taken);
        } else {
            break;
        }
    }
    let taken = groups.iter().zip(&cut.taken).filter(|(_, taken)| **taken);
    taken.flat_map(|(group, _)| group.rows.iter().copied()).collect()
}

impl Cut<'_> {
    fn may_take(&self, group: usize) -> bool {
        self.groups[group].classes.iter().all(|(class, count)| self.have[*class] + count < self.totals[*class])
    }

    /// How the distance from what is wanted (chi-square over the classes) changes with a group: `sign` 1 takes it, -1
    /// gives it back.
    fn change(&self, group: usize, sign: f64) -> f64 {
        let squares = |off: f64, count: f64| count * (2.0 * sign * off + count);
        if !self.by_class {
            let off = self.rows as f64 - self.wanted as f64;
            return squares(off, self.groups[group].rows.len() as f64);
        }
        let of = |(class, count): &(usize, usize)| {
            let total = self.totals[*class] as f64;
            squares(self.have[*class] as f64 - self.fraction * total, *count as f64) / total
        };
        self.groups[group].classes.iter().map(of).sum()
    }

    fn toggle(&mut self, group: usize) {
        let (taken, members) = (self.taken[group], &self.groups[group]);
        self.taken[group] = !taken;
        let add = |number: &mut usize, count: usize| *number = if taken { *number - count } else { *number + count };
        add(&mut self.rows, members.rows.len());
        members.classes.iter().for_each(|(class, count)| add(&mut self.have[*class], *count));
    }

    /// Few and large groups leave a size that no single one can mend: one given back for one taken. Only where the
    /// part misses its size by more than a fiftieth; nearer than that, the classes matter more.
    fn nearer_by_swap(&mut self) -> Option<(usize, usize)> {
        let off = self.rows.abs_diff(self.wanted);
        if self.groups.len() > MOST_SWAPPED || off * 50 <= self.wanted {
            return None;
        }
        let mut best: Option<(f64, (usize, usize))> = None;
        for given in (0..self.groups.len()).filter(|group| self.taken[*group]).collect::<Vec<_>>() {
            let back = self.change(given, -1.0);
            self.toggle(given);
            for taken in (0..self.groups.len()).filter(|group| *group != given && !self.taken[*group]) {
                let rows = self.rows + self.groups[taken].rows.len();
                if rows.abs_diff(self.wanted) < off && self.may_take(taken) {
                    let change = back + self.change(taken, 1.0);
                    if best.is_none_or(|(least, _)| change < least) {
                        best = Some((change, (given, taken)));
                    }
                }
            }
            self.toggle(given);
        }
        best.map(|(_, swap)| swap)
    }

    /// Of the groups that bring the size closer to what is wanted, the one that is best for the classes.
    fn nearer(&self) -> Option<usize> {
        let off = |rows: usize| rows.abs_diff(self.wanted);
        let mut best: Option<(f64, usize)> = None;
        for (place, group) in self.groups.iter().enumerate() {
            let size = group.rows.len();
            let (rows, sign) = match self.taken[place] {
                true if self.rows > size => (self.rows - size, -1.0),
                false if self.may_take(place) => (self.rows + size, 1.0),
                _ => continue,
            };
            if off(rows) < off(self.rows) {
                let change = self.change(place, sign);
                if best.is_none_or(|(least, _)| change < least) {
                    best = Some((change, place));
                }
            }
        }
        best.map(|(_, place)| place)
    }
}
