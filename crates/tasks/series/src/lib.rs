//! Tasks on series, one folder each: classification of whole series.
//!
//! A task says what its kind of problem adds to the common path; training, serving and storage are elsewhere.

mod series_classification;

pub use series_classification::SeriesClassification;
