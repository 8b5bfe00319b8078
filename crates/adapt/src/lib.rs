//! Transfer by the data: rows of a source domain that are weighted or moved so that they stand for a target domain, and
//! distances that say how far apart the two are.
//!
//! Pure functions over rows of float32 features. No file, no clock, no network that trains: what learns comes in as a
//! closure, and what is random comes from a seed. Settings and the loop of training are lepton-train's.

mod adversarial;
mod coral;
mod density_ratio;
mod linear_algebra;
mod logistic;
mod mmd;
mod rows;
mod tradaboost;

pub use adversarial::{DomainHead, reversal_strength};
pub use coral::{Coral, MOST_COLUMNS};
pub use density_ratio::{
    Estimator, RatioSettings, Ratios, density_ratios, effective_sample_size, temper, unconstrained_least_squares,
};
pub use logistic::LogisticRegression;
pub use mmd::{Discrepancy, discrepancy, discrepancy_penalty};
pub use rows::Rows;
pub use tradaboost::{BoostedRound, TransferBoost, transfer_boost};
