//! Rolling-origin evaluation (Tashman 2000): which steps forecasts start at, and which of them training may see.

use lepton_core::{Error, ErrorCode, Result};

/// Where the forecasts of one series start. Origin `t` knows the values before step `t` and is held against the steps
/// `t .. t + horizon`. Nothing that a later part is measured on is among the targets of an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins {
    /// Of training: every step whose targets lie before the first validation origin.
    pub train: Vec<usize>,
    /// Of validation: their targets lie before the first test origin.
    pub valid: Vec<usize>,
    /// Of the test: the last ones that have all their targets.
    pub test: Vec<usize>,
}

impl Origins {
    /// The plan for a series of `length` values: `test` origins at its end and `valid` before them, `step` apart, and
    /// training at every step before.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] for a series that is too short, with how long it must be.
    pub fn plan(
        length: usize,
        window: usize,
        horizon: usize,
        valid: usize,
        test: usize,
        step: usize,
    ) -> Result<Origins> {
        let needed = Origins::needed(window, horizon, valid, test, step);
        if needed.is_none_or(|needed| length < needed) {
            let needed = needed.map_or_else(|| "more than there can be".to_owned(), |needed| needed.to_string());
            let message = format!(
                "the series has {length} values; a window of {window}, a horizon of {horizon}, {valid} validation and \
                 {test} test origins {step} apart need {needed}"
            );
            return Err(Error::new(ErrorCode::BadData, message)
                .fix("give a longer series, or lower forecast.window, forecast.horizon or the origins"));
        }
        let rolling = |end: usize, count: usize| -> Vec<usize> {
            (0..count).rev().map(|back| end - horizon - back * step).collect()
        };
        let test = rolling(length, test);
        let valid = rolling(test[0], valid);
        let train = (window..=valid[0] - horizon).collect();
        Ok(Origins { train, valid, test })
    }

    /// How long a series must be for one training window.
    fn needed(window: usize, horizon: usize, valid: usize, test: usize, step: usize) -> Option<usize> {
        let part = |count: usize| count.checked_sub(1)?.checked_mul(step)?.checked_add(horizon);
        window.checked_add(horizon)?.checked_add(part(valid)?)?.checked_add(part(test)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_is_measured_on_what_an_earlier_one_saw() {
        for (length, window, horizon, valid, test, step) in [(144, 24, 12, 13, 25, 1), (60, 5, 3, 4, 6, 2)] {
            let origins = Origins::plan(length, window, horizon, valid, test, step).unwrap();
            assert_eq!((origins.valid.len(), origins.test.len()), (valid, test));
            let last = |origins: &[usize]| origins[origins.len() - 1] + horizon;
            assert_eq!(last(&origins.test), length);
            assert!(last(&origins.valid) <= origins.test[0] && last(&origins.train) <= origins.valid[0]);
            assert_eq!(origins.train[0], window);
        }
        assert_eq!(Origins::plan(144, 24, 12, 13, 25, 1).unwrap().test[0], 108);
    }

    #[test]
    fn a_short_series_is_told_what_it_needs() {
        let exact = 24 + 12 + 12 + 12 + 24 + 12;
        assert_eq!(Origins::plan(exact, 24, 12, 13, 25, 1).unwrap().train, [24]);
        let error = Origins::plan(exact - 1, 24, 12, 13, 25, 1).unwrap_err();
        assert!(error.code() == ErrorCode::BadData && error.message().contains("need 96"), "{error}");
        assert!(Origins::plan(50, 5, 100, 1, 1, 1).is_err());
        assert!(Origins::plan(50, 5, 2, 0, 1, 1).is_err());
        assert!(Origins::plan(50, usize::MAX, 2, 1, 1, 1).is_err());
    }
}
