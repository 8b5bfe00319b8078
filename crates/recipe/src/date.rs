//! The date step: days since a reference and the year on a straight line, month, day of the week and hour on circles,
//! so that December stands beside January.

use crate::category::refused;
use crate::column::{bad_value, quoted, texts};
use crate::plan::DatePlan;
use crate::settings::{CategoryMissing, DatePart};
use crate::statistics::standard;
use crate::written::{Date, DateOrder, day_parts};
use arrow_array::{Array, RecordBatch};
use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

/// A fitted date step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DateStep {
    pub(crate) column: String,
    missing: CategoryMissing,
    missing_feature: bool,
    day_first: bool,
    /// Days are counted from this one, which is counted from 1970-01-01.
    reference: i64,
    parts: Vec<DatePart>,
    /// Mean and standard deviation of the days since the reference.
    days: [f64; 2],
    /// Mean and standard deviation of the year.
    year: [f64; 2],
}

impl DateStep {
    pub(crate) fn fit(plan: &DatePlan, train: &RecordBatch) -> Result<DateStep> {
        let column = plan.column.as_str();
        if plan.parts.is_empty() {
            return Err(Error::new(ErrorCode::Config, "a date step without parts has no features").at_column(column));
        }
        let array = texts(train, column)?;
        let day_first = match plan.day_first {
            Some(day_first) => day_first,
            None => order(column, array.iter())?,
        };
        let mut dates = Vec::with_capacity(array.len());
        for (row, value) in array.iter().enumerate() {
            match value {
                Some(text) => dates.push(parse(column, row, text, day_first)?),
                None if plan.missing == CategoryMissing::Refuse => return Err(refused(column, row)),
                None => {}
            }
        }
        let days: Vec<i64> = dates.iter().map(Date::days).collect();
        let Some(earliest) = days.iter().min() else {
            return Err(Error::new(ErrorCode::BadData, "this column has no values").at_column(column));
        };
        let reference = match &plan.reference {
            None => *earliest,
            Some(text) => {
                day_parts(text).and_then(|parts| parts.date(day_first)).map(|date| date.days()).ok_or_else(|| {
                    Error::new(ErrorCode::Config, format!("the reference {} is not a date", quoted(text)))
                        .at_column(column)
                        .fix("write it as 2020-01-01")
                })?
            }
        };
        let pair = |(mean, deviation): (f64, f64)| [mean, deviation];
        let mut parts = plan.parts.clone();
        parts.sort_unstable();
        parts.dedup();
        Ok(DateStep {
            column: column.to_owned(),
            missing: plan.missing,
            missing_feature: array.null_count() > 0,
            day_first,
            reference,
            parts,
            days: pair(standard(&days.iter().map(|day| (day - reference) as f64).collect::<Vec<_>>())),
            year: pair(standard(&dates.iter().map(|date| f64::from(date.year)).collect::<Vec<_>>())),
        })
    }

    /// Refuses a step that cannot have come from a fit.
    pub(crate) fn check(&self) -> Result<()> {
        let usable = |[mean, deviation]: [f64; 2]| mean.is_finite() && deviation.is_finite() && deviation > 0.0;
        let ordered = !self.parts.is_empty() && self.parts.windows(2).all(|pair| pair[0] < pair[1]);
        // Days of four-digit years are far from the ends of a 64-bit integer.
        if !ordered || !usable(self.days) || !usable(self.year) || self.reference.abs() > 1_000_000 {
            return Err(
                Error::new(ErrorCode::BadData, "the numbers of this step are not usable").at_column(&self.column)
            );
        }
        Ok(())
    }

    pub(crate) fn width(&self) -> usize {
        self.parts.iter().map(|part| part_width(*part)).sum::<usize>() + usize::from(self.missing_feature)
    }

    pub(crate) fn feature_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for part in &self.parts {
            let name = format!("{part:?}").to_lowercase();
            match part_width(*part) {
                1 => names.push(format!("{} ({name})", self.column)),
                _ => names.extend(["sine", "cosine"].map(|wave| format!("{} ({name} {wave})", self.column))),
            }
        }
        names.extend(self.missing_feature.then(|| format!("{} (missing)", self.column)));
        names
    }

    /// Writes this step's features of every row; `stride` is the length of a whole row.
    pub(crate) fn write(&self, batch: &RecordBatch, output: &mut [f32], at: usize, stride: usize) -> Result<()> {
        for (row, value) in texts(batch, &self.column)?.iter().enumerate() {
            let features = &mut output[row * stride + at..][..self.width()];
            features.fill(0.0);
            let Some(text) = value else {
                if self.missing == CategoryMissing::Refuse {
                    return Err(refused(&self.column, row));
                }
                if self.missing_feature {
                    features[self.width() - 1] = 1.0;
                }
                continue;
            };
            let date = parse(&self.column, row, text, self.day_first)?;
            let mut place = 0;
            for part in &self.parts {
                let circle = |value: f64, period: f64| {
                    let (sine, cosine) = (TAU * value / period).sin_cos();
                    [Some(sine), Some(cosine)]
                };
                let line = |value: f64, [mean, deviation]: [f64; 2]| [Some((value - mean) / deviation), None];
                let values = match part {
                    DatePart::Days => line((date.days() - self.reference) as f64, self.days),
                    DatePart::Year => line(f64::from(date.year), self.year),
                    DatePart::Month => circle(f64::from(date.month - 1), 12.0),
                    DatePart::Weekday => circle(f64::from(date.weekday()), 7.0),
                    // A day without a time stands in the middle of the circle, not at midnight.
                    DatePart::Hour => date.hour.map_or([Some(0.0); 2], |hour| circle(hour, 24.0)),
                };
                for value in values.into_iter().flatten() {
                    features[place] = value as f32;
                    place += 1;
                }
            }
        }
        Ok(())
    }
}

fn part_width(part: DatePart) -> usize {
    match part {
        DatePart::Days | DatePart::Year => 1,
        DatePart::Month | DatePart::Weekday | DatePart::Hour => 2,
    }
}

fn parse(column: &str, row: usize, text: &str, day_first: bool) -> Result<Date> {
    day_parts(text.trim()).and_then(|parts| parts.date(day_first)).ok_or_else(|| {
        bad_value(column, row, format!("{} is not a date", quoted(text)))
            .fix("write dates as 2021-03-04, and leave the value empty where there is none")
    })
}

/// Whether days come first, from the training values that can be read in one way only.
fn order<'a>(column: &str, values: impl Iterator<Item = Option<&'a str>>) -> Result<bool> {
    let mut rows = [None::<usize>; 3];
    for (row, value) in values.enumerate() {
        let place = match value.and_then(|text| day_parts(text.trim())).map(|parts| parts.order) {
            Some(DateOrder::DayMonthYear) => 0,
            Some(DateOrder::MonthDayYear) => 1,
            Some(DateOrder::DayOrMonthFirst) => 2,
            _ => continue,
        };
        rows[place].get_or_insert(row);
    }
    let unclear = |row: usize, message: &str| {
        Err(bad_value(column, row, message).fix("say which is meant: day_first = true or day_first = false"))
    };
    match rows {
        [Some(_), Some(row), _] => unclear(row, "some dates have the day first and some, as here, the month"),
        [None, None, Some(row)] => unclear(row, "this date may have the day or the month first, and no other tells"),
        [day, _, _] => Ok(day.is_some()),
    }
}
