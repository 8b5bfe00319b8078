//! Planned steps of recurrent networks over codes of which each row has as many as it has: as on Burn, to rounding.

#![allow(clippy::unwrap_used)] // A test says what went wrong by failing.

use lepton_core::{Seed, Tensor};
use lepton_nn::{
    Architecture, Embedding, Gru, InputSpec, Layer, Loss, Lstm, Network, Node, OptimizerKind, OptimizerSettings, Rnn,
    StepKind, Trainer,
};

const TIME: usize = 9;
const CODES: usize = 11;

/// Codes of one batch, behind the end of each row zeros, and a class for each row.
fn batch(step: usize, rows: usize) -> (Tensor, Tensor) {
    let code = |at: usize| {
        let (row, place) = (at / TIME, at % TIME);
        // Some rows are empty, and some batches have no row that is full.
        let length = (row * 5 + step) % (TIME - step % 2 + 1);
        if place < length { (1 + (at * 7 + step * 13) % (CODES - 1)) as i64 } else { 0 }
    };
    let codes = Tensor::int64([rows, TIME], (0..rows * TIME).map(code).collect()).unwrap();
    (codes, Tensor::int64([rows], (0..rows).map(|row| ((row + step) % 3) as i64).collect()).unwrap())
}

fn train(layers: &[Layer], free_length: bool, threads: usize, kind: StepKind) -> (Vec<f64>, Vec<(String, Vec<f32>)>) {
    let nodes = layers.iter().enumerate().map(|(at, layer)| Node::new(format!("layer{at}"), layer.clone()));
    let architecture = Architecture::new("net", InputSpec::codes(TIME, free_length), nodes.collect::<Vec<Node>>());
    let network = Network::new(&architecture, Seed(3)).unwrap().with_threads(threads).unwrap();
    let settings = OptimizerSettings { kind: OptimizerKind::Sgd, ..OptimizerSettings::default() };
    let mut trainer = Trainer::new(network, Loss::default(), settings).unwrap().with_step(kind).unwrap();
    let losses = [19, 34, 7, 19, 19].into_iter().enumerate().map(|(step, rows)| {
        let (codes, target) = batch(step, rows);
        trainer.step(&codes, &target, 0.1).unwrap().loss
    });
    let losses = losses.collect();
    let network = trainer.network();
    let bytes = network.weights().unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let values = |key: &str| {
        let bytes = file.tensor(key).unwrap().data().to_vec();
        bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect::<Vec<f32>>()
    };
    (losses, network.keys().map(|key| (key.to_owned(), values(key))).collect())
}

fn check(recurrent: impl Into<Layer>, end: Layer, free_length: bool, threads: usize) {
    let table = Embedding { vocabulary: CODES, dimensions: 6, padding: Some(0) };
    let layers = [table.into(), recurrent.into(), end, Layer::linear(3)];
    let [(losses, ours), (expected, theirs)] =
        [StepKind::Planned, StepKind::Burn].map(|kind| train(&layers, free_length, threads, kind));
    for (ours, theirs) in losses.iter().zip(&expected) {
        assert!((ours - theirs).abs() <= 1e-4 * theirs.abs(), "{losses:?}, not {expected:?}: {layers:?}");
    }
    for ((key, ours), (other, theirs)) in ours.iter().zip(&theirs) {
        let largest = theirs.iter().fold(1e-2, |most: f32, value| most.max(value.abs()));
        let off = ours.iter().zip(theirs).map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f32::max);
        assert!(key == other && off <= 1e-4 * largest, "{key} is off by {off} of {largest}: {layers:?}");
    }
}

#[test]
fn rows_end_where_they_end() {
    let dropout = 0.25;
    for (layers, bidirectional) in [(1, false), (2, true), (3, false), (1, true)] {
        for (free_length, threads) in [(false, 2), (true, 3)] {
            check(Lstm { layers, bidirectional, dropout, ..Lstm::new(10) }, Layer::LastStep, free_length, threads);
            check(Gru { layers, bidirectional, dropout, ..Gru::new(7) }, Layer::GlobalAvgPool, free_length, threads);
            check(Rnn { layers, bidirectional, dropout, ..Rnn::new(5) }, Layer::LastStep, free_length, threads);
        }
    }
}
