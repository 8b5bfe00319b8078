//! `[forecast]` of `lepton.toml`: what is forecast, from what, and what it is measured on.

use lepton_core::{Error, ErrorCode, Result, Transform};
use serde::{Deserialize, Serialize};

/// The longest window or horizon.
const LONGEST: usize = 1 << 16;

/// `[forecast]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForecastSettings {
    /// Steps ahead; must be set.
    pub horizon: Option<usize>,
    /// Steps of a season; `None` guesses it from the autocorrelation of the training values. 1 is none.
    pub season: Option<usize>,
    /// Steps that a forecast is made from; `None` takes two seasons or two horizons, whichever is longer.
    pub window: Option<usize>,
    /// The column of times, which must rise by even steps; it is no input.
    pub time: Option<String>,
    /// The column that says which series a row belongs to; `None` where the table is one series.
    pub series: Option<String>,
    /// Forecasts that validation looks at; `None` takes as many as fit into a tenth of the shortest series.
    pub valid_origins: Option<usize>,
    /// Forecasts that the test looks at; `None` takes as many as fit into a fifth of the shortest series.
    pub test_origins: Option<usize>,
    /// Steps from one validation or test forecast to the next.
    pub step: usize,
    /// The quantiles of the forecast, rising between 0 and 1. The median, 0.5, is the point forecast and must be there.
    pub quantiles: Vec<f64>,
    /// What is done to values before a network sees them.
    pub transform: Transform,
}

impl Default for ForecastSettings {
    fn default() -> ForecastSettings {
        ForecastSettings {
            horizon: None,
            season: None,
            window: None,
            time: None,
            series: None,
            valid_origins: None,
            test_origins: None,
            step: 1,
            quantiles: vec![0.1, 0.5, 0.9],
            transform: Transform::None,
        }
    }
}

impl ForecastSettings {
    /// Checks the values.
    ///
    /// # Errors
    /// [`ErrorCode::Config`], naming the key.
    pub fn validate(&self) -> Result<()> {
        let wrong =
            |key: &str, message: String| Err(Error::new(ErrorCode::Config, message).at_key(format!("forecast.{key}")));
        for (key, value) in [
            ("horizon", self.horizon),
            ("season", self.season),
            ("window", self.window),
            ("valid_origins", self.valid_origins),
            ("test_origins", self.test_origins),
            ("step", Some(self.step)),
        ] {
            if let Some(value) = value.filter(|value| !(1..=LONGEST).contains(value)) {
                return wrong(key, format!("{value} is not from 1 to {LONGEST}"));
            }
        }
        let levels = &self.quantiles;
        let inside = levels.iter().all(|level| *level > 0.0 && *level < 1.0);
        if !inside || levels.windows(2).any(|pair| pair[0] >= pair[1]) {
            return wrong("quantiles", format!("{levels:?} do not rise between 0 and 1"));
        }
        if !levels.contains(&0.5) {
            return wrong("quantiles", format!("{levels:?} lack 0.5, the median, which is the point forecast"));
        }
        if self.time.is_some() && self.time == self.series {
            return wrong("series", "one column cannot be both the time and the name of the series".to_owned());
        }
        Ok(())
    }

    /// The horizon.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] where none is set.
    pub fn horizon(&self) -> Result<usize> {
        self.horizon.ok_or_else(|| {
            Error::new(ErrorCode::Config, "how many steps ahead shall be forecast is not set")
                .at_key("forecast.horizon")
                .fix("set it, for example horizon = 12")
        })
    }

    /// The window: what is set, or two seasons or two horizons.
    pub fn window(&self, season: usize, horizon: usize) -> usize {
        self.window.unwrap_or(2 * season.max(horizon))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_names_its_key() {
        let good = ForecastSettings { horizon: Some(12), ..ForecastSettings::default() };
        assert!(good.validate().is_ok());
        let key = |change: fn(&mut ForecastSettings)| {
            let mut settings = good.clone();
            change(&mut settings);
            settings.validate().unwrap_err().place().key.clone().unwrap()
        };
        assert_eq!(key(|settings| settings.horizon = Some(0)), "forecast.horizon");
        assert_eq!(key(|settings| settings.window = Some(usize::MAX)), "forecast.window");
        assert_eq!(key(|settings| settings.step = 0), "forecast.step");
        assert_eq!(key(|settings| settings.quantiles = vec![0.5, 0.1]), "forecast.quantiles");
        assert_eq!(key(|settings| settings.quantiles = vec![0.1, 0.9]), "forecast.quantiles");
        assert_eq!(key(|settings| settings.quantiles = vec![0.5, f64::NAN]), "forecast.quantiles");
        assert_eq!(
            key(|settings| (settings.time, settings.series) = (Some("t".into()), Some("t".into()))),
            "forecast.series"
        );
        assert_eq!(ForecastSettings::default().horizon().unwrap_err().place().key.as_deref(), Some("forecast.horizon"));
    }
}
