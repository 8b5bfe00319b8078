//! The vocabulary that every other crate speaks: errors with a place and a remedy, digests and names,
//! tensors, schemas, signatures, metrics, figures, the package manifest and the limits on outside input.
//!
//! Nothing here opens a file, a socket or a clock. Types are plain data with public fields in the user's
//! words; only the outermost crates turn them into text, HTML or HTTP.

mod annotation;
mod cancel;
mod decoder;
mod digest;
mod error;
mod figure;
mod horizon;
pub mod image;
mod limits;
mod manifest;
pub mod marks;
mod metric;
mod name;
mod object_mask;
mod prediction;
mod progress;
mod quantity;
mod schema;
mod secret;
mod seed;
pub mod series;
mod signature;
mod split;
mod task;
mod tensor;

pub use annotation::{BoundingBox, KeyPoint, Mask};
pub use cancel::Cancel;
pub use decoder::{Activation, Decoder};
pub use digest::{Digest, Hasher};
pub use error::{Error, ErrorCode, Place, Result, nearest};
pub use figure::{CaptionedPicture, Figure, LabelledCell, PictureCell, Series};
pub use horizon::{Horizon, Transform};
pub use limits::Limits;
pub use manifest::{
    EngineChoice, EngineTime, Environment, FileEntry, Int8Verdict, Lineage, MANIFEST_VERSION, Manifest, Measurement,
};
pub use metric::{Confidence, Metric, Metrics, MetricsBySplit};
pub use name::{ModelName, ModelRef};
pub use object_mask::ObjectMask;
pub use prediction::{ClassProbability, Prediction};
pub use progress::{Event, Progress, Silent};
pub use quantity::thousands;
pub use schema::{Column, ColumnKind, Schema};
pub use secret::Secret;
pub use seed::Seed;
pub use signature::{Signature, TensorSpec};
pub use split::Split;
pub use task::TaskKind;
pub use tensor::{DType, NamedTensors, Tensor, TensorData};
