//! Windows of a series: where they begin, what they hold, and what is refused.

#![allow(clippy::unwrap_used)]

use arrow_array::{ArrayRef, Float64Array, RecordBatch};
use lepton_core::{Column, ColumnKind, ErrorCode, Schema};
use lepton_recipe::raw;
use lepton_recipe::series::{SeriesPlan, SeriesStep};
use std::sync::Arc;

fn rows(x: Vec<Option<f64>>, y: Vec<Option<f64>>) -> RecordBatch {
    let column = |name: &str| Column { name: name.into(), kind: ColumnKind::Number, nullable: true };
    let schema = Schema { columns: vec![column("x"), column("y")] };
    let columns: Vec<ArrayRef> = vec![Arc::new(Float64Array::from(x)), Arc::new(Float64Array::from(y))];
    RecordBatch::try_new(raw::arrow_schema(&schema), columns).unwrap()
}

fn counted(count: u32) -> RecordBatch {
    rows((0..count).map(|i| Some(f64::from(i))).collect(), (0..count).map(|i| Some(f64::from(i) * 10.0)).collect())
}

fn plan(length: usize, stride: usize, horizon: usize) -> SeriesPlan {
    let targets = if horizon > 0 { vec!["y".to_owned()] } else { Vec::new() };
    SeriesPlan { columns: vec!["x".into(), "y".into()], targets, length, stride, horizon }
}

#[test]
fn windows_begin_at_every_stride_and_have_their_horizon_behind_them() {
    let step = plan(4, 3, 2).fit(&counted(12)).unwrap();
    let step = SeriesStep::from_json(&step.to_json().unwrap()).unwrap();
    let windows = step.windows(&counted(12)).unwrap();
    assert_eq!(windows.starts, [0, 3, 6]);
    assert_eq!(windows.input.shape(), [3, 2, 4]);
    let target = windows.target.unwrap();
    assert_eq!(target.shape(), [3, 1, 2]);
    // Mean 5.5, population variance 143 / 12, of 0 to 11.
    let scaled = |value: f64| ((value - 5.5) / (143.0f64 / 12.0).sqrt()) as f32;
    let input = windows.input.as_float32().unwrap();
    assert_eq!(input[8..12], [3.0, 4.0, 5.0, 6.0].map(scaled), "window 2, column x");
    assert_eq!(input[12..16], [3.0, 4.0, 5.0, 6.0].map(scaled), "ten times as large, and scaled");
    assert_eq!(target.as_float32().unwrap(), [4.0, 5.0, 7.0, 8.0, 10.0, 11.0].map(scaled));
    let back = step.in_units(&target).unwrap();
    for (back, value) in back.as_float32().unwrap().iter().zip([40.0, 50.0, 70.0, 80.0, 100.0, 110.0]) {
        assert!((back - value).abs() < 1e-4, "{back} {value}");
    }
    assert_eq!(step.in_units(&windows.input).unwrap_err().code(), ErrorCode::Shape);
}

#[test]
fn a_served_window_is_that_of_training() {
    let step = plan(4, 1, 2).fit(&counted(12)).unwrap();
    let windows = step.windows(&counted(12)).unwrap();
    let served = step.newest(&counted(12).slice(2, 6)).unwrap();
    let window = &windows.input.as_float32().unwrap()[4 * 8..5 * 8];
    assert_eq!(served.as_float32().unwrap(), window, "the last four of rows 2 to 7");
    assert_eq!(step.newest(&counted(3)).unwrap_err().code(), ErrorCode::BadData);
    assert_eq!(step.windows(&counted(5)).unwrap().input.shape(), [0, 2, 4]);
}

#[test]
fn windows_that_cannot_be_cut_are_refused() {
    for wrong in [plan(0, 1, 0), plan(2, 0, 0), SeriesPlan { targets: vec!["y".into()], ..plan(2, 1, 0) }] {
        assert_eq!(wrong.fit(&counted(9)).unwrap_err().code(), ErrorCode::Config, "{wrong:?}");
    }
    assert_eq!(plan(8, 1, 2).fit(&counted(9)).unwrap_err().code(), ErrorCode::BadData);
    let gap = rows(vec![Some(1.0), None, Some(2.0)], vec![Some(1.0); 3]);
    let error = plan(2, 1, 0).fit(&gap).unwrap_err();
    assert_eq!((error.place().row, error.place().column.as_deref()), (Some(2), Some("x")));
    assert!(SeriesStep::from_json(b"{}").is_err());
}
