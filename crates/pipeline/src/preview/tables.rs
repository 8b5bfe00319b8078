//! A table's sheet: each row as it is, and below it what it becomes; new rows of rare classes at the end.

use super::{ROWS, TrainRows};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, RecordBatch};
use lepton_core::{Column, ColumnKind, Figure, LabelledCell, Result, Schema, Seed};
use lepton_data::augment::table::{NumberNoise, oversample};
use lepton_data::{AugmentSettings, Step};

/// Variants of each row: a table grows downward.
const VARIANTS: u64 = 3;

pub(super) fn table(rows: &TrainRows<'_>, settings: &AugmentSettings, seed: Seed) -> Result<Figure> {
    let TrainRows { part, schema, target } = rows;
    let inputs = Schema { columns: schema.columns.iter().filter(|column| column.name != *target).cloned().collect() };
    let mut grown = (*part).clone();
    let mut noises = Vec::new();
    for (index, step) in settings.steps.iter().enumerate() {
        match step.step {
            Step::Smote { neighbours } => grown = oversample(&grown, schema, target, neighbours, seed)?.part,
            Step::NumberNoise { amount } => {
                noises.push(NumberNoise::new(&grown, &inputs, amount, step.chance(), seed, index as u64)?);
            }
            _ => {}
        }
    }
    let mut lines = Vec::new();
    for row in 0..part.num_rows().min(ROWS) {
        let original = part.slice(row, 1);
        lines.push(line(format!("row {}", row + 1), &original, &schema.columns, None));
        for epoch in 1..=if noises.is_empty() { 0 } else { VARIANTS } {
            let mut changed = original.clone();
            for noise in &noises {
                changed = noise.apply(&changed, &[row], epoch)?;
            }
            lines.push(line(format!("row {}, epoch {epoch}", row + 1), &changed, &schema.columns, Some(&original)));
        }
    }
    for row in part.num_rows()..grown.num_rows().min(part.num_rows() + ROWS) {
        lines.push(line(format!("new row {}", row + 1), &grown.slice(row, 1), &schema.columns, None));
    }
    let added = grown.num_rows() - part.num_rows();
    let title = match added {
        0 => "Training rows as augmented".to_owned(),
        added => format!("Training rows as augmented; {added} new ones"),
    };
    let names = schema.columns.iter().map(|column| column.name.clone());
    Ok(Figure::Table { title, columns: std::iter::once("row".to_owned()).chain(names).collect(), rows: lines })
}

/// A line of the sheet; values that differ from `before` are marked.
fn line(name: String, row: &RecordBatch, columns: &[Column], before: Option<&RecordBatch>) -> Vec<LabelledCell> {
    let cells = columns.iter().map(|column| {
        let text = value(row, column);
        let changed = before.is_some_and(|before| value(before, column) != text);
        LabelledCell { text, good: changed.then_some(true) }
    });
    std::iter::once(LabelledCell { text: name, good: None }).chain(cells).collect()
}

fn value(row: &RecordBatch, column: &Column) -> String {
    let Some(array) = row.column_by_name(&column.name).filter(|array| array.is_valid(0)) else {
        return "missing".to_owned();
    };
    match column.kind {
        ColumnKind::Number => {
            let number = array.as_primitive_opt::<Float64Type>().map_or(f64::NAN, |values| values.value(0));
            if number.fract() == 0.0 { format!("{number}") } else { format!("{number:.4}") }
        }
        _ => array.as_string_opt::<i32>().map_or_else(String::new, |values| values.value(0).to_owned()),
    }
}
