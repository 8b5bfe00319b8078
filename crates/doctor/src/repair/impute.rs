//! Filling cells.

use super::apply::{column, number_value, text_value};
use super::plan::Imputation;
use super::sheet::{Sheet, Value};
use lepton_core::{Error, ErrorCode, Result};
use lepton_data::scan::{CellKind, parse_number};
use std::collections::HashMap;

/// Rounds of [`Imputation::Iterative`].
const ROUNDS: usize = 10;

/// What is added to the diagonal, for each row, of the normal equations of standardised columns.
const RIDGE: f64 = 1e-3;

/// Fills the missing cells of a column.
pub(super) fn impute(sheet: &mut Sheet<'_>, id: &str, name: &str, with: &Imputation) -> Result<()> {
    let place = column(sheet, name)?;
    let rows: Vec<usize> = sheet.rows().collect();
    let (gaps, known): (Vec<usize>, Vec<usize>) =
        rows.iter().partition(|row| sheet.cell(**row, place).kind == CellKind::Missing);
    if gaps.is_empty() {
        return Ok(());
    }
    let fills: Vec<(usize, Value)> = match with {
        Imputation::Constant { value } => {
            let value = match parse_number(value.as_bytes()) {
                Some(number) if is_numeric(sheet, place, &known) => number_value(sheet, number),
                _ => text_value(sheet, value.as_str()),
            };
            gaps.into_iter().map(|row| (row, value.clone())).collect()
        }
        _ if known.is_empty() => {
            return Err(Error::new(ErrorCode::Config, "every cell is missing, so there is nothing to fill with")
                .at_column(name)
                .fix("use a constant, or drop the column"));
        }
        Imputation::Median | Imputation::Mean => {
            let numbers = numbers(sheet, name, place, &known)?;
            let fill = if *with == Imputation::Mean { mean(&numbers) } else { median(numbers) };
            let value = number_value(sheet, fill);
            gaps.into_iter().map(|row| (row, value.clone())).collect()
        }
        Imputation::Mode => {
            let value = mode(sheet, place, &known);
            gaps.into_iter().map(|row| (row, value.clone())).collect()
        }
        Imputation::Group { by } => {
            let by = column(sheet, by)?;
            let key = |row: usize| sheet.cell(row, by).text.into_owned();
            let mut groups: HashMap<String, Vec<usize>> = HashMap::new();
            for row in &known {
                groups.entry(key(*row)).or_default().push(*row);
            }
            let all = typical(sheet, place, &known);
            let typical: HashMap<String, Value> =
                groups.into_iter().map(|(key, rows)| (key, typical(sheet, place, &rows))).collect();
            gaps.into_iter().map(|row| (row, typical.get(&key(row)).unwrap_or(&all).clone())).collect()
        }
        Imputation::Nearest { k } => {
            if *k == 0 {
                return Err(Error::new(ErrorCode::Config, "`k` must be at least 1").at_column(name));
            }
            let features = features(sheet, place, &rows);
            if features.is_empty() {
                return Err(no_numbers(name));
            }
            let places: HashMap<usize, usize> = rows.iter().copied().zip(0..).collect();
            let fill = |row: &usize| {
                let mut near: Vec<(f64, usize)> = known
                    .iter()
                    .filter_map(|other| Some((distance(&features, places[row], places[other])?, *other)))
                    .collect();
                near.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
                let near: Vec<usize> = near.into_iter().take(*k).map(|(_, row)| row).collect();
                let of = if near.is_empty() { &known } else { &near };
                let value = match is_numeric(sheet, place, &known) {
                    true => number_value(sheet, mean(&numbers_of(sheet, place, of))),
                    false => mode(sheet, place, of),
                };
                (*row, value)
            };
            gaps.iter().map(fill).collect()
        }
        Imputation::Iterative => {
            numbers(sheet, name, place, &known)?;
            let mut features = features(sheet, place, &rows);
            if features.is_empty() {
                return Err(no_numbers(name));
            }
            let own: Vec<Option<f64>> =
                rows.iter().map(|row| parse_number(sheet.cell(*row, place).text.as_bytes())).collect();
            features.insert(0, own);
            let filled = chained(&features);
            let places: HashMap<usize, usize> = rows.iter().copied().zip(0..).collect();
            gaps.into_iter().map(|row| (row, number_value(sheet, filled[places[&row]]))).collect()
        }
    };
    for (row, value) in fills {
        sheet.set(row, place, value, id);
    }
    Ok(())
}

fn no_numbers(name: &str) -> Error {
    Error::new(ErrorCode::Config, "there is no other column of numbers to learn from")
        .at_column(name)
        .fix("use median, mode or group")
}

/// Whether every known cell is a number.
fn is_numeric(sheet: &Sheet<'_>, place: usize, known: &[usize]) -> bool {
    let is_number = |row: &usize| {
        let cell = sheet.cell(*row, place);
        cell.kind != CellKind::Text && parse_number(cell.text.as_bytes()).is_some()
    };
    !known.is_empty() && known.iter().all(is_number)
}

fn numbers_of(sheet: &Sheet<'_>, place: usize, rows: &[usize]) -> Vec<f64> {
    rows.iter().filter_map(|row| parse_number(sheet.cell(*row, place).text.as_bytes())).collect()
}

/// All cells as numbers.
fn numbers(sheet: &Sheet<'_>, name: &str, place: usize, rows: &[usize]) -> Result<Vec<f64>> {
    let read = |row: &usize| {
        let cell = sheet.cell(*row, place);
        parse_number(cell.text.as_bytes()).ok_or_else(|| {
            Error::new(ErrorCode::Config, format!("{:?} is not a number", cell.text))
                .at_row(*row as u64 + 1)
                .at_column(name)
                .fix("fill with the mode, or make the column numbers in an earlier step")
        })
    };
    rows.iter().map(read).collect()
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    if numbers.len() % 2 == 1 { numbers[middle] } else { f64::midpoint(numbers[middle - 1], numbers[middle]) }
}

fn mode(sheet: &Sheet<'_>, place: usize, rows: &[usize]) -> Value {
    let mut counts: HashMap<String, (usize, usize)> = HashMap::new();
    for row in rows {
        counts.entry(sheet.cell(*row, place).text.into_owned()).or_insert((0, *row)).0 += 1;
    }
    let best = counts.values().max_by_key(|(count, row)| (*count, std::cmp::Reverse(*row)));
    best.map_or_else(Value::missing, |(_, row)| Value::of(&sheet.cell(*row, place)))
}

/// The median of numbers, the mode of others.
fn typical(sheet: &Sheet<'_>, place: usize, rows: &[usize]) -> Value {
    match is_numeric(sheet, place, rows) {
        true => number_value(sheet, median(numbers_of(sheet, place, rows))),
        false => mode(sheet, place, rows),
    }
}

/// The other columns whose cells are all numbers or missing, each divided by its standard deviation.
fn features(sheet: &Sheet<'_>, place: usize, rows: &[usize]) -> Vec<Vec<Option<f64>>> {
    let mut features = Vec::new();
    for other in (0..sheet.table.names().len()).filter(|other| *other != place && sheet.has_column(*other)) {
        let cells = rows.iter().map(|row| {
            let cell = sheet.cell(*row, other);
            match cell.kind {
                CellKind::Missing => Some(None),
                CellKind::Text => None,
                _ => parse_number(cell.text.as_bytes()).map(Some),
            }
        });
        let Some(cells) = cells.collect::<Option<Vec<Option<f64>>>>() else { continue };
        let present: Vec<f64> = cells.iter().flatten().copied().collect();
        if present.len() < 2 {
            continue;
        }
        let mean = mean(&present);
        let deviation = (present.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / present.len() as f64).sqrt();
        if deviation > 0.0 {
            features.push(cells.into_iter().map(|cell| cell.map(|value| (value - mean) / deviation)).collect());
        }
    }
    features
}

/// The Euclidean distance over the features that both rows have, scaled up to all of them.
fn distance(features: &[Vec<Option<f64>>], one: usize, other: usize) -> Option<f64> {
    let both = features.iter().filter_map(|feature| Some(feature[one]? - feature[other]?));
    let (mut count, mut sum) = (0, 0.0);
    for difference in both {
        count += 1;
        sum += difference * difference;
    }
    (count > 0).then(|| (sum * features.len() as f64 / f64::from(count)).sqrt())
}

/// The first column with its gaps filled: in each round, every column with gaps is regressed on all others.
fn chained(columns: &[Vec<Option<f64>>]) -> Vec<f64> {
    let rows = columns[0].len();
    let means: Vec<f64> =
        columns.iter().map(|column| mean(&column.iter().flatten().copied().collect::<Vec<_>>())).collect();
    let fill = |(column, mean): (&Vec<Option<f64>>, &f64)| column.iter().map(|cell| cell.unwrap_or(*mean)).collect();
    let mut filled: Vec<Vec<f64>> = columns.iter().zip(&means).map(fill).collect();
    for _ in 0..ROUNDS {
        for target in 0..columns.len() {
            let known: Vec<usize> = (0..rows).filter(|row| columns[target][*row].is_some()).collect();
            if known.len() == rows {
                continue;
            }
            let inputs: Vec<&Vec<f64>> =
                filled.iter().enumerate().filter(|(place, _)| *place != target).map(|(_, column)| column).collect();
            let weights = ridge(&inputs, &filled[target], &known);
            let predict = |row: usize| {
                weights[0] + inputs.iter().zip(&weights[1..]).map(|(input, weight)| input[row] * weight).sum::<f64>()
            };
            let gaps: Vec<(usize, f64)> =
                (0..rows).filter(|row| columns[target][*row].is_none()).map(|row| (row, predict(row))).collect();
            for (row, value) in gaps {
                filled[target][row] = value;
            }
        }
    }
    filled.swap_remove(0)
}

/// Least squares with an intercept, first in the answer, and a small ridge; by Cholesky's decomposition.
fn ridge(inputs: &[&Vec<f64>], output: &[f64], rows: &[usize]) -> Vec<f64> {
    let size = inputs.len() + 1;
    let value = |place: usize, row: usize| if place == 0 { 1.0 } else { inputs[place - 1][row] };
    let mut matrix = vec![vec![0.0; size]; size];
    let mut right = vec![0.0; size];
    for &row in rows {
        for i in 0..size {
            right[i] += value(i, row) * output[row];
            for (j, cell) in matrix[i].iter_mut().enumerate().take(i + 1) {
                *cell += value(i, row) * value(j, row);
            }
        }
    }
    for (place, line) in matrix.iter_mut().enumerate() {
        line[place] += RIDGE * rows.len() as f64;
    }
    for i in 0..size {
        let (above, here) = matrix.split_at_mut(i);
        let line = &mut here[0];
        for (j, earlier) in above.iter().enumerate() {
            let sum: f64 = (0..j).map(|k| line[k] * earlier[k]).sum();
            line[j] = (line[j] - sum) / earlier[j];
        }
        let sum: f64 = line[..i].iter().map(|value| value * value).sum();
        line[i] = (line[i] - sum).sqrt();
    }
    for i in 0..size {
        let sum: f64 = (0..i).map(|k| matrix[i][k] * right[k]).sum();
        right[i] = (right[i] - sum) / matrix[i][i];
    }
    for i in (0..size).rev() {
        let sum: f64 = (i + 1..size).map(|k| matrix[k][i] * right[k]).sum();
        right[i] = (right[i] - sum) / matrix[i][i];
    }
    right
}
