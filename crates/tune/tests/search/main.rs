//! Whole searches: how good they are, and what holds for every sampler over any space.

#![allow(clippy::unwrap_used, clippy::panic)]

mod comparison;
mod problems;
mod searches;
