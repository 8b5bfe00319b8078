//! What can be computed without the network's input: constants in other shapes, and shapes that the graph takes apart
//! and puts together again.

use super::axes::Length;
use super::graph::{bad, int, ints, label, refuse};
use super::{Import, SUPPORTED, Value};
use lepton_core::{DType, Error, ErrorCode, Result, Tensor, TensorData};
use lepton_onnx::NodeProto;
use std::rc::Rc;

/// More sides than any shape has.
const MOST_LENGTHS: usize = 64;

/// A constant's shape, numbers and name.
pub(super) struct Weights {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
    pub(super) name: Rc<str>,
}

impl Import<'_> {
    /// Computes a node that does not depend on the network's input, or only on its shape. Gives false where it does.
    pub(super) fn fold(&mut self, node: &NodeProto) -> Result<bool> {
        let value = match node.op_type.as_str() {
            "Constant" => constant(node)?,
            "Shape" => {
                let all = match self.input(node, 0)? {
                    Some(Value::Activation(value)) => value.lengths(),
                    Some(Value::Constant(tensor, _)) => {
                        tensor.shape().iter().map(|&side| Length::Known(side as i64)).collect()
                    }
                    _ => return Err(refuse(node, "the shape of a shape")),
                };
                let (from, to) = range(int(node, "start", 0), int(node, "end", i64::MAX), all.len());
                Value::Lengths(all[from..to].to_vec())
            }
            _ => {
                let mut inputs = Vec::with_capacity(node.input.len().min(MOST_LENGTHS));
                for place in 0..node.input.len() {
                    match self.input(node, place)? {
                        Some(Value::Activation(_)) => return Ok(false),
                        other => inputs.push(other),
                    }
                }
                self.computed(node, &inputs)?
            }
        };
        self.give(node, 0, value);
        Ok(true)
    }

    fn computed(&mut self, node: &NodeProto, inputs: &[Option<Value>]) -> Result<Value> {
        let unknown = || refuse(node, "it computes with constants in a way that is not supported").fix(SUPPORTED);
        let first = inputs.first().cloned().flatten().ok_or_else(unknown)?;
        let op = node.op_type.as_str();
        match (op, first) {
            ("Identity", value) => Ok(value),
            (
                "Cast" | "Squeeze" | "Unsqueeze" | "Reshape" | "Slice" | "Gather" | "Transpose" | "Expand",
                value @ Value::Filled(_),
            ) => Ok(value),
            ("Cast", value) => match (int(node, "to", 0), value) {
                (6 | 7, value) => value.lengths().map(Value::Lengths).ok_or_else(unknown),
                (1, Value::Constant(tensor, name)) if tensor.dtype() == DType::Float32 => {
                    Ok(Value::Constant(tensor, name))
                }
                _ => Err(unknown()),
            },
            ("ConstantOfShape", _) => match node.find("value").and_then(|attribute| attribute.t.as_deref()) {
                None => Ok(Value::Filled(0.0)),
                Some(tensor) => uniform(&tensor.to_tensor()?).map(Value::Filled).ok_or_else(unknown),
            },
            ("Expand", Value::Constant(tensor, _)) => {
                self.same_everywhere(&Value::Constant(tensor, Rc::from("")))?.map(Value::Filled).ok_or_else(unknown)
            }
            ("Transpose", Value::Constant(tensor, name)) => {
                Ok(Value::Constant(Rc::new(self.turned(node, &tensor)?), name))
            }
            ("Reshape" | "Squeeze" | "Unsqueeze" | "Flatten", Value::Constant(tensor, name))
                if tensor.dtype() == DType::Float32 =>
            {
                Ok(Value::Constant(Rc::new(self.reshaped_constant(node, &tensor)?), name))
            }
            ("Squeeze" | "Unsqueeze" | "Reshape", value) => value.lengths().map(Value::Lengths).ok_or_else(unknown),
            ("Gather", value) => {
                let all = value.lengths().ok_or_else(unknown)?;
                let places = inputs.get(1).and_then(Option::as_ref).and_then(known).ok_or_else(unknown)?;
                let pick = |&place: &i64| {
                    let place = if place < 0 { place.checked_add(all.len() as i64) } else { Some(place) };
                    place.and_then(|place| all.get(usize::try_from(place).ok()?)).copied().ok_or_else(unknown)
                };
                Ok(Value::Lengths(places.iter().map(pick).collect::<Result<_>>()?))
            }
            ("Slice", value) => {
                let all = value.lengths().ok_or_else(unknown)?;
                let one = |place: usize| inputs.get(place).and_then(Option::as_ref).and_then(known);
                match (one(1).as_deref(), one(2).as_deref(), one(4).as_deref().unwrap_or(&[1])) {
                    (Some([from]), Some([to]), [1]) => {
                        let (from, to) = range(*from, *to, all.len());
                        Ok(Value::Lengths(all[from..to].to_vec()))
                    }
                    _ => Err(unknown()),
                }
            }
            ("Concat", Value::Filled(number)) => {
                let same = |value: &Option<Value>| matches!(value, Some(Value::Filled(other)) if *other == number);
                if inputs.iter().all(same) { Ok(Value::Filled(number)) } else { Err(unknown()) }
            }
            ("Concat", _) => {
                let mut all = Vec::new();
                for value in inputs {
                    all.extend(value.as_ref().and_then(Value::lengths).ok_or_else(unknown)?);
                    if all.len() > MOST_LENGTHS {
                        return Err(unknown());
                    }
                }
                Ok(Value::Lengths(all))
            }
            ("Add" | "Sub" | "Mul" | "Div", value) => {
                let second = inputs.get(1).and_then(Option::as_ref).and_then(known).ok_or_else(unknown)?;
                let ([a], [b]) = (&known(&value).ok_or_else(unknown)?[..], &second[..]) else { return Err(unknown()) };
                let result = match op {
                    "Add" => a.checked_add(*b),
                    "Sub" => a.checked_sub(*b),
                    "Mul" => a.checked_mul(*b),
                    _ => a.checked_div(*b),
                };
                Ok(Value::Lengths(vec![Length::Known(result.ok_or_else(unknown)?)]))
            }
            _ => Err(unknown()),
        }
    }

    /// A float32 constant with its axes in another order.
    fn turned(&mut self, node: &NodeProto, tensor: &Tensor) -> Result<Tensor> {
        let (shape, values) = (tensor.shape(), tensor.as_float32()?);
        let rank = shape.len();
        let order: Vec<usize> = match ints(node, "perm") {
            None => (0..rank).rev().collect(),
            Some(order) => order.iter().map(|&axis| usize::try_from(axis).unwrap_or(usize::MAX)).collect(),
        };
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..rank) {
            return Err(refuse(node, format!("{order:?} is no order of {rank} axes")));
        }
        self.spend(values.len())?;
        let mut steps = vec![1; rank];
        for axis in (1..rank).rev() {
            steps[axis - 1] = steps[axis] * shape[axis];
        }
        let turned: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
        let steps: Vec<usize> = order.iter().map(|&axis| steps[axis]).collect();
        let (mut place, mut at, mut result) = (vec![0; rank], 0, Vec::with_capacity(values.len()));
        for _ in 0..values.len() {
            result.push(values[at]);
            for axis in (0..rank).rev() {
                place[axis] += 1;
                at += steps[axis];
                if place[axis] < turned[axis] {
                    break;
                }
                at -= steps[axis] * turned[axis];
                place[axis] = 0;
            }
        }
        Tensor::float32(turned, result)
    }

    fn reshaped_constant(&mut self, node: &NodeProto, tensor: &Tensor) -> Result<Tensor> {
        let wrong = || refuse(node, "a constant cannot have that shape");
        let values = tensor.as_float32()?;
        let mut shape: Vec<usize> = tensor.shape().to_vec();
        match node.op_type.as_str() {
            "Reshape" => {
                let target = self.integers(node, 1)?.filter(|target| target.len() <= MOST_LENGTHS).ok_or_else(wrong)?;
                let mut rest = None;
                let mut sides = Vec::with_capacity(target.len());
                for (place, &side) in target.iter().enumerate() {
                    sides.push(match side {
                        -1 if rest.replace(place).is_none() => 1,
                        0 => *shape.get(place).ok_or_else(wrong)?,
                        side => usize::try_from(side).map_err(|_| wrong())?,
                    });
                }
                if let Some(place) = rest {
                    let known = sides.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
                    sides[place] = values.len().checked_div(known.ok_or_else(wrong)?).ok_or_else(wrong)?;
                }
                shape = sides;
            }
            "Flatten" => shape = vec![tensor.rows(), tensor.row_len()],
            op => {
                let axes = match ints(node, "axes") {
                    Some(axes) => Some(axes.to_vec()),
                    None => self.integers(node, 1)?,
                };
                let rank = shape.len() + if op == "Unsqueeze" { axes.as_ref().map_or(0, Vec::len) } else { 0 };
                let whole = |&axis: &i64| {
                    let axis = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
                    usize::try_from(axis).ok().filter(|axis| *axis < rank)
                };
                let axes = axes.map(|axes| axes.iter().map(whole).collect::<Option<Vec<usize>>>().ok_or_else(wrong));
                match (op, axes.transpose()?) {
                    ("Unsqueeze", Some(mut axes)) if rank <= MOST_LENGTHS => {
                        axes.sort_unstable();
                        for axis in axes {
                            if axis > shape.len() {
                                return Err(wrong());
                            }
                            shape.insert(axis, 1);
                        }
                    }
                    ("Squeeze", axes) => {
                        let mut place = 0;
                        shape.retain(|&side| {
                            place += 1;
                            side != 1 || axes.as_ref().is_some_and(|axes| !axes.contains(&(place - 1)))
                        });
                    }
                    _ => return Err(wrong()),
                }
            }
        }
        self.spend(values.len())?;
        Tensor::float32(shape, values.to_vec()).map_err(|_| wrong())
    }

    /// The one number that a value is everywhere; looking costs as much as computing.
    pub(super) fn same_everywhere(&mut self, value: &Value) -> Result<Option<f32>> {
        if let Value::Constant(tensor, _) = value {
            self.spend(tensor.data().len())?;
        }
        Ok(value.uniform())
    }

    /// Counts elements of computed constants against the limit.
    fn spend(&mut self, elements: usize) -> Result<()> {
        self.budget = self.budget.checked_sub(elements as u64).ok_or_else(|| {
            Error::new(ErrorCode::TooLarge, "the model computes too many constants (limit tensor_elements)")
        })?;
        Ok(())
    }

    /// The input at that place as integers that are known.
    pub(super) fn integers(&mut self, node: &NodeProto, place: usize) -> Result<Option<Vec<i64>>> {
        match self.input(node, place)? {
            None => Ok(None),
            Some(value) => known(&value)
                .map(Some)
                .ok_or_else(|| refuse(node, format!("its input {place} is not a list of known integers"))),
        }
    }

    /// Axes, which are an attribute in older operator sets and an input in newer ones.
    pub(super) fn axes(&mut self, node: &NodeProto) -> Result<Option<Vec<i64>>> {
        match ints(node, "axes") {
            Some(axes) => Ok(Some(axes.to_vec())),
            None => self.integers(node, 1),
        }
    }

    /// The input at that place as the weights of a layer.
    pub(super) fn weights(&mut self, node: &NodeProto, place: usize) -> Result<Option<Weights>> {
        let wrong = |what: &str| Err(refuse(node, format!("its input {place} {what}")).fix(SUPPORTED));
        let (tensor, name) = match self.input(node, place)? {
            None => return Ok(None),
            Some(Value::Constant(tensor, name)) => (tensor, name),
            Some(_) => return wrong("is not a constant, as the weights of a layer are"),
        };
        if tensor.dtype() != DType::Float32 {
            return wrong(&format!("is {}, not float32", tensor.dtype()));
        }
        let (shape, values) = (tensor.shape().to_vec(), tensor.as_float32()?.to_vec());
        if !name.is_empty() && !self.taken.insert(name.clone()) {
            self.builder.note(format!("\"{name}\" is used more than once; here each layer has weights of its own"));
        }
        Ok(Some(Weights { shape, values, name }))
    }

    /// Weights that the node must have.
    pub(super) fn needed_weights(&mut self, node: &NodeProto, place: usize) -> Result<Weights> {
        self.weights(node, place)?.ok_or_else(|| bad(format!("its input {place} is missing")).at_node(label(node)))
    }
}

impl Value {
    /// The value as sides of a shape.
    pub(super) fn lengths(&self) -> Option<Vec<Length>> {
        match self {
            Value::Lengths(lengths) => Some(lengths.clone()),
            Value::Constant(tensor, _) if tensor.data().len() <= MOST_LENGTHS => match tensor.data() {
                TensorData::Int64(values) => Some(values.iter().map(|&value| Length::Known(value)).collect()),
                TensorData::Int32(values) => Some(values.iter().map(|&value| Length::Known(value.into())).collect()),
                _ => None,
            },
            _ => None,
        }
    }

    /// The one number that the value is, with a single element at most.
    pub(super) fn single(&self) -> Option<f32> {
        match self {
            Value::Constant(tensor, _) if tensor.data().len() != 1 => None,
            other => other.uniform(),
        }
    }

    /// The one number that the value is everywhere.
    fn uniform(&self) -> Option<f32> {
        match self {
            Value::Filled(number) => Some(*number),
            Value::Constant(tensor, _) => uniform(tensor),
            _ => None,
        }
    }
}

fn known(value: &Value) -> Option<Vec<i64>> {
    let known = |length| match length {
        Length::Known(number) => Some(number),
        _ => None,
    };
    value.lengths()?.into_iter().map(known).collect()
}

fn uniform(tensor: &Tensor) -> Option<f32> {
    let first = match tensor.data() {
        TensorData::Float32(values) => *values.first()?,
        TensorData::Int64(values) => *values.first()? as f32,
        _ => return None,
    };
    match tensor.data() {
        TensorData::Float32(values) => values.iter().all(|value| *value == first).then_some(first),
        TensorData::Int64(values) => values.iter().all(|value| *value as f32 == first).then_some(first),
        _ => None,
    }
}

/// From and to of a slice, within a length.
pub(super) fn range(from: i64, to: i64, length: usize) -> (usize, usize) {
    let within = |place: i64| {
        let place = if place < 0 { place.saturating_add(length as i64).max(0) } else { place };
        usize::try_from(place).unwrap_or(usize::MAX).min(length)
    };
    let (from, to) = (within(from), within(to));
    (from, to.max(from))
}

/// What a Constant node holds.
fn constant(node: &NodeProto) -> Result<Value> {
    let tensor = |tensor: Tensor| Value::Constant(Rc::new(tensor), Rc::from(""));
    for attribute in &node.attribute {
        return Ok(match attribute.name.as_str() {
            "value" => match attribute.t.as_deref() {
                Some(proto) => tensor(proto.to_tensor().map_err(|error| error.at_node(label(node)))?),
                None => break,
            },
            "value_float" => tensor(Tensor::float32([], vec![attribute.f.unwrap_or(0.0)])?),
            "value_floats" => tensor(Tensor::float32([attribute.floats.len()], attribute.floats.clone())?),
            "value_int" => tensor(Tensor::int64([], vec![attribute.i.unwrap_or(0)])?),
            "value_ints" => tensor(Tensor::int64([attribute.ints.len()], attribute.ints.clone())?),
            _ => continue,
        });
    }
    Err(refuse(node, "a constant that is no dense tensor of numbers"))
}
