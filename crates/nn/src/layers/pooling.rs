//! Pooling over windows, over grids and over everything.

use super::padding::{optional_pair, pair};
use super::window::{pairs, time_windows, window, windows};
use super::{Kind, Padding, Settings, TimePadding};
use crate::export::{Export, FLOAT};
use crate::forward::{Running, Value, only};
use crate::plan::{Planning, config, elements, multiply, shape_error};
use burn::tensor::module::{adaptive_avg_pool2d, avg_pool1d, avg_pool2d, max_pool1d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};
use burn::tensor::{Device, Int, Tensor, TensorData};
use lepton_core::Result;
use serde::{Deserialize, Serialize};

/// The largest value of each window: `[channels, height, width]` to `[channels, height', width']`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaxPool2d {
    /// Height and width of the window.
    #[serde(deserialize_with = "pair")]
    pub kernel: [usize; 2],
    /// Steps of the window; the window itself when not given.
    #[serde(default, deserialize_with = "optional_pair", skip_serializing_if = "Option::is_none")]
    pub stride: Option<[usize; 2]>,
    /// Cells around the picture that never win.
    #[serde(default)]
    pub padding: Padding,
}

impl Settings for MaxPool2d {
    const SETTINGS: &'static [&'static str] = &["kernel", "stride", "padding"];
}

impl Kind for MaxPool2d {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        plan_pictures(node, self.kernel, self.stride, self.padding)
    }

    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let (stride, edges) = over(&node.node.input_shape, self.kernel, self.stride, self.padding);
        let options = MaxPoolOptions::new(self.kernel).with_stride(stride).with_padding_pairs(pairs(edges));
        Ok(Value::Pictures(max_pool2d(only(inputs)?.pictures()?, options)))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let (stride, edges) = over(&node.node.input_shape, self.kernel, self.stride, self.padding);
        let pool = window(node.last("MaxPool", inputs), &self.kernel, &stride, &edges);
        node.push(pool);
        Ok(())
    }
}

/// The mean of each window; padded cells are not counted: `[channels, height, width]` to
/// `[channels, height', width']`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AvgPool2d {
    /// Height and width of the window.
    #[serde(deserialize_with = "pair")]
    pub kernel: [usize; 2],
    /// Steps of the window; the window itself when not given.
    #[serde(default, deserialize_with = "optional_pair", skip_serializing_if = "Option::is_none")]
    pub stride: Option<[usize; 2]>,
    /// Cells around the picture that are not counted.
    #[serde(default)]
    pub padding: Padding,
}

impl Settings for AvgPool2d {
    const SETTINGS: &'static [&'static str] = &["kernel", "stride", "padding"];
}

impl Kind for AvgPool2d {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        plan_pictures(node, self.kernel, self.stride, self.padding)
    }

    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let (stride, edges) = over(&node.node.input_shape, self.kernel, self.stride, self.padding);
        let options = AvgPoolOptions::new(self.kernel)
            .with_stride(stride)
            .with_padding_pairs(pairs(edges))
            .with_count_include_pad(false);
        Ok(Value::Pictures(avg_pool2d(only(inputs)?.pictures()?, options)))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let (stride, edges) = over(&node.node.input_shape, self.kernel, self.stride, self.padding);
        let pool = window(node.last("AveragePool", inputs), &self.kernel, &stride, &edges).int("count_include_pad", 0);
        node.push(pool);
        Ok(())
    }
}

fn plan_pictures(
    node: &mut Planning<'_>,
    kernel: [usize; 2],
    stride: Option<[usize; 2]>,
    padding: Padding,
) -> Result<Vec<usize>> {
    let [channels, height, width] = node.picture()?;
    let [rows, columns] = windows([height, width], kernel, stride.unwrap_or(kernel), [1, 1], padding)?;
    let (_, edges) = over(node.inputs[0], kernel, stride, padding);
    if edges.iter().zip([kernel[0], kernel[1], kernel[0], kernel[1]]).any(|(edge, side)| *edge >= side) {
        return Err(config(format!("padding {edges:?} would leave windows of {kernel:?} with nothing inside")));
    }
    let shape = vec![channels, rows, columns];
    node.flops = (elements(&shape)? as u64).saturating_mul(multiply(&kernel)? as u64);
    Ok(shape)
}

fn over(
    picture: &[usize],
    kernel: [usize; 2],
    stride: Option<[usize; 2]>,
    padding: Padding,
) -> ([usize; 2], [usize; 4]) {
    let stride = stride.unwrap_or(kernel);
    (stride, padding.edges([picture[1], picture[2]], kernel, stride, [1, 1]))
}

/// The largest value of each window of time: `[time, features]` to `[time', features]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaxPool1d {
    /// Places of the window.
    pub kernel: usize,
    /// Steps of the window; the window itself when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
    /// Places at the ends that never win.
    #[serde(default)]
    pub padding: TimePadding,
}

impl Settings for MaxPool1d {
    const SETTINGS: &'static [&'static str] = &["kernel", "stride", "padding"];
}

impl Kind for MaxPool1d {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        plan_sequences(node, self.kernel, self.stride, self.padding)
    }

    fn forward(&self, _node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let x = only(inputs)?.sequences()?;
        let stride = self.stride.unwrap_or(self.kernel);
        let [before, after] = self.padding.edges(x.dims()[1], self.kernel, stride, 1);
        let options = MaxPoolOptions::new([self.kernel]).with_stride([stride]).with_padding_pairs([(before, after)]);
        Ok(Value::Sequences(max_pool1d(x.swap_dims(1, 2), options).swap_dims(1, 2)))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        export_sequences(node, "MaxPool", inputs, self.kernel, self.stride, self.padding)
    }
}

/// The mean of each window of time; padded places are not counted: `[time, features]` to `[time', features]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AvgPool1d {
    /// Places of the window.
    pub kernel: usize,
    /// Steps of the window; the window itself when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
    /// Places at the ends that are not counted.
    #[serde(default)]
    pub padding: TimePadding,
}

impl Settings for AvgPool1d {
    const SETTINGS: &'static [&'static str] = &["kernel", "stride", "padding"];
}

impl Kind for AvgPool1d {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        plan_sequences(node, self.kernel, self.stride, self.padding)
    }

    fn forward(&self, _node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let x = only(inputs)?.sequences()?;
        let stride = self.stride.unwrap_or(self.kernel);
        let [before, after] = self.padding.edges(x.dims()[1], self.kernel, stride, 1);
        let options = AvgPoolOptions::new([self.kernel])
            .with_stride([stride])
            .with_padding_pairs([(before, after)])
            .with_count_include_pad(false);
        Ok(Value::Sequences(avg_pool1d(x.swap_dims(1, 2), options).swap_dims(1, 2)))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        export_sequences(node, "AveragePool", inputs, self.kernel, self.stride, self.padding)
    }
}

fn plan_sequences(
    node: &mut Planning<'_>,
    kernel: usize,
    stride: Option<usize>,
    padding: TimePadding,
) -> Result<Vec<usize>> {
    let [time, features] = node.sequence(0)?;
    let stride = stride.unwrap_or(kernel);
    if padding.depends_on_time(stride) {
        node.fixed_time()?;
    }
    let count = time_windows(time, kernel, stride, 1, padding)?;
    let edges = padding.edges(time, kernel, stride, 1);
    if edges.iter().any(|edge| *edge >= kernel) {
        return Err(config(format!("padding {edges:?} would leave windows of {kernel} with nothing inside")));
    }
    let shape = vec![count, features];
    node.flops = (elements(&shape)? as u64).saturating_mul(kernel as u64);
    Ok(shape)
}

fn export_sequences(
    node: &mut Export<'_, '_>,
    op: &str,
    inputs: Vec<String>,
    kernel: usize,
    stride: Option<usize>,
    padding: TimePadding,
) -> Result<()> {
    let stride = stride.unwrap_or(kernel);
    let edges = padding.edges(node.node.input_shape[0], kernel, stride, 1);
    let turned = node.step_with("Transpose", "features_first", inputs, |step| step.ints("perm", [0, 2, 1]));
    let pooled = node.step_with(op, "pooled", [turned], |step| window(step, &[kernel], &[stride], &edges));
    let last = node.last("Transpose", [pooled]).ints("perm", [0, 2, 1]);
    node.push(last);
    Ok(())
}

/// The means of a grid of cells that cover the picture: `[channels, height, width]` to `[channels, size, size]`. Cell `i`
/// of `n` goes from `floor(i · side / n)` to `ceil((i + 1) · side / n)`, as in PyTorch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdaptiveAvgPool2d {
    /// Height and width of the output; one number means a square.
    #[serde(deserialize_with = "pair")]
    pub size: [usize; 2],
}

impl Settings for AdaptiveAvgPool2d {
    const SETTINGS: &'static [&'static str] = &["size"];
}

impl AdaptiveAvgPool2d {
    /// What each output cell takes of a side: a matrix `[size, side]` whose rows are means.
    fn means(side: usize, size: usize) -> Vec<f32> {
        let mut matrix = vec![0.0; size * side];
        for cell in 0..size {
            let (from, to) = (cell * side / size, ((cell + 1) * side).div_ceil(size));
            matrix[cell * side + from..cell * side + to].fill(1.0 / (to - from) as f32);
        }
        matrix
    }
}

impl Kind for AdaptiveAvgPool2d {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let [channels, height, width] = node.picture()?;
        let [rows, columns] = self.size;
        if rows == 0 || columns == 0 || rows > height || columns > width {
            return Err(shape_error(format!("a grid of {rows} x {columns} is no part of {height} x {width} pixels")));
        }
        node.flops = node.size()?;
        Ok(vec![channels, rows, columns])
    }

    fn forward(&self, _node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        Ok(Value::Pictures(adaptive_avg_pool2d(only(inputs)?.pictures()?, self.size)))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        // rows · x · columnsᵀ: ONNX has no pooling whose windows differ in size.
        let (height, width) = (node.node.input_shape[1], node.node.input_shape[2]);
        let [rows, columns] = self.size;
        let left = lepton_core::Tensor::float32([rows, height], AdaptiveAvgPool2d::means(height, rows))?;
        let means = AdaptiveAvgPool2d::means(width, columns);
        let turned = (0..width * columns).map(|at| means[at % columns * width + at / columns]).collect();
        let right = lepton_core::Tensor::float32([width, columns], turned)?;
        let (left, right) = (node.tensor("rows", &left), node.tensor("columns", &right));
        let part = node.step("MatMul", "by_rows", [left, inputs[0].clone()]);
        let last = node.last("MatMul", [part, right]);
        node.push(last);
        Ok(())
    }
}

/// Pooling over all places.
pub(super) enum Global {
    /// Their mean.
    Mean,
    /// Their largest value.
    Largest,
}

/// Below every value that a network gives.
const LOWEST: f32 = -1e30;

impl Kind for Global {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        node.flops = node.size()?;
        match *node.inputs[0] {
            [channels, _, _] => Ok(vec![channels]),
            [_, features] => Ok(vec![features]),
            ref other => {
                Err(shape_error(format!("it takes [channels, height, width] or [time, features], not {other:?}")))
            }
        }
    }

    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let lengths = node.lengths[0].take();
        let pooled = match (only(inputs)?, lengths) {
            (Value::Sequences(x), Some(lengths)) => {
                let [batch, time, features] = x.dims();
                let mask: Tensor<3> = lengths.mask.reshape([batch, time, 1]);
                match self {
                    Global::Mean => {
                        let counts = lengths.counts.iter().map(|&count| count as f32).collect::<Vec<_>>();
                        let counts: Tensor<2> = Tensor::from_data(TensorData::new(counts, [batch, 1]), &Device::flex());
                        (x * mask).sum_dim(1).reshape([batch, features]) / counts
                    }
                    Global::Largest => {
                        let behind = (mask.clone() - 1.0) * -LOWEST;
                        (x * mask + behind).max_dim(1).reshape([batch, features])
                    }
                }
            }
            (Value::Sequences(x), None) => {
                let [batch, _, features] = x.dims();
                match self {
                    Global::Mean => x.mean_dim(1).reshape([batch, features]),
                    Global::Largest => x.max_dim(1).reshape([batch, features]),
                }
            }
            (x, _) => {
                let x = x.pictures()?;
                let [batch, channels, height, width] = x.dims();
                let x = x.reshape([batch, channels, height * width]);
                match self {
                    Global::Mean => x.mean_dim(2).reshape([batch, channels]),
                    Global::Largest => x.max_dim(2).reshape([batch, channels]),
                }
            }
        };
        Ok(Value::Rows(pooled))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        if node.node.input_shape.len() == 3 {
            let op = if matches!(self, Global::Mean) { "GlobalAveragePool" } else { "GlobalMaxPool" };
            let pooled = node.step(op, "pooled", inputs);
            let last = node.last("Flatten", [pooled]).int("axis", 1);
            node.push(last);
            return Ok(());
        }
        let x = inputs[0].clone();
        let Some(mask) = node.mask(0) else {
            let op = if matches!(self, Global::Mean) { "ReduceMean" } else { "ReduceMax" };
            let last = node.last(op, [x]).ints("axes", [1]).int("keepdims", 0);
            node.push(last);
            return Ok(());
        };
        let last_side = node.ints("last_side", &[2])?;
        let mask = node.step("Unsqueeze", "mask", [mask, last_side]);
        let inside = node.step("Mul", "inside", [x, mask.clone()]);
        match self {
            Global::Mean => {
                let time = node.ints("time", &[1])?;
                let sum = node.step_with("ReduceSum", "sum", [inside, time.clone()], |step| step.int("keepdims", 0));
                let count = node.step_with("ReduceSum", "count", [mask, time], |step| step.int("keepdims", 0));
                let last = node.last("Div", [sum, count]);
                node.push(last);
            }
            Global::Largest => {
                let one = node.number("one", 1.0)?;
                let lowest = node.number("lowest", -LOWEST)?;
                let outside = node.step("Sub", "outside", [mask, one]);
                let behind = node.step("Mul", "behind", [outside, lowest]);
                let all = node.step("Add", "all", [inside, behind]);
                let last = node.last("ReduceMax", [all]).ints("axes", [1]).int("keepdims", 0);
                node.push(last);
            }
        }
        Ok(())
    }

    fn uses_lengths(&self) -> bool {
        true
    }
}

/// The last place of each sequence.
pub(super) struct LastStep;

impl Kind for LastStep {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        Ok(vec![node.sequence(0)?[1]])
    }

    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let x = only(inputs)?.sequences()?;
        let [batch, time, features] = x.dims();
        let Some(lengths) = node.lengths[0].take() else {
            return Ok(Value::Rows(x.narrow(1, time - 1, 1).reshape([batch, features])));
        };
        let places = lengths.counts.iter().enumerate().map(|(row, count)| (row * time + count - 1) as i64);
        let places: Tensor<1, Int> =
            Tensor::from_data(TensorData::new(places.collect::<Vec<i64>>(), [batch]), &Device::flex());
        Ok(Value::Rows(x.reshape([batch * time, features]).select(0, places)))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let x = inputs[0].clone();
        let Some(mask) = node.mask(0) else {
            let last = node.ints("last", &[-1])?;
            let taken = node.step_with("Gather", "taken", [x, last], |step| step.int("axis", 1));
            let time = node.ints("time", &[1])?;
            let last = node.last("Squeeze", [taken, time]);
            node.push(last);
            return Ok(());
        };
        // A place is the last inside where the mask falls: the sum of x times (mask - mask one later).
        let time = node.ints("time", &[1])?;
        let count = node.step("ReduceSum", "count", [mask.clone(), time.clone()]);
        let exclusive = node.tensor("axis", &lepton_core::Tensor::int64([], vec![1])?);
        let place = node.step("CumSum", "place", [mask.clone(), exclusive]);
        let equal = node.step("Equal", "equal", [place, count]);
        let equal = node.step_with("Cast", "is_last", [equal], |step| step.int("to", FLOAT));
        let chosen = node.step("Mul", "chosen", [equal, mask]);
        let last_side = node.ints("last_side", &[2])?;
        let chosen = node.step("Unsqueeze", "chosen_places", [chosen, last_side]);
        let picked = node.step("Mul", "picked", [x, chosen]);
        let last = node.last("ReduceSum", [picked, time]).int("keepdims", 0);
        node.push(last);
        Ok(())
    }

    fn uses_lengths(&self) -> bool {
        true
    }
}
