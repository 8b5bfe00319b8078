//! Metrics of numbers, in the unit of the target, and the figures that regression tasks share. Definitions are
//! scikit-learn's (`r2_score`, `root_mean_squared_error`, `mean_absolute_error`).

use lepton_core::{Error, ErrorCode, Figure, LabelledCell, Metric, Metrics, Result, Series, Tensor};

/// Points of a chart: more say nothing more.
const POINTS: usize = 1_000;

/// Predicted numbers beside the true ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Regressed {
    truth: Vec<f64>,
    predicted: Vec<f64>,
}

impl Regressed {
    /// From standardised outputs and targets, both float32 `[rows, 1]`, and the `(mean, deviation)` that they were
    /// standardised by.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`] or [`ErrorCode::Dtype`] when they do not match, [`ErrorCode::BadData`] without rows and
    /// [`ErrorCode::Diverged`] for outputs that are not finite.
    pub fn new(outputs: &Tensor, targets: &Tensor, (mean, deviation): (f64, f64)) -> Result<Regressed> {
        if outputs.shape() != targets.shape() || outputs.row_len() != 1 {
            let message = format!("metrics need two of [rows, 1], not {:?} and {:?}", outputs.shape(), targets.shape());
            return Err(Error::new(ErrorCode::Shape, message));
        }
        if outputs.rows() == 0 {
            return Err(Error::new(ErrorCode::BadData, "there are no rows to compute metrics on"));
        }
        if let Some(row) = outputs.as_float32()?.iter().position(|output| !output.is_finite()) {
            let message = "the network's output is NaN or infinite";
            return Err(Error::new(ErrorCode::Diverged, message).at_row(row as u64 + 1));
        }
        let in_unit = |values: &Tensor| -> Result<Vec<f64>> {
            Ok(values.as_float32()?.iter().map(|&value| mean + deviation * f64::from(value)).collect())
        };
        Ok(Regressed { truth: in_unit(targets)?, predicted: in_unit(outputs)? })
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.truth.len()
    }

    /// The true numbers.
    pub fn truth(&self) -> &[f64] {
        &self.truth
    }

    /// The predicted numbers.
    pub fn predicted(&self) -> &[f64] {
        &self.predicted
    }

    fn errors(&self) -> impl Iterator<Item = f64> {
        self.predicted.iter().zip(&self.truth).map(|(predicted, truth)| predicted - truth)
    }

    fn mean(&self, of: impl Fn(f64) -> f64) -> f64 {
        self.errors().map(of).sum::<f64>() / self.rows() as f64
    }

    /// One less the share of the variance that is left; 0 where the truth does not vary and the predictions are off.
    pub fn r2(&self) -> f64 {
        let mean = self.truth.iter().sum::<f64>() / self.rows() as f64;
        let all: f64 = self.truth.iter().map(|truth| (truth - mean).powi(2)).sum();
        let left: f64 = self.errors().map(|error| error * error).sum();
        match (all > 0.0, left > 0.0) {
            (true, _) => 1.0 - left / all,
            (false, true) => 0.0,
            (false, false) => 1.0,
        }
    }

    /// The root of the mean squared error.
    pub fn rmse(&self) -> f64 {
        self.mean(|error| error * error).sqrt()
    }

    /// The mean absolute error.
    pub fn mae(&self) -> f64 {
        self.mean(f64::abs)
    }

    /// All metrics of numbers by name.
    pub fn metrics(&self) -> Metrics {
        Metric::OF_NUMBERS
            .iter()
            .map(|metric| {
                let value = match metric {
                    Metric::R2 => self.r2(),
                    Metric::Rmse => self.rmse(),
                    _ => self.mae(),
                };
                (metric.name().to_owned(), value)
            })
            .collect()
    }
}

/// Predictions against the truth, row by row, ordered by the truth; and where the errors lie.
pub fn regression_figures(regressed: &Regressed) -> Vec<Figure> {
    let mut order: Vec<usize> = (0..regressed.rows()).collect();
    order.sort_by(|&one, &other| regressed.truth[one].total_cmp(&regressed.truth[other]));
    let step = order.len().div_ceil(POINTS).max(1);
    let points = |values: &[f64]| {
        order.iter().step_by(step).enumerate().map(|(at, &row)| [(at * step) as f64, values[row]]).collect()
    };
    let mut errors: Vec<f64> = regressed.errors().collect();
    errors.sort_by(f64::total_cmp);
    let at = |share: f64| errors[((errors.len() - 1) as f64 * share).round() as usize];
    let plain = |text: String| LabelledCell { text, good: None };
    let rows =
        [("least", 0.0), ("5 %", 0.05), ("25 %", 0.25), ("median", 0.5), ("75 %", 0.75), ("95 %", 0.95), ("most", 1.0)]
            .map(|(name, share)| vec![plain(name.to_owned()), plain(format!("{:.4}", at(share)))]);
    vec![
        Figure::Curves {
            title: "Predicted and true".to_owned(),
            x: "rows, by their true value".to_owned(),
            y: "value".to_owned(),
            series: vec![
                Series { name: "predicted".to_owned(), points: points(&regressed.predicted) },
                Series { name: "true".to_owned(), points: points(&regressed.truth) },
            ],
        },
        Figure::Table {
            title: "Errors (predicted less true)".to_owned(),
            columns: ["share of rows up to it", "error"].map(str::to_owned).to_vec(),
            rows: rows.to_vec(),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regressed(predicted: &[f32], truth: &[f32]) -> Regressed {
        let tensor = |values: &[f32]| Tensor::float32([values.len(), 1], values.to_vec()).unwrap();
        Regressed::new(&tensor(predicted), &tensor(truth), (10.0, 2.0)).unwrap()
    }

    #[test]
    fn metrics_are_scikit_learns() {
        // sklearn.metrics on [10, 13, 7, 11] against [11, 12, 8, 12], which is these numbers times 2 plus 10.
        let metrics = regressed(&[0.5, 1.0, -1.0, 1.0], &[0.0, 1.5, -1.5, 0.5]).metrics();
        let close = |name: &str, value: f64| assert!((metrics[name] - value).abs() < 1e-9, "{name} {metrics:?}");
        close("r2", 0.786_666_666_666_666_7);
        close("rmse", 1.0);
        close("mae", 1.0);
    }

    #[test]
    fn a_constant_truth_has_no_share_to_explain() {
        assert_eq!(regressed(&[1.0, 1.0], &[1.0, 1.0]).r2(), 1.0);
        assert_eq!(regressed(&[1.0, 2.0], &[1.0, 1.0]).r2(), 0.0);
    }

    #[test]
    fn figures_are_ordered_by_the_truth() {
        let figures = regression_figures(&regressed(&[0.5, 1.0, -1.0], &[0.0, 1.5, -1.5]));
        let Figure::Curves { series, .. } = &figures[0] else { panic!("not curves") };
        assert_eq!(series[1].points, [[0.0, 7.0], [1.0, 10.0], [2.0, 13.0]]);
        assert_eq!(series[0].points, [[0.0, 8.0], [1.0, 11.0], [2.0, 12.0]]);
    }

    #[test]
    fn what_cannot_be_scored_is_named() {
        let one = |values: Vec<f32>| Tensor::float32([values.len(), 1], values).unwrap();
        let code = |outputs, targets| Regressed::new(&outputs, &targets, (0.0, 1.0)).unwrap_err().code();
        assert_eq!(code(one(vec![f32::NAN]), one(vec![0.0])), ErrorCode::Diverged);
        assert_eq!(code(one(vec![]), one(vec![])), ErrorCode::BadData);
        assert_eq!(code(one(vec![0.0]), one(vec![0.0, 1.0])), ErrorCode::Shape);
    }
}
