//! Runs a model package: the engines behind one trait, the package on disk, the road from raw rows through
//! recipe, session and decoder to predictions, and dynamic batching.
//!
//! Nothing here knows tasks (decoders are data in the manifest), HTTP (lepton-server) or training. Engines
//! get checked tensors and bytes whose hash was verified; no model file runs code or names another file.

mod batcher;
mod decode;
mod engine;
pub mod install;
mod model;
mod package;

pub use batcher::{Answer, BatchSettings, Batcher};
pub use engine::{Engine, EngineInfo, Engines, ONNXRUNTIME_API, RtenEngine, Session, SessionOptions};
pub use model::{Model, zeros};
pub use package::{Package, write_package};
