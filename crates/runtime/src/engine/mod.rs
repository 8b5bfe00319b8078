//! The seam between Lepton and what computes: [`Engine`] loads ONNX bytes, [`Session`] runs them.
//!
//! Three engines stand behind it: `rten`, built in, and `onnxruntime` and `openvino`, loaded from shared libraries where
//! they are found. The cases in `tests/conformance.rs` run on all, and a fourth engine has to pass them too.

mod discovery;
pub(crate) mod library;
mod onnxruntime;
mod openvino;
mod rten;
mod watchdog;

pub use self::rten::RtenEngine;
pub use discovery::{EngineInfo, Engines};
pub(crate) use discovery::{is_library, is_openvino_library};
pub use library::ONNXRUNTIME_API;

use lepton_core::{NamedTensors, Result};
use std::sync::Arc;
use std::time::Duration;

/// How a session computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionOptions {
    /// Threads inside one run; `None` is one per physical core.
    pub threads: Option<usize>,
    /// How long one run may take. `onnxruntime` stops between two operators; `openvino` and `rten` cannot be stopped:
    /// a run ends by itself and is then answered with [`lepton_core::ErrorCode::Timeout`].
    pub deadline: Option<Duration>,
}

/// Something that runs ONNX files.
pub trait Engine: Send + Sync {
    /// The name in `lepton.toml`, on the command line and in measurements.
    fn name(&self) -> &'static str;

    /// The version of the library that computes.
    fn version(&self) -> String;

    /// Loads a model from the bytes of its file. External data must have been refused before.
    ///
    /// # Errors
    /// [`lepton_core::ErrorCode::BadData`] for a file that is not a valid model and
    /// [`lepton_core::ErrorCode::Unsupported`] for operators or dtypes that this engine lacks.
    fn load(&self, onnx: &[u8], options: &SessionOptions) -> Result<Arc<dyn Session>>;
}

/// A loaded model. One session may be shared by threads.
pub trait Session: Send + Sync {
    /// Runs the model once and gives every output of its graph, in the graph's order.
    ///
    /// `inputs` fit the model's signature: [`crate::Model::infer`] checks them. Values that are not finite go in
    /// and come out as they are.
    ///
    /// # Errors
    /// [`lepton_core::ErrorCode::BadInput`] when an operator refuses the values,
    /// [`lepton_core::ErrorCode::Timeout`] past the deadline.
    fn run(&self, inputs: &NamedTensors) -> Result<NamedTensors>;
}
