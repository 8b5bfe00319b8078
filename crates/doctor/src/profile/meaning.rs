//! What a text means: a word for nothing, yes or no, a date in some order, an amount with its unit, personal data.
//! Each is decided by the text alone; what a column is follows from all of its texts.

use super::shape::shape;
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

/// The order of a date's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateOrder {
    /// `2021-03-04`
    YearMonthDay,
    /// `31.12.2021`
    DayMonthYear,
    /// `12/31/2021`
    MonthDayYear,
    /// `03/04/2021`: one of the two before.
    DayOrMonthFirst,
    /// `4 March 2021`
    DayNameYear,
    /// `Mar 4 2021`
    NameDayYear,
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
pub(super) struct Meanings(BTreeMap<Meaning, MeaningCount>);

impl Meanings {
    pub(super) fn add(&mut self, meaning: Meaning, text: &str, count: u64, row: u64) {
        let held = self.0.entry(meaning).or_insert(MeaningCount { meaning, count: 0, examples: Vec::new() });
        held.count += count;
        if let Some(example) = held.examples.iter_mut().find(|example| example.text == text) {
            example.count += count;
        } else if held.examples.len() < EXAMPLES {
            held.examples.push(MeaningExample { text: text.to_owned(), count, row });
        }
    }

    pub(super) fn merge(&mut self, first: u64, part: Meanings) {
        for (meaning, counted) in part.0 {
            let known: u64 = counted.examples.iter().map(|example| example.count).sum();
            for example in counted.examples {
                self.add(meaning, &example.text, example.count, first + example.row);
            }
            if let Some(held) = self.0.get_mut(&meaning) {
                held.count += counted.count - known;
            }
        }
    }

    /// The most frequent first.
    pub(super) fn finish(self) -> Vec<MeaningCount> {
        let mut all: Vec<MeaningCount> = self.0.into_values().collect();
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
        let lower = bare.to_lowercase();
        if MISSING.contains(&lower.as_str()) {
            found.push(Meaning::Missing);
            return found;
        }
        if BOOLEAN.contains(&lower.as_str()) {
            found.push(Meaning::Boolean);
            return found;
        }
    }
    if has_email(bare) {
        found.push(Meaning::Email);
    }
    if bare.len() > LONGEST {
        return found;
    }
    let one = if let Some(order) = date(bare) {
        Some(Meaning::Date(order))
    } else if is_uuid(bare) {
        Some(Meaning::Uuid)
    } else if is_iban(bare) {
        Some(Meaning::Iban)
    } else if is_card(bare) {
        Some(Meaning::Card)
    } else if shape(bare) == "999-99-9999" {
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

/// A mail address anywhere in a text: letters on both sides of an `@`, and a name with a point behind it.
fn has_email(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte);
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'@').any(|(at, _)| {
        let before = bytes[..at].iter().rev().take_while(|byte| is_name(byte)).count();
        let behind = &bytes[at + 1..];
        let host =
            &behind[..behind.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b".-".contains(byte)).count()];
        let last = host.rsplit(|byte| *byte == b'.').find(|part| !part.is_empty()).unwrap_or(&[]);
        before > 0
            && host.contains(&b'.')
            && host[0] != b'.'
            && last.len() >= 2
            && last.iter().all(u8::is_ascii_alphabetic)
    })
}

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|letter| letter.to_digit(10)).collect()
}

/// Luhn's check (ISO/IEC 7812-1) over 13 to 19 digits in groups, beginning as cards do.
fn is_card(text: &str) -> bool {
    if !text.chars().all(|letter| letter.is_ascii_digit() || letter == ' ' || letter == '-') {
        return false;
    }
    let digits = digits(text);
    (13..=19).contains(&digits.len()) && (2..=6).contains(&digits[0]) && luhn(&digits)
}

fn luhn(digits: &[u32]) -> bool {
    let double = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| if place % 2 == 1 { double(*digit) } else { *digit })
        .sum();
    sum % 10 == 0
}

/// ISO 13616: country, two check digits, up to 30 letters and digits; 1 modulo 97 when the first four go last.
fn is_iban(text: &str) -> bool {
    let bare: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    if !(15..=34).contains(&bare.len())
        || !bare[..2].iter().all(u8::is_ascii_uppercase)
        || !bare[2..4].iter().all(u8::is_ascii_digit)
        || !bare[4..].iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
    {
        return false;
    }
    let rest = bare[4..].iter().chain(&bare[..4]).fold(0u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    rest == 1
}

/// A number that is called: with a plus, or in groups with brackets, points, hyphens or spaces; 7 to 15 digits.
fn is_phone(text: &str) -> bool {
    if !text.chars().all(|letter| letter.is_ascii_digit() || " +-().".contains(letter)) {
        return false;
    }
    let count = digits(text).len();
    let grouped = text.starts_with('+') || text.starts_with('(') || text.matches(['-', ' ']).count() >= 2;
    (7..=15).contains(&count) && grouped && text.matches('.').count() != 1
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_image_path(text: &str) -> bool {
    text.rsplit_once('.').is_some_and(|(name, ending)| {
        !name.is_empty()
            && ["png", "jpg", "jpeg", "gif", "bmp", "tif", "tiff", "webp"].contains(&ending.to_lowercase().as_str())
    })
}

/// A number as people write it: `1,234.50`, `1.234,50`, `€ 12`, `45 %`, `(1,200)`. A comma alone before three digits
/// groups them.
pub(crate) fn written_number(text: &str) -> Option<f64> {
    let (negative, inner) = match text.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => (true, inner),
        None => (false, text),
    };
    let money = ['$', '€', '£', '¥', '₹', '₩'];
    let inner = inner.trim().trim_start_matches(money).trim_end_matches(money).trim();
    let (percent, inner) = match inner.strip_suffix('%') {
        Some(inner) => (true, inner.trim()),
        None => (false, inner),
    };
    let (minus, inner) = match inner.strip_prefix('-') {
        Some(inner) => (true, inner.trim_start_matches(money).trim()),
        None => (false, inner),
    };
    if inner.is_empty() || !inner.starts_with(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    let point = decimal_mark(inner)?;
    let mut plain = String::new();
    for letter in inner.chars() {
        match letter {
            '0'..='9' => plain.push(letter),
            _ if Some(letter) == point => plain.push('.'),
            ',' | '.' | ' ' | '\'' | '\u{a0}' | '\u{202f}' => {}
            _ => return None,
        }
    }
    let value: f64 = plain.parse().ok()?;
    let value = if percent { value / 100.0 } else { value };
    Some(if negative != minus { -value } else { value })
}

/// Which of comma and point is the decimal one; none where all of them group three digits.
fn decimal_mark(text: &str) -> Option<Option<char>> {
    let last = text.rfind([',', '.']);
    let Some(last) = last else { return groups_of_three(text).then_some(None) };
    let mark = if text[last..].starts_with(',') { ',' } else { '.' };
    let other = if mark == ',' { '.' } else { ',' };
    let behind = text.len() - last - 1;
    let count = text.matches(mark).count();
    let groups = groups_of_three(text);
    if count > 1 {
        return (groups && !text.contains(other)).then_some(None);
    }
    let whole = &text[..last];
    if behind == 3 && !text.contains(other) && mark == ',' && groups {
        return Some(None);
    }
    groups_of_three(whole).then_some(Some(mark))
}

/// Digits, in groups of three from the right where they are grouped at all, by one mark.
fn groups_of_three(text: &str) -> bool {
    let marks = [',', '.', ' ', '\'', '\u{a0}', '\u{202f}'];
    let groups: Vec<&str> = text.split(marks).collect();
    let digits = |group: &str| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit());
    let mut used = text.chars().filter(|letter| marks.contains(letter));
    let one_mark = used.next().is_none_or(|first| used.all(|next| next == first));
    one_mark
        && groups.iter().all(|group| digits(group))
        && (groups.len() == 1 || (groups[0].len() <= 3 && groups[1..].iter().all(|group| group.len() == 3)))
}

/// Units that a number may have behind it, in lower case, with what one of it is in the first unit of its kind.
pub(crate) const UNITS: [(&str, &str, f64); 28] = [
    ("kg", "kg", 1.0),
    ("g", "kg", 1e-3),
    ("mg", "kg", 1e-6),
    ("t", "kg", 1e3),
    ("lb", "kg", 0.453_592_37),
    ("lbs", "kg", 0.453_592_37),
    ("oz", "kg", 0.028_349_523_125),
    ("m", "m", 1.0),
    ("cm", "m", 1e-2),
    ("mm", "m", 1e-3),
    ("km", "m", 1e3),
    ("in", "m", 0.0254),
    ("ft", "m", 0.3048),
    ("mi", "m", 1_609.344),
    ("yd", "m", 0.9144),
    ("s", "s", 1.0),
    ("sec", "s", 1.0),
    ("ms", "s", 1e-3),
    ("min", "s", 60.0),
    ("h", "s", 3_600.0),
    ("hr", "s", 3_600.0),
    ("l", "l", 1.0),
    ("ml", "l", 1e-3),
    ("gal", "l", 3.785_411_784),
    ("usd", "usd", 1.0),
    ("eur", "eur", 1.0),
    ("gbp", "gbp", 1.0),
    ("jpy", "jpy", 1.0),
];

/// A number and the unit behind it: `12 kg`, `3.5cm`.
pub(crate) fn measure(text: &str) -> Option<(f64, &'static str)> {
    let end = text.rfind(|letter: char| letter.is_ascii_digit())? + 1;
    let (number, unit) = text.split_at(end);
    let unit = unit.trim().trim_end_matches('.').to_lowercase();
    let unit = UNITS.iter().find(|(name, ..)| *name == unit)?.0;
    let value = lepton_data::scan::parse_number(number.as_bytes()).or_else(|| written_number(number.trim()))?;
    Some((value, unit))
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

fn month(word: &str) -> Option<u32> {
    let lower = word.trim_end_matches(['.', ',']).to_lowercase();
    let start = lower.get(..3)?;
    let place = MONTHS.iter().position(|month| *month == start)?;
    let long = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ][place];
    (lower.len() == 3 || lower == long || lower == "sept").then_some(place as u32 + 1)
}

/// The order of a date's parts, when the text is one: year 1000 to 2999 (or two digits), a month and a day that it
/// has.
fn date(text: &str) -> Option<DateOrder> {
    day_parts(text).map(|parts| parts.order)
}

/// The parts of a date as they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DayParts<'a> {
    pub(crate) order: DateOrder,
    pub(crate) year: u32,
    /// Of [`DateOrder::DayOrMonthFirst`]: what is written in the middle.
    pub(crate) month: u32,
    /// Of [`DateOrder::DayOrMonthFirst`]: what is written first.
    pub(crate) day: u32,
    /// The time of the day as it is written.
    pub(crate) time: Option<&'a str>,
}

/// A date's parts, when a text is one.
pub(crate) fn day_parts(text: &str) -> Option<DayParts<'_>> {
    let with_time = text.split_once('T').or_else(|| text.rsplit_once(' ').filter(|(_, time)| time.contains(':')));
    let (day, time) = match with_time {
        Some((day, time)) => (day.trim(), Some(time.trim())),
        None => (text, None),
    };
    if time.is_some_and(|time| !is_time(time)) {
        return None;
    }
    let of = |order, year, month, day| Some(DayParts { order, year, month, day, time });
    let number = |part: &str| -> Option<u32> {
        let is_number = !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse().ok())?
    };
    if let Some(mark) = ['-', '/', '.'].into_iter().find(|mark| day.matches(*mark).count() == 2) {
        let parts: Vec<&str> = day.split(mark).collect();
        let [first, second, third] = parts[..] else { return None };
        if let Some(month) = month(second) {
            let (day, year) = (number(first)?, year(third)?);
            return is_day(day, month).then_some(of(DateOrder::DayNameYear, year, month, day))?;
        }
        if first.len() == 4 {
            let (year, month, day) = (year(first)?, number(second)?, number(third)?);
            return is_day(day, month).then_some(of(DateOrder::YearMonthDay, year, month, day))?;
        }
        let (year, one, two) = (year(third)?, number(first)?, number(second)?);
        return match (is_day(one, two), is_day(two, one)) {
            (true, true) => of(DateOrder::DayOrMonthFirst, year, two, one),
            (true, false) => of(DateOrder::DayMonthYear, year, two, one),
            (false, true) => of(DateOrder::MonthDayYear, year, one, two),
            (false, false) => None,
        };
    }
    let words: Vec<&str> = day.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let [first, second, third] = words[..] else { return None };
    let year = year(third)?;
    let day_of = |word: &str| number(word.trim_end_matches('.'));
    match (month(first), month(second)) {
        (Some(month), None) => {
            let day = day_of(second)?;
            is_day(day, month).then_some(of(DateOrder::NameDayYear, year, month, day))?
        }
        (None, Some(month)) => {
            let day = day_of(first)?;
            is_day(day, month).then_some(of(DateOrder::DayNameYear, year, month, day))?
        }
        _ => None,
    }
}

/// Four digits, or two: 70 to 99 are of the twentieth century, as POSIX has it.
fn year(text: &str) -> Option<u32> {
    let value = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok())??;
    match (text.len(), value) {
        (4, 1_000..=2_999) => Some(value),
        (2, 69..) => Some(1_900 + value),
        (2, _) => Some(2_000 + value),
        _ => None,
    }
}

fn is_day(day: u32, month: u32) -> bool {
    let longest = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=longest).contains(&day)
}

fn is_time(text: &str) -> bool {
    let bare = text.trim().trim_end_matches('Z');
    let bare = bare.rfind(['+', '-']).map_or(bare, |zone| &bare[..zone]);
    let parts: Vec<&str> = bare.split(':').collect();
    let number = |text: &str| text.split('.').next().and_then(|whole| whole.parse::<u32>().ok());
    matches!(parts.len(), 2 | 3)
        && parts.iter().zip([24, 60, 61]).all(|(part, most)| number(part).is_some_and(|value| value < most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Vec<Meaning> {
        meanings(text)
    }

    #[test]
    fn dates_are_told_by_the_order_of_their_parts() {
        for (text, order) in [
            ("2021-03-04", DateOrder::YearMonthDay),
            ("2021-03-04T10:20:30Z", DateOrder::YearMonthDay),
            ("2021/3/4 10:20", DateOrder::YearMonthDay),
            ("31.12.2021", DateOrder::DayMonthYear),
            ("12/31/2021", DateOrder::MonthDayYear),
            ("03/04/2021", DateOrder::DayOrMonthFirst),
            ("4 March 2021", DateOrder::DayNameYear),
            ("04-Mar-21", DateOrder::DayNameYear),
            ("Jun 12 1998", DateOrder::NameDayYear),
            ("June 12, 1998", DateOrder::NameDayYear),
        ] {
            assert_eq!(one(text), [Meaning::Date(order)], "{text}");
        }
        for text in ["2021-13-04", "31.02.2021", "1.2.3", "12/31", "June 1998", "Juniper 12 1998", "3-4-3021"] {
            assert_eq!(date(text), None, "{text}");
        }
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
    fn numbers_as_people_write_them_are_read() {
        for (text, value) in [
            ("1,234.50", 1234.5),
            ("1.234,50", 1234.5),
            ("1,234", 1234.0),
            ("1 234,5", 1234.5),
            ("$1,200", 1200.0),
            ("€ 12,5", 12.5),
            ("45 %", 0.45),
            ("(1,200)", -1200.0),
            ("-$5", -5.0),
            ("1'000'000", 1e6),
            ("12,5", 12.5),
        ] {
            assert_eq!(written_number(text), Some(value), "{text}");
        }
        for text in ["1,23,456", "12 Monkeys", "1.2.3", "a", "%", "1,2,3", "$"] {
            assert_eq!(written_number(text), None, "{text}");
        }
        assert_eq!(measure("12 kg"), Some((12.0, "kg")));
        assert_eq!(measure("3.5cm"), Some((3.5, "cm")));
        assert_eq!(measure("1,200 lbs."), Some((1200.0, "lbs")));
        assert_eq!(measure("12 monkeys"), None);
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
