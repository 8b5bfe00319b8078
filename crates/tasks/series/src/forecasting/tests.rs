//! What tables become as windows: parts that share nothing, rows that are refused, and what the report is told.

use super::*;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use lepton_core::series::SeriesColumn;
use lepton_core::{Column, Split, Transform};
use lepton_train::columns;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows that are told apart by their values: the value of row `n` is `n`, and a season of 4 on top.
fn value(row: usize) -> f64 {
    row as f64 + [0.0, 0.4, 0.1, 0.3][row % 4]
}

fn table(values: Vec<Option<f64>>, more: Vec<(&str, ColumnKind, ArrayRef)>) -> Dataset {
    let column = |name: &str, kind| Column { name: name.to_owned(), kind, nullable: false };
    let mut schema = vec![column("y", ColumnKind::Number)];
    let mut arrays: Vec<(&str, ArrayRef)> = vec![("y", Arc::new(Float64Array::from(values)))];
    for (name, kind, array) in more {
        schema.push(column(name, kind));
        arrays.push((name, array));
    }
    Dataset {
        name: "table".to_owned(),
        schema: Schema { columns: schema },
        target: "y".to_owned(),
        parts: BTreeMap::from([(Split::Train, RecordBatch::try_from_iter(arrays).unwrap())]),
        source: Vec::new(),
        unreadable: Vec::new(),
    }
}

fn rows(count: usize) -> Vec<Option<f64>> {
    (0..count).map(|row| Some(value(row))).collect()
}

fn settings() -> ForecastSettings {
    ForecastSettings {
        horizon: Some(3),
        window: Some(5),
        season: Some(4),
        valid_origins: Some(4),
        test_origins: Some(6),
        ..ForecastSettings::default()
    }
}

fn cut(dataset: &Dataset, settings: &ForecastSettings) -> Result<Cut> {
    let cut = Forecasting.cut(dataset, settings, &RecipeSettings::default())?;
    Ok(cut.unwrap())
}

fn series(part: &RecordBatch, column: &str) -> Vec<Option<Vec<f32>>> {
    let all = SeriesColumn::new(part.column_by_name(column).unwrap()).unwrap();
    (0..all.len()).map(|row| all.get(row).map(|series| series.values.to_vec())).collect()
}

#[test]
fn no_training_window_sees_a_value_that_a_later_part_forecasts() {
    for step in [1, 2] {
        let cut = cut(&table(rows(60), vec![]), &ForecastSettings { step, ..settings() }).unwrap();
        let parts = &cut.dataset.parts;
        let seen = |split: Split, columns: &[&str]| -> Vec<f32> {
            columns.iter().flat_map(|column| series(&parts[&split], column)).flatten().flatten().collect()
        };
        let forecast = |split: Split| seen(split, &[columns::AHEAD]).into_iter().fold(f32::INFINITY, f32::min);
        let most = |values: Vec<f32>| values.into_iter().fold(f32::NEG_INFINITY, f32::max);
        // Values rise from row to row, so that the largest one seen is the latest.
        let train = most(seen(Split::Train, &[columns::CONTEXT, columns::AHEAD]));
        assert!(train < forecast(Split::Valid) && train < forecast(Split::Test), "{train}");
        assert!(most(seen(Split::Valid, &[columns::AHEAD])) < forecast(Split::Test));
        assert_eq!((parts[&Split::Valid].num_rows(), parts[&Split::Test].num_rows()), (4, 6));
        assert_eq!(most(seen(Split::Test, &[columns::AHEAD])), value(59) as f32);
    }
}

#[test]
fn a_row_is_an_origin_with_its_window_and_its_baselines() {
    let cut = cut(&table(rows(60), vec![]), &settings()).unwrap();
    let test = &cut.dataset.parts[&Split::Test];
    let last = test.num_rows() - 1;
    let number = |column: &str| test.column_by_name(column).unwrap().as_primitive::<Float64Type>().value(last);
    let of = |places: std::ops::Range<usize>| Some(places.map(|row| value(row) as f32).collect::<Vec<f32>>());
    assert_eq!(number(columns::ORIGIN), 58.0);
    assert_eq!(series(test, columns::CONTEXT)[last], of(52..57));
    assert_eq!(series(test, columns::AHEAD)[last], of(57..60));
    assert_eq!(series(test, columns::SEASONAL_NAIVE)[last], of(53..56));
    assert!((number(columns::SCALE) - 4.0).abs() < 1e-12);
    let smoothed = series(test, columns::SMOOTHING)[last].clone().unwrap();
    assert!(smoothed.iter().zip(57..).all(|(ours, row)| (f64::from(*ours) - value(row)).abs() < 0.1), "{smoothed:?}");
    assert!(series(&cut.dataset.parts[&Split::Train], columns::SMOOTHING).iter().all(Option::is_none));
    let recipe = cut.plan.fit(&cut.dataset.schema, &cut.dataset.parts[&Split::Train]).unwrap();
    assert_eq!(recipe.output().shape, [-1, 5, 1]);
    assert_eq!(recipe.inputs().names().collect::<Vec<_>>(), [columns::CONTEXT]);
    assert_eq!(recipe.horizon().map(|horizon| (horizon.steps, horizon.season)), Some((3, 4)));
}

#[test]
fn several_series_are_cut_each_by_itself() {
    let names: Vec<String> = (0..120).map(|row| if row % 2 == 0 { "a" } else { "b" }.to_owned()).collect();
    let values = (0..120).map(|row| Some(value(row / 2) + 1000.0 * (row % 2) as f64)).collect();
    let shop: ArrayRef = Arc::new(StringArray::from(names));
    let months: ArrayRef = Arc::new(Float64Array::from_iter_values((0..120).map(|row| f64::from(row / 2))));
    let more = vec![("shop", ColumnKind::Category, shop), ("month", ColumnKind::Number, months)];
    let dataset = table(values, more);
    let named = ForecastSettings { series: Some("shop".into()), time: Some("month".into()), ..settings() };
    let cut_rows = cut(&dataset, &named).unwrap();
    let test = &cut_rows.dataset.parts[&Split::Test];
    assert_eq!(test.num_rows(), 12);
    for (row, context) in series(test, columns::CONTEXT).iter().enumerate() {
        let large = context.as_ref().unwrap().iter().filter(|value| **value >= 1000.0).count();
        assert_eq!(large, if row < 6 { 0 } else { 5 });
    }
    // Without the name of the series its times repeat.
    let error = cut(&dataset, &ForecastSettings { series: None, ..named }).unwrap_err();
    assert!(error.to_string().contains("shop"), "{error}");
    let ignored = table(
        (0..4).map(|row| Some(f64::from(row))).collect(),
        vec![("month", ColumnKind::Number, Arc::new(Float64Array::from(vec![1.0, 1.0, 2.0, 2.0])))],
    );
    let error = cut(&ignored, &ForecastSettings { time: Some("month".into()), ..settings() }).unwrap_err();
    assert_eq!((error.place().row, error.place().column.as_deref()), (Some(2), Some("month")));
}

#[test]
fn a_season_that_is_not_set_is_guessed_and_said() {
    let guess = |values| cut(&table(values, vec![]), &ForecastSettings { season: None, ..settings() }).unwrap();
    let found = |cut: &Cut| cut.report.findings.iter().map(|finding| finding.message.clone()).collect::<Vec<_>>();
    let wave = |row: usize| Some((row as f64 * std::f64::consts::TAU / 6.0).sin() + (row * 7 % 5) as f64 / 50.0);
    let cut_rows = guess((0..80).map(wave).collect());
    assert!(found(&cut_rows)[0].contains("a season of 6 steps is taken"), "{:?}", found(&cut_rows));
    assert!(found(&cut_rows)[1].contains("4 of validation on steps"), "{:?}", found(&cut_rows));
    let recipe = cut_rows.plan.fit(&cut_rows.dataset.schema, &cut_rows.dataset.parts[&Split::Train]).unwrap();
    assert_eq!(recipe.horizon().unwrap().season, 6);
    let line = guess((0..80).map(|row| Some(f64::from(row) + 0.1 * f64::from(row * row % 7))).collect());
    assert!(!line.report.findings.is_empty());
    // A season of 1 is the naive forecast.
    let one = cut(&table(rows(60), vec![]), &ForecastSettings { season: Some(1), ..settings() }).unwrap();
    let test = &one.dataset.parts[&Split::Test];
    assert_eq!(series(test, columns::SEASONAL_NAIVE)[0], Some(vec![value(51) as f32; 3]));
    assert!(one.report.findings.iter().all(|finding| !finding.message.contains("season")));
}

#[test]
fn what_cannot_be_forecast_is_named() {
    let mut gap = rows(60);
    gap[20] = None;
    let mut infinite = rows(60);
    infinite[20] = Some(f64::INFINITY);
    for values in [gap, infinite] {
        let error = cut(&table(values, vec![]), &settings()).unwrap_err();
        assert_eq!((error.code(), error.place().row), (ErrorCode::BadData, Some(21)), "{error}");
    }
    let error = cut(&table(rows(20), vec![]), &settings()).unwrap_err();
    assert!(error.message().contains("has 20 values") && error.message().contains("need 22"), "{error}");
    let long = ForecastSettings { horizon: Some(500), window: None, ..settings() };
    assert_eq!(cut(&table(rows(60), vec![]), &long).unwrap_err().code(), ErrorCode::BadData);
    let log = ForecastSettings { transform: Transform::Log, ..settings() };
    let error = cut(&table(rows(60), vec![]), &log).unwrap_err();
    assert_eq!((error.place().row, error.place().column.as_deref()), (Some(1), Some("y")));
    // A series that never changes: nothing can be learned from it.
    let flat = cut(&table(vec![Some(3.0); 60], vec![]), &settings()).unwrap();
    assert!(flat.report.findings.iter().any(|finding| finding.message.contains("does not change")));
    let error = flat.plan.fit(&flat.dataset.schema, &flat.dataset.parts[&Split::Train]).unwrap_err();
    assert!(error.message().contains("are the same"), "{error}");
    let key = |settings: ForecastSettings| cut(&table(rows(60), vec![]), &settings).unwrap_err().place().key.clone();
    assert_eq!(key(ForecastSettings { horizon: None, ..settings() }).as_deref(), Some("forecast.horizon"));
    assert_eq!(key(ForecastSettings { time: Some("when".into()), ..settings() }).as_deref(), Some("forecast.time"));
    let mut parts = table(rows(60), vec![]);
    parts.parts.insert(Split::Test, parts.parts[&Split::Train].clone());
    assert_eq!(cut(&parts, &settings()).unwrap_err().code(), ErrorCode::Unsupported);
    let recipe = RecipeSettings { series_length: Some(3), ..RecipeSettings::default() };
    let error = Forecasting.cut(&table(rows(60), vec![]), &settings(), &recipe).unwrap_err();
    assert_eq!(error.place().key.as_deref(), Some("recipe"));
}
