//! Drift: the reference and an observation compared, column by column and answer by answer.

use crate::statistics::{chi_square, kolmogorov_by_chance, kolmogorov_smirnov, kolmogorov_tail, psi, psi_by_chance};
use crate::{MonitorSettings, Observation, Reference};
use lepton_core::{Error, ErrorCode, Result};
use lepton_sketch::{CategorySketch, ColumnSketch, NumberSketch};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How two distributions are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// Kolmogorov-Smirnov distance of the finite values: 0 the same, 1 apart.
    Ks,
    /// Population stability index: of numbers over the reference's quantile bins, of categories by name with
    /// missing and unknown ones as categories of their own.
    Psi,
    /// Population stability index of present, missing and not finite values.
    PsiMissing,
}

impl Statistic {
    /// The name in tables, JSON and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Statistic::Ks => "ks",
            Statistic::Psi => "psi",
            Statistic::PsiMissing => "psi_missing",
        }
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One comparison. `column` and `statistic` together are unique in a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnDrift {
    /// The column; of a picture or text column its part, `picture.brightness`. Of answers: `label` or
    /// `probability`.
    pub column: String,
    /// How it was compared.
    pub statistic: Statistic,
    /// How far apart the two are; `None` when one of them has too few values to say.
    pub value: Option<f64>,
    /// From where on `value` counts as drift: the setting, or what chance gives at this number of rows,
    /// whichever is larger.
    pub threshold: f64,
    /// The probability of a difference as large by chance: Kolmogorov's limit for `ks`, Pearson's chi-square
    /// over the same bins for `psi`.
    pub p_value: Option<f64>,
    /// Whether `value` is above `threshold`; `None` when there were too few values to say.
    pub drifted: Option<bool>,
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriftReport {
    /// Rows of traffic compared.
    pub rows: u64,
    /// Rows of training data compared with.
    pub reference_rows: u64,
    /// The inputs, in the schema's order.
    pub columns: Vec<ColumnDrift>,
    /// The answers; empty for a model without a decoder.
    pub predictions: Vec<ColumnDrift>,
}

impl DriftReport {
    /// The comparisons that found drift, inputs first.
    pub fn drifted(&self) -> impl Iterator<Item = &ColumnDrift> {
        self.columns.iter().chain(&self.predictions).filter(|comparison| comparison.drifted == Some(true))
    }
}

/// Compares traffic with the reference.
///
/// # Errors
/// [`ErrorCode::Config`] for a setting outside its range, [`ErrorCode::BadData`] when the observation is of a
/// model with other columns.
pub fn drift(reference: &Reference, seen: &Observation, settings: &MonitorSettings) -> Result<DriftReport> {
    settings.check()?;
    let mut columns = Vec::new();
    if reference.inputs.columns().len() != seen.inputs.columns().len() {
        return Err(other_model(&seen.inputs.columns().len().to_string()));
    }
    for (trained, live) in reference.inputs.columns().iter().zip(seen.inputs.columns()) {
        let name = trained.column.as_str();
        if trained.column != live.column {
            return Err(other_model(&live.column));
        }
        match (&trained.sketch, &live.sketch) {
            (ColumnSketch::Number(trained), ColumnSketch::Number(live)) => {
                columns.extend(numbers(name, trained, live, settings));
                columns.push(missing(name, trained, live, settings));
            }
            (ColumnSketch::Category(trained), ColumnSketch::Category(live)) => {
                columns.push(categories(name, trained, live, settings));
            }
            (ColumnSketch::Text(trained), ColumnSketch::Text(live)) => {
                let (trained, live) = (&trained.characters, &live.characters);
                columns.extend(numbers(&format!("{name}.characters"), trained, live, settings));
                columns.push(missing(name, trained, live, settings));
            }
            (ColumnSketch::Image(trained), ColumnSketch::Image(live)) => {
                for ((part, trained), (_, live)) in trained.parts().into_iter().zip(live.parts()) {
                    columns.extend(numbers(&format!("{name}.{part}"), trained, live, settings));
                }
                columns.push(missing(name, &trained.height, &live.height, settings));
            }
            (ColumnSketch::Series(trained), ColumnSketch::Series(live)) => {
                for ((part, trained), (_, live)) in trained.parts().into_iter().zip(live.parts()) {
                    columns.extend(numbers(&format!("{name}.{part}"), trained, live, settings));
                }
                columns.push(missing(name, &trained.length, &live.length, settings));
            }
            _ => return Err(other_model(name)),
        }
    }
    let mut predictions = Vec::new();
    if reference.predictions.labels.rows() > 0 {
        let (trained, live) = (&reference.predictions, &seen.predictions);
        predictions.push(categories("label", &trained.labels, &live.labels, settings));
        predictions.extend(numbers("probability", &trained.probability, &live.probability, settings));
    }
    if reference.predictions.values.rows() > 0 {
        let (trained, live) = (&reference.predictions.values, &seen.predictions.values);
        predictions.extend(numbers("value", trained, live, settings));
    }
    Ok(DriftReport { rows: seen.rows, reference_rows: reference.rows, columns, predictions })
}

fn other_model(column: &str) -> Error {
    Error::new(ErrorCode::BadData, "this traffic was observed for a model with other columns").at_column(column)
}

/// Kolmogorov-Smirnov and PSI of the finite values.
fn numbers(column: &str, trained: &NumberSketch, live: &NumberSketch, settings: &MonitorSettings) -> [ColumnDrift; 2] {
    let (n, m) = (trained.count(), live.count());
    let enough = n.min(m) >= settings.min_rows;
    let (n, m) = (n as f64, m as f64);
    let distance = kolmogorov_smirnov(trained.quantiles(), live.quantiles()).filter(|_| enough);
    let ks = match distance {
        None => undecided(column, Statistic::Ks, settings.ks),
        Some(value) => {
            let threshold = settings.ks.max(kolmogorov_by_chance(n, m, settings.significance));
            verdict(column, Statistic::Ks, value, threshold, kolmogorov_tail(value, n, m))
        }
    };
    let psi = match enough {
        false => undecided(column, Statistic::Psi, settings.psi),
        true => {
            let (left, right) = bins(trained, live, settings.bins);
            compare(column, Statistic::Psi, &left, &right, settings)
        }
    };
    [ks, psi]
}

/// Counts of both over bins that the reference decides: its values where they are few, otherwise the spans
/// between its quantiles; and what lies below and above all that it has seen.
fn bins(trained: &NumberSketch, live: &NumberSketch, bins: usize) -> (Vec<f64>, Vec<f64>) {
    let (left, right) = (trained.quantiles().steps(), live.quantiles().steps());
    let few = left.len() <= 2 * bins;
    let edges: Vec<f64> = if few {
        left.iter().map(|step| step.0).collect()
    } else {
        let mut edges: Vec<f64> = (0..=bins).filter_map(|bin| trained.quantile(bin as f64 / bins as f64)).collect();
        edges.dedup();
        edges
    };
    let shares = |steps: &[(f64, f64)]| {
        let upto = |index: usize| if index == 0 { 0.0 } else { steps[index - 1].1 };
        let through = |edge: f64| upto(steps.partition_point(|step| step.0 <= edge));
        let before = |edge: f64| upto(steps.partition_point(|step| step.0 < edge));
        // Below the first edge; then up to and with each edge, or, of few values, between them and on them.
        let (mut shares, mut done) = (Vec::new(), 0.0);
        for (index, edge) in edges.iter().enumerate() {
            if few || index == 0 {
                shares.push(before(*edge) - done);
                done = before(*edge);
            }
            if few || index > 0 {
                shares.push(through(*edge) - done);
                done = through(*edge);
            }
        }
        shares.push(1.0 - done);
        shares
    };
    let (mut left, mut right) = (shares(&left), shares(&right));
    if few {
        // Of few values only the values themselves are bins; all that lies between them is one more.
        for shares in [&mut left, &mut right] {
            let between = shares.iter().step_by(2).sum();
            *shares = shares.iter().skip(1).step_by(2).copied().chain([between]).collect();
        }
    }
    let counts = |shares: Vec<f64>, rows: u64| shares.into_iter().map(|share| share * rows as f64).collect();
    (counts(left, trained.count()), counts(right, live.count()))
}

/// PSI of present, missing and not finite values.
fn missing(column: &str, trained: &NumberSketch, live: &NumberSketch, settings: &MonitorSettings) -> ColumnDrift {
    let counts =
        |sketch: &NumberSketch| [sketch.count(), sketch.missing(), sketch.not_finite()].map(|count| count as f64);
    if trained.rows().min(live.rows()) < settings.min_rows {
        return undecided(column, Statistic::PsiMissing, settings.psi);
    }
    compare(column, Statistic::PsiMissing, &counts(trained), &counts(live), settings)
}

/// PSI by category: the reference's most frequent ones, everything else, and missing.
fn categories(
    column: &str,
    trained: &CategorySketch,
    live: &CategorySketch,
    settings: &MonitorSettings,
) -> ColumnDrift {
    if trained.rows().min(live.rows()) < settings.min_rows {
        return undecided(column, Statistic::Psi, settings.psi);
    }
    let names = trained.top(settings.categories);
    let counts = |sketch: &CategorySketch| {
        let mut counts: Vec<f64> =
            names.iter().map(|(name, _)| sketch.counts().get(*name).copied().unwrap_or(0) as f64).collect();
        let rest = sketch.count() as f64 - counts.iter().sum::<f64>();
        counts.extend([rest, sketch.missing() as f64]);
        counts
    };
    compare(column, Statistic::Psi, &counts(trained), &counts(live), settings)
}

fn compare(
    column: &str,
    statistic: Statistic,
    trained: &[f64],
    live: &[f64],
    settings: &MonitorSettings,
) -> ColumnDrift {
    // A bin that neither has seen says nothing, and must not make chance look larger than it is.
    let seen = |counts: &[f64]| -> Vec<f64> {
        (0..counts.len()).filter(|bin| trained[*bin] + live[*bin] > 0.0).map(|bin| counts[bin]).collect()
    };
    let (trained, live) = (seen(trained), seen(live));
    let (n, m) = (trained.iter().sum::<f64>(), live.iter().sum::<f64>());
    let chance = psi_by_chance(trained.len(), n, m, settings.significance);
    let (_, p_value) = chi_square(&trained, &live);
    verdict(column, statistic, psi(&trained, &live), settings.psi.max(chance), p_value)
}

fn verdict(column: &str, statistic: Statistic, value: f64, threshold: f64, p_value: f64) -> ColumnDrift {
    ColumnDrift {
        column: column.to_owned(),
        statistic,
        value: Some(value),
        threshold,
        p_value: Some(p_value),
        drifted: Some(value > threshold),
    }
}

fn undecided(column: &str, statistic: Statistic, threshold: f64) -> ColumnDrift {
    ColumnDrift { column: column.to_owned(), statistic, value: None, threshold, p_value: None, drifted: None }
}
