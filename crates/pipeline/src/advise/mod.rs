//! `lepton advise`: which algorithm for this data, with the numbers of short trainings, and the `lepton.toml` for it.
//! Training itself is lepton-train's; here candidates are chosen, piloted in processes of their own, and compared on
//! training and validation rows. The test part is not looked at.
//!
//! | File | What it holds |
//! |---|---|
//! | `subject` | from what a person typed to a project |
//! | `options` | limits, metric, permissions |
//! | `fingerprint` | the facts of the data and the machine |
//! | `rules` | what is known before any pilot, as tables |
//! | `candidates` | the zoo in one or two ways each |
//! | `folds` | which rows a pilot trains on and is judged by |
//! | `halving` | who goes on to the next rung; pure |
//! | `pilot` | the child: one candidate at one rung |
//! | `race` | the parent of the pilots |
//! | `predict` | what a full run will take; pure |
//! | `choose` | who is first, and what noise is; pure |
//! | `sentences` | why, in words |
//! | `report` | what comes of it |
//! | `settings_file` | the `lepton.toml` |
//! | `study` | all of it, in order |

mod candidates;
mod choose;
mod fingerprint;
mod folds;
mod halving;
mod options;
mod pilot;
mod predict;
mod race;
mod report;
mod rules;
mod sentences;
mod settings_file;
mod study;
mod subject;

pub use fingerprint::{ColumnFacts, Fingerprint, MachineFacts, TargetFacts};
pub use folds::Judging;
pub use options::{AdviseOptions, LatencyLimit, MemoryLimit};
pub use pilot::{NetworkFacts, PilotJob, PilotLine, PilotResult, PilotScore, run_pilot};
pub use predict::Figure;
pub use report::{AdviceReport, CandidateFacts, ChoiceFacts, Limits as AdviceLimits, PilotFacts, Prior, Standing};
pub use study::{advise, write_advice};
pub use subject::{AdviseData, AdviseSubject};

pub(crate) use fingerprint::kind_name;
