//! The server as its clients meet it: the real binary, requests over a socket, and a stop by signal.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test ends where something is missing")]

mod ingest;
mod lifecycle;
mod predict;
mod protocol;
