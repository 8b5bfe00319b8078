//! Summaries of columns and of predictions that are small, mergeable and deterministic: made of the training
//! data once, made of live traffic all the time, and compared by lepton-monitor.
//!
//! A sketch is bounded in memory however many rows it sees. The same rows in the same order, cut into the
//! same batches or not, give the same bytes. What counts as drift is not decided here.

mod category;
mod dataset;
mod distinct;
mod image;
mod number;
mod prediction;
mod quantiles;
mod series;
mod text;

pub use category::CategorySketch;
pub use dataset::{ColumnSketch, DatasetSketch, NamedSketch, Rows};
pub use distinct::DistinctSketch;
pub use image::{ImageSketch, PictureLook};
pub use number::NumberSketch;
pub use prediction::PredictionSketch;
pub use quantiles::QuantileSketch;
pub use series::{SeriesLook, SeriesSketch};
pub use text::TextSketch;
