//! Tasks on tables, one folder each: classification and regression. They share networks and schema.
//!
//! A task says what its kind of problem adds to the common path; training, serving and storage are elsewhere.

mod schema;
mod tabular_classification;
mod tabular_regression;
mod zoo;

pub use tabular_classification::TabularClassification;
pub use tabular_regression::TabularRegression;
