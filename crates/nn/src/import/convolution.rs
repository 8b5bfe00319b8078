//! Convolutions: over pictures as they are, over sequences with their channels moved to the end.

use super::axes::{Activation, Axis};
use super::graph::{int, refuse, sizes, text};
use super::{Import, Value};
use crate::{Conv1d, Conv2d, ConvTranspose2d, DepthwiseConv2d, Layer, Padding, TimePadding};
use lepton_core::Result;
use lepton_onnx::NodeProto;

/// What surrounds a value before a window slides over it.
pub(super) enum Edges {
    /// As much as makes the output `ceil(side / stride)` long, an odd cell at the end.
    Same,
    /// Cells before each axis, then cells after each axis.
    Cells(Vec<usize>),
}

impl Edges {
    /// The edges of a window over axes of those lengths.
    pub(super) fn of(
        node: &NodeProto,
        lengths: &[usize],
        kernel: &[usize],
        strides: &[usize],
        dilations: &[usize],
    ) -> Result<Edges> {
        let count = lengths.len();
        match text(node, "auto_pad", "NOTSET") {
            "NOTSET" | "" => Ok(Edges::Cells(sizes(node, "pads", 2 * count, 0)?)),
            "VALID" => Ok(Edges::Cells(vec![0; 2 * count])),
            "SAME_UPPER" => Ok(Edges::Same),
            "SAME_LOWER" => {
                let all = (0..count).map(|axis| {
                    let span = dilations[axis].saturating_mul(kernel[axis].saturating_sub(1)).saturating_add(1);
                    let stride = strides[axis].max(1);
                    let steps = lengths[axis].div_ceil(stride).saturating_sub(1);
                    steps.saturating_mul(stride).saturating_add(span).saturating_sub(lengths[axis])
                });
                let all: Vec<usize> = all.collect();
                let before = all.iter().map(|cells| cells - cells / 2);
                Ok(Edges::Cells(before.chain(all.iter().map(|cells| cells / 2)).collect()))
            }
            other => Err(refuse(node, format!("auto_pad {other} is not supported"))),
        }
    }

    pub(super) fn are_none(&self) -> bool {
        matches!(self, Edges::Cells(cells) if cells.iter().all(|&cells| cells == 0))
    }

    pub(super) fn of_picture(&self) -> Padding {
        match self {
            Edges::Same => Padding::Same,
            Edges::Cells(cells) => match cells[..] {
                [top, left, bottom, right] if !self.are_none() => Padding::Explicit { top, left, bottom, right },
                _ => Padding::Valid,
            },
        }
    }

    pub(super) fn of_time(&self) -> TimePadding {
        match self {
            Edges::Same => TimePadding::Same,
            Edges::Cells(cells) => match cells[..] {
                [before, after] if !self.are_none() => TimePadding::Explicit { before, after },
                _ => TimePadding::Valid,
            },
        }
    }
}

/// What a layer over pictures or sequences gives, with the channels where ONNX has them.
pub(super) fn laid(made: (String, Vec<usize>), input: &Activation) -> Activation {
    let sides = made.1.clone();
    let (places, free) = match sides.len() {
        2 => (vec![Axis::Batch, Axis::Side(1), Axis::Side(0)], input.is_free()),
        _ => (vec![Axis::Batch, Axis::Side(0), Axis::Side(1), Axis::Side(2)], false),
    };
    Activation::new(made, &sides, &places, input.batch(), free)
}

impl Import<'_> {
    pub(super) fn convolution(&mut self, node: &NodeProto) -> Result<()> {
        let weight = self.needed_weights(node, 1)?;
        let bias = self.weights(node, 2)?;
        let hint = self.hint(node, Some(&weight.name));
        let count = weight.shape.len().saturating_sub(2);
        let (axes, _) = spatial(node, count)?;
        let x = self.arranged(node, 0, &axes)?;
        let kernel = weight.shape[2..].to_vec();
        if sizes(node, "kernel_shape", count, 0)?.iter().zip(&kernel).any(|(&said, &is)| said != 0 && said != is) {
            return Err(refuse(node, format!("kernel_shape is not that of the weight {:?}", weight.shape)));
        }
        let (stride, dilation) = (sizes(node, "strides", count, 1)?, sizes(node, "dilations", count, 1)?);
        let groups = usize::try_from(int(node, "group", 1)).map_err(|_| refuse(node, "group is negative"))?;
        let out_channels = weight.shape[0];
        let has_bias = bias.is_some();
        let layer: Layer = match kernel[..] {
            [kernel] => {
                let edges = self.edges(node, &x.row[..1], &[kernel], &stride, &dilation)?;
                let (stride, dilation, padding) = (stride[0], dilation[0], edges.of_time());
                Conv1d { out_channels, kernel, stride, padding, dilation, groups, bias: has_bias }.into()
            }
            _ => {
                let edges = self.edges(node, &x.row[1..], &kernel, &stride, &dilation)?;
                let [kernel, stride, dilation] = [kernel, stride, dilation].map(|pair| [pair[0], pair[1]]);
                let padding = edges.of_picture();
                let channels = x.row[0];
                if groups == channels && groups > 1 && out_channels.is_multiple_of(channels) {
                    let multiplier = out_channels / channels;
                    DepthwiseConv2d { kernel, stride, padding, dilation, multiplier, bias: has_bias }.into()
                } else {
                    Conv2d { out_channels, kernel, stride, padding, dilation, groups, bias: has_bias }.into()
                }
            }
        };
        let mut weights = vec![("weight".to_owned(), weight.shape, weight.values)];
        weights.extend(bias.map(|bias| ("bias".to_owned(), bias.shape, bias.values)));
        let made = self.builder.layer(node, &hint, layer, &x, weights)?;
        self.give(node, 0, Value::Activation(laid(made, &x)));
        Ok(())
    }

    /// Zeros around a value, which the convolutions behind it take as padding of their own.
    pub(super) fn zeros_around(&mut self, node: &NodeProto) -> Result<()> {
        let x = self.layer_value(node, 0)?;
        let only = "only zeros around pictures and sequences in front of a Conv are supported";
        let pads = self.integers(node, 1)?.unwrap_or_default();
        let is_zero = match self.input(node, 2)? {
            None => true,
            Some(value) => value.single() == Some(0.0),
        };
        let rank = x.axes.len();
        let output = node.output.first().map_or("", String::as_str);
        let is_last = self.graph.only_taker(output).is_none_or(|(_, taker)| taker.op_type != "Conv");
        let (before, after) = pads.split_at(pads.len() / 2);
        let fits = pads.len() == 2 * rank && rank >= 3 && before[..2] == [0, 0] && after[..2] == [0, 0];
        if is_last || !fits || !is_zero || text(node, "mode", "constant") != "constant" || node.input.len() > 3 {
            return Err(refuse(node, only));
        }
        let cells = before[2..].iter().chain(&after[2..]).map(|&cells| usize::try_from(cells));
        let cells = cells.collect::<Result<_, _>>().map_err(|_| refuse(node, only))?;
        self.padded.insert(output.to_owned(), cells);
        self.give(node, 0, Value::Activation(x));
        Ok(())
    }

    /// The edges of a convolution with the zeros that a Pad in front of it put there.
    fn edges(
        &self,
        node: &NodeProto,
        lengths: &[usize],
        kernel: &[usize],
        stride: &[usize],
        dilation: &[usize],
    ) -> Result<Edges> {
        let edges = Edges::of(node, lengths, kernel, stride, dilation)?;
        match (self.padded.get(&node.input[0]), edges) {
            (None, edges) => Ok(edges),
            (Some(more), Edges::Cells(cells))
                if more.len() == cells.len() && text(node, "auto_pad", "NOTSET") != "SAME_LOWER" =>
            {
                Ok(Edges::Cells(cells.iter().zip(more).map(|(cells, more)| cells.saturating_add(*more)).collect()))
            }
            _ => Err(refuse(node, "auto_pad behind a Pad")),
        }
    }

    pub(super) fn transposed_convolution(&mut self, node: &NodeProto) -> Result<()> {
        let weight = self.needed_weights(node, 1)?;
        let bias = self.weights(node, 2)?;
        let hint = self.hint(node, Some(&weight.name));
        let count = weight.shape.len().saturating_sub(2);
        let (_, axes) = spatial(node, count)?;
        if node.find("output_shape").is_some() || !matches!(text(node, "auto_pad", "NOTSET"), "NOTSET" | "" | "VALID") {
            return Err(refuse(node, "output_shape and auto_pad are not supported").fix("export it with pads"));
        }
        let x = self.layer_value(node, 0)?;
        // Over a sequence it is one over a picture of one row.
        let mut groups: Vec<_> = axes.iter().filter_map(|&axis| x.axes.get(axis).cloned()).collect();
        if x.axes.len() != count + 2 || x.batch_axis() != Some(0) {
            return Err(refuse(node, format!("its input has {} axes or lacks the batch", x.axes.len())));
        }
        let wide = |values: Vec<usize>, other: usize| match values[..] {
            [one] => [other, one],
            _ => [values[0], values[1]],
        };
        let mut shape = weight.shape;
        if count == 1 {
            groups.insert(1, Vec::new());
            shape.insert(2, 1);
        }
        let pads = sizes(node, "pads", 2 * count, 0)?;
        let (before, after) = pads.split_at(count);
        if before != after {
            return Err(refuse(node, format!("pads {pads:?} differ between the two ends")));
        }
        let layer_groups = usize::try_from(int(node, "group", 1)).map_err(|_| refuse(node, "group is negative"))?;
        let x = self.builder.arrange(node, &hint, &x, &groups)?;
        let layer = ConvTranspose2d {
            out_channels: shape[1].saturating_mul(layer_groups),
            kernel: [shape[2], shape[3]],
            stride: wide(sizes(node, "strides", count, 1)?, 1),
            padding: wide(before.to_vec(), 0),
            output_padding: wide(sizes(node, "output_padding", count, 0)?, 0),
            dilation: wide(sizes(node, "dilations", count, 1)?, 1),
            groups: layer_groups,
            bias: bias.is_some(),
        };
        let mut weights = vec![("weight".to_owned(), shape, weight.values)];
        weights.extend(bias.map(|bias| ("bias".to_owned(), bias.shape, bias.values)));
        let made = self.builder.layer(node, &hint, layer, &x, weights)?;
        let mut value = laid(made, &x);
        if count == 1 {
            value.axes.remove(2);
        }
        self.give(node, 0, Value::Activation(value));
        Ok(())
    }
}

/// The ONNX axes of a row as our layers have them, and as they stand in the file.
fn spatial(node: &NodeProto, count: usize) -> Result<(Vec<usize>, Vec<usize>)> {
    match count {
        1 => Ok((vec![2, 1], vec![1, 2])),
        2 => Ok((vec![1, 2, 3], vec![1, 2, 3])),
        _ => Err(refuse(node, format!("windows over {count} axes; 1 and 2 are supported"))),
    }
}
