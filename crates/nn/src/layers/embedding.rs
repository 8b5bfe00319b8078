//! Codes as vectors, columns of a row, and positions in a sequence.

use super::{Kind, Settings};
use crate::export::{Export, FLOAT, INT64};
use crate::forward::{Lengths, Running, Value, host, only};
use crate::initialize::Start;
use crate::plan::{Planning, shape_error};
use burn::tensor::module::embedding;
use burn::tensor::{Device, Int, Tensor, TensorData};
use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

/// A vector for each code: `[n]` to `[n, dimensions]`. Codes are int64, or float32 with whole numbers (a
/// table's category columns), from 0 up to and without `vocabulary`; anything else is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Embedding {
    /// How many codes there are.
    pub vocabulary: usize,
    /// Length of each vector.
    pub dimensions: usize,
    /// The code that fills the places behind the end of a sequence. Its vector is 0, and recurrent layers, attention
    /// and pooling over time leave such places out. A sequence of nothing else counts as one place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding: Option<usize>,
}

impl Settings for Embedding {
    const SETTINGS: &'static [&'static str] = &["vocabulary", "dimensions", "padding"];
}

impl Kind for Embedding {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let Embedding { vocabulary, dimensions, padding } = *self;
        let input = node.inputs[0];
        if input.len() != 1 || vocabulary == 0 || dimensions == 0 {
            return Err(shape_error(format!(
                "{vocabulary} codes of {dimensions} numbers over [n], not over {input:?}"
            )));
        }
        if padding.is_some_and(|code| code >= vocabulary) {
            return Err(shape_error(format!("padding {padding:?} is none of the codes 0 to {}", vocabulary - 1)));
        }
        node.weight("weight", [vocabulary, dimensions], Start::Small)?;
        Ok(vec![input[0], dimensions])
    }

    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let (codes, given) = codes(only(inputs)?, self.vocabulary)?;
        let vectors = embedding(node.parameter(0)?, codes);
        let Some(padding) = self.padding else { return Ok(Value::Sequences(vectors)) };
        let [batch, time, _] = vectors.dims();
        // Places count up to the last one that is no padding.
        let last = |row: &[i64]| row.iter().rposition(|&code| code != padding as i64).map_or(1, |place| place + 1);
        let lengths = Lengths::new(given.chunks(time).map(last).collect(), time);
        let mask: Tensor<3> = lengths.mask.clone().reshape([batch, time, 1]);
        node.given = Some(lengths);
        Ok(Value::Sequences(vectors * mask))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let mut codes = inputs[0].clone();
        if !node.takes_codes() {
            codes = node.step_with("Cast", "codes", [codes], |step| step.int("to", INT64));
        }
        let table = node.weight("weight")?;
        let Some(padding) = self.padding else {
            let last = node.last("Gather", [table, codes]).int("axis", 0);
            node.push(last);
            return Ok(());
        };
        let vectors = node.step_with("Gather", "vectors", [table, codes.clone()], |step| step.int("axis", 0));
        let code = node.tensor("padding", &lepton_core::Tensor::int64([], vec![padding as i64])?);
        let equal = node.step("Equal", "is_padding", [codes, code]);
        let behind = node.step("Not", "is_code", [equal]);
        let behind = node.step_with("Cast", "code_inside", [behind], |step| step.int("to", FLOAT));
        // 1 from the first place up to the last that holds a code: sums from the end that are above 0.
        let axis = node.tensor("axis", &lepton_core::Tensor::int64([], vec![1])?);
        let from_end = node.step_with("CumSum", "from_end", [behind, axis], |step| step.int("reverse", 1));
        let one = node.number("one", 1.0)?;
        let held = node.step("Min", "held", [from_end.clone(), one.clone()]);
        // The first place always counts: 1 there, 0 elsewhere.
        let zero_like = node.step("Sub", "zeros", [held.clone(), held.clone()]);
        let ones = node.step("Add", "ones", [zero_like, one]);
        let again = node.tensor("first_axis", &lepton_core::Tensor::int64([], vec![1])?);
        let counted = node.step_with("CumSum", "counted", [ones, again], |step| step.int("exclusive", 1));
        let two = node.number("limit", 1.0)?;
        let later = node.step("Min", "later", [counted, two.clone()]);
        let first = node.step("Sub", "first", [two, later]);
        let mask = node.step("Max", "mask", [held, first]);
        if node.lengths_are_used() {
            let time = node.ints("time", &[1])?;
            let count = node.step_with("ReduceSum", "count", [mask.clone(), time], |step| step.int("keepdims", 0));
            node.step_with("Cast", "lengths", [count], |step| step.int("to", INT64));
        }
        let last_side = node.ints("last_side", &[2])?;
        let wide = node.step("Unsqueeze", "wide", [mask, last_side]);
        let last = node.last("Mul", [vectors, wide]);
        node.push(last);
        Ok(())
    }

    fn gives_lengths(&self) -> bool {
        self.padding.is_some()
    }
}

/// Checked codes, on the device and on the host: whole numbers from 0 up to and without `vocabulary`.
fn codes(value: Value, vocabulary: usize) -> Result<(Tensor<2, Int>, Vec<i64>)> {
    let outside =
        |code: String| Error::new(ErrorCode::BadInput, format!("code {code} is none of 0 to {}", vocabulary - 1));
    match value {
        Value::Codes(codes) => {
            let given: Vec<i64> = codes.to_data().iter::<i64>().collect();
            if let Some(code) = given.iter().find(|code| !(0..vocabulary as i64).contains(*code)) {
                return Err(outside(code.to_string()));
            }
            Ok((codes, given))
        }
        Value::Rows(x) => {
            let shape = x.dims();
            let floats = host(x.inner())?;
            let whole = |code: &f32| code.fract() == 0.0 && (0.0..vocabulary as f32).contains(code);
            if let Some(code) = floats.iter().find(|code| !whole(code)) {
                return Err(outside(code.to_string()));
            }
            let given: Vec<i64> = floats.iter().map(|&code| code as i64).collect();
            Ok((Tensor::from_data(TensorData::new(given.clone(), shape.to_vec()), &Device::flex()), given))
        }
        _ => Err(Error::internal("expected codes")),
    }
}

/// Columns `from..to` of a table row: `[columns]` to `[to - from]`. With [`Embedding`] behind it,
/// category codes of a table become vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Columns {
    /// The first column.
    pub from: usize,
    /// One past the last column.
    pub to: usize,
}

impl Settings for Columns {
    const SETTINGS: &'static [&'static str] = &["from", "to"];
}

impl Kind for Columns {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let (Columns { from, to }, input) = (self, node.inputs[0]);
        if input.len() != 1 || from >= to || *to > input[0] {
            return Err(shape_error(format!("there are no columns {from}..{to} in {input:?}")));
        }
        Ok(vec![to - from])
    }

    fn forward(&self, _node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        Ok(Value::Rows(only(inputs)?.rows()?.narrow(1, self.from, self.to - self.from)))
    }

    fn export(&self, node: &mut Export<'_, '_>, mut inputs: Vec<String>) -> Result<()> {
        for (part, value) in [("from", self.from), ("to", self.to), ("axis", 1)] {
            inputs.push(node.ints(part, &[value as i64])?);
        }
        let last = node.last("Slice", inputs);
        node.push(last);
        Ok(())
    }
}

/// A vector for each number of a row, its place's weight times the number plus its place's bias (Gorishniy and others
/// 2021): `[features]` to `[features, dimensions]`, for attention between features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureTokens {
    /// Length of each vector.
    pub dimensions: usize,
}

impl Settings for FeatureTokens {
    const SETTINGS: &'static [&'static str] = &["dimensions"];
}

impl Kind for FeatureTokens {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let (dimensions, input) = (self.dimensions, node.inputs[0]);
        let [features] = *input else {
            return Err(shape_error(format!("it takes [features], not {input:?}")));
        };
        if dimensions == 0 {
            return Err(shape_error("vectors of no numbers".to_owned()));
        }
        node.weight("weight", [features, dimensions], Start::FanIn(dimensions))?;
        node.weight("bias", [features, dimensions], Start::FanIn(dimensions))?;
        node.flops = (features as u64).saturating_mul(2 * dimensions as u64);
        Ok(vec![features, dimensions])
    }

    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let x = only(inputs)?.rows()?;
        let [batch, features] = x.dims();
        let each = |place: usize| node.flat(place).reshape([1, features, self.dimensions]);
        Ok(Value::Sequences(x.reshape([batch, features, 1]) * each(0) + each(1)))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let side = node.ints("side", &[2])?;
        let wide = node.step("Unsqueeze", "wide", [inputs[0].clone(), side]);
        let weight = node.weight("weight")?;
        let product = node.step("Mul", "product", [wide, weight]);
        let bias = node.weight("bias")?;
        let last = node.last("Add", [product, bias]);
        node.push(last);
        Ok(())
    }
}

/// How positions are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionKind {
    /// A vector for each position, learned like any weight.
    #[default]
    Learned,
    /// Sines and cosines of wavelengths from 2π to 20,000π (Vaswani and others 2017); nothing is learned.
    Sinusoidal,
}

/// Adds to each place of a sequence what tells where it is: `[time, features]` to the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Positions {
    /// How positions are told; in files `encoding`.
    #[serde(default)]
    pub encoding: PositionKind,
}

impl Settings for Positions {
    const SETTINGS: &'static [&'static str] = &["encoding"];
}

impl Positions {
    /// `[time, features]`: even features are sines, odd ones cosines.
    pub(crate) fn waves(time: usize, features: usize) -> Vec<f32> {
        let wave = |at: usize| {
            let (place, feature) = (at / features, at % features);
            let angle = place as f64 / 10_000f64.powf((feature / 2 * 2) as f64 / features as f64);
            (if feature.is_multiple_of(2) { angle.sin() } else { angle.cos() }) as f32
        };
        (0..time * features).map(wave).collect()
    }
}

impl Kind for Positions {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let [time, features] = node.sequence(0)?;
        if self.encoding == PositionKind::Learned {
            node.weight("weight", [time, features], Start::Small)?;
        }
        node.flops = node.size()?;
        Ok(vec![time, features])
    }

    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let x = only(inputs)?.sequences()?;
        let [_, time, features] = x.dims();
        let most = node.node.shape[0];
        let table: Tensor<2> = match self.encoding {
            PositionKind::Learned if time > most => {
                let message = format!("a sequence of {time} places, the network knows {most} positions");
                return Err(Error::new(ErrorCode::Shape, message));
            }
            PositionKind::Learned => node.parameter::<2>(0)?.narrow(0, 0, time),
            PositionKind::Sinusoidal => {
                Tensor::from_data(TensorData::new(Positions::waves(time, features), [time, features]), &Device::flex())
            }
        };
        Ok(Value::Sequences(x + table.reshape([1, time, features])))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let [time, features] = node.node.shape[..] else {
            return Err(Error::internal("positions of what is no sequence"));
        };
        let table = match self.encoding {
            PositionKind::Learned => node.weight("weight")?,
            PositionKind::Sinusoidal => {
                let waves = lepton_core::Tensor::float32([time, features], Positions::waves(time, features))?;
                node.tensor("waves", &waves)
            }
        };
        let x = inputs[0].clone();
        let table = if node.node.free_time {
            let shape = node.step("Shape", "shape", [x.clone()]);
            let (from, one, two) = (node.ints("from", &[0])?, node.ints("one", &[1])?, node.ints("two", &[2])?);
            let axis = node.ints("axis", &[0])?;
            let places = node.step("Slice", "places", [shape, one, two, axis.clone()]);
            node.step("Slice", "used", [table, from, places, axis])
        } else {
            table
        };
        let last = node.last("Add", [x, table]);
        node.push(last);
        Ok(())
    }

    fn is_local(&self) -> bool {
        true
    }
}
