//! Folds batch norms into the Conv or Gemm before them: `w * g` and `(b - mean) * g + shift` with
//! `g = scale / sqrt(variance + epsilon)`, in float64. Between the two there could be no 8-bit product.

use lepton_core::{Result, Tensor};
use lepton_onnx::{GraphProto, NodeProto, TensorProto};

/// Folds every batch norm that follows a convolution or dense layer alone.
pub(super) fn batch_norms(graph: &mut GraphProto) -> Result<()> {
    let mut at = 0;
    while at < graph.node.len() {
        match folded(graph, at)? {
            Some((before, node, weights, bias)) => {
                graph.initializer.extend([weights, bias]);
                graph.node[before] = node;
                graph.node.remove(at);
            }
            None => at += 1,
        }
    }
    Ok(())
}

/// The node that does the work of the batch norm at `at` and of the one before it.
fn folded(graph: &GraphProto, at: usize) -> Result<Option<(usize, NodeProto, TensorProto, TensorProto)>> {
    let norm = &graph.node[at];
    let [input, parameters @ ..] = norm.input.as_slice() else { return Ok(None) };
    if norm.op_type != "BatchNormalization" || norm.output.len() != 1 || norm.find_int("training_mode") == Some(1) {
        return Ok(None);
    }
    let Some(before) = graph.node.iter().position(|node| node.output.first() == Some(input)) else { return Ok(None) };
    let node = &graph.node[before];
    let uses = graph.node.iter().flat_map(|node| &node.input).filter(|name| *name == input).count();
    let is_output = graph.output.iter().any(|value| &value.name == input);
    if uses != 1 || is_output {
        return Ok(None);
    }
    let unit = |name: &str| node.find(name).and_then(|attribute| attribute.f).is_none_or(|value| value == 1.0);
    let axis = match node.op_type.as_str() {
        "Conv" => 0,
        "Gemm" if unit("alpha") && unit("beta") => usize::from(node.find_int("transB").unwrap_or(0) == 0),
        _ => return Ok(None),
    };
    let constant = |name: Option<&String>| -> Result<Option<Tensor>> {
        let found = name.and_then(|name| graph.find_initializer(name)).map(|proto| proto.to_tensor()).transpose()?;
        Ok(found.filter(|tensor| tensor.as_float32().is_ok()))
    };
    let Some(weights) = constant(node.input.get(1))? else { return Ok(None) };
    let Some(&channels) = weights.shape().get(axis) else { return Ok(None) };
    let bias = match node.input.get(2).filter(|name| !name.is_empty()) {
        None => Some(Tensor::float32([channels], vec![0.0; channels])?),
        name => constant(name)?,
    };
    let (Some(bias), Some(scale), Some(shift), Some(mean), Some(variance)) = (
        bias,
        constant(parameters.first())?,
        constant(parameters.get(1))?,
        constant(parameters.get(2))?,
        constant(parameters.get(3))?,
    ) else {
        return Ok(None);
    };
    if [&bias, &scale, &shift, &mean, &variance].iter().any(|tensor| tensor.shape() != [channels]) {
        return Ok(None);
    }
    let epsilon = f64::from(norm.find("epsilon").and_then(|attribute| attribute.f).unwrap_or(1e-5));
    let (scale, variance) = (scale.as_float32()?, variance.as_float32()?);
    let gains: Vec<f64> =
        scale.iter().zip(variance).map(|(s, v)| f64::from(*s) / (f64::from(*v) + epsilon).sqrt()).collect();
    let inner: usize = weights.shape()[axis + 1..].iter().product();
    let values = weights.as_float32()?.iter().enumerate();
    let values = values.map(|(index, w)| (f64::from(*w) * gains[index / inner % channels]) as f32).collect();
    let (bias, mean, shift) = (bias.as_float32()?, mean.as_float32()?, shift.as_float32()?);
    let shifted = (0..channels)
        .map(|c| ((f64::from(bias[c]) - f64::from(mean[c])) * gains[c] + f64::from(shift[c])) as f32)
        .collect();
    let mut joined = node.clone();
    // The node's output names are unique in the graph, so names made from them are, too.
    let names = [format!("{}/folded_weight", norm.output[0]), format!("{}/folded_bias", norm.output[0])];
    joined.input = vec![node.input[0].clone(), names[0].clone(), names[1].clone()];
    joined.output = norm.output.clone();
    let weights = TensorProto::from_tensor(&names[0], &Tensor::float32(weights.shape(), values)?);
    let bias = TensorProto::from_tensor(&names[1], &Tensor::float32([channels], shifted)?);
    Ok(Some((before, joined, weights, bias)))
}
