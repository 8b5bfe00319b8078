//! Weights of source rows by the ratio of the target's density to the source's, for covariate shift (Shimodaira 2000): by
//! a classifier that tells the domains apart, or by unconstrained least-squares importance fitting.

use crate::linear_algebra::solve;
use crate::mmd::{median_square, square_distance};
use crate::{LogisticRegression, Rows};
use lepton_core::{Error, ErrorCode, Result, Seed};
use serde::{Deserialize, Serialize};

/// Parts of the rows, each judged by a classifier that was fitted on the others.
const FOLDS: usize = 5;

/// Kernels of the least-squares fit, at most.
const CENTRES: usize = 100;

/// What estimates the ratio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// The odds of a logistic regression between the domains (Bickel and others 2009). Each row is judged by a classifier
    /// that has not seen it: with many features one that has is always sure.
    #[default]
    Classifier,
    /// Unconstrained least-squares importance fitting (Kanamori and others 2009): kernels at target rows.
    LeastSquares,
}

/// How weights are made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RatioSettings {
    /// What estimates the ratio.
    pub estimator: Estimator,
    /// The inverse of the classifier's ridge, above 0, or the ridge of the least-squares fit.
    pub regularization: f64,
    /// The exponent on each ratio, 0 (all rows the same) to 1 (the ratio itself), by which few rows get less of all
    /// weight (Sugiyama and others 2007, Yamada and others 2013).
    pub flatten: f64,
    /// The most that a row may weigh, in means; above 1.
    pub clip: f64,
}

/// Ratios and how sure the classifier was.
#[derive(Clone, Debug, PartialEq)]
pub struct Ratios {
    /// For each source row the ratio, before flattening and clipping; 0 or more.
    pub ratios: Vec<f64>,
    /// The share of rows, balanced between the domains, whose domain a classifier finds that has not seen them: 0.5 where
    /// they cannot be told apart. `None` for the estimator that has no classifier.
    pub domain_accuracy: Option<f64>,
}

/// The ratio of densities, target over source, at each source row.
///
/// # Errors
/// [`ErrorCode::Shape`] and [`ErrorCode::BadData`] for rows that cannot be compared, among them fewer than two of a domain;
/// [`ErrorCode::Config`] for a regularization that is no number above 0.
pub fn density_ratios(source: &Rows<'_>, target: &Rows<'_>, settings: &RatioSettings, seed: Seed) -> Result<Ratios> {
    Rows::check_pair(source, target)?;
    match settings.estimator {
        Estimator::Classifier => by_classifier(source, target, settings.regularization, seed),
        Estimator::LeastSquares => {
            let ratios = unconstrained_least_squares(source, target, settings.regularization, seed)?;
            Ok(Ratios { ratios, domain_accuracy: None })
        }
    }
}

fn by_classifier(source: &Rows<'_>, target: &Rows<'_>, c: f64, seed: Seed) -> Result<Ratios> {
    let (sources, targets) = (source.len(), target.len());
    let folds = FOLDS.min(sources).min(targets);
    if folds < 2 {
        return Err(Error::new(ErrorCode::BadData, "each domain needs two rows to be told from the other"));
    }
    // A fold for each row, so that both domains are in every one.
    let mut fold_of = vec![0; sources + targets];
    for (first, count, domain) in [(0, sources, 0), (sources, targets, 1)] {
        for (place, row) in seed.permutation("density ratio folds", &[domain], count).into_iter().enumerate() {
            fold_of[first + row] = place % folds;
        }
    }
    let row_at = |place: usize| if place < sources { source.row(place) } else { target.row(place - sources) };
    let prior = sources as f64 / targets as f64;
    let mut ratios = vec![0.0; sources];
    let mut right = [0usize; 2];
    for fold in 0..folds {
        let (mut values, mut is_target) = (Vec::new(), Vec::new());
        for place in (0..sources + targets).filter(|place| fold_of[*place] != fold) {
            values.extend_from_slice(row_at(place));
            is_target.push(place >= sources);
        }
        let classifier = LogisticRegression::fit(&Rows::new(&values, source.width())?, &is_target, c)?;
        for place in (0..sources + targets).filter(|place| fold_of[*place] == fold) {
            let probability = classifier.probability(row_at(place));
            // The odds at equal priors: more rows of one domain say nothing about where it is dense.
            let ratio = prior * probability / (1.0 - probability).max(f64::MIN_POSITIVE);
            if place < sources {
                ratios[place] = ratio;
                right[0] += usize::from(ratio < 1.0);
            } else {
                right[1] += usize::from(ratio >= 1.0);
            }
        }
    }
    let accuracy = (right[0] as f64 / sources as f64 + right[1] as f64 / targets as f64) / 2.0;
    Ok(Ratios { ratios, domain_accuracy: Some(accuracy) })
}

/// The least-squares fit of the ratio by Gaussian kernels at up to 100 target rows, at each source row; negative values
/// become 0. The width of the kernels is the median distance between rows of both domains.
///
/// # Errors
/// Those of [`density_ratios`].
pub fn unconstrained_least_squares(source: &Rows<'_>, target: &Rows<'_>, ridge: f64, seed: Seed) -> Result<Vec<f64>> {
    Rows::check_pair(source, target)?;
    if !(ridge > 0.0 && ridge.is_finite()) {
        return Err(Error::new(ErrorCode::Config, format!("{ridge} is no number above 0")));
    }
    let mut centres = seed.permutation("least squares centres", &[], target.len());
    centres.truncate(CENTRES);
    centres.sort_unstable();
    let width = 2.0 * median_square(source, target, seed);
    let kernels = |row: &[f32]| -> Vec<f64> {
        centres.iter().map(|&centre| (-square_distance(row, target.row(centre)) / width).exp()).collect()
    };
    let count = centres.len();
    let (mut matrix, mut right) = (vec![0.0; count * count], vec![0.0; count]);
    let of_source: Vec<Vec<f64>> = source.iter().map(kernels).collect();
    for phi in &of_source {
        for (line, &one) in matrix.chunks_exact_mut(count).zip(phi) {
            line.iter_mut().zip(phi).for_each(|(sum, other)| *sum += one * other / source.len() as f64);
        }
    }
    for row in target.iter() {
        right.iter_mut().zip(kernels(row)).for_each(|(sum, value)| *sum += value / target.len() as f64);
    }
    for place in 0..count {
        matrix[place * count + place] += ridge;
    }
    let parts = solve(matrix, right)?;
    let ratio = |phi: &Vec<f64>| phi.iter().zip(&parts).map(|(one, other)| one * other).sum::<f64>().max(0.0);
    Ok(of_source.iter().map(ratio).collect())
}

/// Weights from ratios: each to the power `flatten`, then at most `clip` times the mean, then with a mean of 1.
///
/// # Errors
/// [`ErrorCode::Config`] for a `flatten` outside 0 to 1 or a `clip` that is not above 1; [`ErrorCode::BadData`] where no
/// row has any weight, or a ratio is negative or not finite.
pub fn temper(ratios: &[f64], flatten: f64, clip: f64) -> Result<Vec<f32>> {
    let wrong = |key: &str, message: String| Err(Error::new(ErrorCode::Config, message).at_key(key));
    if !(0.0..=1.0).contains(&flatten) {
        return wrong("flatten", format!("{flatten} is not from 0 to 1"));
    }
    if clip.is_nan() || clip <= 1.0 {
        return wrong("clip", format!("{clip} is not above 1"));
    }
    if let Some(row) = ratios.iter().position(|ratio| !(ratio.is_finite() && *ratio >= 0.0)) {
        let message = format!("the ratio {} is no number from 0 up", ratios[row]);
        return Err(Error::new(ErrorCode::BadData, message).at_row(row as u64 + 1));
    }
    let mut weights: Vec<f64> = ratios.iter().map(|ratio| ratio.powf(flatten)).collect();
    let mean = |weights: &[f64]| weights.iter().sum::<f64>() / weights.len().max(1) as f64;
    let most = clip * mean(&weights);
    weights.iter_mut().for_each(|weight| *weight = weight.min(most));
    let whole = mean(&weights);
    if whole.is_nan() || whole <= 0.0 {
        return Err(Error::new(ErrorCode::BadData, "no source row has any weight")
            .fix("the domains have nothing in common that these features show: give more of them, or flatten more"));
    }
    Ok(weights.iter().map(|weight| (weight / whole) as f32).collect())
}

/// Rows of equal weight that tell as much as these do: `(sum w)^2 / sum w^2` (Kish 1965). 0 where no row has weight.
pub fn effective_sample_size(weights: &[f32]) -> f64 {
    let sum: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
    let squares: f64 = weights.iter().map(|&weight| f64::from(weight).powi(2)).sum();
    if squares > 0.0 { sum * sum / squares } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_flattened_clipped_and_have_a_mean_of_one() {
        assert_eq!(temper(&[1.0, 3.0], 1.0, 10.0).unwrap(), [0.5, 1.5]);
        assert_eq!(temper(&[1.0, 9.0], 0.5, 10.0).unwrap(), [0.5, 1.5]);
        assert_eq!(temper(&[0.0, 7.0], 0.0, 10.0).unwrap(), [1.0, 1.0]);
        let clipped = temper(&[0.0, 0.0, 0.0, 100.0, 0.0], 1.0, 2.0).unwrap();
        assert_eq!(clipped, [0.0, 0.0, 0.0, 5.0, 0.0]);
        let error = temper(&[0.0, 0.0], 1.0, 10.0).unwrap_err();
        assert!(error.message().contains("no source row has any weight"), "{error}");
        assert_eq!(temper(&[1.0, f64::NAN], 1.0, 10.0).unwrap_err().place().row, Some(2));
        assert_eq!(temper(&[1.0], 1.5, 10.0).unwrap_err().place().key.as_deref(), Some("flatten"));
        assert_eq!(temper(&[1.0], 1.0, 1.0).unwrap_err().place().key.as_deref(), Some("clip"));
    }

    #[test]
    fn equal_weights_count_all_rows_and_one_weight_counts_one() {
        assert_eq!(effective_sample_size(&[2.0; 8]), 8.0);
        assert_eq!(effective_sample_size(&[0.0, 5.0, 0.0]), 1.0);
        assert_eq!(effective_sample_size(&[0.0, 0.0]), 0.0);
    }

    #[test]
    fn domains_that_are_the_same_cannot_be_told_apart() {
        let values: Vec<f32> = (0..200).map(|row| ((row * 37) % 101) as f32 / 50.0 - 1.0).collect();
        let (source, target) = (Rows::new(&values[..100], 1).unwrap(), Rows::new(&values[100..], 1).unwrap());
        let settings =
            RatioSettings { estimator: Estimator::Classifier, regularization: 1.0, flatten: 1.0, clip: 10.0 };
        let ratios = density_ratios(&source, &target, &settings, Seed(1)).unwrap();
        assert!(ratios.ratios.iter().all(|ratio| (0.5..2.0).contains(ratio)), "{ratios:?}");
        assert!(ratios.domain_accuracy.unwrap() < 0.65);
        let one = Rows::new(&values[..1], 1).unwrap();
        assert!(density_ratios(&one, &target, &settings, Seed(1)).is_err());
    }
}
