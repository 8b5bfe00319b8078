//! How sure a metric is: its interval by the bootstrap over rows. Nothing is trained again; what is left out is the chance
//! in training itself, which several seeds show.

use crate::target::Target;
use crate::task::{EvaluationInput, Task};
use lepton_core::{Confidence, ErrorCode, Metrics, Result, Seed};
use rand_chacha::rand_core::Rng;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// The share of resamples that lie within an interval.
const LEVEL: f64 = 0.95;

/// Resamples, at most and at least; many rows get fewer, because each of their resamples says more and takes longer.
const RESAMPLES: [usize; 2] = [1_000, 200];

/// Outputs that are looked at over all resamples, unless fewer than the least number of resamples would be left.
const WORK: usize = 40_000_000;

/// Rows below which an interval would say nothing.
const LEAST_ROWS: usize = 10;

/// The percentile intervals (Efron 1979) of what `task` computes: as many rows as there are, drawn with replacement, again
/// and again; each end leaves 2.5 % outside. `None` below ten rows, and for
/// forecasts, whose origins overlap: rows drawn as if they were strangers would look too sure. A metric that most resamples
/// do not have (the area under a curve of a class with one row) has no interval.
///
/// # Errors
/// Those of [`Task::evaluate`].
pub fn confidence(task: &dyn Task, input: &EvaluationInput<'_>, seed: Seed) -> Result<Option<Confidence>> {
    let &EvaluationInput { outputs, targets, target, rows: raw } = input;
    let rows = targets.rows();
    if rows < LEAST_ROWS || matches!(target, Target::Horizon(_)) {
        return Ok(None);
    }
    let [most, least] = RESAMPLES;
    let resamples = (WORK / (rows * outputs.row_len().max(1))).clamp(least, most);
    let drawn: Vec<Metrics> = (0..resamples as u64)
        .into_par_iter()
        .map(|resample| {
            let mut rng = seed.rng("bootstrap", &[resample]);
            let places: Vec<usize> =
                (0..rows).map(|_| ((u128::from(rng.next_u64()) * rows as u128) >> 64) as usize).collect();
            let (outputs, targets) = (outputs.take_rows(&places)?, targets.take_rows(&places)?);
            match task.evaluate(&EvaluationInput { outputs: &outputs, targets: &targets, target, rows: raw }) {
                // What all rows have, some resamples may lack.
                Err(error) if error.code() == ErrorCode::BadData => Ok(Metrics::new()),
                other => other,
            }
        })
        .collect::<Result<_>>()?;
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (name, value) in drawn.into_iter().flatten().filter(|(_, value)| value.is_finite()) {
        values.entry(name).or_default().push(value);
    }
    values.retain(|_, values| values.len() * 2 > resamples);
    let intervals = values.into_iter().map(|(name, mut values)| {
        values.sort_by(f64::total_cmp);
        (name, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0].map(|share| quantile(&values, share)))
    });
    Ok(Some(Confidence { level: LEVEL, resamples, intervals: intervals.collect() }))
}

/// The quantile of sorted values, straight between neighbours, as numpy's default.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::RecordBatch;
    use lepton_core::{Figure, Schema, TaskKind, Tensor};
    use lepton_data::AugmentSettings;
    use lepton_nn::Architecture;
    use lepton_recipe::RecipePlan;

    struct Classes;

    impl Task for Classes {
        fn kind(&self) -> TaskKind {
            TaskKind::TabularClassification
        }
        fn check(&self, _: &Schema, _: &str) -> Result<()> {
            Ok(())
        }
        fn recipe(&self, _: &Schema, _: &str, _: &crate::RecipeSettings) -> Result<RecipePlan> {
            Ok(RecipePlan::default())
        }
        fn default_augment(&self) -> AugmentSettings {
            AugmentSettings::default()
        }
        fn zoo(&self) -> &'static [crate::ZooEntry] {
            &[]
        }
        fn architecture(&self, name: Option<&str>, _: &[usize], _: usize) -> Result<Architecture> {
            Err(crate::unknown_architecture(name.unwrap_or_default(), &[]))
        }
        fn figures(&self, _: &crate::EvaluationInput<'_>) -> Result<Vec<Figure>> {
            Ok(Vec::new())
        }
    }

    /// So many rows of two classes, of which the first ones are answered right.
    fn interval(rows: usize, right: usize) -> Option<Confidence> {
        let labels = ["no".to_owned(), "yes".to_owned()];
        let truth: Vec<i64> = (0..rows as i64).map(|row| row % 2).collect();
        let logit = |row: usize, class: i64| if (truth[row] == class) == (row < right) { 1.0 } else { 0.0 };
        let logits = (0..rows).flat_map(|row| [logit(row, 0), logit(row, 1)]).collect();
        let outputs = Tensor::float32([rows, 2], logits).unwrap();
        let targets = Tensor::int64([rows], truth).unwrap();
        let none: arrow_array::ArrayRef = std::sync::Arc::new(arrow_array::Int8Array::from(vec![0]));
        let raw = RecordBatch::try_from_iter([("x", none)]).unwrap();
        let input =
            EvaluationInput { outputs: &outputs, targets: &targets, target: Target::Classes(&labels), rows: &raw };
        confidence(&Classes, &input, Seed(3)).unwrap()
    }

    #[test]
    fn the_interval_of_a_share_is_that_of_the_binomial_distribution() {
        // scipy.stats.binom.ppf([0.025, 0.975], 400, 0.8) / 400 is 0.76 and 0.8375.
        let found = interval(400, 320).unwrap();
        let [low, high] = found.intervals["accuracy"];
        assert!((low - 0.76).abs() < 0.006 && (high - 0.8375).abs() < 0.006, "{low} {high}");
        assert_eq!((found.resamples, found.level), (1_000, 0.95));
        assert_eq!(interval(400, 320), Some(found));
        let sure = interval(50, 50).unwrap().intervals["accuracy"];
        assert_eq!(sure, [1.0, 1.0]);
    }

    #[test]
    fn few_rows_have_no_interval_and_many_rows_fewer_resamples() {
        assert_eq!(interval(9, 5), None);
        assert_eq!(interval(100_000, 90_000).unwrap().resamples, 200);
    }

    #[test]
    fn quantiles_are_numpys() {
        // numpy.quantile([1, 2, 4, 8], [0.025, 0.975])
        assert!((quantile(&[1.0, 2.0, 4.0, 8.0], 0.025) - 1.075).abs() < 1e-12);
        assert!((quantile(&[1.0, 2.0, 4.0, 8.0], 0.975) - 7.7).abs() < 1e-12);
    }
}
