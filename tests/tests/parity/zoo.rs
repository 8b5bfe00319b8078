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
        TaskKind::Forecasting => vec![24, 1],
        TaskKind::ImageClassification => vec![1, 16, 16],
        TaskKind::TabularClassification | TaskKind::TabularRegression => vec![9],
        TaskKind::SeriesClassification => vec![50, 2],
        TaskKind::TextClassification => vec![TIME],
    }
}

/// Codes of a text here.
const TIME: usize = 11;

/// Texts of any length, padded to the longest: the row `row` has `3 + row` codes, the last one all.
fn codes(time: usize, step: u64) -> Tensor {
    let code = |row: usize, place: usize| match row + 1 < ROWS && place >= 3 + row {
        true => 0,
        false => ((row * 7 + place * 13 + step as usize) % 50) as i64 + 1,
    };
    let values = (0..ROWS).flat_map(|row| (0..time).map(move |place| code(row, place))).collect();
    Tensor::int64([ROWS, time], values).expect("codes")
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
    let target = match (kind, task(kind).target_kind()) {
        // Three quantiles of each step.
        (TaskKind::Forecasting, _) => noise(&[ROWS, outputs / 3], 1_000 + step),
        (_, ColumnKind::Number) => noise(&[ROWS, 1], 1_000 + step),
        _ => Tensor::int64([ROWS], (0..ROWS).map(|row| (row % outputs) as i64).collect()).expect("classes"),
    };
    let input = if kind == TaskKind::TextClassification { codes(TIME, step) } else { noise(&shape, step) };
    (input, target)
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

    let mut inputs = vec![batch(kind, outputs, 99).0];
    if architecture.input.free_length {
        // Shorter texts than those of training, and padding that nothing reads.
        let short = codes(5, 3);
        let mut wide = Vec::new();
        short.as_int64().unwrap().chunks(5).for_each(|row| wide.extend(row.iter().copied().chain([0; 4])));
        inputs.extend([short, Tensor::int64([ROWS, 9], wide).expect("codes")]);
    }
    let onnx = network.to_onnx().expect(name);
    let mut answers = Vec::new();
    for engine in engines {
        let session = engine.load(&onnx, &SessionOptions::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        for input in &inputs {
            let ours = network.forward(input).expect(name);
            let theirs = session.run(&vec![("input".to_owned(), input.clone())]).expect(name);
            let far = distance(&ours, &theirs[0].1);
            assert!(far < 1e-4, "{name} in {} over {:?}: {far}", engine.name(), input.shape());
            answers.push(theirs[0].1.clone());
        }
    }
    if let [_, short, wide, ..] = answers.as_slice()
        && architecture.input.free_length
    {
        assert!(distance(short, wide) < 1e-5, "{name}: padding changes the answer of the exported file");
    }
}

fn distance(ours: &Tensor, theirs: &Tensor) -> f32 {
    let pairs = ours.as_float32().unwrap().iter().zip(theirs.as_float32().unwrap());
    pairs.map(|(a, b)| (a - b).abs() / a.abs().max(1.0)).fold(0.0, f32::max)
}

#[test]
fn every_network_trains_resumes_and_answers_the_same_when_exported() {
    let library = std::env::var_os("LEPTON_TEST_ORT_DYLIB").expect("LEPTON_TEST_ORT_DYLIB, which tests/run sets");
    let engines = Engines::discover(Path::new("/nowhere"), Some(Path::new(&library)));
    let engines = ["rten", "onnxruntime"].map(|name| engines.get(Some(name)).expect(name));
    let mut seen = 0;
    for kind in TaskKind::ALL {
        let outputs = match (kind, task(kind).target_kind()) {
            (TaskKind::Forecasting, _) => 12,
            (_, ColumnKind::Number) => 1,
            _ => 3,
        };
        let made = [lepton_train::BOOSTING, lepton_train::ENSEMBLE];
        for entry in task(kind).zoo().iter().filter(|entry| !made.contains(&entry.name)) {
            let architecture =
                task(kind).architecture(Some(entry.name), &input_shape(kind), outputs).expect(entry.name);
            check(kind, entry.name, &architecture, outputs, &engines);
            seen += 1;
        }
    }
    assert!(seen >= 25, "{seen} networks");
}
