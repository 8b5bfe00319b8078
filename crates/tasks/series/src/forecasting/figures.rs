//! Figures of forecasts: the last origins of the test with truth, median and band, and the scaled errors beside those of the
//! baselines, step by step.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use lepton_core::series::SeriesColumn;
use lepton_core::{Error, Figure, LabelledCell, Result, Series};
use lepton_train::{EvaluationInput, Forecasted, Target, columns};

/// Series whose last forecast is drawn.
const DRAWN: usize = 3;

/// Steps ahead that the table tells apart.
const TOLD: usize = 12;

pub(super) fn figures(input: &EvaluationInput<'_>) -> Result<Vec<Figure>> {
    let Target::Horizon(horizon) = input.target else {
        return Err(Error::internal("a forecast was evaluated against something else"));
    };
    let forecasted = Forecasted::new(input.outputs, input.rows, horizon)?;
    let mut figures = Vec::new();
    for origin in last_origins(input.rows) {
        figures.extend(last_forecast(&forecasted, input.rows, origin));
    }
    figures.extend(beside_baselines(&forecasted));
    Ok(figures)
}

/// The last row of each series, of the first few.
fn last_origins(rows: &RecordBatch) -> Vec<usize> {
    let names = rows.column_by_name(columns::SERIES).and_then(|array| array.as_string_opt::<i32>());
    let name = |row: usize| names.map_or("", |names| names.value(row));
    let last = |row: &usize| row + 1 == rows.num_rows() || name(*row) != name(row + 1);
    (0..rows.num_rows()).filter(last).take(DRAWN).collect()
}

fn last_forecast(forecasted: &Forecasted, rows: &RecordBatch, row: usize) -> Option<Figure> {
    let context = SeriesColumn::new(rows.column_by_name(columns::CONTEXT)?).ok()?.get(row)?;
    let origin = rows.column_by_name(columns::ORIGIN)?.as_primitive_opt::<Float64Type>()?.value(row);
    let before = context.length() as f64;
    let known = context.values.iter().zip(0..).map(|(value, at)| [origin - before + f64::from(at), f64::from(*value)]);
    let ahead = |values: &[f64]| -> Vec<[f64; 2]> {
        values.iter().zip(0..).map(|(value, at)| [origin + f64::from(at), *value]).collect()
    };
    let mut series = vec![
        Series { name: "known".to_owned(), points: known.collect() },
        Series { name: "what came".to_owned(), points: ahead(forecasted.truth(row)) },
    ];
    for (place, level) in forecasted.levels().iter().enumerate() {
        let name = if *level == 0.5 { "forecast (median)".to_owned() } else { format!("quantile {level}") };
        series.push(Series { name, points: ahead(&forecasted.quantile(row, place)) });
    }
    let names = rows.column_by_name(columns::SERIES).and_then(|array| array.as_string_opt::<i32>());
    let of = names.map(|names| names.value(row)).filter(|name| !name.is_empty());
    Some(Figure::Curves {
        title: match of {
            Some(name) => format!("The last test forecast of {name}"),
            None => "The last test forecast".to_owned(),
        },
        x: "step of the series".to_owned(),
        y: "value".to_owned(),
        series,
    })
}

/// The table of scaled errors; `None` where the rows have none.
fn beside_baselines(forecasted: &Forecasted) -> Option<Figure> {
    let medians = forecasted.medians();
    let mut all = vec![("this model".to_owned(), medians.as_slice())];
    all.extend(forecasted.baselines().map(|(baseline, values)| (baseline.name().to_owned(), values)));
    let steps: Vec<Vec<f64>> = all.iter().map(|(_, values)| forecasted.mase_by_step(values)).collect();
    let whole: Vec<f64> = all.iter().map(|(_, values)| forecasted.mase(values)).collect::<Option<_>>()?;
    let plain = |text: String| LabelledCell { text, good: None };
    let row = |name: String, errors: &[f64]| {
        let best = errors.iter().copied().fold(f64::INFINITY, f64::min);
        let cells = errors
            .iter()
            .map(|error| LabelledCell { text: format!("{error:.3}"), good: (*error == best).then_some(true) });
        std::iter::once(plain(name)).chain(cells).collect::<Vec<_>>()
    };
    let count = steps.first()?.len();
    let told = (0..count).step_by(count.div_ceil(TOLD).max(1));
    let mut rows = vec![row("all".to_owned(), &whole)];
    rows.extend(told.map(|step| {
        let errors: Vec<f64> = steps.iter().map(|model| model[step]).collect();
        row((step + 1).to_string(), &errors)
    }));
    Some(Figure::Table {
        title: "Mean absolute scaled error by steps ahead".to_owned(),
        columns: std::iter::once("steps ahead".to_owned()).chain(all.into_iter().map(|(name, _)| name)).collect(),
        rows,
    })
}
