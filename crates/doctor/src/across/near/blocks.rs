//! Which pairs of rows are compared at all: those that share a value, a sound, a rare word or nearly a string of
//! digits, and neighbours in the order of a column. In memory that is bounded whatever the table.

use super::fields::{Field, FieldKind};
use super::similarity::soundex;
use twox_hash::XxHash3_64;

/// Rows of one block; what more rows share is no reason to compare them.
const MOST_ROWS: usize = 64;

/// Columns that make blocks, the more telling ones.
const MOST_FIELDS: usize = 12;

/// Neighbours in the order of a column that are compared.
const NEIGHBOURS: usize = 3;

/// Bits in an agreement from which on a column makes blocks.
const LEAST_BITS: f64 = 3.0;

/// Pairs to compare, and what was left out.
pub(super) struct Candidates {
    /// Places of rows, the smaller in the upper half, ascending.
    pub(super) pairs: Vec<u64>,
    /// Pairs that share a block and are not among these.
    pub(super) left_out: u64,
}

pub(super) fn pair(one: u32, other: u32) -> u64 {
    (u64::from(one.min(other)) << 32) | u64::from(one.max(other))
}

impl Candidates {
    /// Pairs that share blocks of two columns (of one, where there are few): what agrees in one alone cannot agree in
    /// most. At most `most` of them, those first that share the most.
    pub(super) fn of(fields: &[Field], most: usize) -> Candidates {
        let fields: Vec<&Field> = fields.iter().filter(|field| field.bits >= LEAST_BITS).take(MOST_FIELDS).collect();
        let (mut pairs, mut left_out) = (Vec::new(), 0);
        for (place, field) in fields.iter().enumerate() {
            // A pair that is found by several columns takes room several times until it is counted.
            let room = (4 * most).saturating_sub(pairs.len()) / (fields.len() - place);
            let mut of_one = Vec::new();
            left_out += of_field(field, room, &mut of_one);
            of_one.sort_unstable();
            of_one.dedup();
            pairs.append(&mut of_one);
        }
        pairs.sort_unstable();
        let least = if fields.len() >= 4 { 2 } else { 1 };
        let runs = || pairs.chunk_by(|one, other| one == other);
        let mut by_count = [0; MOST_FIELDS + 1];
        runs().for_each(|run| by_count[run.len()] += 1);
        // Pairs that share more columns than the bar are taken, of those at the bar the first ones.
        let (mut bar, mut taken) = (MOST_FIELDS, 0);
        while bar > least && taken + by_count[bar] <= most {
            taken += by_count[bar];
            bar -= 1;
        }
        let mut at_bar = most - taken;
        let mut kept = Vec::with_capacity(most.min(taken + by_count[bar]));
        for run in runs() {
            let is_at_bar = run.len() == bar && at_bar > 0;
            at_bar -= usize::from(is_at_bar);
            if is_at_bar || run.len() > bar {
                kept.push(run[0]);
            }
        }
        left_out += (by_count[least..].iter().sum::<usize>() - kept.len()) as u64;
        Candidates { pairs: kept, left_out }
    }
}

/// Adds the pairs of one column, of the smallest blocks first, up to `room`; how many did not fit.
fn of_field(field: &Field, room: usize, pairs: &mut Vec<u64>) -> u64 {
    let rows = rows_by_value(field);
    // Key, value.
    let mut entries: Vec<(u64, u32)> = Vec::new();
    for (code, value) in field.values.iter().enumerate() {
        if value.count as usize <= MOST_ROWS {
            keys(field, code, &mut |key| entries.push((key, code as u32)));
        }
    }
    entries.sort_unstable();
    entries.dedup();
    let mut blocks: Vec<(usize, std::ops::Range<usize>)> = Vec::new();
    let mut start = 0;
    for end in 1..=entries.len() {
        if end == entries.len() || entries[end].0 != entries[start].0 {
            let size = entries[start..end].iter().map(|(_, code)| rows[*code as usize].len()).sum();
            if (2..=MOST_ROWS).contains(&size) {
                blocks.push((size, start..end));
            }
            start = end;
        }
    }
    blocks.sort_by_key(|(size, range)| (*size, range.start));
    let (before, mut left_out) = (pairs.len(), 0);
    for (size, range) in blocks {
        if pairs.len() - before + size * (size - 1) / 2 > room {
            left_out += (size * (size - 1) / 2) as u64;
            continue;
        }
        let block: Vec<u32> =
            entries[range].iter().flat_map(|(_, code)| rows[*code as usize].iter().copied()).collect();
        for (place, one) in block.iter().enumerate() {
            pairs.extend(block[place + 1..].iter().filter(|other| *other != one).map(|other| pair(*one, *other)));
        }
    }
    neighbours(field, &rows, before + room, pairs);
    left_out
}

/// The places of the rows of each value.
fn rows_by_value(field: &Field) -> Vec<Vec<u32>> {
    let mut rows: Vec<Vec<u32>> = field.values.iter().map(|value| Vec::with_capacity(value.count as usize)).collect();
    for (row, code) in (0u32..).zip(&field.codes) {
        if let Some(held) = rows.get_mut((*code as usize).wrapping_sub(1)) {
            held.push(row);
        }
    }
    rows
}

/// What a value may share with another.
fn keys(field: &Field, code: usize, push: &mut dyn FnMut(u64)) {
    let value = &field.values[code];
    let mut text = String::with_capacity(32);
    let mut key = |tag: u8, letters: &mut dyn Iterator<Item = char>| {
        text.clear();
        text.extend(letters);
        push(XxHash3_64::oneshot_with_seed(u64::from(tag), text.as_bytes()));
    };
    let letters = &value.letters.letters;
    key(b'v', &mut letters.iter().copied());
    match field.kind {
        FieldKind::Digits if (5..=20).contains(&letters.len()) => {
            // Without any one digit: strings that differ in one edit, or in neighbours that changed places, share one.
            for left_out in 0..letters.len() {
                let kept = letters.iter().enumerate().filter(|(place, _)| *place != left_out);
                key(b'd', &mut kept.map(|(_, letter)| *letter));
            }
        }
        FieldKind::Digits => {}
        FieldKind::Word => {
            if let Some(sound) = soundex(letters) {
                key(b's', &mut sound.iter().map(|letter| char::from(*letter)));
            }
            grams(letters, &mut key);
        }
        FieldKind::Words => {
            for &word in &value.words {
                let (letters, count) = &field.words[word as usize];
                if *count as usize <= MOST_ROWS && letters.letters.len() > 2 {
                    key(b'w', &mut letters.letters.iter().copied());
                }
            }
            let first: Vec<char> = letters.iter().copied().take(40).collect();
            grams(&first, &mut key);
        }
    }
}

/// The first and the last few letters: a slip is rarely in both.
fn grams(letters: &[char], key: &mut impl FnMut(u8, &mut dyn Iterator<Item = char>)) {
    if letters.len() >= 6 {
        let half = letters.len() / 2;
        key(b'b', &mut letters[..half].iter().copied());
        key(b'e', &mut letters[letters.len() - half..].iter().copied());
    }
}

/// Rows of values that are next to each other in the order of the column, from the left and from the right (the
/// sorted neighbourhood: Hernandez and Stolfo, "The Merge/Purge Problem for Large Databases", 1995).
fn neighbours(field: &Field, rows: &[Vec<u32>], room: usize, pairs: &mut Vec<u64>) {
    let mut order: Vec<u32> = (0..field.values.len() as u32).collect();
    for backwards in [false, true] {
        let letters = |code: &u32| &field.values[*code as usize].letters.letters;
        if backwards {
            order.sort_unstable_by(|left, right| letters(left).iter().rev().cmp(letters(right).iter().rev()));
        } else {
            order.sort_unstable_by(|left, right| letters(left).cmp(letters(right)));
        }
        for (place, code) in order.iter().enumerate() {
            for other in order[place + 1..].iter().take(NEIGHBOURS) {
                let (ones, others) = (&rows[*code as usize], &rows[*other as usize]);
                if ones.len() * others.len() > MOST_ROWS || pairs.len() + ones.len() * others.len() > room {
                    continue;
                }
                pairs.extend(ones.iter().flat_map(|one| others.iter().map(|other| pair(*one, *other))));
            }
        }
    }
}
