//! Tasks on texts, one folder each: classification of whole texts.
//!
//! A task says what its kind of problem adds to the common path; training, serving and storage are elsewhere.

mod text_classification;

pub use text_classification::TextClassification;
