//! Pictures and sounds from files to findings, a plan, a repaired folder and back. Pictures and sounds are made by the
//! tests themselves, of seeds.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test ends where something is missing")]

mod audio;
mod hashes;
mod near;
mod pictures;
mod repair;
mod scenes;
