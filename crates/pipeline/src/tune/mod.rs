//! `lepton tune`: the search for good settings over whole trainings. lepton-tune says which point comes next and which
//! trial is not worth finishing; here trials are run, each in a process of its own, and kept.
//!
//! | File | What it holds |
//! |---|---|
//! | `settings` | `[tune]` of `lepton.toml` |
//! | `study` | the parent: starts trials, hears them, ends them, keeps what they gave |
//! | `process` | one trial as the parent sees it |
//! | `trial` | the child: one trial |
//! | `report` | what came of a study, and the settings file of its best trial |

mod process;
mod report;
mod settings;
mod study;
mod trial;

pub use process::PRUNE;
pub use report::{BestTrial, ObjectiveFacts, StudyReport, TrialFacts, check_best_place, shown_setting, write_best};
pub use settings::{Measure, Objective, Pruning, TimeLimit, TuneSettings};
pub use study::{TuneOptions, tune};
pub use trial::{TrialJob, TrialLine, TrialResult, run_trial};
