//! The server over real sockets, with packages that the engine `rten` runs and with sessions that wait, panic or
//! echo on purpose. One file for each question: what it answers, what it refuses, how it bears load and ends.

// The lint's exception for tests does not see helpers outside of test functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod client;
mod hostile;
mod load;
mod models;
mod observed;
mod refusals;
mod running;
mod stop;
