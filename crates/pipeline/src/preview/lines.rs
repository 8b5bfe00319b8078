//! Sheets of texts, of series along the rows of a table, and of columns of series: what the steps do to them.

use super::{ROWS, TrainRows, VARIANTS};
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use lepton_core::series::SeriesColumn;
use lepton_core::{ColumnKind, Error, ErrorCode, Figure, LabelledCell, Result, Seed, Series};
use lepton_data::AugmentSettings;
use lepton_data::augment::series::SeriesAugmenter;
use lepton_data::augment::text::TextAugmenter;

/// Values of a series that are drawn.
const VALUES: usize = 512;

/// Series on a sheet.
const SERIES: usize = 3;

/// The text columns of the first rows.
pub(super) fn texts(rows: &TrainRows<'_>, settings: &AugmentSettings, seed: Seed) -> Result<Figure> {
    let augmenter = TextAugmenter::new(settings, seed)?;
    let mut lines = Vec::new();
    for column in rows.schema.of_kind(ColumnKind::Text) {
        let Some(values) = rows.part.column_by_name(&column.name).and_then(|array| array.as_string_opt::<i32>()) else {
            continue;
        };
        for row in (0..values.len()).filter(|&row| values.is_valid(row)).take(ROWS) {
            let text = values.value(row);
            let cell = |text: String| LabelledCell { text, good: None };
            let mut line = vec![cell(text.to_owned())];
            for epoch in 1..=VARIANTS {
                line.push(cell(augmenter.text(text, row as u64, epoch)?));
            }
            lines.push(line);
        }
    }
    if lines.is_empty() {
        return Err(Error::new(ErrorCode::Unsupported, "there is no column of free text")
            .at_key("augment.steps")
            .fix("call a column text: --set collect.columns.NAME=text"));
    }
    let columns = std::iter::once("original".to_owned()).chain((1..=VARIANTS).map(|epoch| format!("epoch {epoch}")));
    Ok(Figure::Table { title: "Texts as augmented".to_owned(), columns: columns.collect(), rows: lines })
}

/// The first series of a column, the first dimension of each, without its gaps.
pub(super) fn whole_series(
    rows: &TrainRows<'_>,
    column: &str,
    settings: &AugmentSettings,
    seed: Seed,
) -> Result<Vec<Figure>> {
    let augmenter = SeriesAugmenter::new(settings, seed)?;
    let missing = || Error::internal(format!("there is no column \"{column}\""));
    let all = SeriesColumn::new(rows.part.column_by_name(column).ok_or_else(missing)?)?;
    let mut figures = Vec::new();
    for (row, series) in (0..all.len()).filter_map(|row| Some((row, all.get(row)?))).take(SERIES) {
        let present = series.dimension(0).filter(|value| value.is_finite()).take(VALUES);
        let values: Vec<f64> = present.map(f64::from).collect();
        figures.push(Figure::Curves {
            title: format!("{column} of row {} as augmented", row + 1),
            x: "step".to_owned(),
            y: column.to_owned(),
            series: variants(&augmenter, &values, row as u64),
        });
    }
    Ok(figures)
}

/// A series and what it becomes in two epochs.
fn variants(augmenter: &SeriesAugmenter, values: &[f64], row: u64) -> Vec<Series> {
    let line = |name: String, values: &[f64]| Series {
        name,
        points: values.iter().enumerate().map(|(place, value)| [place as f64, *value]).collect(),
    };
    let mut series = vec![line("original".to_owned(), values)];
    for epoch in 1..=2 {
        series.push(line(format!("epoch {epoch}"), &augmenter.series(values, row, epoch)));
    }
    series
}

/// The number columns, each as a series along the rows.
pub(super) fn series(rows: &TrainRows<'_>, settings: &AugmentSettings, seed: Seed) -> Result<Vec<Figure>> {
    let augmenter = SeriesAugmenter::new(settings, seed)?;
    let mut figures = Vec::new();
    for (index, column) in rows.schema.of_kind(ColumnKind::Number).take(SERIES).enumerate() {
        let array = rows.part.column_by_name(&column.name).and_then(|array| array.as_primitive_opt::<Float64Type>());
        let values: Vec<f64> = array.map_or_else(Vec::new, |array| array.iter().flatten().take(VALUES).collect());
        let series = variants(&augmenter, &values, index as u64);
        let (title, x, y) = (format!("{} as augmented", column.name), "row".to_owned(), column.name.clone());
        figures.push(Figure::Curves { title, x, y, series });
    }
    if figures.is_empty() {
        return Err(Error::new(ErrorCode::Unsupported, "there is no column of numbers").at_key("augment.steps"));
    }
    Ok(figures)
}
