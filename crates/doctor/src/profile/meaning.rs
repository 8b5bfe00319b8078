//! What a text means: a word for nothing, yes or no, a date in some order, an amount with its unit, personal data.
//! Each is decided by the text alone; what a column is follows from all of its texts.

use super::identifier::{has_email, is_card, is_iban, is_national_id, is_phone, is_uuid};
use lepton_recipe::written::{DateOrder, day_parts, measure, written_number};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a text means. A text may mean several things, or none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// A word that stands for nothing: `N/A`, `null`, `?`.
    Missing,
    /// `yes`, `no`, `true`, `false` and their like.
    Boolean,
    /// A date, perhaps with a time, with its parts in this order.
    Date(DateOrder),
    /// A number with digits grouped, a decimal comma, a sign for money, a percent sign.
    WrittenNumber,
    /// A number with a unit behind it: `12 kg`.
    Measure,
    /// An address for mail.
    Email,
    /// A web address.
    Url,
    /// A telephone number.
    Phone,
    /// The number of a payment card: 13 to 19 digits that pass Luhn's check.
    Card,
    /// An account number of ISO 13616 that passes its check.
    Iban,
    /// A national identity number by its form: of the United States (`123-45-6789`).
    NationalId,
    /// The name of a picture file.
    ImagePath,
    /// An identifier of 128 bits.
    Uuid,
    /// White space at an end.
    Padded,
}

/// A meaning, and how often it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MeaningCount {
    /// The meaning.
    pub meaning: Meaning,
    /// Cells that have it.
    pub count: u64,
    /// Different texts that have it, the first ones with their counts and first rows (from 0).
    pub examples: Vec<MeaningExample>,
}

/// A text of a meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MeaningExample {
    /// The text.
    pub text: String,
    /// How many cells.
    pub count: u64,
    /// The first row, from 0.
    pub row: u64,
}

/// Different texts that are kept of each meaning.
const EXAMPLES: usize = 32;

/// The meanings of a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Meanings(BTreeMap<Meaning, Held>);

/// How often a meaning is there, and its examples beside the hashes of their texts.
#[derive(Clone, Debug, Default)]
struct Held {
    count: u64,
    hashes: Vec<u64>,
    examples: Vec<MeaningExample>,
}

impl Meanings {
    /// Adds `count` cells of a text that has this hash and is first in `row`.
    pub(super) fn add(&mut self, meaning: Meaning, text: &str, hash: u64, count: u64, row: u64) {
        let held = self.0.entry(meaning).or_default();
        held.count += count;
        if let Some(place) = held.hashes.iter().position(|known| *known == hash) {
            held.examples[place].count += count;
        } else if held.examples.len() < EXAMPLES {
            held.hashes.push(hash);
            held.examples.push(MeaningExample { text: text.to_owned(), count, row });
        }
    }

    pub(super) fn merge(&mut self, first: u64, part: Meanings) {
        for (meaning, counted) in part.0 {
            let known: u64 = counted.examples.iter().map(|example| example.count).sum();
            for (example, hash) in counted.examples.iter().zip(counted.hashes) {
                self.add(meaning, &example.text, hash, example.count, first + example.row);
            }
            if let Some(held) = self.0.get_mut(&meaning) {
                held.count += counted.count - known;
            }
        }
    }

    /// The most frequent first.
    pub(super) fn finish(self) -> Vec<MeaningCount> {
        let counts = self.0.into_iter();
        let mut all: Vec<MeaningCount> = counts
            .map(|(meaning, held)| MeaningCount { meaning, count: held.count, examples: held.examples })
            .collect();
        all.sort_by(|left, right| right.count.cmp(&left.count).then(left.meaning.cmp(&right.meaning)));
        all
    }
}

/// Words for nothing, in lower case.
const MISSING: [&str; 30] = [
    "",
    "-",
    "--",
    "---",
    ".",
    "..",
    "?",
    "??",
    "#n/a",
    "#n/d",
    "#na",
    "#null!",
    "(blank)",
    "(none)",
    "<na>",
    "<null>",
    "n.a.",
    "n/a",
    "na",
    "nan",
    "nil",
    "no data",
    "none",
    "not available",
    "not applicable",
    "null",
    "tbd",
    "undefined",
    "unknown",
    "missing",
];

/// Whether a text is a word for nothing, or blank.
pub(crate) fn is_missing_word(text: &str) -> bool {
    let bare = text.trim();
    bare.len() <= 16 && is_in(bare, &MISSING)
}

fn is_in(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// Words for yes and no, in lower case. Single letters and digits are left to the other values of their column.
const BOOLEAN: [&str; 8] = ["true", "false", "yes", "no", "on", "off", "ja", "nein"];

/// The longest text that is looked at for more than mail addresses.
const LONGEST: usize = 120;

/// All that a text means.
pub(super) fn meanings(text: &str) -> Vec<Meaning> {
    let mut found = Vec::new();
    let bare = text.trim();
    if bare.len() != text.len() && !bare.is_empty() {
        found.push(Meaning::Padded);
    }
    if bare.len() <= 16 {
        if is_missing_word(bare) {
            found.push(Meaning::Missing);
            return found;
        }
        if is_in(bare, &BOOLEAN) {
            found.push(Meaning::Boolean);
            return found;
        }
    }
    if has_email(bare) {
        found.push(Meaning::Email);
    }
    // Whatever else a text can mean has a digit, a point or a colon in it.
    let may_mean =
        bare.len() <= LONGEST && bare.bytes().any(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b':');
    if !may_mean {
        return found;
    }
    let one = if let Some(order) = day_parts(bare).map(|parts| parts.order) {
        Some(Meaning::Date(order))
    } else if is_uuid(bare) {
        Some(Meaning::Uuid)
    } else if is_iban(bare) {
        Some(Meaning::Iban)
    } else if is_card(bare) {
        Some(Meaning::Card)
    } else if is_national_id(bare) {
        Some(Meaning::NationalId)
    } else if is_phone(bare) {
        Some(Meaning::Phone)
    } else if ["http://", "https://", "ftp://"].iter().any(|start| bare.starts_with(start)) {
        Some(Meaning::Url)
    } else if is_image_path(bare) {
        Some(Meaning::ImagePath)
    } else if written_number(bare).is_some() {
        Some(Meaning::WrittenNumber)
    } else if measure(bare).is_some() {
        Some(Meaning::Measure)
    } else {
        None
    };
    found.extend(one);
    found
}

fn is_image_path(text: &str) -> bool {
    text.rsplit_once('.').is_some_and(|(name, ending)| {
        !name.is_empty()
            && ["png", "jpg", "jpeg", "gif", "bmp", "tif", "tiff", "webp"].contains(&ending.to_lowercase().as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Vec<Meaning> {
        meanings(text)
    }

    #[test]
    fn personal_data_must_pass_its_check() {
        assert_eq!(one("ann.b@example.co.uk"), [Meaning::Email]);
        assert_eq!(one("write to x@y.org, please"), [Meaning::Email]);
        assert_eq!(one("a@b"), []);
        assert_eq!(one("@home.de"), []);
        assert_eq!(one("4111 1111 1111 1111"), [Meaning::Card]);
        assert_ne!(one("4111 1111 1111 1112"), [Meaning::Card]);
        assert_eq!(one("DE89 3704 0044 0532 0130 00"), [Meaning::Iban]);
        assert_eq!(one("GB82WEST12345698765432"), [Meaning::Iban]);
        assert_eq!(one("DE88 3704 0044 0532 0130 00"), []);
        assert_eq!(one("+49 30 1234567"), [Meaning::Phone]);
        assert_eq!(one("(555) 123-4567"), [Meaning::Phone]);
        assert_eq!(one("123-45-6789"), [Meaning::NationalId]);
    }

    #[test]
    fn words_for_nothing_and_padding_are_seen() {
        assert_eq!(one("N/A"), [Meaning::Missing]);
        assert_eq!(one(" - "), [Meaning::Padded, Meaning::Missing]);
        assert_eq!(one("   "), [Meaning::Missing]);
        assert_eq!(one("Yes"), [Meaning::Boolean]);
        assert_eq!(one("nothing"), []);
        assert_eq!(one("cat.PNG"), [Meaning::ImagePath]);
        assert_eq!(one("123e4567-e89b-12d3-a456-426614174000"), [Meaning::Uuid]);
    }
}
