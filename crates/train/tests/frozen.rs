//! Layers that never learn run once: the same history and weights as running them in each step, from any checkpoint on,
//! within a limit, and only where rows repeat.

#![allow(clippy::unwrap_used)]

mod support;

use lepton_core::{Cancel, Event, Progress, Result, Seed, Silent};
use lepton_data::{AugmentSettings, Augmenter, Loader};
use lepton_nn::Network;
use lepton_train::{Checkpoints, Fit, FitJob, InMemory, Learner, Start, Target, TransferSettings, fit};
use std::sync::Mutex;
use support::{Problem, Recorder};

#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Progress for Notes {
    fn event(&self, event: Event) {
        if let Event::Note { text } = event {
            self.0.lock().unwrap().push(text);
        }
    }
}

impl Notes {
    fn say(&self, words: &str) -> bool {
        self.0.lock().unwrap().iter().any(|note| note.contains(words))
    }
}

const ONCE: &str = "they run once for each of 300 rows";

/// Spirals after two epochs of training, with batch norm and dropout in front of the last two dense layers.
fn trained() -> Network {
    let mut problem = Problem::new();
    problem.settings.epochs = 2;
    problem.fit(&mut InMemory::default(), &Silent, &Cancel::default()).unwrap().network
}

fn problem() -> Problem {
    let mut problem = Problem::new();
    problem.settings.average = Some(0.9);
    problem.settings.clip_norm = Some(1.0);
    problem
}

fn go_on(
    problem: &Problem,
    transfer: &TransferSettings,
    checkpoints: &mut dyn Checkpoints,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Fit> {
    let start = Start::new(&trained(), &[2], 2, transfer, Seed(9)).unwrap();
    let labels = ["inner".to_owned(), "outer".to_owned()];
    fit(FitJob {
        task: &problem.task,
        learner: &Learner::Trained(Box::new(start)),
        target: Target::Classes(&labels),
        train: &problem.train,
        valid: &problem.valid,
        settings: &problem.settings,
        seed: problem.seed,
        checkpoints,
        progress,
        cancel,
    })
}

fn finished(problem: &Problem, transfer: &TransferSettings, progress: &dyn Progress) -> Fit {
    go_on(problem, transfer, &mut InMemory::default(), progress, &Cancel::default()).unwrap()
}

/// The numbers of a parameter.
fn values(network: &Network, key: &str) -> Vec<f32> {
    let bytes = network.weights().unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    tensors.tensor(key).unwrap().data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn frozen(patterns: &[&str]) -> TransferSettings {
    TransferSettings {
        freeze: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
        ..TransferSettings::default()
    }
}

#[test]
fn running_once_gives_what_running_in_each_step_gives() {
    let problem = problem();
    let before = trained();
    for (case, transfer) in [
        ("all but the head", frozen(&["*"])),
        ("all but the head, and dropout", TransferSettings { head_dropout: 0.3, ..frozen(&["*"]) }),
        ("the beginning", frozen(&["linear_1", "batch_norm_*"])),
        ("never thawed in three epochs", TransferSettings { unfreeze_every: Some(2), ..frozen(&[]) }),
    ] {
        let (once, each) = (Notes::default(), Notes::default());
        let fast = finished(&problem, &transfer, &once);
        let slow = finished(&problem, &TransferSettings { feature_bytes: 0, ..transfer }, &each);
        assert!(once.say(ONCE), "{case}: {:?}", once.0.lock().unwrap());
        assert!(!each.say("stay as they are"), "{case}");
        assert_eq!(fast.network.architecture(), slow.network.architecture());
        assert_eq!((fast.best_epoch, fast.history.len()), (slow.best_epoch, slow.history.len()));
        for (fast, slow) in fast.history.iter().zip(&slow.history) {
            for (fast, slow) in [(fast.train_loss, slow.train_loss), (fast.valid_loss, slow.valid_loss)] {
                assert!((fast - slow).abs() < 1e-5, "{case}: {fast} and {slow}");
            }
            assert_eq!(fast.train_accuracy, slow.train_accuracy, "{case}");
        }
        for key in slow.network.keys() {
            let pairs = values(&fast.network, key).into_iter().zip(values(&slow.network, key));
            let far = pairs.map(|(fast, slow)| (fast - slow).abs()).fold(0.0, f32::max);
            assert!(far < 1e-5, "{case}: {key} by {far}");
        }
        for key in ["linear_1.weight", "batch_norm_1.running_mean"] {
            assert_eq!(values(&fast.network, key), values(&before, key), "{case}: {key}");
        }
        assert_ne!(values(&fast.network, "linear_3.weight"), values(&before, "linear_3.weight"), "{case}");
    }
}

#[test]
fn a_training_goes_on_from_its_checkpoint() {
    let mut problem = problem();
    let transfer = TransferSettings { head_dropout: 0.3, ..frozen(&["*"]) };
    let weights = finished(&problem, &transfer, &Silent).network.weights().unwrap();
    problem.settings.checkpoint_steps = 1;
    for stop_at in [7, 13, 20] {
        let cancel = Cancel::default();
        let mut broken = Recorder { stop_at: Some((stop_at, cancel.clone())), ..Recorder::default() };
        assert!(go_on(&problem, &transfer, &mut broken, &Silent, &cancel).is_err());
        let mut rest = Recorder { saved: broken.saved.clone(), stop_at: None };
        let resumed = go_on(&problem, &transfer, &mut rest, &Silent, &Cancel::default()).unwrap();
        assert_eq!(resumed.resumed_from_step, Some(stop_at));
        assert_eq!(resumed.network.weights().unwrap(), weights, "stopped at {stop_at}");
        // A checkpoint of the one way is none of the other's.
        let each = TransferSettings { feature_bytes: 0, ..transfer.clone() };
        let mut rest = Recorder { saved: broken.saved, stop_at: None };
        let error = go_on(&problem, &each, &mut rest, &Silent, &Cancel::default()).err().unwrap();
        assert_eq!(error.code(), lepton_core::ErrorCode::Integrity);
    }
}

#[test]
fn a_stop_is_heard_while_the_layers_run() {
    let cancel = Cancel::default();
    cancel.cancel();
    let error = go_on(&problem(), &frozen(&["*"]), &mut InMemory::default(), &Silent, &cancel).err().unwrap();
    assert_eq!(error.code(), lepton_core::ErrorCode::Cancelled);
}

#[test]
fn too_many_bytes_are_not_kept_and_it_is_said() {
    let problem = problem();
    // 300 rows of 32 numbers.
    let enough = TransferSettings { feature_bytes: 300 * 32 * 4, ..frozen(&["*"]) };
    let notes = Notes::default();
    finished(&problem, &enough, &notes);
    assert!(notes.say(ONCE));
    let notes = Notes::default();
    let few = TransferSettings { feature_bytes: 300 * 32 * 4 - 1, ..enough };
    let past = finished(&problem, &few, &notes);
    assert!(
        notes.say("run in each step") && notes.say("train.transfer.feature_bytes"),
        "{:?}",
        notes.0.lock().unwrap()
    );
    let each = finished(&problem, &TransferSettings { feature_bytes: 0, ..few }, &Silent);
    assert_eq!(past.network.weights().unwrap(), each.network.weights().unwrap());
}

#[test]
fn rows_that_change_and_layers_that_learn_later_run_in_each_step() {
    let mut problem = problem();
    let notes = Notes::default();
    // In the third epoch all layers learn.
    problem.settings.epochs = 9;
    finished(&problem, &TransferSettings { unfreeze_every: Some(2), ..frozen(&[]) }, &notes);
    problem.settings.epochs = 1;
    finished(&problem, &frozen(&[]), &notes);
    let augment: AugmentSettings =
        serde_json::from_str(r#"{"steps": [{"kind": "number_noise", "amount": 0.01}]}"#).unwrap();
    let part = problem.train.part().clone();
    let augmenter = Augmenter::new(&augment, Seed(1)).unwrap();
    problem.train = Loader::new(part, problem.recipe.clone(), Some(augmenter), 16, Seed(5), 0).unwrap();
    assert!(!problem.train.repeats_rows());
    finished(&problem, &frozen(&["*"]), &notes);
    assert!(!notes.say("stay as they are"), "{:?}", notes.0.lock().unwrap());
}
