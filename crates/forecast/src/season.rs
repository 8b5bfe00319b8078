//! How long the season of a series is, by its autocorrelation.

/// What the autocorrelation says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Season {
    /// Steps of a season; 1 where none was found.
    pub length: usize,
    /// The autocorrelation of the changes at that lag, -1 to 1; 0 where none was found.
    pub autocorrelation: f64,
}

/// Autocorrelation from which a season is believed.
const BELIEVED: f64 = 0.25;

/// The longest season that is looked for.
const LONGEST: usize = 400;

/// The lag, from 2 to a third of the series and at most 400, at which the autocorrelation of the changes from step to
/// step has its highest peak. Changes are looked at because a trend would make every lag look alike. A peak is higher
/// than both neighbours, above 0.25, and above twice what chance gives (`1 / sqrt(n)`); of peaks within a tenth of the
/// highest the shortest lag is taken, as a season of 12 has a peak at 24 too.
pub fn guess_season(values: &[f64]) -> Season {
    let none = Season { length: 1, autocorrelation: 0.0 };
    let changes: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let longest = (values.len() / 3).min(LONGEST);
    if longest < 2 {
        return none;
    }
    let mean = changes.iter().sum::<f64>() / changes.len() as f64;
    let variance: f64 = changes.iter().map(|change| (change - mean).powi(2)).sum();
    if variance <= 0.0 {
        return none;
    }
    let at = |lag: usize| -> f64 {
        let pairs = changes.iter().zip(changes.iter().skip(lag));
        pairs.map(|(early, late)| (early - mean) * (late - mean)).sum::<f64>() / variance
    };
    let all: Vec<f64> = (1..=longest + 1).map(at).collect();
    // `all[lag - 1]` is the lag's.
    let believed = BELIEVED.max(2.0 / (changes.len() as f64).sqrt());
    let peaks: Vec<usize> = (2..=longest)
        .filter(|lag| {
            let here = all[lag - 1];
            here > believed && here >= all[lag - 2] && here >= all[*lag]
        })
        .collect();
    let highest = peaks.iter().map(|lag| all[lag - 1]).fold(f64::NEG_INFINITY, f64::max);
    let length = peaks.into_iter().find(|lag| all[lag - 1] >= 0.9 * highest);
    length.map_or(none, |length| Season { length, autocorrelation: all[length - 1] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_season_is_found_beside_a_trend_and_none_where_there_is_none() {
        let wave = |at: usize| at as f64 + 5.0 * (at as f64 * std::f64::consts::TAU / 7.0).sin();
        assert_eq!(guess_season(&(0..60).map(wave).collect::<Vec<_>>()).length, 7);
        // A walk whose steps have no order: a linear congruential generator.
        let mut state = 1u64;
        let mut walk = vec![0.0];
        for _ in 0..200 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let step = (state >> 33) as f64 / f64::from(1u32 << 31) - 0.5;
            walk.push(walk[walk.len() - 1] + step);
        }
        assert_eq!(guess_season(&walk).length, 1);
        assert_eq!(guess_season(&[3.0; 50]).length, 1);
        assert_eq!(guess_season(&[1.0, 2.0]).length, 1);
    }
}
