//! Changes to series of numbers along time (Um and others, 2017): jitter, one factor, a smooth curve of factors, time
//! that runs faster and slower, a stretched window. A changed series is as long as before.

use super::draws::Draws;
use super::settings::AugmentSettings;
use super::steps::{Domain, Step};
use lepton_core::{Result, Seed};

/// Changes series by the steps of [`AugmentSettings`] and a seed.
pub struct SeriesAugmenter {
    settings: AugmentSettings,
    seed: Seed,
}

impl SeriesAugmenter {
    /// An augmenter.
    ///
    /// # Errors
    /// What the settings are refused for.
    pub fn new(settings: &AugmentSettings, seed: Seed) -> Result<SeriesAugmenter> {
        settings.check()?;
        settings.check_domain(Domain::Series)?;
        Ok(SeriesAugmenter { settings: settings.clone(), seed })
    }

    /// The series that `row` is in `epoch`, as long as before.
    pub fn series(&self, values: &[f64], row: u64, epoch: u64) -> Vec<f64> {
        self.dimension(values, row, epoch, 0)
    }

    /// As [`SeriesAugmenter::series`], for `[time, dimensions]` numbers in place. All dimensions are warped and scaled
    /// alike, as they were recorded together; noise is each one's own.
    pub fn dimensions(&self, values: &mut [f32], dimensions: usize, row: u64, epoch: u64) {
        for dimension in 0..dimensions {
            let steps = values.iter().skip(dimension).step_by(dimensions).map(|value| f64::from(*value));
            let changed = self.dimension(&steps.collect::<Vec<_>>(), row, epoch, dimension as u64);
            let places = values.iter_mut().skip(dimension).step_by(dimensions);
            places.zip(changed).for_each(|(place, value)| *place = value as f32);
        }
    }

    fn dimension(&self, values: &[f64], row: u64, epoch: u64, dimension: u64) -> Vec<f64> {
        let mut values = values.to_vec();
        for (index, entry) in self.settings.steps.iter().enumerate() {
            let mut draws = Draws::new(self.seed, "augment step", &[row, epoch, index as u64]);
            if !draws.chance(entry.chance()) {
                continue;
            }
            match entry.step {
                Step::Jitter { amount } if dimension == 0 => jitter(&mut values, amount, &mut draws),
                Step::Jitter { amount } => {
                    let mut own = Draws::new(self.seed, "augment step", &[row, epoch, index as u64, dimension]);
                    jitter(&mut values, amount, &mut own);
                }
                Step::Magnitude { amount } => {
                    let factor = 1.0 + amount * draws.normal();
                    values.iter_mut().for_each(|value| *value *= factor);
                }
                Step::MagnitudeWarp { amount, knots } => {
                    let curve = smooth_curve(amount, knots, values.len(), &mut draws);
                    values.iter_mut().zip(curve).for_each(|(value, factor)| *value *= factor);
                }
                Step::TimeWarp { amount, knots } => {
                    let speeds = smooth_curve(amount, knots, values.len(), &mut draws);
                    values = time_warp(&values, &speeds);
                }
                Step::WindowWarp { window, factor } => {
                    let length = ((window * values.len() as f64).round() as usize).max(1);
                    let start = draws.below(values.len().saturating_sub(length) + 1);
                    values = window_warp(&values, start, length, draws.between(factor));
                }
                _ => {}
            }
        }
        values
    }
}

/// Adds a normal amount to each value, with a deviation of `amount` times the series' own.
pub fn jitter(values: &mut [f64], amount: f64, draws: &mut Draws) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    values.iter_mut().for_each(|value| *value += amount * deviation * draws.normal());
}

/// A smooth curve of `length` values around 1: a natural cubic spline through `knots` inner knots and both ends, each
/// normal with mean 1 and deviation `amount`.
pub fn smooth_curve(amount: f64, knots: usize, length: usize, draws: &mut Draws) -> Vec<f64> {
    let heights: Vec<f64> = (0..knots + 2).map(|_| 1.0 + amount * draws.normal()).collect();
    let spline = Spline::new(&heights);
    let scale = (heights.len() - 1) as f64 / length.saturating_sub(1).max(1) as f64;
    (0..length).map(|place| spline.at(place as f64 * scale)).collect()
}

/// The series read at places that advance by `speeds`, scaled so that it still ends at its end. Speeds below a
/// twentieth count as one: time never stands still or runs back.
pub fn time_warp(values: &[f64], speeds: &[f64]) -> Vec<f64> {
    let mut places = vec![0.0];
    for pair in speeds.windows(2) {
        let step = ((pair[0] + pair[1]) / 2.0).max(0.05);
        places.push(places[places.len() - 1] + step);
    }
    let last = places[places.len() - 1];
    let scale = if last > 0.0 { values.len().saturating_sub(1) as f64 / last } else { 0.0 };
    values.iter().zip(places).map(|(_, place)| read(values, place * scale)).collect()
}

/// The series with `length` values from `start` on drawn out by `factor`, and the whole brought back to its length.
pub fn window_warp(values: &[f64], start: usize, length: usize, factor: f64) -> Vec<f64> {
    let count = values.len();
    if count < 2 {
        return values.to_vec();
    }
    let (start, end) = (start.min(count - 1) as f64, (start + length).min(count - 1) as f64);
    let grown = (end - start) * factor;
    let whole = (count - 1) as f64 - (end - start) + grown;
    (0..count)
        .map(|place| {
            let place = place as f64 * whole / (count - 1) as f64;
            let source = if place <= start {
                place
            } else if place < start + grown {
                start + (place - start) / factor
            } else {
                place - grown + (end - start)
            };
            read(values, source)
        })
        .collect()
}

/// The value at a place between two, linearly.
fn read(values: &[f64], place: f64) -> f64 {
    let last = values.len().saturating_sub(1);
    let before = (place.max(0.0).floor() as usize).min(last);
    let after = (before + 1).min(last);
    let part = (place - before as f64).clamp(0.0, 1.0);
    values[before] + (values[after] - values[before]) * part
}

/// A natural cubic spline through heights at 0, 1, 2 and so on.
struct Spline<'a> {
    heights: &'a [f64],
    /// Second derivatives at the knots.
    bends: Vec<f64>,
}

impl Spline<'_> {
    fn new(heights: &[f64]) -> Spline<'_> {
        let count = heights.len();
        let mut bends = vec![0.0; count];
        // The tridiagonal system 1, 4, 1 by Thomas' algorithm; both ends are straight.
        let mut factors = vec![0.0; count];
        for knot in 1..count.saturating_sub(1) {
            let divisor = 4.0 - factors[knot - 1];
            let bend = 6.0 * (heights[knot + 1] - 2.0 * heights[knot] + heights[knot - 1]);
            factors[knot] = 1.0 / divisor;
            bends[knot] = (bend - bends[knot - 1]) / divisor;
        }
        for knot in (1..count.saturating_sub(1)).rev() {
            bends[knot] -= factors[knot] * bends[knot + 1];
        }
        Spline { heights, bends }
    }

    fn at(&self, place: f64) -> f64 {
        let before = (place.floor() as usize).min(self.heights.len() - 2);
        let (b, a) = (place - before as f64, before as f64 + 1.0 - place);
        a * self.heights[before]
            + b * self.heights[before + 1]
            + ((a.powi(3) - a) * self.bends[before] + (b.powi(3) - b) * self.bends[before + 1]) / 6.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::StepSettings;

    fn draws() -> Draws {
        Draws::new(Seed(5), "test", &[])
    }

    /// scipy.interpolate.CubicSpline(range(5), heights, bc_type="natural") at these places.
    #[test]
    fn the_curve_is_a_natural_cubic_spline() {
        let heights = [1.0, 1.4, 0.7, 1.1, 0.9];
        let spline = Spline::new(&heights);
        for (place, value) in
            [(0.5, 1.343_973_214_285_714_2), (1.25, 1.248_856_026_785_714), (3.9, 0.945_633_928_571_428_6)]
        {
            assert!((spline.at(place) - value).abs() < 1e-9, "{place}: {}", spline.at(place));
        }
        heights
            .iter()
            .enumerate()
            .for_each(|(place, height)| assert!((spline.at(place as f64) - height).abs() < 1e-12));
    }

    #[test]
    fn even_time_and_a_factor_of_one_change_nothing() {
        let values: Vec<f64> = (0..20).map(|place| f64::from(place * place % 7)).collect();
        for warped in [time_warp(&values, &[0.7; 20]), window_warp(&values, 5, 4, 1.0)] {
            assert!(values.iter().zip(&warped).all(|(one, other)| (one - other).abs() < 1e-9), "{warped:?}");
        }
    }

    #[test]
    fn warps_keep_both_ends_and_the_order() {
        let values: Vec<f64> = (0..50).map(f64::from).collect();
        let speeds = smooth_curve(0.5, 4, 50, &mut draws());
        for warped in [time_warp(&values, &speeds), window_warp(&values, 10, 9, 3.0), window_warp(&values, 10, 9, 0.2)]
        {
            assert_eq!(warped.len(), 50);
            assert!(warped[0].abs() < 1e-9 && (warped[49] - 49.0).abs() < 1e-9, "{warped:?}");
            assert!(warped.windows(2).all(|pair| pair[0] < pair[1]), "{warped:?}");
        }
        // The window takes three times its share.
        let inside = window_warp(&values, 10, 9, 3.0).iter().filter(|value| (10.0..=19.0).contains(*value)).count();
        assert!((19..=21).contains(&inside), "{inside}");
    }

    #[test]
    fn jitter_has_the_deviation_that_was_asked_for() {
        let values: Vec<f64> = (0..5000).map(|place| f64::from(place % 2) * 2.0).collect();
        let mut noisy = values.clone();
        jitter(&mut noisy, 0.25, &mut draws());
        let off = values.iter().zip(&noisy).map(|(one, other)| (one - other).powi(2)).sum::<f64>() / 5000.0;
        assert!((off.sqrt() - 0.25).abs() < 0.01, "{off}");
    }

    #[test]
    fn seed_row_and_epoch_decide_the_series_and_its_length_stays() {
        let steps = vec![
            StepSettings::new(Step::Jitter { amount: 0.1 }, 1.0),
            StepSettings::new(Step::Magnitude { amount: 0.1 }, 1.0),
            StepSettings::new(Step::MagnitudeWarp { amount: 0.2, knots: 4 }, 1.0),
            StepSettings::new(Step::TimeWarp { amount: 0.2, knots: 4 }, 1.0),
            StepSettings::new(Step::WindowWarp { window: 0.2, factor: [0.5, 2.0] }, 1.0),
        ];
        let settings = AugmentSettings { steps, ..AugmentSettings::default() };
        let values: Vec<f64> = (0..40).map(|place| (f64::from(place) / 3.0).sin()).collect();
        let at = |seed, row, epoch| SeriesAugmenter::new(&settings, Seed(seed)).unwrap().series(&values, row, epoch);
        assert_eq!(at(1, 2, 3).len(), 40);
        assert_eq!(at(1, 2, 3), at(1, 2, 3));
        assert!(at(1, 2, 3) != at(2, 2, 3) && at(1, 2, 3) != at(1, 3, 3) && at(1, 2, 3) != at(1, 2, 4));
        // All dimensions are warped alike, and the first as a series of one dimension is.
        let mut twice: Vec<f32> = values.iter().flat_map(|value| [*value as f32; 2]).collect();
        let warp = AugmentSettings {
            steps: vec![StepSettings::new(Step::TimeWarp { amount: 0.2, knots: 4 }, 1.0)],
            ..AugmentSettings::default()
        };
        SeriesAugmenter::new(&warp, Seed(1)).unwrap().dimensions(&mut twice, 2, 2, 3);
        assert!(twice.chunks_exact(2).all(|step| step[0] == step[1]));
        let mut noisy = vec![1.0f32, 1.0, -1.0, -1.0];
        let jitter = AugmentSettings {
            steps: vec![StepSettings::new(Step::Jitter { amount: 0.5 }, 1.0)],
            ..AugmentSettings::default()
        };
        SeriesAugmenter::new(&jitter, Seed(1)).unwrap().dimensions(&mut noisy, 2, 2, 3);
        assert!(noisy.chunks_exact(2).all(|step| step[0] != step[1]));
        for short in [vec![], vec![3.0]] {
            assert_eq!(SeriesAugmenter::new(&settings, Seed(1)).unwrap().series(&short, 0, 0).len(), short.len());
        }
    }
}
