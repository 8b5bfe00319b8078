//! The columns that tell one thing from another, each as a dictionary of its different values, prepared for
//! comparison: words in lower case, dates and numbers as strings of digits.

use super::similarity::{Letters, Space, alike, by_edits};
use crate::profile::{Beginning, ColumnProfile, Meaning, SemanticType, is_missing_word};
use lepton_recipe::written::{day_parts, parse_number};
use std::collections::HashMap;

/// Columns with less than this many bits in an agreement by chance do not tell anything apart.
const LEAST_BITS: f64 = 0.5;

/// Columns that are compared.
const MOST_FIELDS: usize = 24;

/// Cells that are compared; each takes some 200 bytes where it has a value of its own.
const MOST_CELLS: usize = 1_500_000;

/// Rows of a value, on average, from which on a column tells of things that have several rows each.
const ROWS_OF_A_THING: f64 = 3.0;

/// The share of rows that have what most rows with the same value in another column have, from which on it is
/// determined by that.
const DETERMINED: f64 = 0.9;

/// Letters of a value that are compared.
const LONGEST: usize = 120;

/// How values of a column are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldKind {
    /// One word: by its letters.
    Word,
    /// Several words in any order, by the words.
    Words,
    /// Digits, by edits.
    Digits,
}

/// A value of a column.
#[derive(Debug)]
pub(super) struct Value {
    /// Letters and digits in lower case, words joined.
    pub(super) letters: Letters,
    /// Its words, by number in [`Field::words`], each once.
    pub(super) words: Vec<u32>,
    /// Rows that have it.
    pub(super) count: u32,
    /// Bits in an agreement on it by chance.
    pub(super) rarity: f64,
}

/// A column.
#[derive(Debug)]
pub(super) struct Field {
    /// Its place in the table, and its name.
    pub(super) column: usize,
    pub(super) name: String,
    pub(super) kind: FieldKind,
    /// Each row's value by number from 1; 0 is missing.
    pub(super) codes: Vec<u32>,
    pub(super) values: Vec<Value>,
    /// The words of all values, and how many rows have each.
    pub(super) words: Vec<(Letters, u32)>,
    /// Rows that have a value.
    pub(super) present: u32,
    /// Bits in an agreement of two rows by chance.
    pub(super) bits: f64,
}

impl Field {
    /// The columns that are worth comparing, the more telling first, at most [`MOST_FIELDS`]; and over how many of
    /// `rows`, the first ones.
    pub(super) fn of_table(columns: &[ColumnProfile], table: &Beginning, rows: &[u32]) -> (Vec<Field>, usize) {
        let mut kinds: Vec<(usize, &ColumnProfile, FieldKind)> = columns
            .iter()
            .enumerate()
            .filter_map(|(place, column)| Some((place, column, kind_of(column)?)))
            .filter(|(_, column, _)| column.distinct > 1)
            .collect();
        kinds.sort_by_key(|(place, column, _)| (std::cmp::Reverse(column.distinct), *place));
        kinds.truncate(MOST_FIELDS);
        let most = MOST_CELLS / kinds.len().max(1);
        let rows = &rows[..rows.len().min(most)];
        let mut fields: Vec<Field> = kinds
            .into_iter()
            .map(|(place, column, kind)| Field::new(place, column, kind, table, rows))
            .filter(|field| field.bits >= LEAST_BITS)
            .collect();
        fields.sort_by(|left, right| right.bits.total_cmp(&left.bits).then(left.column.cmp(&right.column)));
        let mut telling: Vec<Field> = Vec::with_capacity(fields.len());
        for field in fields {
            if !telling.iter().any(|other| other.determines(&field)) {
                telling.push(field);
            }
        }
        (telling, rows.len())
    }

    /// Whether a value that many rows have says what they have in another column too: of a customer with ten orders
    /// the address, of a country in each year the capital. An agreement in both then counts once, or rows about one
    /// thing would be taken for one row.
    fn determines(&self, other: &Field) -> bool {
        if (self.values.len() as f64) * ROWS_OF_A_THING > f64::from(self.present) {
            return false;
        }
        let both = self.codes.iter().zip(&other.codes).filter(|(one, other)| **one > 0 && **other > 0);
        let mut pairs: Vec<(u32, u32)> = both.map(|(one, other)| (*one, *other)).collect();
        pairs.sort_unstable();
        let of_value = |rows: &[(u32, u32)]| rows.chunk_by(|one, other| one == other).map(<[_]>::len).max();
        let most: usize = pairs.chunk_by(|one, other| one.0 == other.0).filter_map(of_value).sum();
        !pairs.is_empty() && most as f64 >= DETERMINED * pairs.len() as f64
    }

    fn new(place: usize, column: &ColumnProfile, kind: FieldKind, table: &Beginning, rows: &[u32]) -> Field {
        let mut field = Field {
            column: place,
            name: column.name.clone(),
            kind,
            codes: Vec::with_capacity(rows.len()),
            values: Vec::new(),
            words: Vec::new(),
            present: 0,
            bits: 0.0,
        };
        let (mut known, mut texts): (HashMap<String, u32>, HashMap<String, u32>) = Default::default();
        let mut word_numbers: HashMap<String, u32> = HashMap::new();
        let mut wanted = rows.iter().copied().peekable();
        for (row, cell) in (0u32..).zip(table.cells(place)) {
            if wanted.next_if_eq(&row).is_none() {
                continue;
            }
            let text = cell.text.as_ref();
            let code = match texts.get(text) {
                Some(code) => *code,
                None => {
                    let plain = plain(text, kind);
                    let code = match (plain.is_empty(), known.get(&plain)) {
                        (true, _) => 0,
                        (false, Some(code)) => *code,
                        (false, None) => field.learn(&plain, &mut known, &mut word_numbers),
                    };
                    texts.insert(text.to_owned(), code);
                    code
                }
            };
            field.codes.push(code);
            if let Some(value) = field.value(code) {
                let words = value.words.clone();
                field.values[code as usize - 1].count += 1;
                words.iter().for_each(|word| field.words[*word as usize].1 += 1);
                field.present += 1;
            }
        }
        let all = f64::from(field.present);
        let by_chance: f64 = field.values.iter().map(|value| (f64::from(value.count) / all).powi(2)).sum();
        field.bits = if field.present > 1 { -by_chance.log2() } else { 0.0 };
        field.values.iter_mut().for_each(|value| value.rarity = (all / f64::from(value.count.max(1))).log2());
        field
    }

    fn learn(&mut self, plain: &str, known: &mut HashMap<String, u32>, numbers: &mut HashMap<String, u32>) -> u32 {
        let mut words: Vec<u32> = Vec::new();
        if self.kind == FieldKind::Words {
            for word in plain.split(' ') {
                let number = *numbers.entry(word.to_owned()).or_insert_with(|| {
                    self.words.push((Letters::of(word.chars()), 0));
                    self.words.len() as u32 - 1
                });
                if !words.contains(&number) {
                    words.push(number);
                }
            }
        }
        let letters = Letters::of(plain.chars().filter(|letter| *letter != ' ').take(LONGEST));
        self.values.push(Value { letters, words, count: 0, rarity: 0.0 });
        known.insert(plain.to_owned(), self.values.len() as u32);
        self.values.len() as u32
    }

    /// The value of a code.
    pub(super) fn value(&self, code: u32) -> Option<&Value> {
        self.values.get((code as usize).wrapping_sub(1))
    }

    /// How alike two values are: 0 for as different as others are, 1 for equal.
    pub(super) fn similarity(&self, left: &Value, right: &Value, space: &mut Space) -> f64 {
        match self.kind {
            FieldKind::Digits => by_edits(&left.letters, &right.letters, 2.0, space),
            FieldKind::Word => alike(&left.letters, &right.letters, space),
            FieldKind::Words => {
                // Words that were parted or joined by a slip are the same letters.
                let joined = by_edits(&left.letters, &right.letters, 3.0, space);
                if joined >= 0.7 { joined } else { joined.max(self.common_words(left, right, space)) }
            }
        }
    }

    /// The share of the words that both have, weighted by how rare they are; a word may differ by a slip (soft
    /// TF-IDF: Cohen, Ravikumar and Fienberg, "A Comparison of String Distance Metrics for Name-Matching Tasks", 2003).
    fn common_words(&self, left: &Value, right: &Value, space: &mut Space) -> f64 {
        let weight = |word: u32| (1.0 + f64::from(self.present) / f64::from(self.words[word as usize].1.max(1))).ln();
        let mut side = |one: &[u32], other: &[u32]| {
            let (mut found, mut all) = (0.0, 0.0);
            for word in one {
                let weight = weight(*word);
                all += weight;
                if other.contains(word) {
                    found += weight;
                    continue;
                }
                let letters = &self.words[*word as usize].0;
                let best = other.iter().map(|other| alike(letters, &self.words[*other as usize].0, space));
                found += weight * best.fold(0.0, f64::max);
            }
            found / all.max(f64::MIN_POSITIVE)
        };
        let share = side(&left.words, &right.words).min(side(&right.words, &left.words));
        // Texts of one subject share words; only those that share most are the same text.
        ((share - 0.4) / 0.6).max(0.0)
    }
}

/// How alike the letters of two values of different columns are.
pub(super) fn same_letters(left: &Value, right: &Value, space: &mut Space) -> f64 {
    by_edits(&left.letters, &right.letters, 3.0, space)
}

/// How a column is compared; `None` for one that says nothing of sameness: numbers that name the row, measures with
/// fractions, long texts, lists.
fn kind_of(column: &ColumnProfile) -> Option<FieldKind> {
    let present = (column.numbers.count + column.texts.count + column.booleans.count) as f64;
    let differs = column.distinct as f64 >= 0.97 * present;
    let with = |wanted: &dyn Fn(&str) -> bool| -> u64 {
        column.shapes.iter().filter(|shape| wanted(&shape.shape)).map(|shape| shape.count).sum()
    };
    let texts = column.texts.count.max(1);
    // `rec-12-org` names the row; `12 main street` has blanks and does not.
    let names_the_row = with(&|shape| shape.contains('9') && !shape.trim().contains(' ')) * 2 > texts;
    let with_clock = with(&|shape| shape.contains(':')) * 2 > texts;
    let mean_length = column.characters.map_or(0.0, |characters| characters.sum as f64 / texts as f64);
    match column.semantic() {
        SemanticType::Empty | SemanticType::Nested | SemanticType::ImagePath | SemanticType::Number => None,
        _ if column.meaning(Meaning::Uuid) * 2 > texts => None,
        SemanticType::Integer if differs => None,
        SemanticType::Date if differs && with_clock => None,
        SemanticType::Integer | SemanticType::Date | SemanticType::Phone => Some(FieldKind::Digits),
        SemanticType::Id if names_the_row => None,
        SemanticType::Boolean | SemanticType::Email | SemanticType::Url | SemanticType::Measure => {
            Some(FieldKind::Word)
        }
        SemanticType::Category | SemanticType::Text | SemanticType::Id | SemanticType::Mixed => {
            let words = with(&|shape| shape.trim().contains(' ') || shape == "(long)");
            match () {
                () if mean_length > LONGEST as f64 => None,
                () if words * 5 > texts => Some(FieldKind::Words),
                () => Some(FieldKind::Word),
            }
        }
    }
}

/// A value without its way of writing; empty where it says nothing.
fn plain(text: &str, kind: FieldKind) -> String {
    let text = text.trim();
    if text.is_empty() || is_missing_word(text) {
        return String::new();
    }
    if kind == FieldKind::Digits {
        if let Some(parts) = day_parts(text) {
            // Which of day and month comes first does not matter here: an exchange of both is a small edit.
            return format!("{:04}{:02}{:02}{}", parts.year, parts.month, parts.day, digits(parts.time.unwrap_or("")));
        }
        return match parse_number(text.as_bytes()) {
            Some(number) => number.to_string(),
            None => digits(text),
        };
    }
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_alphanumeric() {
            plain.extend(letter.to_lowercase());
        } else if letter != '\'' && !plain.is_empty() && !plain.ends_with(' ') {
            plain.push(' ');
        }
    }
    plain.truncate(plain.trim_end().len());
    plain
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_what_is_left_without_its_writing() {
        assert_eq!(plain(" O'Brien,  Ann-Marie ", FieldKind::Words), "obrien ann marie");
        assert_eq!(plain("N/A", FieldKind::Word), "");
        assert_eq!(plain("Jun 12 1998", FieldKind::Digits), "19980612");
        assert_eq!(plain("1.50", FieldKind::Digits), "1.5");
        assert_eq!(plain("(555) 123-4567", FieldKind::Digits), "5551234567");
    }
}
