//! Pools over windows and over everything, and pictures made larger.

use super::axes::{Activation, Side, size};
use super::convolution::{Edges, laid};
use super::graph::{int, refuse, sizes, text};
use super::{Import, SUPPORTED, Value};
use crate::{AvgPool1d, AvgPool2d, Layer, MaxPool1d, MaxPool2d, Upsample, UpsampleMode};
use lepton_core::{Result, TensorData};
use lepton_onnx::NodeProto;

impl Import<'_> {
    pub(super) fn pool(&mut self, node: &NodeProto) -> Result<()> {
        let is_max = node.op_type == "MaxPool";
        let count = super::graph::ints(node, "kernel_shape").map_or(0, <[i64]>::len);
        let axes: &[usize] = match count {
            1 => &[2, 1],
            2 => &[1, 2, 3],
            _ => return Err(refuse(node, format!("windows over {count} axes; 1 and 2 are supported"))),
        };
        let x = self.arranged(node, 0, axes)?;
        let kernel = sizes(node, "kernel_shape", count, 0)?;
        let stride = sizes(node, "strides", count, 1)?;
        let dilation = sizes(node, "dilations", count, 1)?;
        if dilation.iter().any(|&step| step != 1) || node.output.iter().skip(1).any(|output| !output.is_empty()) {
            return Err(refuse(node, "dilations and the places of the largest values are not supported"));
        }
        let lengths = if count == 1 { &x.row[..1] } else { &x.row[1..] };
        let edges = Edges::of(node, lengths, &kernel, &stride, &dilation)?;
        if !is_max && int(node, "count_include_pad", 0) != 0 && !edges.are_none() {
            return Err(refuse(node, "padding that is counted in means is not supported")
                .fix("use count_include_pad=False in the model"));
        }
        if int(node, "ceil_mode", 0) != 0 {
            let covers = |axis: usize| match &edges {
                Edges::Same => true,
                Edges::Cells(cells) => {
                    let padded = lengths[axis].saturating_add(cells[axis]).saturating_add(cells[axis + count]);
                    padded.checked_sub(kernel[axis]).is_some_and(|rest| rest.is_multiple_of(stride[axis].max(1)))
                }
            };
            if x.is_free() || !(0..count).all(covers) {
                return Err(refuse(node, "ceil_mode with a window that reaches past the end is not supported"));
            }
        }
        let hint = self.hint(node, None);
        let layer: Layer = match (<[usize; 2]>::try_from(&kernel[..]), is_max) {
            (Ok([rows, columns]), _) => {
                let (kernel, stride, padding) = ([rows, columns], Some([stride[0], stride[1]]), edges.of_picture());
                match is_max {
                    true => MaxPool2d { kernel, stride, padding }.into(),
                    false => AvgPool2d { kernel, stride, padding }.into(),
                }
            }
            (Err(_), true) => MaxPool1d { kernel: kernel[0], stride: Some(stride[0]), padding: edges.of_time() }.into(),
            (Err(_), false) => {
                AvgPool1d { kernel: kernel[0], stride: Some(stride[0]), padding: edges.of_time() }.into()
            }
        };
        let made = self.builder.layer(node, &hint, layer, &x, Vec::new())?;
        self.give(node, 0, Value::Activation(laid(made, &x)));
        Ok(())
    }

    /// The mean or the largest value over all places; the channels may be before or behind them.
    pub(super) fn global_pool(&mut self, node: &NodeProto) -> Result<()> {
        let x = self.layer_value(node, 0)?;
        let rank = x.axes.len();
        let is_reduction = node.op_type.starts_with("Reduce");
        let over: Vec<usize> = match is_reduction {
            false => (2..rank).collect(),
            true => match self.axes(node)? {
                Some(axes) => {
                    axes.iter().map(|&axis| x.axis(axis)).collect::<Result<_, _>>().map_err(|why| refuse(node, why))?
                }
                None => return Err(refuse(node, "it runs over all axes, the batch too")),
            },
        };
        if over.iter().any(|&axis| x.axes[axis].iter().any(|side| side.is_batch())) || over.is_empty() {
            return Err(refuse(node, "it runs over the batch or over nothing"));
        }
        let mut sorted = over.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let places: Vec<Side> = sorted.iter().flat_map(|&axis| x.axes[axis].iter().copied()).collect();
        let kept = x.others(&over);
        let mut value = x.clone();
        if !places.is_empty() {
            let is_picture = x.row.len() == 3 && x.row[0] == size(&kept);
            let channels_first: Vec<Side> = kept.iter().chain(&places).copied().collect();
            let x = if x.stored == channels_first && is_picture {
                x
            } else if x.stored == channels_first {
                let groups = [kept.clone(), places.clone(), Vec::new()];
                self.builder.arrange(node, &self.hint(node, None), &x, &groups)?
            } else {
                self.builder.arrange(node, &self.hint(node, None), &x, &[places.clone(), kept.clone()])?
            };
            let layer = if node.op_type.ends_with("MaxPool") || node.op_type == "ReduceMax" {
                Layer::GlobalMaxPool
            } else {
                Layer::GlobalAvgPool
            };
            let hint = self.hint(node, None);
            let (layer, row) = self.builder.layer(node, &hint, layer, &x, Vec::new())?;
            let mut axes = x.axes;
            for &axis in &sorted {
                axes[axis].clear();
            }
            value = Activation { layer, row, stored: kept, axes, codes: false };
        }
        if is_reduction && int(node, "keepdims", 1) == 0 {
            let axes: Vec<i64> = sorted.iter().map(|&axis| axis as i64).collect();
            value = value.squeeze(Some(&axes)).map_err(|why| refuse(node, why))?;
        }
        self.give(node, 0, Value::Activation(value));
        Ok(())
    }

    pub(super) fn resize(&mut self, node: &NodeProto) -> Result<()> {
        let wrong = |what: &str| Err(refuse(node, format!("{what} is not supported")).fix(SUPPORTED));
        let coordinates = text(node, "coordinate_transformation_mode", "half_pixel");
        let mode = match (text(node, "mode", "nearest"), coordinates, text(node, "nearest_mode", "round_prefer_floor"))
        {
            // By a whole number, all of these repeat each pixel.
            ("nearest", "asymmetric", "floor") => UpsampleMode::Nearest,
            ("nearest", "half_pixel" | "pytorch_half_pixel", "round_prefer_floor" | "round_prefer_ceil") => {
                UpsampleMode::Nearest
            }
            ("linear", "half_pixel" | "pytorch_half_pixel", _) => UpsampleMode::Bilinear,
            (mode, ..) => return wrong(&format!("{mode} with {coordinates} coordinates")),
        };
        if int(node, "antialias", 0) != 0 || node.find("axes").is_some() {
            return wrong("antialiasing or a choice of axes");
        }
        let x = self.arranged(node, 0, &[1, 2, 3])?;
        let factor = |length: usize, side: Option<i64>| {
            side.and_then(|side| usize::try_from(side).ok())
                .filter(|side| side.is_multiple_of(length))
                .map(|side| side / length)
        };
        let by_scales = match self.input(node, 2)? {
            Some(Value::Constant(tensor, _)) => match tensor.data() {
                TensorData::Float32(values) => match values[..] {
                    [1.0, 1.0, rows, columns]
                        if rows == columns && rows.fract() == 0.0 && (1.0..=64.0).contains(&rows) =>
                    {
                        Some(rows as usize)
                    }
                    [] => None,
                    _ => return wrong("a factor that is not one whole number for both sides"),
                },
                _ => None,
            },
            _ => None,
        };
        let scale = match by_scales {
            Some(scale) => Some(scale),
            None => match self.input(node, 3)?.and_then(|sizes| sizes.lengths()).as_deref() {
                Some([_, _, super::Length::Known(rows), super::Length::Known(columns)]) => {
                    let (rows, columns) = (factor(x.row[1], Some(*rows)), factor(x.row[2], Some(*columns)));
                    rows.filter(|rows| Some(*rows) == columns)
                }
                _ => None,
            },
        };
        let Some(scale) = scale else { return wrong("a factor that is not one whole number for both sides") };
        let hint = self.hint(node, None);
        let made = self.builder.layer(node, &hint, Upsample { scale, mode }, &x, Vec::new())?;
        self.give(node, 0, Value::Activation(laid(made, &x)));
        Ok(())
    }
}
