//! How alike two texts are, from 0 to 1: Jaro-Winkler for words, edits with transpositions for strings of digits.

/// A word, and which letters it has at all: what tells most pairs apart without looking at them.
#[derive(Debug, Default)]
pub(super) struct Letters {
    pub(super) letters: Box<[char]>,
    mask: u64,
}

impl Letters {
    pub(super) fn of(letters: impl Iterator<Item = char>) -> Letters {
        let letters: Box<[char]> = letters.collect();
        let mask = letters.iter().fold(0, |mask, letter| mask | 1 << (*letter as u32 & 63));
        Letters { letters, mask }
    }

    /// Letters of each that the other cannot have.
    fn alone(&self, other: &Letters) -> (usize, usize) {
        ((self.mask & !other.mask).count_ones() as usize, (other.mask & !self.mask).count_ones() as usize)
    }
}

/// Jaro-Winkler above 0.8, where words that have nothing to do with each other hardly come, spread over 0 to 1.
pub(super) fn alike(left: &Letters, right: &Letters, space: &mut Space) -> f64 {
    let (one, other) = (left.letters.len(), right.letters.len());
    if one.min(other) * 2 < one.max(other) || one == 0 || other == 0 {
        return 0.0;
    }
    let (alone, others_alone) = left.alone(right);
    let most = (one - alone).min(other - others_alone) as f64;
    let jaro = (most / one as f64 + most / other as f64 + 1.0) / 3.0;
    let equal = left.letters.iter().zip(&right.letters).take(4).take_while(|(one, other)| one == other).count();
    if jaro + 0.1 * equal as f64 * (1.0 - jaro) <= 0.8 {
        return 0.0;
    }
    ((jaro_winkler(&left.letters, &right.letters, space) - 0.8) / 0.2).max(0.0)
}

/// One less `cost` times the share of letters that were edited, from 0.4 on.
pub(super) fn by_edits(left: &Letters, right: &Letters, cost: f64, space: &mut Space) -> f64 {
    let long = left.letters.len().max(right.letters.len());
    let most = (0.6 * long as f64 / cost) as usize;
    let (alone, others_alone) = left.alone(right);
    if alone.max(others_alone) > most {
        return 0.0;
    }
    match edits(&left.letters, &right.letters, most, space) {
        Some(count) => 1.0 - cost * count as f64 / long.max(1) as f64,
        None => 0.0,
    }
}

/// Reusable space for one comparison after the other.
#[derive(Default)]
pub(super) struct Space {
    taken: Vec<bool>,
    matched: Vec<char>,
    rows: [Vec<u32>; 3],
}

/// Jaro's similarity (1989).
pub(super) fn jaro(left: &[char], right: &[char], space: &mut Space) -> f64 {
    if left.is_empty() || right.is_empty() {
        return if left.len() == right.len() { 1.0 } else { 0.0 };
    }
    let window = (left.len().max(right.len()) / 2).saturating_sub(1);
    space.taken.clear();
    space.taken.resize(right.len(), false);
    space.matched.clear();
    for (place, letter) in left.iter().enumerate() {
        let (low, high) = (place.saturating_sub(window), (place + window + 1).min(right.len()));
        if let Some(found) = (low..high).find(|other| !space.taken[*other] && right[*other] == *letter) {
            space.taken[found] = true;
            space.matched.push(*letter);
        }
    }
    let matches = space.matched.len() as f64;
    if matches == 0.0 {
        return 0.0;
    }
    let others = right.iter().zip(&space.taken).filter(|(_, taken)| **taken).map(|(letter, _)| letter);
    let moved = space.matched.iter().zip(others).filter(|(one, other)| one != other).count() / 2;
    (matches / left.len() as f64 + matches / right.len() as f64 + (matches - moved as f64) / matches) / 3.0
}

/// Jaro's similarity with a bonus for up to four equal letters at the beginning (Winkler, 1990).
pub(super) fn jaro_winkler(left: &[char], right: &[char], space: &mut Space) -> f64 {
    let jaro = jaro(left, right, space);
    let equal = left.iter().zip(right).take(4).take_while(|(one, other)| one == other).count();
    if jaro > 0.7 { jaro + 0.1 * equal as f64 * (1.0 - jaro) } else { jaro }
}

/// Insertions, deletions, replacements and exchanges of neighbours that make one of the other, each letter touched
/// once at most (optimal string alignment); `None` where it takes more than `most`.
pub(super) fn edits(left: &[char], right: &[char], most: usize, space: &mut Space) -> Option<usize> {
    if left.len().abs_diff(right.len()) > most {
        return None;
    }
    let [before, last, next] = &mut space.rows;
    for row in [&mut *before, &mut *last, &mut *next] {
        row.clear();
        row.resize(right.len() + 1, u32::MAX / 2);
    }
    last.iter_mut().zip(0..).for_each(|(cell, count)| *cell = count);
    for (place, letter) in left.iter().enumerate() {
        next.fill(u32::MAX / 2);
        next[0] = place as u32 + 1;
        let (low, high) = (place.saturating_sub(most), (place + most + 1).min(right.len()));
        if low > 0 {
            next[0] = u32::MAX / 2;
        }
        let mut least = next[0];
        for other in low..high {
            let replaced = last[other] + u32::from(right[other] != *letter);
            let mut cost = replaced.min(last[other + 1] + 1).min(next[other] + 1);
            if place > 0 && other > 0 && left[place - 1] == right[other] && *letter == right[other - 1] {
                cost = cost.min(before[other - 1] + 1);
            }
            next[other + 1] = cost;
            least = least.min(cost);
        }
        if least as usize > most {
            return None;
        }
        std::mem::swap(before, last);
        std::mem::swap(last, next);
    }
    let cost = last[right.len()] as usize;
    (cost <= most).then_some(cost)
}

/// Soundex (Russell and Odell, 1918): the first letter and the sounds of three consonants. `None` without a Latin
/// letter.
pub(super) fn soundex(word: &[char]) -> Option<[u8; 4]> {
    let sound = |letter: char| match letter {
        'b' | 'f' | 'p' | 'v' => b'1',
        'c' | 'g' | 'j' | 'k' | 'q' | 's' | 'x' | 'z' => b'2',
        'd' | 't' => b'3',
        'l' => b'4',
        'm' | 'n' => b'5',
        'r' => b'6',
        // H and W do not part equal sounds, vowels do.
        'h' | 'w' => b'h',
        _ => b'0',
    };
    let mut letters = word.iter().copied().filter(char::is_ascii_alphabetic).map(|letter| letter.to_ascii_lowercase());
    let first = letters.next()?;
    let mut code = [first as u8, b'0', b'0', b'0'];
    let (mut place, mut last) = (1, sound(first));
    for letter in letters {
        let sound = sound(letter);
        if sound == b'h' {
            continue;
        }
        if sound != b'0' && sound != last {
            code[place] = sound;
            place += 1;
            if place == 4 {
                break;
            }
        }
        last = sound;
    }
    Some(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn letters(text: &str) -> Vec<char> {
        text.chars().collect()
    }

    /// The values of jellyfish 1.2 (`tests/reference/make.py` of this crate).
    #[test]
    fn similarities_are_those_of_the_field() {
        let text = include_str!("../../../tests/reference/similarity.json");
        let cases: Vec<(String, String, f64, usize, Option<String>)> = serde_json::from_str(text).unwrap();
        assert!(cases.len() >= 40);
        let space = &mut Space::default();
        for (left, right, similarity, distance, sound) in cases {
            let (one, other) = (letters(&left), letters(&right));
            let found = jaro_winkler(&one, &other, space);
            assert!((found - similarity).abs() < 1e-12, "{left} {right}: {found} is not {similarity}");
            assert_eq!(edits(&one, &other, 40, space), Some(distance), "{left} {right}");
            let code = soundex(&one).map(|code| String::from_utf8(code.to_vec()).unwrap().to_uppercase());
            assert_eq!(code, sound, "{left}");
        }
    }

    /// The whole table, without a band.
    fn plain(left: &[char], right: &[char]) -> usize {
        let mut cost = vec![vec![0; right.len() + 1]; left.len() + 1];
        for row in 0..=left.len() {
            for column in 0..=right.len() {
                if row == 0 || column == 0 {
                    cost[row][column] = row + column;
                    continue;
                }
                let differ = usize::from(left[row - 1] != right[column - 1]);
                let mut best =
                    (cost[row - 1][column - 1] + differ).min(cost[row - 1][column] + 1).min(cost[row][column - 1] + 1);
                if row > 1 && column > 1 && left[row - 2] == right[column - 1] && left[row - 1] == right[column - 2] {
                    best = best.min(cost[row - 2][column - 2] + 1);
                }
                cost[row][column] = best;
            }
        }
        cost[left.len()][right.len()]
    }

    #[test]
    fn slips_are_alike_and_others_are_not() {
        let word = |left: &str, right: &str| {
            alike(&Letters::of(left.chars()), &Letters::of(right.chars()), &mut Space::default())
        };
        assert!(word("amber", "amberr") > 0.8 && word("rudd", "rdud") > 0.5 && word("thomas", "flynn") == 0.0);
        let digits = |left: &str, right: &str| {
            by_edits(&Letters::of(left.chars()), &Letters::of(right.chars()), 2.0, &mut Space::default())
        };
        assert!(digits("19720812", "19720821") == 0.75 && digits("2272", "2227") == 0.5);
        assert!(digits("12", "13") == 0.0 && digits("5615832", "9175450") == 0.0);
    }

    proptest! {
        #[test]
        fn what_is_given_up_early_would_be_nothing(left in "[a-g]{1,9}", right in "[a-g]{1,9}") {
            let (one, other) = (letters(&left), letters(&right));
            let space = &mut Space::default();
            let found = alike(&Letters::of(left.chars()), &Letters::of(right.chars()), space);
            let long = one.len().max(other.len()) > 2 * one.len().min(other.len());
            let wanted = ((jaro_winkler(&one, &other, space) - 0.8) / 0.2).max(0.0);
            prop_assert!(found == if long { 0.0 } else { wanted }, "{} {}", found, wanted);
        }

        #[test]
        fn a_band_changes_nothing_within_it(left in "[ab1]{0,9}", right in "[ab1]{0,9}", most in 0usize..6) {
            let (left, right) = (letters(&left), letters(&right));
            let wanted = Some(plain(&left, &right)).filter(|cost| *cost <= most);
            prop_assert_eq!(edits(&left, &right, most, &mut Space::default()), wanted);
        }
    }
}
