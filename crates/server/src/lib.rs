//! Serves model packages over HTTP: the Open Inference Protocol v2, predictions in a task's own words, health,
//! metrics, a description and a page; with limits, batching, overload answers and a graceful stop.
//!
//! Only this crate knows HTTP. It takes models that are loaded already: finding, checking and loading packages
//! is done before. One table (`routes`) says which routes there are; everything about them comes from it.
//!
//! A stop: `/readyz` says no, the door closes after a short grace, requests under way are finished, the
//! monitors' last window is written to the store.

mod actions;
mod endpoint;
mod http;
mod json_depth;
mod media;
mod metrics;
mod observe;
mod openapi;
mod page;
mod protocol;
mod refusal;
mod routes;
mod server;
mod service;
mod settings;
mod state;
mod utc;

pub use endpoint::ServedModel;
pub use server::Server;
pub use settings::ServeSettings;
