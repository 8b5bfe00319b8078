//! Tasks on series, one folder each: forecasts of what comes next, classification of whole series.
//!
//! A task says what its kind of problem adds to the common path; training, serving and storage are elsewhere.

mod forecasting;
mod series_classification;

pub use forecasting::Forecasting;
pub use series_classification::SeriesClassification;
