//! HTTP plumbing under the routes: answers, request bodies, the browser guard, request ids and connections.
//!
//! Nothing here knows a model.

mod answer;
mod body;
mod connection;
mod guard;
mod request_id;

pub(crate) use answer::{Answer, Whole};
pub(crate) use body::{BodyBudget, BodyRules, HeldBody, discard, read_body};
pub(crate) use connection::{Phase, serve};
pub(crate) use guard::Guard;
pub(crate) use request_id::{RequestIds, traceparent};
