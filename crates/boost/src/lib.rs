//! Gradient-boosted trees for tables: a histogram booster and the flat forest that comes of it.
//!
//! [`fit`] grows the trees, [`Forest`] holds them as plain arrays that others may read, write and run. Nothing here
//! opens a file, reads a clock or knows a task: rows come in as float32, scores go out as float32, and what a score
//! means (a value, log-odds, logits) is said by the [`Objective`].

mod binning;
mod check;
mod examples;
mod fit;
mod forest;
mod growth;
mod histogram;
mod objective;
mod sampling;
mod settings;

pub use examples::Examples;
pub use fit::fit;
pub use forest::Forest;
pub use objective::Objective;
pub use settings::BoostSettings;
