//! Checks over the tree itself: how source files look, which crate may import which, and under which licences
//! the dependencies come. Each check is a function over text, so that each has a test in which it fails.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a broken tree ends the test")]

mod imports;
mod licences;
mod source;
