//! The same answer on every path: the recipe in training and in serving, and the exported file in training, in both
//! engines and in Python's onnxruntime.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test ends where something is missing")]

mod layers;
mod onnxruntime;
mod recipe;
mod zoo;
