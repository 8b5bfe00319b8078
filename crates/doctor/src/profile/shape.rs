//! The shape of a text: which kinds of characters follow each other. `2021-03-04` and `1999-12-31` have one shape.

use super::RowList;
use super::values::Same;
use serde::Serialize;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use twox_hash::XxHash3_64;

/// Shapes that are told apart in one column.
const MOST: usize = 256;

/// Characters of a text that has a shape of its own; longer ones are all one shape.
const LONGEST: usize = 40;

/// A shape, and how often it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShapeCount {
    /// The shape: `9` for each digit, `a` for letters that follow each other, others as they are.
    pub shape: String,
    /// How many cells have it.
    pub count: u64,
    /// The first text that has it.
    pub example: String,
    /// Its row, from 0.
    pub row: u64,
}

/// The shapes of a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Shapes {
    /// By the hash of the shape.
    counts: HashMap<u64, ShapeCount, BuildHasherDefault<Same>>,
    /// Cells of shapes that had no room.
    other: RowList,
    /// The shape of the text that was added last, so that most texts need no memory of their own.
    last: String,
}

impl Shapes {
    /// Adds `count` cells of one text, which is first in `row`.
    pub(super) fn add(&mut self, text: &str, count: u64, row: u64) {
        write_shape(text, &mut self.last);
        let hash = XxHash3_64::oneshot(self.last.as_bytes());
        if let Some(held) = self.counts.get_mut(&hash) {
            held.count += count;
        } else if self.counts.len() < MOST {
            let mut example = text.to_owned();
            example.truncate(example.floor_char_boundary(2 * LONGEST));
            self.counts.insert(hash, ShapeCount { shape: self.last.clone(), count, example, row });
        } else {
            self.other.count += count;
        }
    }

    pub(super) fn merge(&mut self, first: u64, part: Shapes) {
        self.other.count += part.other.count;
        let mut parts: Vec<(u64, ShapeCount)> = part.counts.into_iter().collect();
        parts.sort_unstable_by_key(|(_, shape)| shape.row);
        for (hash, shape) in parts {
            if let Some(held) = self.counts.get_mut(&hash) {
                held.count += shape.count;
            } else if self.counts.len() < MOST {
                self.counts.insert(hash, ShapeCount { row: first + shape.row, ..shape });
            } else {
                self.other.count += shape.count;
            }
        }
    }

    /// The most frequent first; and how many cells have none of these.
    pub(super) fn finish(self) -> (Vec<ShapeCount>, u64) {
        let mut shapes: Vec<ShapeCount> = self.counts.into_values().collect();
        shapes.sort_unstable_by(|left, right| right.count.cmp(&left.count).then(left.row.cmp(&right.row)));
        (shapes, self.other.count)
    }
}

/// Writes the shape of a text.
fn write_shape(text: &str, shape: &mut String) {
    shape.clear();
    if text.len() > LONGEST && text.chars().nth(LONGEST).is_some() {
        shape.push_str("(long)");
        return;
    }
    let mut in_letters = false;
    for letter in text.chars() {
        let is_letter = letter.is_alphabetic();
        match letter {
            'a'..='z' | 'A'..='Z' if in_letters => {}
            '0'..='9' => shape.push('9'),
            _ if is_letter && in_letters => {}
            _ if is_letter => shape.push('a'),
            _ if letter.is_numeric() => shape.push('9'),
            _ if letter.is_whitespace() => shape.push(' '),
            _ => shape.push(letter),
        }
        in_letters = is_letter;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> String {
        let mut shape = String::from("what was there before");
        write_shape(text, &mut shape);
        shape
    }

    #[test]
    fn texts_of_one_form_have_one_shape() {
        assert_eq!(shape("2021-03-04"), "9999-99-99");
        assert_eq!(shape("Jun 12 1998"), "a 99 9999");
        assert_eq!(shape("Ünal"), "a");
        assert_eq!(shape(&"x".repeat(41)), "(long)");
    }
}
