//! Tasks on tables, one folder each. Now: tabular classification.
//!
//! A task says what its kind of problem adds to the common path; training, serving and storage are elsewhere.

mod tabular_classification;

pub use tabular_classification::TabularClassification;
