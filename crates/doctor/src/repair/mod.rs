//! Repairs: what can be done ([`Action`]), in which order ([`Plan`], a file that a person edits), what came of it
//! ([`Repaired`] and its change log), and the way back ([`undo`]).
//!
//! - `plan`: actions as TOML, bound to the file that they were made for by its hash.
//! - `sheet`: a table with cells that were changed and rows that were dropped over it; every change is logged.
//! - `apply`: each action on a sheet. `impute`: the gaps of a sheet. What an action does to a cell, and what fills a
//!   gap, is lepton-recipe's, because a served row is repaired in the same way.
//! - `run`: what a run does of a plan, and what it leaves to the recipe.
//! - `write`: the sheet as a file: rows without a change are copied byte by byte.
//! - `log`: the change log, and taking changes back.

mod apply;
mod impute;
mod log;
mod plan;
mod run;
mod sheet;
mod write;

pub use apply::{Outcome, Repaired, repair};
pub use lepton_recipe::Imputation;
pub use log::{Change, read_log, undo, write_log};
pub use plan::{Action, Mask, Plan, Step, Survivor, TargetMode};
pub use run::{EditedRows, edit_rows, for_recipe, repair_target};
