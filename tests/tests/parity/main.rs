//! The same answer on every path: the recipe in training and in serving, and the exported file in Lepton and in
//! Python's onnxruntime.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test ends where something is missing")]

mod onnxruntime;
mod recipe;
