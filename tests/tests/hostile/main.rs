//! Input that is wrong by mistake or by intent: settings, data files, model files, requests. Each is refused with
//! its place and a non-zero exit code, and nothing half-written stays behind.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test ends where something is missing")]

mod data;
mod media;
mod model_files;
mod requests;
mod settings;
mod tables;
