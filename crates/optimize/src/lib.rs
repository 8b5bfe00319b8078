//! Stage 5: does the exported file answer as the trained network did, can an INT8 version be made of it, and is
//! that version worth serving on this machine? Which engine of this machine runs it fastest?
//!
//! Everything here works on ONNX bytes and an engine; training, files and the choice of rows belong to others.

mod agreement;
mod decide;
mod engines;
mod measure;
mod quantize;
mod settings;

pub use agreement::{Agreement, agreement};
pub use decide::decide;
pub use engines::{Loaded, fastest_engine};
pub use measure::{Candidate, measure};
pub use quantize::quantize;
pub use settings::OptimizeSettings;
