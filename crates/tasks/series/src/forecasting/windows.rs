//! From a table of values to windows: each row is an origin, with what a network sees before it, what comes after it, and
//! what the baselines make of all that was known. Parts are cut by time.

use super::times;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray};
use lepton_core::series::{SeriesBuilder, SeriesRef};
use lepton_core::{Column, ColumnKind, Error, ErrorCode, Result, Schema, Split, Transform, nearest};
use lepton_data::{Dataset, Finding, FindingKind, PrepareReport, RowCounts, Severity};
use lepton_forecast::{ForecastSettings, Form, Origins, Smoothing, guess_season, seasonal_naive, seasonal_scale};
use lepton_recipe::{RecipePlan, StepPlan, TargetPlan, WindowPlan, raw};
use lepton_train::{Cut, columns};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Cuts the windows of every series of `dataset`.
///
/// # Errors
/// [`ErrorCode::Config`] for settings that make no sense or name no column; [`ErrorCode::BadData`] with the row for a
/// value or a time that cannot be used, and for a series that is too short.
pub(super) fn cut(dataset: &Dataset, settings: &ForecastSettings) -> Result<Cut> {
    settings.validate()?;
    let horizon = settings.horizon()?;
    let part = only_part(dataset)?;
    let all = series_of(dataset, part, settings)?;
    let shortest = all.iter().map(|series| series.values.len()).min().unwrap_or(0);
    let fitting = |share: usize| (shortest / share).saturating_sub(horizon) / settings.step + 1;
    let valid = settings.valid_origins.unwrap_or_else(|| fitting(10));
    let test = settings.test_origins.unwrap_or_else(|| fitting(5));
    let kept_back = 2 * horizon + (valid - 1) * settings.step + (test - 1) * settings.step;
    let (season, autocorrelation) = season(&all, kept_back, settings);
    let window = settings.window(season, horizon);
    let mut plans = Vec::with_capacity(all.len());
    for series in &all {
        let plan = Origins::plan(series.values.len(), window, horizon, valid, test, settings.step);
        plans.push(plan.map_err(|error| series.named(error))?);
    }
    // Series after series, as smoothing is fitted at every origin of validation and test.
    let cut = |(series, plan): (&Values, &Origins)| rows_of(series, plan, window, horizon, season);
    let cut: Vec<_> = all.par_iter().zip(&plans).map(cut).collect();
    let mut rows: BTreeMap<Split, Vec<Row>> = BTreeMap::new();
    for (split, more) in cut.into_iter().flatten() {
        rows.entry(split).or_default().extend(more);
    }
    let before = part.num_rows() as u64;
    let counts = |(split, rows): (&Split, &Vec<Row>)| {
        let before = if *split == Split::Train { before } else { 0 };
        (*split, RowCounts { before, after: rows.len() as u64 })
    };
    let report = PrepareReport {
        rows: rows.iter().map(counts).collect(),
        findings: findings(&all, &plans, settings, horizon, window, season, autocorrelation),
        ..PrepareReport::default()
    };
    let schema = schema();
    let batches = rows.iter().map(|(split, rows)| Ok((*split, batch(&schema, rows)?)));
    let batches = batches.collect::<Result<BTreeMap<_, _>>>()?;
    let dataset = Dataset { schema, target: columns::AHEAD.to_owned(), parts: batches, ..dataset.clone() };
    Ok(Cut { dataset, report, plan: plan(settings, window, horizon, season) })
}

/// One series of the table.
struct Values {
    /// Empty where the table is one series.
    name: String,
    values: Vec<f64>,
}

impl Values {
    fn named(&self, error: Error) -> Error {
        if self.name.is_empty() {
            return error;
        }
        let (place, remedy) = (error.place().clone(), error.remedy().map(str::to_owned));
        let mut named = Error::new(error.code(), format!("series \"{}\": {}", self.name, error.message()));
        if let Some(row) = place.row {
            named = named.at_row(row);
        }
        match remedy {
            Some(remedy) => named.fix(remedy),
            None => named,
        }
    }
}

/// One origin.
struct Row {
    series: String,
    origin: f64,
    context: Vec<f32>,
    ahead: Vec<f32>,
    scale: Option<f64>,
    naive: Option<Vec<f32>>,
    smoothing: Option<Vec<f32>>,
}

impl Row {
    fn new(series: &Values, origin: usize, window: usize, horizon: usize, season: usize, form: Option<Form>) -> Row {
        let narrow = |values: &[f64]| values.iter().map(|value| *value as f32).collect::<Vec<f32>>();
        let (known, later) = series.values.split_at(origin);
        let naive = seasonal_naive(known, season, horizon);
        let smoothing = form.and_then(|form| Smoothing::fit(form, known, season));
        Row {
            series: series.name.clone(),
            origin: (origin + 1) as f64,
            context: narrow(&known[origin - window..]),
            ahead: narrow(&later[..horizon]),
            scale: seasonal_scale(known, season),
            naive: (!naive.is_empty()).then(|| narrow(&naive)),
            smoothing: smoothing.map(|fit| narrow(&fit.forecast(horizon))),
        }
    }
}

/// The rows of one series by part. What is known before the first validation origin chooses the form of smoothing, and
/// each origin of validation and test fits it anew.
fn rows_of(series: &Values, plan: &Origins, window: usize, horizon: usize, season: usize) -> [(Split, Vec<Row>); 3] {
    let form = Smoothing::best(&series.values[..plan.valid[0]], season).map(|fit| fit.form);
    [(Split::Train, &plan.train), (Split::Valid, &plan.valid), (Split::Test, &plan.test)].map(|(split, origins)| {
        let form = form.filter(|_| split != Split::Train);
        let row = |&origin: &usize| Row::new(series, origin, window, horizon, season, form);
        (split, origins.iter().map(row).collect())
    })
}

fn only_part(dataset: &Dataset) -> Result<&RecordBatch> {
    if dataset.parts.len() > 1 {
        let message = "the parts of a forecast are cut by time, and this source has parts of its own";
        return Err(Error::new(ErrorCode::Unsupported, message)
            .at_key("collect.test")
            .fix("give one table with all values, the oldest first"));
    }
    dataset.parts.get(&Split::Train).ok_or_else(|| Error::new(ErrorCode::BadData, "the dataset has no rows"))
}

/// The series of a table, in the order in which they appear.
fn series_of(dataset: &Dataset, part: &RecordBatch, settings: &ForecastSettings) -> Result<Vec<Values>> {
    let (schema, target) = (&dataset.schema, dataset.target.as_str());
    for (key, name) in [("time", &settings.time), ("series", &settings.series)] {
        let Some(name) = name else { continue };
        let column = schema.column(name).map_err(|error| error.at_key(format!("forecast.{key}")))?;
        let fits = column.kind.is_cell() && name != target && (key == "time" || column.kind != ColumnKind::Number);
        if !fits {
            let message = format!("this column cannot be the {key} of a forecast");
            return Err(Error::new(ErrorCode::Config, message).at_column(name).at_key(format!("forecast.{key}")).fix(
                "a time is a number or a text, a series is named by a text: say so in collect.columns where it is one",
            ));
        }
    }
    let known = |name: &str| {
        name == target || [&settings.time, &settings.series].iter().any(|one| one.as_deref() == Some(name))
    };
    if let Some(other) = schema.names().find(|name| !known(name)) {
        let error = Error::new(ErrorCode::Config, "a forecast is made from the values alone").at_column(other);
        return Err(match nearest(other, ["time", "date", "month", "year"]) {
            Some(_) => error.fix(format!("say forecast.time = \"{other}\", or list it in collect.ignore")),
            None => error.fix("name it as forecast.time or forecast.series, or list it in collect.ignore"),
        });
    }
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut rows: Vec<(String, Vec<usize>)> = Vec::new();
    let names = settings.series.as_ref().and_then(|name| part.column_by_name(name)?.as_string_opt::<i32>());
    for row in 0..part.num_rows() {
        let name = match names {
            Some(names) if names.is_null(row) => {
                return Err(Error::new(ErrorCode::BadData, "the name of the series is missing")
                    .at_row(row as u64 + 1)
                    .at_column(settings.series.as_deref().unwrap_or_default()));
            }
            Some(names) => names.value(row),
            None => "",
        };
        let place = *places.entry(name.to_owned()).or_insert_with(|| {
            rows.push((name.to_owned(), Vec::new()));
            rows.len() - 1
        });
        rows[place].1.push(row);
    }
    rows.into_iter()
        .map(|(name, rows)| {
            if let Some(time) = &settings.time {
                times::check(part, time, &rows)?;
            }
            let values = rows.iter().map(|row| value(part, target, *row, settings.transform)).collect::<Result<_>>()?;
            Ok(Values { name, values })
        })
        .collect()
}

fn value(part: &RecordBatch, target: &str, row: usize, transform: Transform) -> Result<f64> {
    let array = part.column_by_name(target).and_then(|array| array.as_primitive_opt::<Float64Type>());
    let array = array.ok_or_else(|| {
        Error::new(ErrorCode::BadData, "what is forecast must be numbers")
            .at_column(target)
            .fix("set this column's kind to \"number\" in collect.columns")
    })?;
    let wrong = |message: &str| Error::new(ErrorCode::BadData, message).at_row(row as u64 + 1).at_column(target);
    // Windows hold float32.
    let usable = |value: &f64| (*value as f32).is_finite();
    let value = (!array.is_null(row)).then(|| array.value(row)).filter(usable).ok_or_else(|| {
        wrong("a value of the series is missing or not finite")
            .fix("fill the gap before: lepton data doctor FILE shows how, lepton data repair does it")
    })?;
    match transform.apply(value) {
        Some(_) => Ok(value),
        None => Err(wrong("a value has no logarithm or root, as forecast.transform asks for")
            .fix("set forecast.transform = \"none\", or \"sqrt\" for values from 0 up")),
    }
}

/// The season that is set, or that of the longest series' values before validation, with its autocorrelation.
fn season(all: &[Values], kept_back: usize, settings: &ForecastSettings) -> (usize, Option<f64>) {
    if let Some(season) = settings.season {
        return (season, None);
    }
    let longest = all.iter().max_by_key(|series| series.values.len());
    let known = longest.map_or(&[][..], |series| &series.values[..series.values.len().saturating_sub(kept_back)]);
    let guess = guess_season(known);
    (guess.length, Some(guess.autocorrelation))
}

fn findings(
    all: &[Values],
    plans: &[Origins],
    settings: &ForecastSettings,
    horizon: usize,
    window: usize,
    season: usize,
    autocorrelation: Option<f64>,
) -> Vec<Finding> {
    let finding = |kind, severity, count: usize, message: String| Finding {
        kind,
        severity,
        count: count as u64,
        message,
        evidence: Vec::new(),
    };
    let mut found = Vec::new();
    if let Some(autocorrelation) = autocorrelation {
        let message = match season {
            1 => "no season was found in the autocorrelation, so 1 step counts as one; forecast.season sets it"
                .to_owned(),
            _ => format!(
                "a season of {season} steps is taken: changes have an autocorrelation of {autocorrelation:.2} at that \
                 lag; forecast.season sets it"
            ),
        };
        found.push(finding(FindingKind::Season, Severity::Note, 1, message));
    }
    let span = |origins: &[usize]| match (origins.first(), origins.last()) {
        (Some(first), Some(last)) => format!("steps {} to {}", first + 1, last + horizon),
        _ => "no steps".to_owned(),
    };
    if let Some(plan) = plans.first() {
        let of = if plans.len() > 1 {
            format!(" of each of {} series, in the first one", plans.len())
        } else {
            String::new()
        };
        let message = format!(
            "windows of {window} steps forecast {horizon}: {} training origins{of} on {}, {} of validation on {}, {} of the \
             test on {}, {} apart",
            plan.train.len(),
            span(&plan.train),
            plan.valid.len(),
            span(&plan.valid),
            plan.test.len(),
            span(&plan.test),
            settings.step,
        );
        found.push(finding(FindingKind::Origins, Severity::Note, plans.len(), message));
    }
    for (series, plan) in all.iter().zip(plans) {
        let known = &series.values[..plan.valid[0]];
        if known.windows(2).all(|pair| pair[0] == pair[1]) {
            let message = format!("series \"{}\" does not change in training: it has no scaled errors", series.name);
            found.push(finding(FindingKind::ConstantColumn, Severity::Warning, 1, message));
        }
    }
    found
}

fn schema() -> Schema {
    let column = |name: &str, kind, nullable| Column { name: name.to_owned(), kind, nullable };
    Schema {
        columns: vec![
            column(columns::CONTEXT, ColumnKind::Series, false),
            column(columns::AHEAD, ColumnKind::Series, false),
            column(columns::SERIES, ColumnKind::Category, false),
            column(columns::ORIGIN, ColumnKind::Number, false),
            column(columns::SCALE, ColumnKind::Number, true),
            column(columns::SEASONAL_NAIVE, ColumnKind::Series, true),
            column(columns::SMOOTHING, ColumnKind::Series, true),
        ],
    }
}

fn batch(schema: &Schema, rows: &[Row]) -> Result<RecordBatch> {
    let series = |of: &dyn Fn(&Row) -> Option<&[f32]>| -> ArrayRef {
        let mut builder = SeriesBuilder::default();
        rows.iter().for_each(|row| builder.push(of(row).map(|values| SeriesRef { dimensions: 1, values })));
        builder.finish()
    };
    let columns: Vec<ArrayRef> = vec![
        series(&|row| Some(&row.context)),
        series(&|row| Some(&row.ahead)),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.series.as_str()))),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.origin))),
        Arc::new(Float64Array::from_iter(rows.iter().map(|row| row.scale))),
        series(&|row| row.naive.as_deref()),
        series(&|row| row.smoothing.as_deref()),
    ];
    RecordBatch::try_new(raw::arrow_schema(schema), columns)
        .map_err(|source| Error::internal(format!("windows do not fit their schema: {source}")))
}

fn plan(settings: &ForecastSettings, window: usize, horizon: usize, season: usize) -> RecipePlan {
    let window = WindowPlan { column: columns::CONTEXT.to_owned(), length: window, transform: settings.transform };
    let target = TargetPlan::Horizon {
        column: columns::AHEAD.to_owned(),
        window: window.clone(),
        steps: horizon,
        quantiles: settings.quantiles.clone(),
        season,
    };
    RecipePlan { steps: vec![StepPlan::Window(window)], target: Some(target) }
}
