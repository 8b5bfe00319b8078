//! The Open Inference Protocol v2 as bytes: requests, answers and metadata, JSON and the binary extension.
//!
//! Nothing here knows sockets or runs a model. Behaviour that the protocol leaves open: JSON cannot carry NaN
//! or infinity, so such inputs are refused (400) and such outputs too (422) unless they are asked for as raw
//! bytes, which pass every value unchanged.

mod binary;
mod elements;
mod metadata;
mod request;
mod response;

pub(crate) use metadata::{model_metadata, server_metadata};
pub(crate) use request::InferRequest;
pub(crate) use response::{check_wanted, encode};
