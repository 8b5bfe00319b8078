//! Every network of every zoo: it takes a few steps, goes on from its saved state as if nothing had happened, and its export
//! gives the same numbers in both engines.

use lepton_core::{ColumnKind, Seed, TaskKind, Tensor};
use lepton_nn::{Architecture, Loss, Network, OptimizerSettings, Trainer};
use lepton_pipeline::task;
use lepton_runtime::{Engine, Engines, SessionOptions};
use std::path::Path;
use std::sync::Arc;

/// Rows of each batch.
const ROWS: usize = 4;

/// What one row of a task looks like here.
fn input_shape(kind: TaskKind) -> Vec<usize> {
    match kind {
        TaskKind::ImageClassification => vec![1, 16, 16],
        TaskKind::TabularClassification | TaskKind::TabularRegression => vec![9],
        TaskKind::SeriesClassification => vec![50, 2],
    }
}

fn noise(shape: &[usize], step: u64) -> Tensor {
    use rand_chacha::rand_core::Rng;
    let mut rng = Seed(7).rng("noise", &[step]);
    let count = shape.iter().product();
    let values = (0..count).map(|_| rng.next_u32() as f32 / u32::MAX as f32 * 2.0 - 1.0).collect();
    Tensor::float32(shape, values).expect("a tensor")
}

fn batch(kind: TaskKind, outputs: usize, step: u64) -> (Tensor, Tensor) {
    let shape: Vec<usize> = std::iter::once(ROWS).chain(input_shape(kind)).collect();
    let target = match task(kind).target_kind() {
        ColumnKind::Number => noise(&[ROWS, 1], 1_000 + step),
        _ => Tensor::int64([ROWS], (0..ROWS).map(|row| (row % outputs) as i64).collect()).expect("classes"),
    };
    (noise(&shape, step), target)
}

fn steps(trainer: &mut Trainer, kind: TaskKind, outputs: usize, from: u64, to: u64) {
    for step in from..to {
        let (input, target) = batch(kind, outputs, step);
        trainer.step(&input, &target, 1e-3).expect("a step");
    }
}

fn check(kind: TaskKind, name: &str, architecture: &Architecture, outputs: usize, engines: &[Arc<dyn Engine>]) {
    let loss = task(kind).default_loss();
    let trainer = |seed| {
        let network = Network::new(architecture, Seed(seed)).expect(name).with_threads(1).expect("a thread");
        Trainer::new(network, Loss::clone(&loss), OptimizerSettings::default()).expect(name)
    };
    let mut unbroken = trainer(1);
    steps(&mut unbroken, kind, outputs, 0, 2);
    let state = unbroken.state().expect("a state");
    steps(&mut unbroken, kind, outputs, 2, 3);
    let mut resumed = trainer(2);
    resumed.restore(&state).expect("a saved state");
    steps(&mut resumed, kind, outputs, 2, 3);
    let network = resumed.network();
    assert!(network.weights().unwrap() == unbroken.network().weights().unwrap(), "{name}: a resumed step differs");

    let (input, _) = batch(kind, outputs, 99);
    let ours = network.forward(&input).expect(name);
    let onnx = network.to_onnx().expect(name);
    for engine in engines {
        let session = engine.load(&onnx, &SessionOptions::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let theirs = session.run(&vec![("input".to_owned(), input.clone())]).expect(name);
        let pairs = ours.as_float32().unwrap().iter().zip(theirs[0].1.as_float32().unwrap());
        let far = pairs.map(|(a, b)| (a - b).abs() / a.abs().max(1.0)).fold(0.0, f32::max);
        assert!(far < 1e-4, "{name} in {}: {far}", engine.name());
    }
}

#[test]
fn every_network_trains_resumes_and_answers_the_same_when_exported() {
    let library = std::env::var_os("LEPTON_TEST_ORT_DYLIB").expect("LEPTON_TEST_ORT_DYLIB, which tests/run sets");
    let engines = Engines::discover(Path::new("/nowhere"), Some(Path::new(&library)));
    let engines = ["rten", "onnxruntime"].map(|name| engines.get(Some(name)).expect(name));
    let mut seen = 0;
    for kind in TaskKind::ALL {
        let outputs = if task(kind).target_kind() == ColumnKind::Number { 1 } else { 3 };
        for entry in task(kind).zoo().iter().filter(|entry| entry.name != lepton_train::BOOSTING) {
            let architecture =
                task(kind).architecture(Some(entry.name), &input_shape(kind), outputs).expect(entry.name);
            check(kind, entry.name, &architecture, outputs, &engines);
            seen += 1;
        }
    }
    assert!(seen >= 19, "{seen} networks");
}
