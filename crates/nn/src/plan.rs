//! Shape inference: from an Architecture to a checked plan, a list of plain layers with the shapes, parameters and costs
//! of each. Blocks become the layers that they stand for, named `block.part`.
//!
//! All arithmetic is checked, because an Architecture may come from a file that somebody else wrote.

use crate::initialize::Start;
use crate::{Architecture, Layer, Node, trim};
use lepton_core::{DType, Error, ErrorCode, Result};

/// Most elements of one parameter or of one row's activation; the default of the limit `tensor_elements`.
const MOST_ELEMENTS: usize = 1 << 28;

/// Most layers of a network, blocks written out.
const MOST_LAYERS: usize = 10_000;

/// A checked Architecture.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) input_shape: Vec<usize>,
    pub(crate) input_dtype: DType,
    /// Whether the first side of the input, its time, may have any length.
    pub(crate) free_time: bool,
    /// The code that is left out where the end of a batch is nothing else.
    pub(crate) trims: Option<i64>,
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
    /// For each input the node that tells where its sequences end.
    pub(crate) lengths: Vec<Option<usize>>,
    /// Shape of one row going in (the first input's).
    pub(crate) input_shape: Vec<usize>,
    /// Shape of one row coming out.
    pub(crate) shape: Vec<usize>,
    /// Whether the first side of the output may have any length.
    pub(crate) free_time: bool,
    /// The node that tells where sequences of the output end.
    ends: Option<usize>,
    pub(crate) parameters: Vec<ParameterSpec>,
    pub(crate) flops: u64,
}

/// One tensor that belongs to a node. Its key in a safetensors file is `name`.
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

    /// Whether a node has to tell where its sequences end because a later one asks.
    pub(crate) fn lengths_are_used(&self, maker: usize) -> bool {
        self.nodes.iter().any(|node| node.layer.does().uses_lengths() && node.lengths.contains(&Some(maker)))
    }
}

/// A layer while its shape is inferred.
pub(crate) struct Planning<'a> {
    /// The shapes of one row of each input.
    pub(crate) inputs: Vec<&'a [usize]>,
    /// Whether the first side of the first input may have any length.
    pub(crate) free_time: bool,
    /// FLOPs of one row's forward pass.
    pub(crate) flops: u64,
    name: &'a str,
    parameters: Vec<ParameterSpec>,
}

impl Planning<'_> {
    /// An input as a sequence, `[time, features]`.
    pub(crate) fn sequence(&self, input: usize) -> Result<[usize; 2]> {
        let shape = self.inputs[input];
        shape.try_into().map_err(|_| shape_error(format!("it takes [time, features], not {shape:?}")))
    }

    /// The first input as a picture.
    pub(crate) fn picture(&self) -> Result<[usize; 3]> {
        let shape = self.inputs[0];
        shape.try_into().map_err(|_| shape_error(format!("it takes [channels, height, width], not {shape:?}")))
    }

    /// Elements of one row of the first input.
    pub(crate) fn size(&self) -> Result<u64> {
        Ok(elements(self.inputs[0])? as u64)
    }

    /// Refuses an input whose length is free.
    pub(crate) fn fixed_time(&self) -> Result<()> {
        if self.free_time {
            return Err(config("its output would depend on how long a sequence is, but the length is free".to_owned())
                .fix("pool the sequence over time in front of it, or set free_length = false"));
        }
        Ok(())
    }

    /// Adds a parameter that training learns.
    pub(crate) fn weight(&mut self, part: &str, shape: impl Into<Vec<usize>>, start: Start) -> Result<()> {
        self.add(part, shape.into(), start, true)
    }

    /// Adds numbers that training keeps but does not learn.
    pub(crate) fn statistic(&mut self, part: &str, shape: impl Into<Vec<usize>>, start: Start) -> Result<()> {
        self.add(part, shape.into(), start, false)
    }

    fn add(&mut self, part: &str, shape: Vec<usize>, start: Start, trained: bool) -> Result<()> {
        elements(&shape)?;
        self.parameters.push(ParameterSpec { name: format!("{}.{part}", self.name), shape, start, trained });
        Ok(())
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
    let codes_only = input.shape.len() == 1 && input.dtype == DType::Int64;
    if input.free_length && !(codes_only || input.shape.len() == 2) {
        return Err(wrong("free_length is for sequences: [time] of int64 codes, or [time, features]".to_owned()));
    }
    if architecture.layers.is_empty() {
        return Err(Error::new(ErrorCode::Config, "an architecture needs at least one layer").at_key("layers"));
    }
    let mut planner = Planner {
        plan: Plan {
            input_shape: input.shape.clone(),
            input_dtype: input.dtype,
            free_time: input.free_length,
            trims: None,
            nodes: Vec::new(),
        },
        names: vec![(input.name.clone(), Source::Input)],
    };
    for node in &architecture.layers {
        check_name(node, &planner)?;
        let inputs = planner.sources(node).map_err(|error| error.at_node(&node.name))?;
        let last = planner.add(&node.name, node, inputs).map_err(|error| at(error, &node.name))?;
        planner.names.push((node.name.clone(), Source::Node(last)));
    }
    let mut plan = planner.plan;
    plan.trims = trim::padding(&plan);
    for (index, node) in plan.nodes[..plan.nodes.len() - 1].iter().enumerate() {
        if !plan.nodes.iter().any(|other| other.inputs.contains(&Source::Node(index))) {
            return Err(Error::new(ErrorCode::Config, "nothing uses this layer's output")
                .at_node(&node.name)
                .fix("name it in another layer's inputs, or remove it"));
        }
    }
    Ok(plan)
}

/// The error at that node, where no layer inside of it is named.
fn at(error: Error, node: &str) -> Error {
    if error.place().node.is_some() { error } else { error.at_node(node) }
}

fn check_name(node: &Node, planner: &Planner) -> Result<()> {
    let wrong = |message: &str| Err(Error::new(ErrorCode::Config, message).at_node(&node.name));
    let plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if node.name.is_empty() || node.name.len() > 100 || !plain(&node.name) {
        return wrong("a layer's name has 1 to 100 letters, digits, - or _");
    }
    if node.name == planner.names[0].0 || node.name == "input" || node.name == "output" {
        return wrong("this name belongs to the network's input or output");
    }
    if planner.names.iter().any(|(earlier, _)| *earlier == node.name) {
        return wrong("two layers have this name");
    }
    Ok(())
}

/// A plan in the making.
struct Planner {
    plan: Plan,
    /// The names of the Architecture, and the node that gives what each stands for.
    names: Vec<(String, Source)>,
}

impl Planner {
    /// What a node's inputs stand for.
    fn sources(&self, node: &Node) -> Result<Vec<Source>> {
        if node.inputs.is_empty() {
            return Ok(vec![self.plan.nodes.len().checked_sub(1).map_or(Source::Input, Source::Node)]);
        }
        let find = |name: &String| {
            self.names.iter().find(|(known, _)| known == name).map(|(_, source)| *source).ok_or_else(|| {
                let error = config(format!("its input \"{name}\" is no earlier layer"));
                match lepton_core::nearest(name, self.names.iter().map(|(known, _)| known.as_str())) {
                    Some(near) => error.fix(format!("did you mean \"{near}\"?")),
                    None => error.fix("name a layer that stands before this one"),
                }
            })
        };
        node.inputs.iter().map(find).collect()
    }

    fn shape(&self, source: Source) -> &[usize] {
        match source {
            Source::Input => &self.plan.input_shape,
            Source::Node(index) => &self.plan.nodes[index].shape,
        }
    }

    fn is_free(&self, source: Source) -> bool {
        match source {
            Source::Input => self.plan.free_time,
            Source::Node(index) => self.plan.nodes[index].free_time,
        }
    }

    /// Adds a node, or the nodes that a block stands for, and gives the index of the last one.
    fn add(&mut self, name: &str, node: &Node, inputs: Vec<Source>) -> Result<usize> {
        let (least, most) = node.layer.does().inputs();
        if inputs.len() < least {
            return Err(config(format!("{} takes {} inputs", node.layer.kind(), words(least, most))));
        }
        if inputs.len() > most {
            let message = format!("{} takes {}, {} are named", node.layer.kind(), words(least, most), inputs.len());
            return Err(config(if most == 1 { message.replace("takes 1", "takes one input") } else { message }));
        }
        let shapes: Vec<&[usize]> = inputs.iter().map(|source| self.shape(*source)).collect();
        let Some(parts) = node.layer.does().expand(&shapes)? else {
            self.add_plain(name, &node.layer, inputs)?;
            return Ok(self.plan.nodes.len() - 1);
        };
        let mut own: Vec<(String, Source)> =
            inputs.iter().enumerate().map(|(place, source)| (format!("@{place}"), *source)).collect();
        let mut last = inputs[0];
        for part in &parts {
            let lost = || Error::internal(format!("the block \"{name}\" names a part that it does not have"));
            let of = |wanted: &String| own.iter().find(|(known, _)| known == wanted).map(|(_, source)| *source);
            let sources = match part.inputs.is_empty() {
                true => vec![last],
                false => part.inputs.iter().map(|wanted| of(wanted).ok_or_else(lost)).collect::<Result<_>>()?,
            };
            let full = format!("{name}.{}", part.name);
            let index = self.add(&full, part, sources).map_err(|error| at(error, &full))?;
            last = Source::Node(index);
            own.push((part.name.clone(), last));
        }
        match last {
            Source::Node(index) => Ok(index),
            Source::Input => Err(Error::internal(format!("the block \"{name}\" has no parts"))),
        }
    }

    fn add_plain(&mut self, name: &str, layer: &Layer, inputs: Vec<Source>) -> Result<()> {
        if self.plan.nodes.len() >= MOST_LAYERS {
            return Err(config(format!("a network has at most {MOST_LAYERS} layers")));
        }
        let is_codes = self.plan.input_dtype == DType::Int64 && inputs.contains(&Source::Input);
        if is_codes && !matches!(layer, Layer::Embedding(_)) {
            return Err(config(format!("{} takes float32, but the input is int64 codes", layer.kind()))
                .fix("put an embedding between them"));
        }
        let free_time = inputs.iter().any(|source| self.is_free(*source));
        let mut planning = Planning {
            inputs: inputs.iter().map(|source| self.shape(*source)).collect(),
            free_time,
            flops: 0,
            name,
            parameters: Vec::new(),
        };
        let shape = layer.does().plan(&mut planning)?;
        elements(&shape)?;
        let input_shape = planning.inputs[0].to_vec();
        let Planning { flops, parameters, free_time, .. } = planning;
        let lengths: Vec<Option<usize>> = inputs
            .iter()
            .map(|source| match source {
                Source::Input => None,
                Source::Node(index) => self.plan.nodes[*index].ends,
            })
            .collect();
        // Ends are those of the first input as long as places stay where they are.
        let keeps = shape.len() == 2 && input_shape.len() == 2 && shape[0] == input_shape[0];
        let ends =
            if layer.does().gives_lengths() { Some(self.plan.nodes.len()) } else { lengths[0].filter(|_| keeps) };
        self.plan.nodes.push(PlannedNode {
            name: name.to_owned(),
            layer: layer.clone(),
            inputs,
            lengths,
            input_shape,
            free_time: free_time && shape.len() == 2,
            shape,
            ends,
            parameters,
            flops,
        });
        Ok(())
    }
}

/// How many inputs, in words.
fn words(least: usize, most: usize) -> String {
    match (least, most) {
        (2, usize::MAX) => "two or more".to_owned(),
        (least, most) if least == most => least.to_string(),
        (least, most) => format!("{least} or {most}"),
    }
}

/// The product of sides, where it is a number.
pub(crate) fn multiply(sides: &[usize]) -> Result<usize> {
    let product = sides.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
    product.ok_or_else(|| shape_error(format!("{sides:?} has too many elements")))
}

/// The elements of a shape, within the limit.
pub(crate) fn elements(shape: &[usize]) -> Result<usize> {
    match multiply(shape)? {
        count if count > MOST_ELEMENTS => {
            Err(shape_error(format!("{shape:?} has {count} elements (limit tensor_elements = {MOST_ELEMENTS})")))
        }
        count => Ok(count),
    }
}

/// A setting that makes no sense.
pub(crate) fn config(message: String) -> Error {
    Error::new(ErrorCode::Config, message)
}

/// A shape that a layer cannot take.
pub(crate) fn shape_error(message: String) -> Error {
    Error::new(ErrorCode::Shape, message)
}
