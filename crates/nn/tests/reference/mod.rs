//! Reading the values that `data/make_reference.py`, `data/make_layers.py` and `data/make_reversible.py` wrote.

#![allow(dead_code, unreachable_pub)] // Each test file uses its part.
#![allow(clippy::unwrap_used)] // The data is this repository's own.

use lepton_core::{DType, Tensor};
use lepton_nn::Architecture;
use safetensors::tensor::{Dtype, TensorView};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
pub struct Flat {
    dtype: DType,
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
}

impl Flat {
    pub fn tensor(&self) -> Tensor {
        match self.dtype {
            DType::Int64 => Tensor::int64(self.shape.clone(), self.values.iter().map(|&value| value as i64).collect()),
            _ => Tensor::float32(self.shape.clone(), self.floats()),
        }
        .unwrap()
    }

    pub fn floats(&self) -> Vec<f32> {
        self.values.iter().map(|&value| value as f32).collect()
    }
}

pub type Weights = BTreeMap<String, Flat>;

#[derive(Deserialize)]
pub struct Case {
    pub architecture: Architecture,
    pub weights: Weights,
    pub input: Flat,
    pub output: Flat,
}

/// Every layer, with outputs in inference mode.
pub fn cases() -> Vec<Case> {
    let read = |text| serde_json::from_str::<Vec<Case>>(text).unwrap();
    let mut cases = read(include_str!("../data/reference.json"));
    cases.extend(read(include_str!("../data/layers.json")));
    cases.extend(read(include_str!("../data/reversible.json")));
    cases
}

/// The weights as a safetensors file.
pub fn safetensors(weights: &Weights) -> Vec<u8> {
    let bytes: Vec<(&String, Vec<u8>)> = weights
        .iter()
        .map(|(key, flat)| (key, flat.floats().iter().flat_map(|value| value.to_le_bytes()).collect()))
        .collect();
    let views = bytes
        .iter()
        .map(|(key, bytes)| (key, TensorView::new(Dtype::F32, weights[*key].shape.clone(), bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

pub fn assert_close(name: &str, ours: &[f32], reference: &[f32], tolerance: f32) {
    assert_eq!(ours.len(), reference.len(), "{name}");
    for (index, (a, b)) in ours.iter().zip(reference).enumerate() {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{name}[{index}]: {a} is not {b}");
    }
}
