//! The ONNX file format: protobuf messages, a decoder that keeps its limits, signatures, and builders.
//!
//! Nothing here runs a model (that is lepton-runtime) and nothing here knows layers (that is lepton-nn).
//! No file is ever opened: models come and go as bytes, and a model that points at another file is refused
//! by [`refuse_external_data`].

mod builder;
mod decode;
mod external;
pub mod proto;
mod scan;
mod signature;
mod tensor;

pub use builder::{IR_VERSION, MetadataEntry, OPSET};
pub use decode::{decode, encode};
pub use external::refuse_external_data;
pub use proto::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
pub use signature::signature;
