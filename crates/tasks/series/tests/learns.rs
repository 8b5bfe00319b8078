//! Series from a file through recipe, loader and training, as a run walks them, with every network of the zoo.

#![allow(clippy::unwrap_used, clippy::panic)]

use lepton_core::{Cancel, Limits, Seed, Silent, Split};
use lepton_data::{
    AugmentSettings, Augmenter, CollectSettings, Dataset, Loader, PrepareSettings, Step, StepSettings, collect, prepare,
};
use lepton_nn::Network;
use lepton_recipe::Recipe;
use lepton_series::SeriesClassification;
use lepton_train::{Classified, FitJob, InMemory, Learner, RecipeSettings, Target, Task, TrainSettings, fit};
use std::fmt::Write;
use std::sync::Arc;

/// Two dimensions that rise or fall together, of 10 to 12 steps, with a little that is each row's own.
fn moves() -> Dataset {
    let mut text = "@classLabel true up down\n@data\n".to_owned();
    for row in 0..60usize {
        let (sign, label) = if row.is_multiple_of(2) { (1.0, "up") } else { (-1.0, "down") };
        let value = |time: usize| sign * (time as f64 - 5.5) / 4.0 + ((row * 7 + time * 3) % 10) as f64 / 50.0;
        let listed = |factor: f64| {
            let values = (0..12 - row % 3).map(|time| (factor * value(time) + row as f64 / 1000.0).to_string());
            values.collect::<Vec<_>>().join(",")
        };
        writeln!(text, "{}:{}:{label}", listed(1.0), listed(2.0)).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("moves.ts"), text).unwrap();
    let settings = CollectSettings { path: Some("moves.ts".into()), ..CollectSettings::default() };
    let data = collect(&settings, folder.path(), None, &Limits::default(), &Silent, &Cancel::default()).unwrap();
    prepare(data, &PrepareSettings::default(), Seed(3), &Silent, &Cancel::default()).unwrap().0
}

struct Trained {
    network: Network,
    recipe: Arc<Recipe>,
    accuracy: f64,
}

fn train(data: &Dataset, name: &str, epochs: usize, augment: AugmentSettings) -> Trained {
    let task = SeriesClassification;
    let plan = task.recipe(&data.schema, &data.target, &RecipeSettings::default()).unwrap();
    let recipe = Arc::new(plan.fit(&data.schema, &data.parts[&Split::Train]).unwrap());
    let shape: Vec<usize> = recipe.output().shape[1..].iter().map(|side| *side as usize).collect();
    assert_eq!(shape, [12, 2]);
    let architecture = task.architecture(Some(name), &shape, 2).unwrap();
    let settings = TrainSettings {
        epochs,
        batch_size: 8,
        learning_rate: 0.01,
        checkpoint_seconds: 0.0,
        threads: Some(1),
        ..TrainSettings::default()
    };
    let loader = |split: Split, augmenter| {
        Loader::new(data.parts[&split].clone(), Arc::clone(&recipe), augmenter, 8, Seed(3), 0).unwrap()
    };
    let augmenter = (!augment.is_off()).then(|| Augmenter::new(&augment, Seed(3)).unwrap());
    let fitted = fit(FitJob {
        task: &task,
        learner: &Learner::Network(architecture),
        target: Target::Classes(recipe.labels()),
        train: &loader(Split::Train, augmenter),
        valid: &loader(Split::Valid, None),
        settings: &settings,
        seed: Seed(3),
        checkpoints: &mut InMemory::default(),
        progress: &Silent,
        cancel: &Cancel::default(),
    });
    let network = fitted.unwrap().network;
    let (input, targets) = loader(Split::Test, None).everything().unwrap();
    let outputs = network.forward(&input).unwrap();
    let accuracy = Classified::from_logits(&outputs, &targets).unwrap().metrics(task.metrics())["accuracy"];
    Trained { network, recipe, accuracy }
}

#[test]
fn every_network_trains_and_is_exported() {
    let data = moves();
    for entry in SeriesClassification.zoo() {
        let trained = train(&data, entry.name, 1, AugmentSettings::default());
        assert!(!trained.network.to_onnx().unwrap().is_empty(), "{}", entry.name);
        assert_eq!(trained.recipe.labels(), ["down", "up"]);
    }
}

#[test]
fn rising_is_told_from_falling_also_where_series_are_varied() {
    let data = moves();
    assert!(train(&data, "cnn", 15, AugmentSettings::default()).accuracy > 0.9);
    let steps = [Step::Jitter { amount: 0.05 }, Step::TimeWarp { amount: 0.1, knots: 3 }];
    let steps = steps.map(|step| StepSettings::new(step, 0.5)).to_vec();
    assert!(train(&data, "cnn", 15, AugmentSettings { steps, ..AugmentSettings::default() }).accuracy > 0.9);
}
