//! Patterns of several operators that stand for one layer: exporters write them where the operator set has no operator of
//! its own. The last node of a pattern is replaced; the others stay for whoever else uses them.

use super::activation::near;
use super::graph::{Graph, float, ints, label};
use lepton_onnx::NodeProto;

/// The domain of operators that only stand in this program.
pub(super) const DOMAIN: &str = "lepton.fused";

/// Finds the patterns. A graph that brings operators of this program's own domain does not get them in.
pub(super) fn fuse(graph: &mut Graph) {
    for node in &mut graph.nodes {
        if node.domain == DOMAIN {
            node.domain = format!("{DOMAIN} of the file");
        }
    }
    for index in 0..graph.nodes.len() {
        let found = match graph.nodes[index].op_type.as_str() {
            "Mul" => gate(graph, index).or_else(|| selu(graph, index)),
            "Erf" => gelu(graph, index),
            "Where" => softplus(graph, index),
            "Div" => layer_norm(graph, index),
            _ => None,
        };
        if let Some((index, node)) = found {
            graph.replace(index, node);
        }
    }
}

type Found = Option<(usize, NodeProto)>;

/// A node in the place of another one.
fn instead(graph: &Graph, index: usize, named: usize, op: &str, inputs: &[&str]) -> (usize, NodeProto) {
    let mut node =
        NodeProto::new(op, label(&graph.nodes[named]), inputs.iter().copied(), graph.nodes[index].output.clone());
    node.domain = DOMAIN.to_owned();
    (index, node)
}

fn pair(node: &NodeProto) -> Option<(&str, &str)> {
    match &node.input[..] {
        [a, b] => Some((a, b)),
        _ => None,
    }
}

/// The other input of a node that takes `known` and something else.
fn other<'a>(node: &'a NodeProto, known: &str) -> Option<&'a str> {
    let (a, b) = pair(node)?;
    match (a == known, b == known) {
        (true, _) => Some(b),
        (_, true) => Some(a),
        _ => None,
    }
}

fn given<'a>(graph: &'a Graph, value: &str, op: &str) -> Option<&'a NodeProto> {
    graph.giver(value).map(|(_, node)| node).filter(|node| node.op_type == op)
}

/// x · f(x): silu, mish and hard swish.
fn gate(graph: &Graph, index: usize) -> Found {
    let (a, b) = pair(&graph.nodes[index])?;
    for (x, gate) in [(a, b), (b, a)] {
        let Some((_, node)) = graph.giver(gate) else { continue };
        let of = node.input.first().map_or("", String::as_str);
        match node.op_type.as_str() {
            "Sigmoid" if of == x => return Some(instead(graph, index, index, "Silu", &[x])),
            "HardSigmoid"
                if of == x && near(float(node, "alpha", 0.2), 1.0 / 6.0) && near(float(node, "beta", 0.5), 0.5) =>
            {
                return Some(instead(graph, index, index, "HardSwish", &[x]));
            }
            "Tanh" if given(graph, of, "Softplus").is_some_and(|soft| soft.input.first().is_some_and(|of| of == x)) => {
                return Some(instead(graph, index, index, "Mish", &[x]));
            }
            _ => {}
        }
    }
    None
}

/// scale · elu(x) with the two numbers of selu.
fn selu(graph: &Graph, index: usize) -> Found {
    let (a, b) = pair(&graph.nodes[index])?;
    for (elu, scale) in [(a, b), (b, a)] {
        let Some(node) = given(graph, elu, "Elu") else { continue };
        let scale = graph.number(scale).map_or(0.0, f64::from);
        if near(float(node, "alpha", 1.0), 1.673_263_2) && near(scale, 1.050_701) {
            return Some(instead(graph, index, index, "Selu", &[node.input.first()?]));
        }
    }
    None
}

/// Softplus that gives x itself where x is so large that both are the same float32.
fn softplus(graph: &Graph, index: usize) -> Found {
    let [is_large, x, soft] = &graph.nodes[index].input[..] else { return None };
    let (of, threshold) = pair(given(graph, is_large, "Greater")?)?;
    let is_softplus = given(graph, soft, "Softplus").is_some_and(|soft| soft.input.first() == Some(x));
    let fits = of == x && is_softplus && graph.number(threshold).is_some_and(|threshold| threshold >= 17.0);
    fits.then(|| instead(graph, index, index, "Softplus", &[x]))
}

/// x / 2 · (1 + erf(x / √2)), the factors in any order.
fn gelu(graph: &Graph, erf: usize) -> Found {
    let erf = &graph.nodes[erf];
    let is = |value: &str, number: f64| graph.number(value).is_some_and(|found| near(found.into(), number));
    let (_, scaled) = graph.giver(erf.input.first()?)?;
    let (a, b) = pair(scaled)?;
    let root = std::f64::consts::SQRT_2;
    let x = match scaled.op_type.as_str() {
        "Div" if is(b, root) => a,
        "Mul" if is(b, 1.0 / root) => a,
        "Mul" if is(a, 1.0 / root) => b,
        _ => return None,
    };
    let half = |node: &NodeProto, of: &str| match node.op_type.as_str() {
        "Mul" => other(node, of).is_some_and(|number| is(number, 0.5)),
        "Div" => pair(node).is_some_and(|(a, b)| a == of && is(b, 2.0)),
        _ => false,
    };
    let erf = erf.output.first()?;
    let (_, sum) = graph.only_taker(erf).filter(|(_, node)| node.op_type == "Add")?;
    if !is(other(sum, erf)?, 1.0) {
        return None;
    }
    let sum = sum.output.first()?;
    let (product_at, product) = graph.only_taker(sum).filter(|(_, node)| node.op_type == "Mul")?;
    let (factor, output) = (other(product, sum)?, product.output.first()?);
    let last = if factor == x {
        graph.only_taker(output).filter(|(_, node)| half(node, output))?.0
    } else if is(factor, 0.5) {
        graph.only_taker(output).filter(|(_, node)| node.op_type == "Mul" && other(node, output) == Some(x))?.0
    } else if graph.giver(factor).is_some_and(|(_, node)| half(node, x)) {
        product_at
    } else {
        return None;
    };
    Some(instead(graph, last, last, "Gelu", &[x]))
}

/// (x - mean) / √(variance + epsilon), times a scale, plus a shift where they are there.
fn layer_norm(graph: &Graph, index: usize) -> Found {
    let (centred, deviation) = pair(&graph.nodes[index])?;
    let (x, mean) = pair(given(graph, centred, "Sub")?)?;
    let mean = given(graph, mean, "ReduceMean").filter(|node| node.input.first().is_some_and(|of| of == x))?;
    let (a, b) = pair(given(graph, given(graph, deviation, "Sqrt")?.input.first()?, "Add")?)?;
    let (variance, epsilon) = match (graph.number(a), graph.number(b)) {
        (_, Some(epsilon)) => (a, epsilon),
        (Some(epsilon), _) => (b, epsilon),
        _ => return None,
    };
    let variance = given(graph, variance, "ReduceMean")?;
    let (_, square) = graph.giver(variance.input.first()?)?;
    let (base, power) = pair(square)?;
    let is_square = match square.op_type.as_str() {
        "Pow" => base == centred && graph.number(power) == Some(2.0),
        "Mul" => base == centred && power == centred,
        _ => false,
    };
    let axis = |node: &NodeProto| match ints(node, "axes") {
        Some([axis]) if node.find_int("keepdims") != Some(0) => Some(*axis),
        _ => None,
    };
    let axis = axis(mean).filter(|first| is_square && axis(variance) == Some(*first))?;
    let constant = |value: &str| graph.initializers.contains_key(value) || given(graph, value, "Constant").is_some();
    let next = |value: &str, op: &str| {
        let (at, node) = graph.only_taker(value).filter(|(_, node)| node.op_type == op)?;
        let constant = other(node, value).filter(|value| constant(value))?;
        Some((at, constant, node.output.first()?))
    };
    let output = graph.nodes[index].output.first()?;
    let affine = next(output, "Mul")
        .and_then(|(_, scale, output)| next(output, "Add").map(|(at, shift, _)| (at, vec![x, scale, shift])));
    let (last, inputs) = affine.unwrap_or((index, vec![x]));
    let (last, node) = instead(graph, last, index, "LayerNormalization", &inputs);
    Some((last, node.int("axis", axis).float("epsilon", epsilon)))
}
