//! What the columns say that steer the split: each row's group, its time, and the part that the source gives it.

use super::{Part, PrepareSettings};
use crate::dataset::Dataset;
use crate::moment::parse_moment;
use crate::rows::TypedColumn;
use lepton_core::{Error, ErrorCode, Result, Split, nearest};
use lepton_recipe::raw::number_text;
use std::collections::{BTreeMap, BTreeSet};

/// Groups and times by the source's part and row; empty where no column has that task.
#[derive(Default)]
pub(super) struct Steering {
    pub(super) groups: BTreeMap<Split, Vec<String>>,
    pub(super) times: BTreeMap<Split, Vec<f64>>,
}

impl Steering {
    pub(super) fn read(dataset: &Dataset, settings: &PrepareSettings) -> Result<Steering> {
        let mut steering = Steering::default();
        for &split in dataset.parts.keys() {
            if let Some(name) = &settings.group {
                steering.groups.insert(split, texts(dataset, split, name, "group")?);
            }
            if let Some(name) = &settings.time {
                steering.times.insert(split, times(dataset, split, name)?);
            }
        }
        Ok(steering)
    }
}

/// The parts that the source gives: its own, or what `split_column` or `test_where` says.
pub(super) fn given(dataset: &Dataset, settings: &PrepareSettings) -> Result<BTreeMap<Split, Part>> {
    if !settings.test_where.is_empty() {
        return with_test(dataset, settings);
    }
    let Some(name) = &settings.split_column else {
        let whole = |split: Split| Part { origin: split, rows: (0..dataset.rows(split)).collect() };
        return Ok(dataset.parts.keys().map(|&split| (split, whole(split))).collect());
    };
    if let Some(split) = dataset.parts.keys().find(|split| **split != Split::Train) {
        return Err(Error::new(ErrorCode::Config, format!("the source has a {split} part of its own"))
            .at_key("prepare.split_column")
            .fix("remove `split_column`, or collect one table without `valid` and `test`"));
    }
    let mut parts: BTreeMap<Split, Part> = BTreeMap::new();
    for (row, text) in texts(dataset, Split::Train, name, "part")?.iter().enumerate() {
        let split = match text.trim().to_ascii_lowercase().as_str() {
            "train" | "training" => Split::Train,
            "valid" | "validation" | "val" => Split::Valid,
            "test" => Split::Test,
            _ => {
                return Err(Error::new(ErrorCode::BadData, format!("\"{text}\" is no part"))
                    .at_row(row as u64 + 1)
                    .at_column(name)
                    .fix("write train, valid (or validation, val) or test"));
            }
        };
        parts.entry(split).or_insert_with(|| Part { origin: Split::Train, rows: Vec::new() }).rows.push(row);
    }
    if !parts.contains_key(&Split::Train) {
        return Err(Error::new(ErrorCode::BadData, "no row is of the train part").at_column(name));
    }
    Ok(parts)
}

/// Rows that have all values of `test_where` as the test part, the others as training.
fn with_test(dataset: &Dataset, settings: &PrepareSettings) -> Result<BTreeMap<Split, Part>> {
    const KEY: &str = "prepare.test_where";
    if let Some(split) = dataset.parts.keys().find(|split| **split != Split::Train) {
        return Err(Error::new(ErrorCode::Config, format!("the source has a {split} part of its own"))
            .at_key(KEY)
            .fix("remove `test_where`, or collect one table without `valid` and `test`"));
    }
    let mut is_test = vec![true; dataset.rows(Split::Train)];
    for (name, wanted) in &settings.test_where {
        let (values, wanted) = (texts(dataset, Split::Train, name, "value to split by")?, wanted.to_string());
        if !values.contains(&wanted) {
            let known: BTreeSet<&str> = values.iter().map(String::as_str).collect();
            let error =
                Error::new(ErrorCode::Config, format!("no row has the value \"{wanted}\"")).at_key(KEY).at_column(name);
            return Err(match nearest(&wanted, known.iter().copied()) {
                Some(near) => error.fix(format!("did you mean \"{near}\"?")),
                None => error.fix(format!(
                    "some of its values are: {}",
                    known.into_iter().take(10).collect::<Vec<_>>().join(", ")
                )),
            });
        }
        is_test.iter_mut().zip(values).for_each(|(is_test, value)| *is_test &= value == wanted);
    }
    let part = |split: Split| {
        let rows = (0..is_test.len()).filter(|row| is_test[*row] == (split == Split::Test)).collect();
        (split, Part { origin: Split::Train, rows })
    };
    let parts = BTreeMap::from([part(Split::Train), part(Split::Test)]);
    match parts.iter().find(|(_, part)| part.rows.is_empty()) {
        Some((split, _)) => {
            Err(Error::new(ErrorCode::BadData, format!("these values leave no row for the {split} part")).at_key(KEY))
        }
        None => Ok(parts),
    }
}

fn missing(split: Split, row: usize, name: &str, what: &str) -> Error {
    Error::new(ErrorCode::BadData, format!("a {split} row has no {what}"))
        .at_row(row as u64 + 1)
        .at_column(name)
        .fix("fill the cell or remove the row")
}

pub(super) fn texts(dataset: &Dataset, split: Split, name: &str, what: &str) -> Result<Vec<String>> {
    let kind = dataset.schema.column(name)?.kind;
    let given = |row: usize, text: Option<String>| text.ok_or_else(|| missing(split, row, name, what));
    match TypedColumn::new(&dataset.parts[&split], name, kind)? {
        TypedColumn::Number(values) => {
            values.iter().enumerate().map(|(row, value)| given(row, value.map(number_text))).collect()
        }
        TypedColumn::Text(values) => {
            values.iter().enumerate().map(|(row, value)| given(row, value.map(str::to_owned))).collect()
        }
        TypedColumn::Image(_) | TypedColumn::Series(_) | TypedColumn::Marks(_) => {
            Err(Error::internal("what is no cell says how rows are split"))
        }
    }
}

fn times(dataset: &Dataset, split: Split, name: &str) -> Result<Vec<f64>> {
    let kind = dataset.schema.column(name)?.kind;
    match TypedColumn::new(&dataset.parts[&split], name, kind)? {
        TypedColumn::Number(values) => values
            .iter()
            .enumerate()
            .map(|(row, value)| value.ok_or_else(|| missing(split, row, name, "time")))
            .collect(),
        TypedColumn::Text(values) => values
            .iter()
            .enumerate()
            .map(|(row, value)| {
                let text = value.ok_or_else(|| missing(split, row, name, "time"))?;
                parse_moment(text).ok_or_else(|| {
                    Error::new(ErrorCode::BadData, format!("\"{text}\" is neither a number nor an ISO date"))
                        .at_row(row as u64 + 1)
                        .at_column(name)
                        .fix("write dates as 2020-01-31; the repair to_iso_date of lepton data repair does")
                })
            })
            .collect(),
        TypedColumn::Image(_) | TypedColumn::Series(_) | TypedColumn::Marks(_) => {
            Err(Error::internal("what is no cell is a time"))
        }
    }
}
