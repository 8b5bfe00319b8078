//! A column of numbers: how many, how spread, which quantiles.

use crate::QuantileSketch;
use serde::{Deserialize, Serialize};

/// The summary of a column of numbers. What is missing or not finite is counted and enters nothing else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberSketch {
    missing: u64,
    not_finite: u64,
    mean: f64,
    /// Sum of squared distances from the mean.
    spread: f64,
    /// Smallest and largest; `None` of nothing.
    range: Option<[f64; 2]>,
    quantiles: QuantileSketch,
}

impl NumberSketch {
    /// Adds a value, or a missing one.
    pub fn add(&mut self, value: Option<f64>) {
        match value {
            None => self.missing += 1,
            Some(value) if !value.is_finite() => self.not_finite += 1,
            Some(value) => {
                self.quantiles.add(value);
                // Welford (1962): stable where the sum of squares is not.
                let distance = value - self.mean;
                self.mean += distance / self.count() as f64;
                self.spread += distance * (value - self.mean);
                let [low, high] = self.range.unwrap_or([value, value]);
                self.range = Some([low.min(value), high.max(value)]);
            }
        }
    }

    /// Adds many values at once, see [`QuantileSketch::extend`].
    pub fn extend(&mut self, values: &[f64]) {
        if !values.iter().all(|value| value.is_finite()) {
            values.iter().for_each(|value| self.add(Some(*value)));
            return;
        }
        if values.is_empty() {
            return;
        }
        let mine = self.count() as f64;
        let theirs = values.len() as f64;
        let mean = values.iter().sum::<f64>() / theirs;
        let spread: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        self.quantiles.extend(values);
        let distance = mean - self.mean;
        self.mean += distance * theirs / (mine + theirs);
        self.spread += spread + distance * distance * mine * theirs / (mine + theirs);
        let [lowest, highest] = self.range.unwrap_or([low, high]);
        self.range = Some([lowest.min(low), highest.max(high)]);
    }

    /// Adds all that `other` has seen.
    pub fn merge(&mut self, other: &NumberSketch) {
        self.missing += other.missing;
        self.not_finite += other.not_finite;
        let Some([low, high]) = other.range else { return };
        // Chan, Golub and LeVeque (1979): moments of a union from the moments of its parts.
        let (mine, theirs) = (self.count() as f64, other.count() as f64);
        let distance = other.mean - self.mean;
        self.mean += distance * theirs / (mine + theirs);
        self.spread += other.spread + distance * distance * mine * theirs / (mine + theirs);
        let [lowest, highest] = self.range.unwrap_or([low, high]);
        self.range = Some([lowest.min(low), highest.max(high)]);
        self.quantiles.merge(&other.quantiles);
    }

    /// How many finite values.
    pub fn count(&self) -> u64 {
        self.quantiles.count()
    }

    /// How many missing values.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// How many NaNs and infinities.
    pub fn not_finite(&self) -> u64 {
        self.not_finite
    }

    /// Finite, missing and not finite values together.
    pub fn rows(&self) -> u64 {
        self.count() + self.missing + self.not_finite
    }

    /// The mean of the finite values.
    pub fn mean(&self) -> Option<f64> {
        (self.count() > 0).then_some(self.mean)
    }

    /// Their variance (over the count, as numpy's `var`).
    pub fn variance(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.spread / self.count() as f64)
    }

    /// The smallest, exactly.
    pub fn min(&self) -> Option<f64> {
        self.range.map(|range| range[0])
    }

    /// The largest, exactly.
    pub fn max(&self) -> Option<f64> {
        self.range.map(|range| range[1])
    }

    /// The least value with at least the share `q` of values at or below it, within the bound of
    /// [`QuantileSketch`]; the ends, 0 and 1, are exact.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        match q {
            0.0 => self.min(),
            1.0 => self.max(),
            _ => self.quantiles.quantile(q),
        }
    }

    /// The share of finite values at or below `x`, within the bound of [`QuantileSketch`].
    pub fn cdf(&self, x: f64) -> Option<f64> {
        self.quantiles.cdf(x)
    }

    /// The distribution of the finite values.
    pub fn quantiles(&self) -> &QuantileSketch {
        &self.quantiles
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sketch_of(values: &[f64]) -> NumberSketch {
        let mut sketch = NumberSketch::default();
        values.iter().for_each(|value| sketch.add(Some(*value)));
        sketch
    }

    fn near(left: Option<f64>, right: f64) -> bool {
        left.is_some_and(|left| (left - right).abs() <= 1e-9 * right.abs().max(1.0))
    }

    #[test]
    fn moments_are_those_of_numpy() {
        // numpy 2: a = [1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16]; a.mean(), a.var()
        let sketch = sketch_of(&[1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0]);
        assert_eq!((sketch.mean(), sketch.variance()), (Some(1_000_000_010.0), Some(22.5)));
        // numpy 2: numpy.quantile([3, 1, 2, 5, 4], [0, .2, .5, .61, 1], method="inverted_cdf")
        let sketch = sketch_of(&[3.0, 1.0, 2.0, 5.0, 4.0]);
        let quantiles = [0.0, 0.2, 0.5, 0.61, 1.0].map(|q| sketch.quantile(q));
        assert_eq!(quantiles, [1.0, 1.0, 3.0, 4.0, 5.0].map(Some));
    }

    #[test]
    fn what_is_missing_or_not_finite_is_counted_apart() {
        let mut sketch = sketch_of(&[2.0, f64::NAN, f64::INFINITY, 4.0]);
        sketch.add(None);
        let mut merged = NumberSketch::default();
        merged.merge(&sketch);
        for sketch in [&sketch, &merged] {
            assert_eq!((sketch.count(), sketch.missing(), sketch.not_finite(), sketch.rows()), (2, 1, 2, 5));
            assert_eq!((sketch.mean(), sketch.min(), sketch.max()), (Some(3.0), Some(2.0), Some(4.0)));
        }
        let empty = NumberSketch::default();
        assert_eq!((empty.mean(), empty.variance(), empty.min(), empty.quantile(0.0)), (None, None, None, None));
        let text = serde_json::to_string(&sketch).unwrap();
        assert_eq!(serde_json::from_str::<NumberSketch>(&text).unwrap(), sketch);
    }

    proptest! {
        #[test]
        fn merged_moments_are_those_of_the_whole(
            left in prop::collection::vec(-1e6f64..1e6, 0..200), right in prop::collection::vec(-1e6f64..1e6, 1..200),
        ) {
            let mut merged = sketch_of(&left);
            merged.merge(&sketch_of(&right));
            let all: Vec<f64> = left.iter().chain(&right).copied().collect();
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            let variance = all.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / all.len() as f64;
            prop_assert!(near(merged.mean(), mean));
            prop_assert!(near(merged.variance(), variance));
            prop_assert_eq!(merged.count(), all.len() as u64);
            prop_assert_eq!(merged.max(), all.iter().copied().reduce(f64::max));
        }
    }
}
