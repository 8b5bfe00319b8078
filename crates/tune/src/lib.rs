//! Search for good settings: what a person may vary as data, how the next settings are chosen, which trials are not
//! worth finishing, and what the finished ones say about the settings.
//!
//! | Module | What it answers |
//! |---|---|
//! | [`Space`], [`Dimension`], [`Point`] | what may vary, and one choice of it all |
//! | [`Trial`], [`Direction`] | what was tried and what came of it |
//! | [`Sampler`] | which point to try next |
//! | [`Pruner`] | whether a running trial is worth going on with |
//! | [`non_domination_ranks`], [`pareto_front`], [`hypervolume`] | which trade-offs are any good |
//! | [`importance`] | which dimensions matter |
//!
//! Everything here is a pure function of its arguments: trials are run, timed and stored by others. A suggestion
//! depends on the seed, the trial's number and the history alone, so a search that was killed and is continued from
//! its history suggests what an unbroken one would have.
//!
//! ```
//! use lepton_core::Seed;
//! use lepton_tune::{Direction, Sampler, Space, State, Trial};
//!
//! # fn main() -> lepton_core::Result<()> {
//! let space: Space = serde_json::from_str(
//!     r#"{ "train.learning_rate": { "low": 1e-5, "high": 1e-1, "log": true },
//!          "train.optimizer.kind": { "choices": ["adam", "sgd"] },
//!          "train.optimizer.momentum": { "low": 0.0, "high": 0.99,
//!                                        "when": { "key": "train.optimizer.kind", "equals": "sgd" } } }"#,
//! ).map_err(|error| lepton_core::Error::new(lepton_core::ErrorCode::Config, error.to_string()))?;
//! space.validate()?;
//!
//! let sampler = Sampler::default();
//! let mut history = Vec::new();
//! for number in 0..20 {
//!     let point = sampler.suggest(&space, &[Direction::Minimize], &history, number, Seed(1))?;
//!     let rate = point["train.learning_rate"].as_f64().unwrap_or_default();
//!     let loss = (rate.log10() + 3.0).powi(2);
//!     history.push(Trial { number, point, state: State::Complete, values: vec![loss], steps: Vec::new() });
//! }
//! # Ok(())
//! # }
//! ```

mod forest;
mod importance;
mod numbers;
mod pareto;
mod pruner;
mod sampler;
mod space;
mod trial;

pub use importance::importance;
pub use pareto::{hypervolume, non_domination_ranks, pareto_front};
pub use pruner::Pruner;
pub use sampler::{CmaEs, GaussianProcess, Grid, Sampler, Tpe};
pub use space::{Condition, Dimension, Domain, Point, Space};
pub use trial::{Direction, State, Trial};
