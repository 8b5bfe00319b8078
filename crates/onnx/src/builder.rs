//! Builders for the pieces of a graph, so that a writer reads like the graph that it writes.

use crate::proto::{
    AttributeProto, AttributeType, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use crate::signature::data_type;
use lepton_core::{DType, Tensor};

/// The operator set that Lepton writes.
pub const OPSET: i64 = 17;

/// The file format version that Lepton writes: the one that belongs to [`OPSET`].
pub const IR_VERSION: i64 = 8;

/// A key and a value of a model's metadata.
pub type MetadataEntry = StringStringEntryProto;

impl ModelProto {
    /// A model of the default operator set at version `opset` around `graph`.
    pub fn new(graph: GraphProto, opset: i64) -> ModelProto {
        ModelProto {
            ir_version: IR_VERSION,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: opset }],
            producer_name: "lepton".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(graph),
            ..ModelProto::default()
        }
    }

    /// The version of the default operator set, where the model names one.
    pub fn opset(&self) -> Option<i64> {
        self.opset_import.iter().find(|set| set.domain.is_empty() || set.domain == "ai.onnx").map(|set| set.version)
    }

    /// Adds a metadata entry.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> ModelProto {
        self.metadata_props.push(MetadataEntry { key: key.into(), value: value.into() });
        self
    }
}

impl GraphProto {
    /// An empty graph.
    pub fn new(name: impl Into<String>) -> GraphProto {
        GraphProto { name: name.into(), ..GraphProto::default() }
    }

    /// Adds a constant.
    pub fn add_initializer(&mut self, name: impl Into<String>, tensor: &Tensor) {
        self.initializer.push(TensorProto::from_tensor(name, tensor));
    }

    /// The constant with that name.
    pub fn find_initializer(&self, name: &str) -> Option<&TensorProto> {
        self.initializer.iter().find(|tensor| tensor.name == name)
    }
}

impl NodeProto {
    /// A node without attributes. Nodes are named after what they compute, so that errors can name them.
    pub fn new<I, O>(op_type: &str, name: impl Into<String>, inputs: I, outputs: O) -> NodeProto
    where
        I: IntoIterator<Item: Into<String>>,
        O: IntoIterator<Item: Into<String>>,
    {
        NodeProto {
            op_type: op_type.to_owned(),
            name: name.into(),
            input: inputs.into_iter().map(Into::into).collect(),
            output: outputs.into_iter().map(Into::into).collect(),
            ..NodeProto::default()
        }
    }

    fn with(mut self, name: &str, kind: AttributeType, set: impl FnOnce(&mut AttributeProto)) -> NodeProto {
        let mut attribute = AttributeProto { name: name.to_owned(), r#type: kind as i32, ..AttributeProto::default() };
        set(&mut attribute);
        self.attribute.push(attribute);
        self
    }

    /// Adds an integer attribute.
    pub fn int(self, name: &str, value: i64) -> NodeProto {
        self.with(name, AttributeType::Int, |attribute| attribute.i = Some(value))
    }

    /// Adds a list of integers.
    pub fn ints(self, name: &str, values: impl IntoIterator<Item = i64>) -> NodeProto {
        self.with(name, AttributeType::Ints, |attribute| attribute.ints = values.into_iter().collect())
    }

    /// Adds a float attribute.
    pub fn float(self, name: &str, value: f32) -> NodeProto {
        self.with(name, AttributeType::Float, |attribute| attribute.f = Some(value))
    }

    /// Adds a text attribute.
    pub fn text(self, name: &str, value: &str) -> NodeProto {
        self.with(name, AttributeType::String, |attribute| attribute.s = Some(value.as_bytes().to_vec()))
    }

    /// The attribute with that name.
    pub fn find(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|attribute| attribute.name == name)
    }

    /// The integer attribute with that name.
    pub fn find_int(&self, name: &str) -> Option<i64> {
        self.find(name).and_then(|attribute| attribute.i)
    }
}

impl ValueInfoProto {
    /// A dense tensor. A side of -1 is free: the first one is called `batch`, others `dim_1`, `dim_2`, ... by
    /// their place.
    pub fn tensor(name: impl Into<String>, dtype: DType, shape: &[i64]) -> ValueInfoProto {
        let side = |(index, &length): (usize, &i64)| {
            let value = match (length, index) {
                (0.., _) => DimensionValue::DimValue(length),
                (_, 0) => DimensionValue::DimParam("batch".to_owned()),
                _ => DimensionValue::DimParam(format!("dim_{index}")),
            };
            Dimension { value: Some(value), denotation: String::new() }
        };
        let tensor = type_proto::Tensor {
            elem_type: data_type(dtype) as i32,
            shape: Some(TensorShapeProto { dim: shape.iter().enumerate().map(side).collect() }),
        };
        ValueInfoProto {
            name: name.into(),
            r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), denotation: String::new() }),
            ..ValueInfoProto::default()
        }
    }
}
