//! One chunk under all rules: how many values were looked at, which of them break a rule, and what only the whole
//! table can tell (hashes for `unique`, the newest date).

use super::rule::{Rule, Test};
use super::settings::ValueType;
use lepton_data::parse_moment;
use lepton_data::scan::{CellKind, Chunk, Column, number_text, parse_number};
use twox_hash::XxHash3_128;

/// Failures that are shown of one rule.
pub(super) const SHOWN: usize = 5;

/// Bytes of a value that are shown.
const LONGEST: usize = 120;

/// What a chunk is under one rule. Rows count in the chunk.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) checked: u64,
    pub(super) failed: u64,
    pub(super) examples: Vec<(u32, Option<String>)>,
    pub(super) hashes: Vec<(u32, [u64; 2])>,
    /// The newest date that is not in the future.
    pub(super) newest: Option<f64>,
    pub(super) future: u64,
    pub(super) unread: u64,
    /// Whether the chunk has the rule's columns; JSON knows its columns at the end only.
    pub(super) has: Vec<bool>,
}

/// A cell, typed as far as its format goes.
enum Value<'a> {
    Missing,
    Number(f64),
    Text(CellKind, std::borrow::Cow<'a, str>),
}

fn value<'a>(column: Option<Column<'a>>, row: usize) -> Value<'a> {
    use arrow_array::Array as _;
    let Some(column) = column else { return Value::Missing };
    if let Some(numbers) = column.numbers() {
        let number = numbers.is_valid(row).then(|| numbers.value(row)).filter(|number| number.is_finite());
        return number.map_or(Value::Missing, |number| Value::Number(number + 0.0));
    }
    let cell = column.cell(row);
    if cell.kind == CellKind::Missing { Value::Missing } else { Value::Text(cell.kind, cell.text) }
}

impl Value<'_> {
    fn number(&self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(*number),
            Value::Text(CellKind::Untyped | CellKind::Text | CellKind::Number, text) => parse_number(text.as_bytes()),
            _ => None,
        }
    }

    fn shown(&self) -> Option<String> {
        match self {
            Value::Missing => None,
            Value::Number(number) => Some(number_text(*number)),
            Value::Text(_, text) => {
                let mut text = text.clone().into_owned();
                text.truncate(text.floor_char_boundary(LONGEST));
                Some(text)
            }
        }
    }

    /// Whether the value keeps the rule; `None` where the rule does not speak of it.
    fn keeps(&self, test: &Test) -> Option<bool> {
        if matches!(self, Value::Missing) {
            return matches!(test, Test::NotNull).then_some(false);
        }
        Some(match test {
            Test::NotNull => true,
            Test::Numbers { min, max } => self.number().is_some_and(|number| (*min..=*max).contains(&number)),
            Test::Dates { min, max } => self.moment().is_some_and(|moment| (*min..=*max).contains(&moment)),
            Test::InSet { texts, numbers } => {
                let by_number = || {
                    !numbers.is_empty()
                        && self.number().is_some_and(|number| numbers.contains(&(number + 0.0).to_bits()))
                };
                match self {
                    Value::Text(_, text) => texts.contains(text.as_ref()) || by_number(),
                    Value::Number(number) => by_number() || texts.contains(&number_text(*number)),
                    Value::Missing => false,
                }
            }
            Test::Matches(regex) => match self {
                Value::Text(_, text) => regex.is_match(text),
                Value::Number(number) => regex.is_match(&number_text(*number)),
                Value::Missing => false,
            },
            Test::Type(value_type) => self.is(*value_type),
            Test::Unique | Test::RowCount { .. } | Test::FreshWithin { .. } | Test::Sql(_) => return None,
        })
    }

    fn moment(&self) -> Option<f64> {
        match self {
            Value::Text(CellKind::Untyped | CellKind::Text, text) => parse_moment(text),
            _ => None,
        }
    }

    fn is(&self, value_type: ValueType) -> bool {
        let number = match self {
            Value::Number(number) => Some(*number),
            Value::Text(CellKind::Untyped | CellKind::Number, text) => parse_number(text.as_bytes()),
            _ => None,
        };
        match (value_type, self) {
            (ValueType::Number, _) => number.is_some(),
            (ValueType::Integer, _) => number.is_some_and(|number| number.fract() == 0.0),
            (ValueType::Date, _) => self.moment().is_some(),
            (ValueType::Boolean, Value::Text(CellKind::Boolean, _)) => true,
            (ValueType::Boolean, Value::Text(CellKind::Untyped, text)) => {
                text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")
            }
            (ValueType::Text, Value::Text(CellKind::Text | CellKind::Untyped, _)) => number.is_none(),
            _ => false,
        }
    }
}

/// What the chunk is under every rule, in their order.
pub(super) fn look(rules: &[Rule], chunk: &Chunk, now: f64) -> Vec<Tally> {
    rules.iter().map(|rule| tally(rule, chunk, now)).collect()
}

fn tally(rule: &Rule, chunk: &Chunk, now: f64) -> Tally {
    let places: Vec<Option<usize>> =
        rule.columns.iter().map(|name| chunk.names().iter().position(|known| known == name)).collect();
    let mut tally = Tally { has: places.iter().map(Option::is_some).collect(), ..Tally::default() };
    let columns: Vec<Option<Column<'_>>> = places.iter().map(|place| place.map(|place| chunk.column(place))).collect();
    match (&rule.test, columns.as_slice()) {
        (Test::RowCount { .. } | Test::Sql(_), _) => {}
        (Test::Unique, _) => {
            let mut key = Vec::new();
            for row in 0..chunk.rows() {
                if unique_key(&columns, row, &mut key) {
                    let hash = XxHash3_128::oneshot(&key);
                    tally.checked += 1;
                    tally.hashes.push((row as u32, [(hash >> 64) as u64, hash as u64]));
                }
            }
        }
        (Test::FreshWithin { .. }, [column]) => {
            for row in 0..chunk.rows() {
                let value = value(*column, row);
                match (value.moment(), &value) {
                    (Some(moment), _) if moment > now => tally.future += 1,
                    (Some(moment), _) => tally.newest = Some(tally.newest.map_or(moment, |newest| newest.max(moment))),
                    (None, Value::Missing) => {}
                    (None, _) => tally.unread += 1,
                }
            }
        }
        (test, [column]) => {
            for row in 0..chunk.rows() {
                let value = value(*column, row);
                let Some(keeps) = value.keeps(test) else { continue };
                tally.checked += 1;
                if !keeps {
                    tally.failed += 1;
                    if tally.examples.len() < SHOWN {
                        tally.examples.push((row as u32, value.shown()));
                    }
                }
            }
        }
        _ => {}
    }
    tally
}

/// The values of a row with their lengths, so that no two combinations look alike; whether none is missing. Numbers
/// of a binary format are compared by value, texts as they are written.
fn unique_key(columns: &[Option<Column<'_>>], row: usize, key: &mut Vec<u8>) -> bool {
    key.clear();
    for column in columns {
        match value(*column, row) {
            Value::Missing => return false,
            Value::Number(number) => key.extend(number.to_bits().to_le_bytes()),
            Value::Text(_, text) => {
                key.extend((text.len() as u64).to_le_bytes());
                key.extend(text.as_bytes());
            }
        }
    }
    true
}
