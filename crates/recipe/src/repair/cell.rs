//! What a repair does to one cell. The doctor repairs files with this, and recipes repair rows.

use crate::written::{UNITS, day_parts, measure, parse_number, written_number};
use lepton_core::{Error, ErrorCode, Result, nearest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a format says that a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellForm {
    /// Text of a format that knows nothing else, such as CSV: it may be a number.
    Untyped,
    /// A text, even where it looks like a number.
    Text,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A list or an object.
    Nested,
}

/// What a cell becomes.
#[derive(Clone, Debug, PartialEq)]
pub enum CellValue {
    /// Missing.
    Missing,
    /// A text; an empty one is missing.
    Text(String),
    /// A number.
    Number(f64),
}

/// What is done to each cell of a column that is not missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum CellAction {
    /// These values become missing, with or without white space around them.
    SetMissing {
        /// The values.
        values: Vec<String>,
    },
    /// What is no number becomes missing.
    NonNumbersToMissing,
    /// White space at the ends of texts is taken away.
    Trim,
    /// Numbers and booleans become texts.
    ToText,
    /// Numbers as people write them become numbers: `1,234.50`, `45 %`, `12 kg`.
    ToNumber {
        /// The unit that all measures are brought to; none where nothing has a unit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<String>,
    },
    /// Dates become `2021-03-04`, with the time as it was behind a `T`.
    ToIsoDate {
        /// Whether `03/04/2021` is in April.
        day_first: bool,
    },
    /// Numbers outside of these become these.
    Winsorise {
        /// The smallest that is left.
        low: f64,
        /// The largest that is left.
        high: f64,
    },
    /// Values become others.
    MapValues {
        /// From which to which.
        map: BTreeMap<String, String>,
    },
}

impl CellAction {
    /// Refuses what cannot be done to any cell.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] for a unit that is not known, with the nearest, and for bounds in the wrong order.
    pub fn check(&self) -> Result<()> {
        match self {
            CellAction::ToNumber { unit: Some(name) } if find_unit(name).is_none() => {
                let names: Vec<&str> = UNITS.iter().map(|(unit, ..)| *unit).collect();
                let error = Error::new(ErrorCode::Config, format!("there is no unit \"{name}\""));
                let near = nearest(name, names.iter().copied());
                let near = near.map_or_else(String::new, |near| format!("did you mean \"{near}\"? "));
                Err(error.fix(format!("{near}units are {}", names.join(", "))))
            }
            CellAction::Winsorise { low, high } if !(low.is_finite() && high.is_finite() && low <= high) => {
                Err(Error::new(ErrorCode::Config, format!("{low} and {high} are not two bounds, the lower one first")))
            }
            _ => Ok(()),
        }
    }

    /// What a cell that is not missing becomes; `None` where it stays as it is.
    pub fn apply(&self, form: CellForm, text: &str) -> Option<CellValue> {
        match self {
            CellAction::SetMissing { values } => {
                let number = (form == CellForm::Number).then(|| parse_number(text.as_bytes())).flatten();
                let same = |value: &String| {
                    value == text
                        || value.trim() == text.trim()
                        || (number.is_some() && parse_number(value.as_bytes()) == number)
                };
                values.iter().any(same).then_some(CellValue::Missing)
            }
            CellAction::NonNumbersToMissing => parse_number(text.as_bytes()).is_none().then_some(CellValue::Missing),
            CellAction::Trim => {
                let is_text = matches!(form, CellForm::Text | CellForm::Untyped);
                (is_text && text.trim() != text).then(|| CellValue::Text(text.trim().to_owned()))
            }
            CellAction::ToText => {
                matches!(form, CellForm::Number | CellForm::Boolean).then(|| CellValue::Text(text.to_owned()))
            }
            CellAction::ToNumber { unit } => to_number(form, text.trim(), unit.as_deref()).map(CellValue::Number),
            CellAction::ToIsoDate { day_first } => iso_date(text.trim(), *day_first).map(CellValue::Text),
            CellAction::Winsorise { low, high } => {
                let number = parse_number(text.as_bytes())?;
                (number < *low || number > *high).then(|| CellValue::Number(number.clamp(*low, *high)))
            }
            CellAction::MapValues { map } => map.get(text).map(|value| CellValue::Text(value.clone())),
        }
    }
}

/// The kind of a unit, and what one of it is in the first unit of its kind.
fn find_unit(name: &str) -> Option<(&'static str, f64)> {
    let found = UNITS.iter().find(|(unit, ..)| *unit == name.to_lowercase())?;
    Some((found.1, found.2))
}

/// The number that a text is, in `unit` where it has one; `None` where it is none, is one already, or is of another
/// kind of measure.
fn to_number(form: CellForm, text: &str, unit: Option<&str>) -> Option<f64> {
    if let Some(number) = parse_number(text.as_bytes()) {
        return (form == CellForm::Text).then_some(number);
    }
    if let (Some((kind, factor)), Some((number, found))) = (unit.and_then(find_unit), measure(text)) {
        let (of, per) = find_unit(found)?;
        // A quotient of factors is exact where both are the same.
        return (of == kind).then(|| if per == factor { number } else { number * per / factor });
    }
    written_number(text)
}

fn iso_date(text: &str, day_first: bool) -> Option<String> {
    let parts = day_parts(text)?;
    let (month, day) = parts.month_and_day(day_first);
    let date = format!("{:04}-{month:02}-{day:02}", parts.year);
    Some(match parts.time {
        Some(time) => format!("{date}T{time}"),
        None => date,
    })
}
