//! Which nodes compute in 8 bits and which tensors need a range, found by walking back from each weighted node.

use lepton_core::{DType, Result, Tensor};
use lepton_onnx::{GraphProto, NodeProto};
use std::collections::{BTreeMap, BTreeSet};

/// A Conv, Gemm or MatMul that gets 8-bit weights.
pub(super) struct Weighted {
    /// Its place in the graph's node list.
    pub(super) node: usize,
    /// Its float32 weights.
    pub(super) weights: Tensor,
    /// The side of the weights that counts output channels.
    pub(super) axis: usize,
    /// Its bias, one value per output channel.
    pub(super) bias: Option<Tensor>,
}

/// What to rewrite.
pub(super) struct Plan {
    pub(super) weighted: Vec<Weighted>,
    /// Each tensor that gets a pair, and the tensor whose range it uses: its own, or that of the tensor it was
    /// only moved or selected from.
    pub(super) tensors: BTreeMap<String, String>,
    /// Nodes without weights that read 8-bit activations, so that a chain stays in 8 bits.
    pub(super) readers: BTreeSet<usize>,
}

/// Gives the elements of its first input, in another place or fewer of them.
const MOVES: [&str; 6] = ["Flatten", "Identity", "MaxPool", "Reshape", "Squeeze", "Unsqueeze"];
/// Computes in 8 bits on engines that can, with a range of its own for the result.
const MIXES: [&str; 3] = ["Add", "AveragePool", "GlobalAveragePool"];

struct Walk<'a> {
    graph: &'a GraphProto,
    makers: BTreeMap<&'a str, usize>,
    uses: BTreeMap<&'a str, usize>,
    tensors: BTreeMap<String, String>,
    readers: BTreeSet<usize>,
}

impl Plan {
    /// The plan for `graph`; empty when nothing in it has constant float32 weights.
    pub(super) fn of(graph: &GraphProto) -> Result<Plan> {
        let mut weighted = Vec::new();
        for (index, node) in graph.node.iter().enumerate() {
            weighted.extend(weights_of(graph, index, node)?);
        }
        let mut uses = BTreeMap::new();
        let read = graph.node.iter().flat_map(|node| &node.input).chain(graph.output.iter().map(|value| &value.name));
        for name in read {
            *uses.entry(name.as_str()).or_default() += 1;
        }
        let makers = graph
            .node
            .iter()
            .enumerate()
            .flat_map(|(index, node)| node.output.iter().map(move |name| (name.as_str(), index)))
            .collect();
        let mut walk = Walk { graph, makers, uses, tensors: BTreeMap::new(), readers: BTreeSet::new() };
        for one in &weighted {
            walk.need(&graph.node[one.node].input[0]);
        }
        Ok(Plan { weighted, tensors: walk.tensors, readers: walk.readers })
    }
}

impl<'a> Walk<'a> {
    /// Marks `name` as 8-bit, and what it comes from as far as 8 bits make sense. Gives the tensor whose range
    /// it uses. A loop with a list of its own: a graph may be deeper than the stack.
    fn need(&mut self, name: &str) {
        let graph = self.graph;
        let mut open = vec![name.to_owned()];
        while let Some(name) = open.pop() {
            if self.tensors.contains_key(&name) {
                continue;
            }
            let maker = self.makers.get(name.as_str()).map(|&index| (index, &graph.node[index]));
            let mut source = name.clone();
            match maker {
                Some((index, node)) if is_move(node) && !self.is_constant(&node.input[0]) => {
                    self.readers.insert(index);
                    source = node.input[0].clone();
                    open.push(source.clone());
                }
                Some((index, node)) => {
                    let (index, node) = self.before_relu(index, node);
                    let mixes = MIXES.contains(&node.op_type.as_str())
                        && !node.input.iter().any(|input| input.is_empty() || self.is_constant(input));
                    if mixes {
                        self.readers.insert(index);
                        open.extend(node.input.iter().cloned());
                    }
                }
                None => {}
            }
            self.tensors.insert(name, source);
        }
        // A chain of moves uses the range of its start.
        let starts: Vec<_> = self.tensors.keys().map(|name| (name.clone(), self.start(name))).collect();
        self.tensors.extend(starts);
    }

    fn start(&self, name: &str) -> String {
        let mut at = name;
        while let Some(next) = self.tensors.get(at).filter(|next| next.as_str() != at) {
            at = next;
        }
        at.to_owned()
    }

    /// Engines take a ReLU into the node before it, so the pair belongs behind the ReLU.
    fn before_relu(&self, index: usize, node: &'a NodeProto) -> (usize, &'a NodeProto) {
        let inner =
            node.input.first().filter(|input| node.op_type == "Relu" && self.uses.get(input.as_str()) == Some(&1));
        let maker = inner.and_then(|input| self.makers.get(input.as_str()));
        maker.map_or((index, node), |&inner| (inner, &self.graph.node[inner]))
    }

    fn is_constant(&self, name: &str) -> bool {
        self.graph.find_initializer(name).is_some()
    }
}

fn is_move(node: &NodeProto) -> bool {
    MOVES.contains(&node.op_type.as_str()) && is_onnx(node) && node.output.len() == 1 && !node.input.is_empty()
}

fn is_onnx(node: &NodeProto) -> bool {
    matches!(node.domain.as_str(), "" | "ai.onnx")
}

/// The node's weights when it can compute in 8 bits.
fn weights_of(graph: &GraphProto, index: usize, node: &NodeProto) -> Result<Option<Weighted>> {
    let plain_gemm = || {
        let one = |name: &str| node.find(name).and_then(|attribute| attribute.f).is_none_or(|value| value == 1.0);
        one("alpha") && one("beta") && node.find_int("transA").unwrap_or(0) == 0
    };
    let axis = match node.op_type.as_str() {
        "Conv" => 0,
        "Gemm" if plain_gemm() => usize::from(node.find_int("transB").unwrap_or(0) == 0),
        "MatMul" => 1,
        _ => return Ok(None),
    };
    let [input, weights, rest @ ..] = node.input.as_slice() else { return Ok(None) };
    if !is_onnx(node) || graph.find_initializer(input).is_some() {
        return Ok(None);
    }
    let Some(weights) = graph.find_initializer(weights).map(|proto| proto.to_tensor()).transpose()? else {
        return Ok(None);
    };
    let fits = match node.op_type.as_str() {
        "Conv" => weights.shape().len() >= 3,
        _ => weights.shape().len() == 2,
    };
    if !fits || weights.dtype() != DType::Float32 || weights.data().is_empty() {
        return Ok(None);
    }
    let bias = match rest.first().filter(|name| !name.is_empty()) {
        None => None,
        Some(name) => {
            let bias = graph.find_initializer(name).map(|proto| proto.to_tensor()).transpose()?;
            let fits = |bias: &Tensor| bias.dtype() == DType::Float32 && bias.shape() == [weights.shape()[axis]];
            match bias.filter(fits) {
                Some(bias) => Some(bias),
                None => return Ok(None),
            }
        }
    };
    Ok(Some(Weighted { node: index, weights, axis, bias }))
}
