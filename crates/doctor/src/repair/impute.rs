//! The gaps of a sheet, filled with what lepton-recipe learns from its other cells.

use super::apply::{column, number_value, text_value};
use super::sheet::{Sheet, Value};
use lepton_core::{Error, Result};
use lepton_data::scan::CellKind;
use lepton_recipe::written::parse_number;
use lepton_recipe::{Columns, Imputation, NumberFill, TextFill};

/// Fills the missing cells of a column.
pub(super) fn impute(sheet: &mut Sheet<'_>, id: &str, name: &str, with: &Imputation) -> Result<()> {
    let place = column(sheet, name)?;
    let rows: Vec<usize> = sheet.rows().collect();
    if rows.iter().all(|row| sheet.cell(*row, place).kind != CellKind::Missing) {
        return Ok(());
    }
    let values = fills(&View { sheet, rows: &rows }, name, place, with).map_err(|error| match error.place().row {
        // Counted among the rows that are still there.
        Some(row) => {
            let row = rows.get(row as usize - 1).map_or(row, |row| *row as u64 + 1);
            error.at_row(row)
        }
        None => error,
    })?;
    for (row, value) in rows.into_iter().zip(values) {
        if let Some(value) = value.filter(|_| sheet.cell(row, place).kind == CellKind::Missing) {
            sheet.set(row, place, value, id);
        }
    }
    Ok(())
}

fn fills(view: &View<'_, '_>, name: &str, place: usize, with: &Imputation) -> Result<Vec<Option<Value>>> {
    let names = view.sheet.table.names();
    let others: Vec<&str> = (0..names.len())
        .filter(|other| *other != place && view.sheet.has_column(*other) && view.is_numeric(*other))
        .map(|other| names[other].as_str())
        .collect();
    if view.is_numeric(place) && with.fills_numbers() {
        let own = view.numbers(name)?;
        let filled = NumberFill::fit(with, name, &own, &others, view)?.fill(name, &own, view)?;
        return Ok(filled.into_iter().map(|value| value.map(|value| number_value(view.sheet, value))).collect());
    }
    let own = view.texts(name)?;
    let filled = TextFill::fit(with, name, &own, &others, view)?.fill(&own, view)?;
    Ok(filled.into_iter().map(|value| value.map(|value| text_value(view.sheet, value))).collect())
}

/// The rows of a sheet that are still there.
struct View<'a, 'b> {
    sheet: &'a Sheet<'b>,
    rows: &'a [usize],
}

impl View<'_, '_> {
    /// Whether a column has cells and all of them are numbers.
    fn is_numeric(&self, place: usize) -> bool {
        let mut any = false;
        for row in self.rows {
            let cell = self.sheet.cell(*row, place);
            match cell.kind {
                CellKind::Missing => {}
                CellKind::Text => return false,
                _ if parse_number(cell.text.as_bytes()).is_none() => return false,
                _ => any = true,
            }
        }
        any
    }

    fn place(&self, name: &str) -> Result<usize> {
        column(self.sheet, name)
    }
}

impl Columns for View<'_, '_> {
    fn numbers(&self, column: &str) -> Result<Vec<Option<f64>>> {
        let place = self.place(column)?;
        let read = |row: &usize| {
            let cell = self.sheet.cell(*row, place);
            if cell.kind == CellKind::Missing {
                return Ok(None);
            }
            let number = parse_number(cell.text.as_bytes());
            number.map(Some).ok_or_else(|| Error::internal(format!("{:?} was a number before", cell.text)))
        };
        self.rows.iter().map(read).collect()
    }

    fn texts(&self, column: &str) -> Result<Vec<Option<String>>> {
        let place = self.place(column)?;
        let read = |row: &usize| {
            let cell = self.sheet.cell(*row, place);
            (cell.kind != CellKind::Missing).then(|| cell.text.into_owned())
        };
        Ok(self.rows.iter().map(read).collect())
    }
}
