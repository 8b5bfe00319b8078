//! The time column of a table to forecast: every row must follow the one before by the same step, a number, seconds, or
//! whole months. Times are checked and not learned from.

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, RecordBatch};
use lepton_core::{Error, ErrorCode, Result};
use lepton_data::{moment_text, parse_moment};

/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// Refuses rows of one series, by their places in `part`, whose times do not rise by one and the same step.
///
/// # Errors
/// [`ErrorCode::BadData`] with row and column for a time that is missing, no time, repeated, out of order, or after a gap.
pub(super) fn check(part: &RecordBatch, column: &str, rows: &[usize]) -> Result<()> {
    let wrong =
        |row: usize, message: String| Error::new(ErrorCode::BadData, message).at_row(row as u64 + 1).at_column(column);
    let array = part.column_by_name(column).ok_or_else(|| Error::internal("the time column is gone"))?;
    let mut times = Vec::with_capacity(rows.len());
    let numbers = array.as_primitive_opt::<Float64Type>();
    for &row in rows {
        let time = match (numbers, array.as_string_opt::<i32>()) {
            _ if array.is_null(row) => return Err(wrong(row, "the time is missing".to_owned())),
            (Some(numbers), _) => Some(numbers.value(row)).filter(|time| time.is_finite()),
            (_, Some(texts)) => moment(texts.value(row)),
            _ => None,
        };
        times.push(time.ok_or_else(|| {
            wrong(row, "this is no time".to_owned())
                .fix("write times as numbers, 2021-03, 2021-03-04 or 2021-03-04 10:20, or leave out forecast.time")
        })?);
    }
    let of_days = numbers.is_none();
    let months = if of_days { in_months(&times) } else { None };
    let places = months.as_deref().unwrap_or(&times);
    let steps: Vec<f64> = places.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (place, step) in steps.iter().enumerate() {
        let (row, before) = (rows[place + 1], rows[place] + 1);
        if *step == 0.0 {
            return Err(wrong(row, format!("the time of row {before} stands here again"))
                .fix("keep one row of each time; name the column of several series as forecast.series"));
        }
        if *step < 0.0 {
            return Err(wrong(row, format!("the time lies before that of row {before}"))
                .fix("sort the rows by time; name the column of several series as forecast.series"));
        }
    }
    let Some(usual) = median(&steps) else { return Ok(()) };
    match steps.iter().position(|step| (step - usual).abs() > 1e-6 * usual) {
        Some(place) => {
            let unit = |step: f64| match (months.is_some(), of_days) {
                (true, _) => format!("{step} months"),
                (false, true) => format!("{} days", step / DAY),
                (false, false) => step.to_string(),
            };
            let message = format!(
                "from row {} to here it is {}, and usually {}",
                rows[place] + 1,
                unit(steps[place]),
                unit(usual)
            );
            Err(wrong(rows[place + 1], message)
                .fix("add the rows that are missing, or leave out forecast.time to take rows as steps"))
        }
        None => Ok(()),
    }
}

/// Seconds since 1970; a month alone counts as its first day.
fn moment(text: &str) -> Option<f64> {
    parse_moment(text).or_else(|| parse_moment(&format!("{}-01", text.trim())))
}

/// Times as months since year 0, where all lie on the same day of their month, or all on its last; else `None`.
fn in_months(times: &[f64]) -> Option<Vec<f64>> {
    let part = |text: &str, from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let of = |time: &f64| {
        let (text, next) = (moment_text(*time), moment_text(time + DAY));
        let day = part(&text, 8, 10)?;
        let month = part(&text, 0, 4)? * 12 + part(&text, 5, 7)?;
        Some((month as f64, (day, time.rem_euclid(DAY)), part(&next, 8, 10)? == 1))
    };
    let all = times.iter().map(of).collect::<Option<Vec<_>>>()?;
    let same_day = all.windows(2).all(|pair| pair[0].1 == pair[1].1);
    let last_day = all.iter().all(|(_, (_, clock), last)| *last && *clock == 0.0);
    (same_day || last_day).then(|| all.iter().map(|(month, _, _)| *month).collect())
}

fn median(steps: &[f64]) -> Option<f64> {
    let mut sorted = steps.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, Float64Array, StringArray};
    use std::sync::Arc;

    fn checked(column: ArrayRef) -> Result<()> {
        let rows: Vec<usize> = (0..column.len()).collect();
        check(&RecordBatch::try_from_iter([("t", column)]).unwrap(), "t", &rows)
    }

    fn texts(all: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(all.to_vec()))
    }

    #[test]
    fn even_steps_are_taken_however_they_are_written() {
        for all in [
            &["1949-01", "1949-02", "1949-03", "1949-04"][..],
            &["2020-01-31", "2020-02-29", "2020-03-31"],
            &["2019-12-15", "2020-03-15", "2020-06-15"],
            &["2020-01-01", "2020-01-08", "2020-01-15"],
            &["2020-01-01 22:00", "2020-01-01 23:00", "2020-01-02 00:00"],
        ] {
            checked(texts(all)).unwrap();
        }
        checked(Arc::new(Float64Array::from(vec![1700.0, 1701.0, 1702.0]))).unwrap();
        checked(texts(&["2020-01"])).unwrap();
    }

    #[test]
    fn what_is_not_even_is_named_by_its_row() {
        let number = |all: &[f64]| checked(Arc::new(Float64Array::from(all.to_vec())));
        for (result, row, says) in [
            (number(&[1.0, 2.0, 2.0]), 3, "row 2 stands here again"),
            (number(&[1.0, 3.0, 2.0]), 3, "before that of row 2"),
            (number(&[1.0, 2.0, 3.0, 5.0]), 4, "from row 3 to here it is 2, and usually 1"),
            (number(&[1.0, f64::NAN]), 2, "no time"),
            (checked(texts(&["2020-01", "2020-02", "2020-04", "2020-05"])), 3, "2 months, and usually 1 months"),
            (checked(texts(&["2020-01-01", "2020-01-02", "2020-01-05", "2020-01-06"])), 3, "3 days"),
            (checked(texts(&["2020-01-01", "yesterday"])), 2, "no time"),
            (checked(Arc::new(StringArray::from(vec![Some("2020-01"), None]))), 2, "missing"),
        ] {
            let error = result.unwrap_err();
            assert_eq!((error.code(), error.place().row), (ErrorCode::BadData, Some(row)), "{error}");
            assert!(error.message().contains(says), "{error}");
        }
    }
}
