//! The values of a column and how often each is there, exactly while they are few.

use lepton_data::scan::Column;
use serde::Serialize;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Values that are counted in one chunk, and in all.
pub(super) const MOST: usize = 4_096;

/// Slots that the table of a chunk begins with.
const FIRST_SLOTS: usize = 512;

/// Bytes of a value's text that are kept.
const LONGEST: usize = 200;

/// A value, and how often it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ValueCount {
    /// Its text, the first 200 bytes of it.
    pub value: String,
    /// How often it is there; too low where [`super::ColumnProfile::values_are_exact`] says no.
    pub count: u64,
    /// The first row that has it, from 0.
    pub row: u64,
}

/// One value of a chunk.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PartValue {
    pub(super) hash: u64,
    pub(super) count: u32,
    pub(super) row: u32,
}

/// The values of a chunk: an open table, at most half full, which grows with them, so that a column of few values
/// stays in the nearest cache.
pub(super) struct PartValues {
    slots: Vec<PartValue>,
    held: usize,
    most: usize,
    /// Cells whose value had no room.
    pub(super) missed: u64,
}

/// What became of a cell.
pub(super) enum Seen {
    /// Its value was there before.
    Again,
    /// Its value is new in this chunk.
    First,
    /// There was no room to say.
    Unknown,
}

impl PartValues {
    pub(super) fn new(rows: usize, most: usize) -> PartValues {
        let most = most.min(rows.max(1));
        let slots = (2 * most).next_power_of_two().min(FIRST_SLOTS);
        PartValues { slots: vec![PartValue::default(); slots], held: 0, most, missed: 0 }
    }

    #[inline]
    pub(super) fn add(&mut self, hash: u64, row: u32) -> Seen {
        let mask = self.slots.len() - 1;
        let mut place = hash as usize & mask;
        loop {
            let slot = &mut self.slots[place];
            if slot.count == 0 {
                if self.held == self.most {
                    self.missed += 1;
                    return Seen::Unknown;
                }
                *slot = PartValue { hash, count: 1, row };
                self.held += 1;
                if 2 * self.held > self.slots.len() {
                    self.grow();
                }
                return Seen::First;
            }
            if slot.hash == hash {
                slot.count += 1;
                return Seen::Again;
            }
            place = (place + 1) & mask;
        }
    }

    #[cold]
    fn grow(&mut self) {
        let slots = vec![PartValue::default(); 4 * self.slots.len()];
        let mask = slots.len() - 1;
        for value in std::mem::replace(&mut self.slots, slots).into_iter().filter(|slot| slot.count > 0) {
            let mut place = value.hash as usize & mask;
            while self.slots[place].count > 0 {
                place = (place + 1) & mask;
            }
            self.slots[place] = value;
        }
    }

    /// What was counted, by row.
    pub(super) fn into_counts(self) -> (Vec<PartValue>, u64) {
        let mut counts: Vec<PartValue> = self.slots.into_iter().filter(|slot| slot.count > 0).collect();
        counts.sort_unstable_by_key(|value| value.row);
        (counts, self.missed)
    }
}

/// Hashes are random already.
#[derive(Default)]
pub(super) struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// The values of all chunks so far.
#[derive(Default)]
pub(super) struct Values {
    counts: HashMap<u64, Held, BuildHasherDefault<Same>>,
    inexact: bool,
}

struct Held {
    count: u64,
    row: u64,
    text: String,
}

impl Values {
    /// Adds the values of a chunk that begins at row `first`. At most `most` are kept, the frequent ones. Once there
    /// are more, a new value must be twice in one chunk to be counted from there on.
    pub(super) fn add(&mut self, first: u64, part: &[PartValue], missed: u64, column: Column<'_>, most: usize) {
        self.inexact |= missed > 0;
        for value in part {
            if let Some(held) = self.counts.get_mut(&value.hash) {
                held.count += u64::from(value.count);
            } else if !self.inexact || value.count > 1 {
                let mut text = column.cell(value.row as usize).text.into_owned();
                text.truncate(text.floor_char_boundary(LONGEST));
                let held = Held { count: u64::from(value.count), row: first + u64::from(value.row), text };
                self.counts.insert(value.hash, held);
            }
        }
        if self.counts.len() > most {
            self.inexact = true;
            if self.counts.len() > 2 * most {
                self.trim(most);
            }
        }
    }

    /// Keeps the most frequent values, of equal ones the earlier.
    fn trim(&mut self, most: usize) {
        if self.counts.len() <= most {
            return;
        }
        let mut order: Vec<(std::cmp::Reverse<u64>, u64, u64)> =
            self.counts.iter().map(|(hash, held)| (std::cmp::Reverse(held.count), held.row, *hash)).collect();
        order.select_nth_unstable(most);
        for (_, _, hash) in &order[most..] {
            self.counts.remove(hash);
        }
    }

    /// All values that are held, the most frequent first, of equal ones the earlier; and whether that is all.
    pub(super) fn finish(mut self, most: usize) -> (Vec<ValueCount>, bool) {
        self.trim(most);
        let counts = self.counts.into_values();
        let mut values: Vec<ValueCount> =
            counts.map(|held| ValueCount { value: held.text, count: held.count, row: held.row }).collect();
        values.sort_unstable_by(|left, right| right.count.cmp(&left.count).then(left.row.cmp(&right.row)));
        (values, !self.inexact)
    }
}
