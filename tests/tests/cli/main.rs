//! The command line as a person or a script meets it: every command of the contract, on the real binary.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test ends where something is missing")]

mod adapt;
mod advise;
mod augment;
mod check;
mod data;
mod dirty_table;
mod engines;
mod forecasting;
mod labels;
mod media;
mod models;
mod predict;
mod repair_run;
mod run;
mod series;
mod sql;
mod tables;
mod texts;
mod training;
mod tune;
mod versions;
mod words;
