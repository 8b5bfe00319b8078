//! A column of series: how long, around what, how spread. The numbers themselves are not kept.

use crate::NumberSketch;
use lepton_core::series::SeriesRef;
use serde::{Deserialize, Serialize};

/// The summary of a column of series. A missing series is a missing value in each part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesSketch {
    /// Steps.
    pub length: NumberSketch,
    /// Mean over all numbers of a series, of all dimensions.
    pub mean: NumberSketch,
    /// Their standard deviation.
    pub spread: NumberSketch,
}

/// What a sketch takes from one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeriesLook {
    /// Steps.
    pub length: f64,
    /// Mean over the numbers that are there, of all dimensions; `None` where there are none.
    pub mean: Option<f64>,
    /// Their standard deviation.
    pub spread: Option<f64>,
}

impl SeriesLook {
    /// What a sketch takes from `series`.
    pub fn of(series: SeriesRef<'_>) -> SeriesLook {
        let present = || series.values.iter().filter(|value| value.is_finite()).map(|value| f64::from(*value));
        let count = present().count();
        let length = series.length() as f64;
        if count == 0 {
            return SeriesLook { length, mean: None, spread: None };
        }
        let mean = present().sum::<f64>() / count as f64;
        let variance = present().map(|value| (value - mean).powi(2)).sum::<f64>() / count as f64;
        SeriesLook { length, mean: Some(mean), spread: Some(variance.sqrt()) }
    }
}

impl SeriesSketch {
    /// Adds what was taken from a series, or a missing one.
    pub fn add_look(&mut self, look: Option<SeriesLook>) {
        self.length.add(look.map(|look| look.length));
        self.mean.add(look.and_then(|look| look.mean));
        self.spread.add(look.and_then(|look| look.spread));
    }

    /// Adds all that `other` has seen.
    pub fn merge(&mut self, other: &SeriesSketch) {
        self.length.merge(&other.length);
        self.mean.merge(&other.mean);
        self.spread.merge(&other.spread);
    }

    /// The parts by name.
    pub fn parts(&self) -> [(&'static str, &NumberSketch); 3] {
        [("length", &self.length), ("mean", &self.mean), ("spread", &self.spread)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_looks_as_numpy_says() {
        // numpy 2: a = [1, 2, 4, 9]; a.mean(), a.std()
        let look = SeriesLook::of(SeriesRef { dimensions: 1, values: &[1.0, 2.0, f32::NAN, 4.0, 9.0] });
        assert_eq!((look.length, look.mean), (5.0, Some(4.0)));
        assert!((look.spread.unwrap() - 3.082_207_001_484_488).abs() < 1e-12);
        let mut sketch = SeriesSketch::default();
        sketch.add_look(Some(look));
        sketch.add_look(None);
        sketch.add_look(Some(SeriesLook::of(SeriesRef { dimensions: 2, values: &[f32::NAN; 4] })));
        let mut twice = sketch.clone();
        twice.merge(&sketch);
        assert_eq!((sketch.length.count(), sketch.length.missing(), sketch.mean.missing()), (2, 1, 2));
        assert_eq!((twice.length.count(), twice.length.max()), (4, Some(5.0)));
        assert_eq!(sketch.parts().map(|(name, _)| name), ["length", "mean", "spread"]);
    }
}
