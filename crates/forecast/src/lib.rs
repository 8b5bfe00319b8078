//! Forecasting without a network: the baselines that a network must beat (naive, seasonal naive, drift, exponential
//! smoothing), metrics of points and of quantiles, the season of a series, and where rolling origins lie.
//!
//! Everything here is a function of numbers. Windows are cut and networks trained elsewhere.

mod baseline;
mod exponential;
mod least_squares;
mod nelder_mead;
mod origins;
mod point;
mod quantile;
mod season;
mod settings;

pub use baseline::{drift, naive, seasonal_naive};
pub use exponential::{Cycle, Form, Parameters, Smoothing, State, Trend};
pub use origins::Origins;
pub use point::{mae, rmse, scaled, seasonal_scale, smape};
pub use quantile::{coverage, interval_width, pinball, weighted_quantile_loss};
pub use season::{Season, guess_season};
pub use settings::ForecastSettings;
