//! Tasks on pictures, one folder each. Now: image classification.
//!
//! A task says what its kind of problem adds to the common path; training, serving and storage are elsewhere.

mod image_classification;

pub use image_classification::ImageClassification;
