//! Refusing models that name other files. A model file that makes its loader open paths of its choosing has
//! been the cause of several published path-traversal flaws; here no such path is ever looked at.

use crate::proto::{AttributeProto, DataLocation, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto};
use lepton_core::{Error, ErrorCode, Result};

/// Refuses a model in which any tensor keeps its values in another file: initializers, sparse initializers,
/// attributes, the bodies of control flow, functions and training graphs are all looked at.
///
/// # Errors
/// [`ErrorCode::BadData`] with the tensor's name as the place.
pub fn refuse_external_data(model: &ModelProto) -> Result<()> {
    model.graph.iter().try_for_each(graph)?;
    for function in &model.functions {
        function.node.iter().try_for_each(node)?;
        function.attribute_proto.iter().try_for_each(attribute)?;
    }
    for training in &model.training_info {
        training.initialization.iter().chain(&training.algorithm).try_for_each(graph)?;
    }
    Ok(())
}

fn graph(graph: &GraphProto) -> Result<()> {
    graph.initializer.iter().try_for_each(tensor)?;
    graph.sparse_initializer.iter().try_for_each(sparse)?;
    graph.node.iter().try_for_each(node)
}

fn node(node: &NodeProto) -> Result<()> {
    node.attribute.iter().try_for_each(attribute)
}

fn attribute(attribute: &AttributeProto) -> Result<()> {
    attribute.t.iter().map(|boxed| boxed.as_ref()).chain(&attribute.tensors).try_for_each(tensor)?;
    attribute.sparse_tensor.iter().map(|boxed| boxed.as_ref()).chain(&attribute.sparse_tensors).try_for_each(sparse)?;
    attribute.g.iter().map(|boxed| boxed.as_ref()).chain(&attribute.graphs).try_for_each(graph)
}

fn sparse(sparse: &SparseTensorProto) -> Result<()> {
    sparse.values.iter().chain(&sparse.indices).try_for_each(tensor)
}

fn tensor(tensor: &TensorProto) -> Result<()> {
    let elsewhere = tensor.data_location.is_some_and(|location| location != DataLocation::Default as i32);
    if !elsewhere && tensor.external_data.is_empty() {
        return Ok(());
    }
    let location = tensor.external_data.iter().find(|entry| entry.key == "location");
    let location = location.map_or("another file", |entry| entry.value.as_str());
    Err(Error::new(ErrorCode::BadData, format!("the tensor's values are in {location:?}, outside the model file"))
        .at_node(&tensor.name)
        .fix("save the model with its weights inside: onnx.save_model(model, path, save_as_external_data=False)"))
}
