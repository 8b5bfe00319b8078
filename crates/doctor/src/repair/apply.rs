//! Each action on a sheet.

use super::impute::impute;
use super::log::{Change, write_log};
use super::plan::{Action, Mask, Plan, Step, Survivor};
use super::sheet::{Sheet, Value};
use super::write::write;
use lepton_core::{Cancel, Digest, Error, ErrorCode, Result, nearest};
use lepton_data::scan::{CellKind, Table, TextForm};
use lepton_recipe::written::parse_number;
use lepton_recipe::{CellForm, CellValue};
use std::collections::HashMap;
use std::io::Write;
use twox_hash::XxHash3_128;

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Outcome {
    /// The step's id.
    pub id: String,
    /// Cells that have another value.
    pub cells: u64,
    /// Rows that are gone.
    pub rows: u64,
    /// Columns that are gone.
    pub columns: u64,
}

/// A table after a plan.
pub struct Repaired<'a> {
    sheet: Sheet<'a>,
    /// What each step did, in order.
    pub outcomes: Vec<Outcome>,
}

impl Repaired<'_> {
    /// Rows that are left.
    pub fn rows(&self) -> usize {
        self.sheet.rows().count()
    }

    /// Every change.
    pub fn changes(&self) -> &[Change] {
        &self.sheet.log
    }

    /// The change log: one JSON object per line.
    ///
    /// # Errors
    /// [`ErrorCode::Internal`] only.
    pub fn log(&self) -> Result<Vec<u8>> {
        write_log(&self.sheet.log)
    }

    /// The table in the format of its file; rows without a change byte by byte as they were.
    ///
    /// # Errors
    /// [`ErrorCode::Unsupported`] for Parquet; [`ErrorCode::Io`] and [`ErrorCode::StorageFull`].
    pub fn write(&self, output: &mut dyn Write) -> Result<()> {
        write(&self.sheet, output)
    }
}

/// Does what a plan says, step by step, each on what the one before left.
///
/// # Errors
/// [`ErrorCode::Integrity`] when the plan was made for other bytes; [`ErrorCode::NotFound`] for a column, row or group
/// that is not there, naming the step's key; [`ErrorCode::Config`] for a step that cannot be done.
pub fn repair<'a>(table: &'a Table, plan: &Plan, cancel: &Cancel) -> Result<Repaired<'a>> {
    let source = table.source();
    if plan.sha256 != source.sha256 {
        let message = format!("the file has sha256 {}, the plan was made for {}", source.sha256, plan.sha256);
        return Err(Error::new(ErrorCode::Integrity, message)
            .in_file(&source.path)
            .fix("make a new plan with `lepton data doctor FILE --plan PLAN`"));
    }
    let mut sheet = Sheet::new(table);
    let mut outcomes = Vec::new();
    for step in plan.steps.iter().filter(|step| step.enabled) {
        cancel.check()?;
        let before = sheet.log.len();
        act(&mut sheet, step, plan).map_err(|error| match error.place().key {
            Some(_) => error,
            None => error.at_key(format!("repair.{}", step.id)),
        })?;
        let made = &sheet.log[before..];
        let count = |wanted: fn(&Change) -> bool| made.iter().filter(|change| wanted(change)).count() as u64;
        outcomes.push(Outcome {
            id: step.id.clone(),
            cells: count(|change| matches!(change, Change::Cell { .. })),
            rows: count(|change| matches!(change, Change::Row { .. })),
            columns: count(|change| matches!(change, Change::Column { .. })),
        });
    }
    Ok(Repaired { sheet, outcomes })
}

/// The place of a column, or an error with the nearest name.
pub(super) fn column(sheet: &Sheet<'_>, name: &str) -> Result<usize> {
    sheet.place(name).ok_or_else(|| {
        let error = Error::new(ErrorCode::NotFound, "the table has no such column (any more)").at_column(name);
        match nearest(name, sheet.table.names().iter().map(String::as_str)) {
            Some(near) if near != name => error.fix(format!("did you mean \"{near}\"?")),
            _ => error.fix("change or delete this step of the plan"),
        }
    })
}

/// A text as the table's format has texts.
pub(super) fn text_value(sheet: &Sheet<'_>, text: impl Into<String>) -> Value {
    let is_csv = matches!(sheet.table.form(), TextForm::Csv { .. });
    let text = text.into();
    match text.is_empty() {
        true => Value::missing(),
        false => Value { kind: if is_csv { CellKind::Untyped } else { CellKind::Text }, text },
    }
}

/// A number as the table's format has numbers.
pub(super) fn number_value(sheet: &Sheet<'_>, number: f64) -> Value {
    let is_csv = matches!(sheet.table.form(), TextForm::Csv { .. });
    Value { kind: if is_csv { CellKind::Untyped } else { CellKind::Number }, text: number.to_string() }
}

/// Row numbers of a plan, from 1, as places.
fn place_of(sheet: &Sheet<'_>, row: u64) -> Result<usize> {
    let place = usize::try_from(row).ok().and_then(|row| row.checked_sub(1));
    place.filter(|place| *place < sheet.table.rows()).ok_or_else(|| {
        Error::new(ErrorCode::NotFound, format!("the table has no row {row}"))
            .fix(format!("rows count from 1 to {}", sheet.table.rows()))
    })
}

/// Changes each present cell of a column for which `change` gives a value.
fn each(
    sheet: &mut Sheet<'_>,
    step: &Step,
    name: &str,
    mut change: impl FnMut(&Sheet<'_>, CellKind, &str) -> Option<Value>,
) -> Result<()> {
    let place = column(sheet, name)?;
    for row in sheet.rows() {
        let cell = sheet.cell(row, place);
        if cell.kind == CellKind::Missing {
            continue;
        }
        if let Some(value) = change(sheet, cell.kind, &cell.text) {
            sheet.set(row, place, value, &step.id);
        }
    }
    Ok(())
}

fn act(sheet: &mut Sheet<'_>, step: &Step, plan: &Plan) -> Result<()> {
    let id = step.id.as_str();
    if let (Some(action), Some(column)) = (step.action.on_cells(), step.action.column()) {
        action.check()?;
        return each(sheet, step, column, |sheet, kind, text| {
            Some(match action.apply(form(kind)?, text)? {
                CellValue::Missing => Value::missing(),
                CellValue::Text(text) => text_value(sheet, text),
                CellValue::Number(number) => number_value(sheet, number),
            })
        });
    }
    match &step.action {
        Action::Mask { column, method } => {
            each(sheet, step, column, |sheet, _, text| Some(text_value(sheet, masked(text, *method, &plan.salt))))
        }
        Action::Impute { column, with } => impute(sheet, id, column, with),
        Action::Relabel { column: name, labels } => {
            let place = column(sheet, name)?;
            for (row, label) in labels {
                let number = row.parse().map_err(|_| {
                    Error::new(ErrorCode::Config, format!("\"{row}\" is not a row")).fix("rows count from 1")
                })?;
                let row = place_of(sheet, number)?;
                let value = match sheet.cell(row, place).kind {
                    CellKind::Number if parse_number(label.as_bytes()).is_some() => {
                        Value { kind: CellKind::Number, text: label.clone() }
                    }
                    _ => text_value(sheet, label.as_str()),
                };
                sheet.set(row, place, value, id);
            }
            Ok(())
        }
        Action::DropRowsOutside { column: name, low, high } => {
            let place = column(sheet, name)?;
            let outside = |sheet: &Sheet<'_>, row| {
                let number = parse_number(sheet.cell(row, place).text.as_bytes());
                number.is_some_and(|number| number < *low || number > *high)
            };
            drop_where(sheet, id, outside);
            Ok(())
        }
        Action::DropRowsWithMissing { column: name } => {
            let place = column(sheet, name)?;
            drop_where(sheet, id, |sheet, row| sheet.cell(row, place).kind == CellKind::Missing);
            Ok(())
        }
        Action::DropRows { rows } => {
            for row in rows {
                let row = place_of(sheet, *row)?;
                sheet.drop_row(row, id);
            }
            Ok(())
        }
        Action::DropRaggedRows => {
            for &row in sheet.table.ragged() {
                sheet.drop_row(row as usize, id);
            }
            Ok(())
        }
        Action::DropDuplicates => {
            let mut seen = HashMap::new();
            let columns: Vec<usize> = (0..sheet.table.names().len()).filter(|place| sheet.has_column(*place)).collect();
            let mut bytes = Vec::new();
            for row in sheet.rows() {
                bytes.clear();
                for &place in &columns {
                    let cell = sheet.cell(row, place);
                    bytes.extend((cell.text.len() as u64).to_le_bytes());
                    bytes.extend(cell.text.as_bytes());
                }
                if seen.insert(XxHash3_128::oneshot(&bytes), row).is_some() {
                    sheet.drop_row(row, id);
                }
            }
            Ok(())
        }
        Action::MergeRows { groups, keep } => {
            for group in groups {
                let rows: Vec<usize> = group.iter().map(|row| place_of(sheet, *row)).collect::<Result<_>>()?;
                merge(sheet, id, &rows, *keep);
            }
            Ok(())
        }
        Action::DropFiles { .. }
        | Action::RelabelFiles { .. }
        | Action::RenameFiles { .. }
        | Action::ResizePictures { .. }
        | Action::ConvertPictures { .. } => {
            let message = format!("{} is for folders of pictures or sounds; this is a table", step.action.name());
            Err(Error::new(ErrorCode::Config, message).fix("delete this step of the plan"))
        }
        Action::DropColumn { column: name } => {
            let place = column(sheet, name)?;
            sheet.drop_column(place, id);
            Ok(())
        }
        _ => Err(Error::internal(format!("no repair is written for {}", step.action.name()))),
    }
}

/// What a recipe calls a cell of this kind; `None` where there is no cell.
fn form(kind: CellKind) -> Option<CellForm> {
    Some(match kind {
        CellKind::Missing => return None,
        CellKind::Untyped => CellForm::Untyped,
        CellKind::Text => CellForm::Text,
        CellKind::Number => CellForm::Number,
        CellKind::Boolean => CellForm::Boolean,
        CellKind::Nested => CellForm::Nested,
    })
}

fn drop_where(sheet: &mut Sheet<'_>, id: &str, wanted: impl Fn(&Sheet<'_>, usize) -> bool) {
    for row in sheet.rows() {
        if wanted(sheet, row) {
            sheet.drop_row(row, id);
        }
    }
}

/// The first row that is still there gets the cells that survive; the others go.
fn merge(sheet: &mut Sheet<'_>, id: &str, rows: &[usize], keep: Survivor) {
    let rows: Vec<usize> = rows.iter().copied().filter(|row| sheet.has_row(*row)).collect();
    let [first, rest @ ..] = &rows[..] else { return };
    for place in 0..sheet.table.names().len() {
        if !sheet.has_column(place) {
            continue;
        }
        let present: Vec<Value> = rows.iter().map(|row| Value::of(&sheet.cell(*row, place))).collect();
        let present: Vec<Value> = present.into_iter().filter(|value| !value.text.trim().is_empty()).collect();
        let count = |value: &Value| present.iter().filter(|other| *other == value).count();
        // The first of the best, so the order of the rows decides between equals.
        let best = |key: &dyn Fn(&Value) -> usize| present.iter().rev().max_by_key(|value| key(value)).cloned();
        let survivor = match keep {
            Survivor::FirstPresent => present.first().cloned(),
            Survivor::MostFrequent => best(&count),
            Survivor::Longest => best(&|value| value.text.chars().count()),
        };
        if let Some(value) = survivor {
            sheet.set(*first, place, value, id);
        }
    }
    for row in rest {
        sheet.drop_row(*row, id);
    }
}

fn masked(text: &str, method: Mask, salt: &str) -> String {
    match method {
        Mask::Redact => "***".to_owned(),
        Mask::Hash => Digest::of(format!("{salt}\u{0}{text}")).hex()[..16].to_owned(),
        Mask::Partial => {
            let hidden = text.chars().filter(|letter| letter.is_alphanumeric()).count().saturating_sub(4);
            let mut seen = 0;
            let hide = |letter: char| {
                if !letter.is_alphanumeric() {
                    return letter;
                }
                seen += 1;
                if seen <= hidden { '*' } else { letter }
            };
            text.chars().map(hide).collect()
        }
    }
}
