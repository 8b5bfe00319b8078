//! One series from what a person sends: a list in JSON, or a cell of a text table.

use super::builder::{describe, parse_number};
use lepton_core::{Error, ErrorCode, Limits, Result};
use serde_json::Value;

/// The dimensions and the numbers of a list: numbers, which make one dimension, or a list of numbers for each step.
/// `null` is a missing number and becomes NaN.
pub(super) fn from_json(steps: &[Value], limits: &Limits) -> Result<(usize, Vec<f32>)> {
    let dimensions = match steps.first() {
        None => return Err(empty()),
        Some(Value::Array(numbers)) => numbers.len(),
        Some(_) => 1,
    };
    if dimensions == 0 {
        return Err(Error::new(ErrorCode::BadInput, "step 1 of the series is an empty list"));
    }
    check_values(steps.len().saturating_mul(dimensions), limits)?;
    let mut values = Vec::with_capacity(steps.len() * dimensions);
    for (place, step) in steps.iter().enumerate() {
        match (step, &steps[0]) {
            (Value::Array(numbers), Value::Array(_)) => {
                if numbers.len() != dimensions {
                    let message = format!(
                        "step {} of the series has {} numbers, step 1 has {dimensions}",
                        place + 1,
                        numbers.len()
                    );
                    return Err(Error::new(ErrorCode::BadInput, message)
                        .fix("give every step as many numbers, with null where one is missing"));
                }
                for value in numbers {
                    values.push(number(value, place)?);
                }
            }
            (Value::Array(_), _) => {
                let message = format!("step {} of the series is a list, step 1 is a number", place + 1);
                return Err(Error::new(ErrorCode::BadInput, message));
            }
            (value, Value::Array(_)) => {
                let message = format!("step {} of the series is {}, step 1 is a list", place + 1, describe(value));
                return Err(Error::new(ErrorCode::BadInput, message));
            }
            (value, _) => values.push(number(value, place)?),
        }
    }
    Ok((dimensions, values))
}

/// The numbers of a cell; `?` and `NaN` are missing ones.
pub(super) fn from_text(cell: &str, limits: &Limits) -> Result<Vec<f32>> {
    let mut values = Vec::new();
    let is_between = |character: char| character == ';' || character.is_whitespace();
    for text in cell.split(is_between).filter(|text| !text.is_empty()) {
        if text == "?" || text.eq_ignore_ascii_case("nan") {
            values.push(f32::NAN);
            continue;
        }
        let value = parse_number(text)? as f32;
        values.push(finite(value, text, values.len())?);
    }
    check_values(values.len(), limits)?;
    if values.is_empty() { Err(empty()) } else { Ok(values) }
}

fn number(value: &Value, place: usize) -> Result<f32> {
    if value.is_null() {
        return Ok(f32::NAN);
    }
    match value.as_f64() {
        Some(number) => finite(number as f32, &describe(value), place),
        None => {
            let message = format!("step {} of the series is {} where a number is expected", place + 1, describe(value));
            Err(Error::new(ErrorCode::BadInput, message))
        }
    }
}

fn finite(value: f32, written: &str, place: usize) -> Result<f32> {
    if value.is_finite() {
        return Ok(value);
    }
    let message =
        format!("step {} of the series is {written}, which is past the numbers that a series holds", place + 1);
    Err(Error::new(ErrorCode::BadInput, message))
}

fn check_values(values: usize, limits: &Limits) -> Result<()> {
    if values <= limits.series_values {
        return Ok(());
    }
    let message = format!("a series of {values} numbers, the limit series_values is {}", limits.series_values);
    Err(Error::new(ErrorCode::TooLarge, message).fix("send a shorter series, or raise the limit"))
}

fn empty() -> Error {
    Error::new(ErrorCode::BadInput, "the series has no steps").fix("write null where the whole series is missing")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: &Value) -> Result<(usize, Vec<f32>)> {
        from_json(value.as_array().unwrap(), &Limits::default())
    }

    #[test]
    fn lists_of_numbers_and_of_steps_are_read() {
        assert_eq!(read(&json!([1, 2.5, -3])).unwrap(), (1, vec![1.0, 2.5, -3.0]));
        assert_eq!(read(&json!([[1, 10], [2, 20]])).unwrap(), (2, vec![1.0, 10.0, 2.0, 20.0]));
        let (dimensions, values) = read(&json!([[null, 1], [2, null]])).unwrap();
        assert!(dimensions == 2 && values[0].is_nan() && values[3].is_nan() && values[2] == 2.0);
        assert_eq!(read(&json!([null, 1])).unwrap().0, 1);
        assert_eq!(from_text(" 1;2.5 3\t-4e1;", &Limits::default()).unwrap(), [1.0, 2.5, 3.0, -40.0]);
        assert!(from_text("?;NaN", &Limits::default()).unwrap().iter().all(|value| value.is_nan()));
    }

    #[test]
    fn what_is_no_series_is_named_by_its_step() {
        for (value, says) in [
            (json!([]), "no steps"),
            (json!([[]]), "step 1 of the series is an empty list"),
            (json!([[1, 2], [3]]), "step 2 of the series has 1 numbers, step 1 has 2"),
            (json!([1, [2]]), "step 2 of the series is a list"),
            (json!([[1], 2]), "step 2 of the series is 2, step 1 is a list"),
            (json!([1, "x"]), "step 2 of the series is the text \"x\""),
            (json!([1, 1e300]), "step 2"),
            (json!([[1, [2]]]), "is a list where a number is expected"),
        ] {
            let error = read(&value).unwrap_err();
            assert!(error.code() == ErrorCode::BadInput && error.message().contains(says), "{value}: {error}");
        }
        for cell in ["1;x", "1,2", ";", "1e300", "inf"] {
            assert_eq!(from_text(cell, &Limits::default()).unwrap_err().code(), ErrorCode::BadInput, "{cell}");
        }
        let few = Limits { series_values: 3, ..Limits::default() };
        for error in [from_json(&[json!([1, 2]), json!([3, 4])], &few).err(), from_text("1 2 3 4", &few).err()] {
            let error = error.unwrap();
            assert_eq!(error.code(), ErrorCode::TooLarge);
            assert!(error.message().contains("series_values is 3"), "{error}");
        }
    }
}
