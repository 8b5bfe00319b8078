//! Writes the plan into the graph: a pair behind each planned tensor, 8-bit weights before each weighted node.

use super::numbers::{Range, biases, least_scale, weights};
use super::plan::{Plan, Weighted};
use lepton_core::{Error, Result, Tensor, TensorData};
use lepton_onnx::{GraphProto, NodeProto};
use std::collections::{BTreeMap, BTreeSet};

/// Rewrites `graph` in place; node order stays topological.
pub(super) fn insert_pairs(graph: &mut GraphProto, plan: &Plan, ranges: &BTreeMap<String, Range>) -> Result<()> {
    let range_of = |name: &str| -> Result<(&String, Range)> {
        let found = plan.tensors.get(name).and_then(|start| Some((start, *ranges.get(start)?)));
        found.ok_or_else(|| Error::internal(format!("tensor \"{name}\" has no range")))
    };
    for (start, range) in ranges {
        graph.add_initializer(scale(start), &Tensor::float32(Vec::new(), vec![range.scale])?);
        graph.add_initializer(zero(start), &Tensor::new(Vec::new(), TensorData::UInt8(vec![range.zero]))?);
    }
    let weighted: BTreeMap<usize, &Weighted> = plan.weighted.iter().map(|one| (one.node, one)).collect();
    let mut nodes = Vec::new();
    let inputs: Vec<String> = graph.input.iter().map(|value| value.name.clone()).collect();
    for name in inputs.iter().filter(|name| plan.tensors.contains_key(*name)) {
        nodes.extend(pair(name, range_of(name)?.0));
    }
    for (index, mut node) in std::mem::take(&mut graph.node).into_iter().enumerate() {
        if let Some(one) = weighted.get(&index) {
            let range = range_of(&node.input[0])?.1;
            nodes.extend(quantized_weights(graph, &mut node, one, range)?);
            node.input[0] = read(&node.input[0]);
        } else if plan.readers.contains(&index) {
            for input in node.input.iter_mut().filter(|input| plan.tensors.contains_key(*input)) {
                *input = read(input);
            }
        }
        let made: Vec<String> = node.output.iter().filter(|name| plan.tensors.contains_key(*name)).cloned().collect();
        nodes.push(node);
        for name in &made {
            nodes.extend(pair(name, range_of(name)?.0));
        }
    }
    graph.node = nodes;
    drop_unused(graph);
    Ok(())
}

fn scale(start: &str) -> String {
    format!("{start}/scale")
}

fn zero(start: &str) -> String {
    format!("{start}/zero_point")
}

/// The name of the tensor after its pair.
fn read(name: &str) -> String {
    format!("{name}/dequantized")
}

fn pair(name: &str, start: &str) -> [NodeProto; 2] {
    let (scale, zero, quantized, read) = (scale(start), zero(start), format!("{name}/quantized"), read(name));
    let down = [name, scale.as_str(), zero.as_str()];
    let up = [quantized.as_str(), scale.as_str(), zero.as_str()];
    [
        NodeProto::new("QuantizeLinear", &quantized, down, [&quantized]),
        NodeProto::new("DequantizeLinear", &read, up, [&read]),
    ]
}

/// Puts 8-bit weights and a 32-bit bias in the place of the node's float ones, and gives the nodes that read them.
fn quantized_weights(
    graph: &mut GraphProto,
    node: &mut NodeProto,
    one: &Weighted,
    input: Range,
) -> Result<Vec<NodeProto>> {
    // Outputs are unique in a graph, node names need not be.
    let key = node.output.first().cloned().unwrap_or_default();
    let shape = one.weights.shape();
    let channels = shape[one.axis];
    let bias = one.bias.as_ref().map(|bias| bias.as_float32()).transpose()?;
    let least = |channel: usize| bias.map_or(0.0, |bias| least_scale(bias[channel], input.scale));
    let made = weights(one.weights.as_float32()?, shape, one.axis, least);
    let mut constant = |part: &str, side: &[usize], data: TensorData| -> Result<String> {
        let name = format!("{key}/{part}");
        graph.add_initializer(&name, &Tensor::new(side, data)?);
        Ok(name)
    };
    let mut readers = Vec::new();
    let mut reader = |part: &str, inputs: [String; 3], axis: usize| {
        let name = format!("{key}/{part}");
        readers.push(NodeProto::new("DequantizeLinear", &name, inputs, [&name]).int("axis", axis as i64));
        name
    };
    if let Some(bias) = bias {
        let (values, scales) = biases(bias, input.scale, &made.scales);
        let inputs = [
            constant("bias_quantized", &[channels], TensorData::Int32(values))?,
            constant("bias_scale", &[channels], TensorData::Float32(scales))?,
            constant("bias_zero_point", &[channels], TensorData::Int32(vec![0; channels]))?,
        ];
        node.input[2] = reader("bias", inputs, 0);
    }
    let inputs = [
        constant("weight_quantized", shape, TensorData::Int8(made.values))?,
        constant("weight_scale", &[channels], TensorData::Float32(made.scales))?,
        constant("weight_zero_point", &[channels], TensorData::Int8(vec![0; channels]))?,
    ];
    node.input[1] = reader("weight", inputs, one.axis);
    Ok(readers)
}

/// Float weights that nothing reads any more would make the file larger, not smaller.
fn drop_unused(graph: &mut GraphProto) {
    let used: BTreeSet<String> = graph
        .node
        .iter()
        .flat_map(|node| node.input.iter().cloned())
        .chain(graph.output.iter().map(|value| value.name.clone()))
        .collect();
    let dropped: BTreeSet<String> =
        graph.initializer.extract_if(.., |tensor| !used.contains(&tensor.name)).map(|tensor| tensor.name).collect();
    // Old writers list constants as inputs, too.
    graph.input.retain(|value| !dropped.contains(&value.name));
    // Declared shapes of inner values are still true, but those of removed ones name nothing.
    let made: BTreeSet<&String> = graph.node.iter().flat_map(|node| &node.output).collect();
    graph.value_info.retain(|value| made.contains(&value.name));
}
