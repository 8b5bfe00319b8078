//! Shape inference: from an Architecture to a checked plan with the shapes, parameters and costs of each node.
//!
//! All arithmetic is checked, because an Architecture may come from a file that somebody else wrote.

use crate::initialize::Start;
use crate::{Architecture, Layer, Node, Padding};
use lepton_core::{DType, Error, ErrorCode, Result};

/// Most elements of one parameter or of one row's activation; the default of the limit `tensor_elements`.
const MOST_ELEMENTS: usize = 1 << 28;

/// A checked Architecture.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) input_shape: Vec<usize>,
    pub(crate) input_dtype: DType,
    pub(crate) nodes: Vec<PlannedNode>,
}

/// Where a node takes a value from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Input,
    Node(usize),
}

/// One node with everything that its settings imply.
#[derive(Clone, Debug)]
pub(crate) struct PlannedNode {
    pub(crate) name: String,
    pub(crate) layer: Layer,
    pub(crate) inputs: Vec<Source>,
    /// Shape of one row going in (the first input's).
    pub(crate) input_shape: Vec<usize>,
    /// Shape of one row coming out.
    pub(crate) shape: Vec<usize>,
    pub(crate) parameters: Vec<ParameterSpec>,
    pub(crate) flops: u64,
}

/// One tensor that belongs to a node. Its key in a safetensors file and in ONNX is `name`.
#[derive(Clone, Debug)]
pub(crate) struct ParameterSpec {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) start: Start,
    /// False for running statistics, which no optimiser touches.
    pub(crate) trained: bool,
}

impl ParameterSpec {
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

impl Plan {
    pub(crate) fn output_shape(&self) -> &[usize] {
        self.nodes.last().map_or(&self.input_shape, |node| &node.shape)
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = &ParameterSpec> {
        self.nodes.iter().flat_map(|node| &node.parameters)
    }
}

/// Checks an Architecture and infers everything that follows from it.
pub(crate) fn plan(architecture: &Architecture) -> Result<Plan> {
    let input = &architecture.input;
    let wrong = |message: String| Error::new(ErrorCode::Config, message).at_key("input");
    if !matches!(input.dtype, DType::Float32 | DType::Int64) {
        return Err(wrong(format!("a network takes float32 or int64, not {}", input.dtype)));
    }
    if input.shape.is_empty() || input.shape.len() > 3 || input.shape.contains(&0) {
        return Err(wrong(format!("one row has 1 to 3 sides, none of them 0; got {:?}", input.shape)));
    }
    if architecture.layers.is_empty() {
        return Err(Error::new(ErrorCode::Config, "an architecture needs at least one layer").at_key("layers"));
    }
    let mut plan = Plan { input_shape: input.shape.clone(), input_dtype: input.dtype, nodes: Vec::new() };
    for node in &architecture.layers {
        check_name(node, architecture, &plan)?;
        let inputs = sources(node, architecture, &plan)?;
        let planned = plan_node(node, inputs, &plan).map_err(|error| error.at_node(&node.name))?;
        plan.nodes.push(planned);
    }
    for (index, node) in plan.nodes[..plan.nodes.len() - 1].iter().enumerate() {
        if !plan.nodes.iter().any(|other| other.inputs.contains(&Source::Node(index))) {
            return Err(Error::new(ErrorCode::Config, "nothing uses this layer's output")
                .at_node(&node.name)
                .fix("name it in another layer's inputs, or remove it"));
        }
    }
    Ok(plan)
}

fn check_name(node: &Node, architecture: &Architecture, plan: &Plan) -> Result<()> {
    let wrong = |message: &str| Err(Error::new(ErrorCode::Config, message).at_node(&node.name));
    let plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if node.name.is_empty() || node.name.len() > 100 || !plain(&node.name) {
        return wrong("a layer's name has 1 to 100 letters, digits, - or _");
    }
    if node.name == architecture.input.name || node.name == "input" || node.name == "output" {
        return wrong("this name belongs to the network's input or output");
    }
    if plan.nodes.iter().any(|earlier| earlier.name == node.name) {
        return wrong("two layers have this name");
    }
    Ok(())
}

fn sources(node: &Node, architecture: &Architecture, plan: &Plan) -> Result<Vec<Source>> {
    if node.inputs.is_empty() {
        return Ok(vec![plan.nodes.len().checked_sub(1).map_or(Source::Input, Source::Node)]);
    }
    let find = |name: &String| {
        if *name == architecture.input.name {
            return Ok(Source::Input);
        }
        plan.nodes.iter().position(|earlier| earlier.name == *name).map(Source::Node).ok_or_else(|| {
            let error = Error::new(ErrorCode::Config, format!("its input \"{name}\" is no earlier layer"));
            let names =
                plan.nodes.iter().map(|earlier| earlier.name.as_str()).chain([architecture.input.name.as_str()]);
            match lepton_core::nearest(name, names) {
                Some(near) => error.fix(format!("did you mean \"{near}\"?")),
                None => error.fix("name a layer that stands before this one"),
            }
            .at_node(&node.name)
        })
    };
    node.inputs.iter().map(find).collect()
}

fn plan_node(node: &Node, inputs: Vec<Source>, plan: &Plan) -> Result<PlannedNode> {
    let shape_of = |source: &Source| match source {
        Source::Input => &plan.input_shape,
        Source::Node(index) => &plan.nodes[*index].shape,
    };
    let shapes: Vec<&Vec<usize>> = inputs.iter().map(shape_of).collect();
    let joins = matches!(node.layer, Layer::Add | Layer::Concat);
    if joins && shapes.len() < 2 {
        return Err(config(format!("{} takes two or more inputs", node.layer.kind())));
    }
    if !joins && shapes.len() > 1 {
        return Err(config(format!("{} takes one input, {} are named", node.layer.kind(), shapes.len())));
    }
    if plan.input_dtype == DType::Int64
        && inputs.contains(&Source::Input)
        && !matches!(node.layer, Layer::Embedding { .. })
    {
        return Err(config(format!("{} takes float32, but the input is int64 codes", node.layer.kind()))
            .fix("put an embedding between them"));
    }
    let mut planned = PlannedNode {
        name: node.name.clone(),
        layer: node.layer.clone(),
        input_shape: shapes[0].clone(),
        shape: Vec::new(),
        inputs,
        parameters: Vec::new(),
        flops: 0,
    };
    let (shape, flops) = planned.infer(&shapes)?;
    elements(&shape)?;
    (planned.shape, planned.flops) = (shape, flops);
    Ok(planned)
}

impl PlannedNode {
    /// The output shape and FLOPs of one row; adds the node's parameters.
    fn infer(&mut self, inputs: &[&Vec<usize>]) -> Result<(Vec<usize>, u64)> {
        let input = inputs[0].clone();
        let size = elements(&input)? as u64;
        match self.layer.clone() {
            Layer::Conv2d { out_channels, kernel, stride, padding, dilation, groups, bias } => {
                let [channels, height, width] = picture(&input)?;
                if groups == 0 || out_channels == 0 || channels % groups != 0 || out_channels % groups != 0 {
                    return Err(shape_error(format!(
                        "{channels} channels in and {out_channels} out cannot be cut into {groups} groups"
                    )));
                }
                let [rows, columns] = windows([height, width], kernel, stride, dilation, padding)?;
                let fan_in = multiply(&[channels / groups, kernel[0], kernel[1]])?;
                self.add("weight", vec![out_channels, channels / groups, kernel[0], kernel[1]], Start::FanIn(fan_in))?;
                if bias {
                    self.add("bias", vec![out_channels], Start::FanIn(fan_in))?;
                }
                let shape = vec![out_channels, rows, columns];
                let outputs = elements(&shape)? as u64;
                Ok((shape, outputs.saturating_mul(2 * fan_in as u64 + u64::from(bias))))
            }
            Layer::BatchNorm { momentum, epsilon } => {
                if input.len() == 2 {
                    return Err(shape_error(format!(
                        "it takes [channels] or [channels, height, width], not {input:?}"
                    )));
                }
                if !((0.0..=1.0).contains(&momentum) && epsilon > 0.0 && epsilon < 1.0) {
                    return Err(config(format!("momentum {momentum} or epsilon {epsilon} is outside 0 to 1")));
                }
                self.add("weight", vec![input[0]], Start::Ones)?;
                self.add("bias", vec![input[0]], Start::Zeros)?;
                self.add("running_mean", vec![input[0]], Start::Zeros)?;
                self.add("running_var", vec![input[0]], Start::Ones)?;
                Ok((input, size.saturating_mul(2)))
            }
            Layer::MaxPool2d { kernel, stride, padding } | Layer::AvgPool2d { kernel, stride, padding } => {
                let [channels, height, width] = picture(&input)?;
                let [rows, columns] = windows([height, width], kernel, stride.unwrap_or(kernel), [1, 1], padding)?;
                let edges = edges([height, width], kernel, stride.unwrap_or(kernel), [1, 1], padding);
                if edges.iter().zip([kernel[0], kernel[1], kernel[0], kernel[1]]).any(|(edge, side)| *edge >= side) {
                    return Err(config(format!(
                        "padding {edges:?} would leave windows of {kernel:?} with nothing inside"
                    )));
                }
                let shape = vec![channels, rows, columns];
                let outputs = elements(&shape)? as u64;
                Ok((shape, outputs.saturating_mul(multiply(&kernel)? as u64)))
            }
            Layer::GlobalAvgPool => Ok((vec![picture(&input)?[0]], size)),
            Layer::Flatten => Ok((vec![size as usize], 0)),
            Layer::Linear { units, bias } => {
                if units == 0 {
                    return Err(config("units is 0".to_owned()));
                }
                let features = input[input.len() - 1];
                if input.len() > 1 {
                    return Err(shape_error(format!("it takes [features], not {input:?}"))
                        .fix("put a flatten or global_avg_pool in front of it"));
                }
                self.add("weight", vec![units, features], Start::FanIn(features))?;
                if bias {
                    self.add("bias", vec![units], Start::FanIn(features))?;
                }
                Ok((vec![units], (units as u64).saturating_mul(2 * features as u64 + u64::from(bias))))
            }
            Layer::Relu => Ok((input, size)),
            Layer::Gelu | Layer::Sigmoid | Layer::Tanh => Ok((input, size.saturating_mul(4))),
            Layer::Dropout { p } if !(0.0..1.0).contains(&p) => Err(config(format!("p = {p} is outside [0, 1)"))),
            Layer::Dropout { .. } => Ok((input, 0)),
            Layer::Add => {
                if let Some(other) = inputs.iter().find(|other| ***other != input) {
                    return Err(shape_error(format!(
                        "its inputs have shapes {input:?} and {other:?}, which cannot be added"
                    )));
                }
                Ok((input, size.saturating_mul(inputs.len() as u64 - 1)))
            }
            Layer::Concat => {
                let mut shape = input.clone();
                for other in &inputs[1..] {
                    if other.len() != input.len() || other[1..] != input[1..] {
                        return Err(shape_error(format!(
                            "its inputs have shapes {input:?} and {other:?}, which cannot be joined along the first side"
                        )));
                    }
                    shape[0] += other[0];
                }
                Ok((shape, 0))
            }
            Layer::Columns { from, to } => {
                if input.len() != 1 || from >= to || to > input[0] {
                    return Err(shape_error(format!("there are no columns {from}..{to} in {input:?}")));
                }
                Ok((vec![to - from], 0))
            }
            Layer::Embedding { vocabulary, dimensions } => {
                if input.len() != 1 || vocabulary == 0 || dimensions == 0 {
                    return Err(shape_error(format!(
                        "{vocabulary} codes of {dimensions} numbers over [n], not over {input:?}"
                    )));
                }
                self.add("weight", vec![vocabulary, dimensions], Start::Small)?;
                Ok((vec![input[0], dimensions], 0))
            }
            Layer::Softmax => Ok((input, size.saturating_mul(5))),
        }
    }

    fn add(&mut self, part: &str, shape: Vec<usize>, start: Start) -> Result<()> {
        elements(&shape)?;
        let trained = !part.starts_with("running_");
        self.parameters.push(ParameterSpec { name: format!("{}.{part}", self.name), shape, start, trained });
        Ok(())
    }
}

/// Padding as `[top, left, bottom, right]`.
pub(crate) fn edges(
    sides: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
) -> [usize; 4] {
    match padding {
        Padding::Valid => [0; 4],
        Padding::Explicit { top, left, bottom, right } => [top, left, bottom, right],
        Padding::Same => {
            let total = |axis: usize| {
                let span = dilation[axis] * (kernel[axis] - 1) + 1;
                ((sides[axis].div_ceil(stride[axis]) - 1) * stride[axis] + span).saturating_sub(sides[axis])
            };
            let (rows, columns) = (total(0), total(1));
            [rows / 2, columns / 2, rows - rows / 2, columns - columns / 2]
        }
    }
}

/// How many windows fit along both sides.
fn windows(
    sides: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
) -> Result<[usize; 2]> {
    if [kernel, stride, dilation].iter().flatten().any(|&value| value == 0 || value > 1 << 16) {
        return Err(config("kernel, stride and dilation are 1 to 65536".to_owned()));
    }
    let edges = edges(sides, kernel, stride, dilation, padding);
    if edges.iter().any(|&edge| edge > 1 << 16) {
        return Err(config(format!("padding {edges:?} is past 65536")));
    }
    let mut counts = [0; 2];
    for axis in 0..2 {
        let span = dilation[axis] * (kernel[axis] - 1) + 1;
        let padded = sides[axis] + edges[axis] + edges[axis + 2];
        if span > padded {
            return Err(shape_error(format!(
                "a window of {kernel:?} (dilation {dilation:?}) does not fit into {sides:?} with padding {edges:?}"
            )));
        }
        counts[axis] = (padded - span) / stride[axis] + 1;
    }
    Ok(counts)
}

fn picture(shape: &[usize]) -> Result<[usize; 3]> {
    shape.try_into().map_err(|_| shape_error(format!("it takes [channels, height, width], not {shape:?}")))
}

fn multiply(sides: &[usize]) -> Result<usize> {
    let product = sides.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
    product.ok_or_else(|| shape_error(format!("{sides:?} has too many elements")))
}

fn elements(shape: &[usize]) -> Result<usize> {
    match multiply(shape)? {
        count if count > MOST_ELEMENTS => {
            Err(shape_error(format!("{shape:?} has {count} elements (limit tensor_elements = {MOST_ELEMENTS})")))
        }
        count => Ok(count),
    }
}

fn config(message: String) -> Error {
    Error::new(ErrorCode::Config, message)
}

fn shape_error(message: String) -> Error {
    Error::new(ErrorCode::Shape, message)
}
