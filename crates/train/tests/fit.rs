//! The fit loop as its callers see it: it learns, stops, resumes to the same bytes, and says what went wrong.

#![allow(clippy::unwrap_used)]

mod support;

use lepton_core::{Cancel, ErrorCode, Event, Metric, Progress, Seed, Silent};
use lepton_nn::{Layer, Node, OptimizerKind};
use lepton_train::{
    EarlyStopping, Ensemble, EnsembleMember, EpochRecord, InMemory, Learner, Schedule, TrainSettings, architecture,
};
use std::sync::Mutex;
use support::{Problem, Recorder};

#[derive(Default)]
struct Heard(Mutex<Vec<Event>>);

impl Progress for Heard {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// Records without wall time.
fn timeless(history: &[EpochRecord]) -> Vec<EpochRecord> {
    history.iter().map(|record| EpochRecord { seconds: 0.0, data_wait_seconds: 0.0, ..record.clone() }).collect()
}

#[test]
fn it_learns_and_tells_of_every_epoch() {
    let mut problem = Problem::new();
    problem.settings.epochs = 60;
    problem.settings.schedule = Schedule::Cosine { final_fraction: 0.0, warmup_steps: 13 };
    let heard = Heard::default();
    let fit = problem.fit(&mut InMemory::default(), &heard, &Cancel::default()).unwrap();
    assert_eq!(fit.history.len(), 60);
    let best = &fit.history[fit.best_epoch - 1];
    assert!(best.valid["accuracy"] > 0.95, "{best:?}");
    assert!(fit.history.iter().all(|record| record.valid_loss >= best.valid_loss));
    assert!(fit.samples_per_second > 0.0 && !fit.stopped_early && fit.resumed_from_step.is_none());
    // The last step of the warm-up is epoch 1's last; the cosine ends just above nothing.
    assert_eq!(fit.history[0].learning_rate, 1e-2);
    assert!(fit.history[59].learning_rate < 1e-6);
    let events = heard.0.into_inner().unwrap();
    let finished = events.iter().filter(|event| matches!(event, Event::EpochFinished { .. })).count();
    assert_eq!(finished, 60);
    let seconds: f64 = fit.history.iter().map(|record| record.seconds).sum();
    let waits: f64 = fit.history.iter().map(|record| record.data_wait_seconds).sum();
    assert!(waits > 0.0 && waits <= seconds && waits == fit.data_wait_seconds, "{waits} of {seconds} s");
    let steps = events.iter().filter(|event| matches!(event, Event::Step { .. })).count();
    assert!(steps as f64 <= 10.0 * seconds + 60.0, "{steps} in {seconds} s");
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let mut problem = Problem::new();
    problem.settings.epochs = 1;
    let weights = |problem: &Problem| {
        let fit = problem.fit(&mut InMemory::default(), &Silent, &Cancel::default()).unwrap();
        fit.network.weights().unwrap()
    };
    let first = weights(&problem);
    assert_eq!(first, weights(&problem));
    problem.seed = Seed(6);
    assert_ne!(first, weights(&problem));
}

#[test]
fn a_resumed_training_ends_with_the_bytes_of_an_unbroken_one() {
    let mut problem = Problem::new();
    let unbroken = problem.fit(&mut InMemory::default(), &Silent, &Cancel::default()).unwrap();
    let weights = unbroken.network.weights().unwrap();
    problem.settings.checkpoint_steps = 1;
    // Within an epoch, at the end of one, at the first step of one, one before the last.
    for stop_at in [1, 7, 13, 14, 38] {
        let cancel = Cancel::default();
        let mut broken = Recorder { stop_at: Some((stop_at, cancel.clone())), ..Recorder::default() };
        let error = problem.fit(&mut broken, &Silent, &cancel).err().unwrap();
        assert_eq!(error.code(), ErrorCode::Cancelled);
        assert_eq!(broken.saved.last().unwrap().0, stop_at);
        let mut rest = Recorder { saved: broken.saved, stop_at: None };
        let resumed = problem.fit(&mut rest, &Silent, &Cancel::default()).unwrap();
        assert_eq!(resumed.resumed_from_step, Some(stop_at));
        assert_eq!(resumed.network.weights().unwrap(), weights, "stopped at {stop_at}");
        assert_eq!(timeless(&resumed.history), timeless(&unbroken.history), "stopped at {stop_at}");
        assert_eq!(resumed.best_epoch, unbroken.best_epoch);
    }
}

#[test]
fn a_kill_loses_only_the_steps_since_the_last_checkpoint() {
    let mut problem = Problem::new();
    problem.settings.checkpoint_steps = 10;
    let mut recorder = Recorder::default();
    let unbroken = problem.fit(&mut recorder, &Silent, &Cancel::default()).unwrap();
    let steps: Vec<u64> = recorder.saved.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [10, 20, 30, 39]);
    let weights = unbroken.network.weights().unwrap();
    for kept in 1..=recorder.saved.len() {
        let mut rest = Recorder { saved: recorder.saved[..kept].to_vec(), stop_at: None };
        let resumed = problem.fit(&mut rest, &Silent, &Cancel::default()).unwrap();
        assert_eq!(resumed.network.weights().unwrap(), weights, "from checkpoint {kept}");
        assert_eq!(timeless(&resumed.history), timeless(&unbroken.history), "from checkpoint {kept}");
    }
}

#[test]
fn a_stop_before_the_first_checkpoint_was_due_saves_one() {
    let problem = Problem::new();
    let (cancel, mut kept) = (Cancel::default(), Recorder::default());
    cancel.cancel();
    assert_eq!(problem.fit(&mut kept, &Silent, &cancel).err().unwrap().code(), ErrorCode::Cancelled);
    assert_eq!(kept.saved.len(), 1);
    let resumed = problem.fit(&mut kept, &Silent, &Cancel::default()).unwrap();
    let unbroken = problem.fit(&mut InMemory::default(), &Silent, &Cancel::default()).unwrap();
    assert_eq!(resumed.network.weights().unwrap(), unbroken.network.weights().unwrap());
}

#[test]
fn early_stopping_gives_back_the_best_epochs_weights() {
    let mut problem = Problem::new();
    problem.settings.epochs = 9;
    problem.settings.early_stopping = Some(EarlyStopping { patience: 2, ..EarlyStopping::default() });
    *problem.task.script.lock().unwrap() = vec![1.0, 0.5, 0.6, 0.7, 0.1];
    let stopped = problem.fit(&mut InMemory::default(), &Silent, &Cancel::default()).unwrap();
    assert!(stopped.stopped_early);
    assert_eq!((stopped.history.len(), stopped.best_epoch), (4, 2));

    let mut problem = Problem::new();
    problem.settings.epochs = 2;
    *problem.task.script.lock().unwrap() = vec![1.0, 0.5];
    let short = problem.fit(&mut InMemory::default(), &Silent, &Cancel::default()).unwrap();
    assert_eq!(stopped.network.weights().unwrap(), short.network.weights().unwrap());

    let mut problem = Problem::new();
    problem.settings.epochs = 4;
    *problem.task.script.lock().unwrap() = vec![1.0, 0.5, 0.4, 0.3];
    let long = problem.fit(&mut InMemory::default(), &Silent, &Cancel::default()).unwrap();
    assert_ne!(stopped.network.weights().unwrap(), long.network.weights().unwrap());
}

#[test]
fn divergence_keeps_the_last_good_checkpoint_and_says_what_to_try() {
    let mut problem = Problem::new();
    problem.settings.optimizer.kind = OptimizerKind::Sgd;
    problem.settings.learning_rate = 1e38;
    let mut kept = Recorder::default();
    let error = problem.fit(&mut kept, &Silent, &Cancel::default()).err().unwrap();
    assert_eq!(error.code(), ErrorCode::Diverged);
    assert!(error.message().contains("the last good checkpoint, after step"), "{error}");
    assert!(error.remedy().unwrap().contains("train.learning_rate (it is 1e38)"), "{error}");
    // What was kept is whole: going on from it meets the same step again.
    let kept_step = kept.saved.last().unwrap().0;
    let again = problem.fit(&mut kept, &Silent, &Cancel::default()).err().unwrap();
    assert_eq!(again.code(), ErrorCode::Diverged);
    assert_eq!(kept.saved.last().unwrap().0, kept_step);
}

#[test]
fn a_checkpoint_of_another_training_or_of_other_bytes_is_refused() {
    let mut problem = Problem::new();
    problem.settings.checkpoint_steps = 10;
    let mut recorder = Recorder::default();
    problem.fit(&mut recorder, &Silent, &Cancel::default()).unwrap();
    let code = |problem: &Problem, saved: Vec<(u64, Vec<u8>)>| {
        let mut checkpoints = Recorder { saved, stop_at: None };
        problem.fit(&mut checkpoints, &Silent, &Cancel::default()).err().map(|error| error.code())
    };
    let saved = vec![recorder.saved[0].clone()];
    assert_eq!(code(&problem, saved.clone()), None);
    problem.settings.checkpoint_steps = 0;
    assert_eq!(code(&problem, saved.clone()), None, "how often to save is free to change");
    let cut = vec![(10, saved[0].1[..saved[0].1.len() / 2].to_vec())];
    assert_eq!(code(&problem, cut), Some(ErrorCode::Integrity));
    problem.settings.learning_rate = 2e-2;
    assert_eq!(code(&problem, saved), Some(ErrorCode::Integrity));
}

#[test]
fn settings_are_checked_before_anything_starts() {
    let mut problem = Problem::new();
    problem.settings.epochs = 0;
    let error = problem.fit(&mut InMemory::default(), &Silent, &Cancel::default()).err().unwrap();
    assert_eq!(error.place().key.as_deref(), Some("train.epochs"));
}

#[test]
fn the_watched_figure_may_be_accuracy() {
    let mut problem = Problem::new();
    problem.settings.early_stopping =
        Some(EarlyStopping { monitor: Some(Metric::Accuracy), ..EarlyStopping::default() });
    let fit = problem.fit(&mut InMemory::default(), &Silent, &Cancel::default()).unwrap();
    let best = fit.history[fit.best_epoch - 1].valid["accuracy"];
    assert!(fit.history.iter().all(|record| record.valid["accuracy"] <= best));
}

#[test]
fn layers_of_ones_own_replace_the_zoo() {
    let problem = Problem::new();
    let own = |layers: Vec<Layer>| TrainSettings {
        layers: Some(layers.into_iter().map(|layer| Node::new("", layer)).collect()),
        ..TrainSettings::default()
    };
    let network = architecture(&problem.task, &own(vec![Layer::linear(8), Layer::Tanh, Layer::linear(3)]), &[2], 3);
    let network = network.unwrap();
    assert_eq!((network.name.as_str(), network.layers.len()), ("custom", 3));
    let zoo = architecture(&problem.task, &TrainSettings::default(), &[2], 3).unwrap();
    assert_eq!(zoo.name, "small");
    let short = architecture(&problem.task, &own(vec![Layer::linear(8)]), &[2], 3).unwrap_err();
    assert_eq!((short.code(), short.place().key.as_deref()), (ErrorCode::Config, Some("train.layers")));
    let wrong = architecture(&problem.task, &own(vec![Layer::conv2d(8, 3)]), &[2], 3).unwrap_err();
    assert_eq!(wrong.place().key.as_deref(), Some("train.layers"));
}

#[test]
fn a_refit_over_the_same_rows_ends_with_the_weights_of_the_best_epoch() {
    let mut problem = Problem::new();
    problem.settings.epochs = 6;
    // A schedule that reads the validation losses must see those of the first training.
    problem.settings.schedule = Schedule::Plateau { factor: 0.3, patience: 1, warmup_steps: 0 };
    problem.settings.checkpoint_steps = 1;
    let learner = Learner::Network(problem.architecture.clone());
    let first = || {
        *problem.task.script.lock().unwrap() = vec![0.9, 0.8, 0.7, 0.6, 0.7, 0.8];
        let fit = problem.fit(&mut InMemory::default(), &Silent, &Cancel::default()).unwrap();
        assert_eq!(fit.best_epoch, 4);
        fit
    };
    let weights = first().network.weights().unwrap();
    let again = problem.refit(first(), &learner, &mut InMemory::default(), &Cancel::default()).unwrap();
    assert_eq!(again.network.weights().unwrap(), weights);
    assert_eq!((again.best_epoch, again.history.len(), again.refitted_rows), (4, 6, Some(200)));
    // Stopped in its middle, it goes on to the same bytes.
    let cancel = Cancel::default();
    let mut broken = Recorder { stop_at: Some((20, cancel.clone())), ..Recorder::default() };
    let error = problem.refit(first(), &learner, &mut broken, &cancel).err().unwrap();
    assert_eq!(error.code(), ErrorCode::Cancelled);
    let mut rest = Recorder { saved: broken.saved, stop_at: None };
    let resumed = problem.refit(first(), &learner, &mut rest, &Cancel::default()).unwrap();
    assert_eq!((resumed.network.weights().unwrap(), resumed.resumed_from_step), (weights, Some(20)));
    let trees = Learner::Boosting(lepton_boost::BoostSettings::default());
    let error = problem.refit(first(), &trees, &mut InMemory::default(), &Cancel::default()).err().unwrap();
    assert_eq!((error.code(), error.place().key.as_deref()), (ErrorCode::Unsupported, Some("train.refit")));
}

#[test]
fn members_that_count_the_same_are_averaged() {
    let mut problem = Problem::new();
    problem.settings.epochs = 2;
    let network = Learner::Network(problem.architecture.clone());
    let member = |repeat: u64| EnsembleMember { name: format!("net-{repeat}"), learner: network.clone(), repeat };
    let ensemble = Learner::Ensemble(Ensemble { members: vec![member(0), member(1), member(2)], folds: 0 });
    let joined = problem.fit_with(&ensemble, &mut InMemory::default()).unwrap();
    let score = joined.ensemble.unwrap();
    assert_eq!(score.members.iter().map(|member| member.weight).collect::<Vec<_>>(), [1.0 / 3.0; 3]);
    assert!(score.members[0].loss != score.members[1].loss && score.members[1].loss != score.members[2].loss);
    assert_eq!(score.loss, joined.history.last().unwrap().valid_loss);
    // Each member alone is an ensemble of one: the sum of all is three times their mean.
    let (rows, _) = problem.valid.everything().unwrap();
    let said = |learner: &Learner| {
        let fit = problem.fit_with(learner, &mut InMemory::default()).unwrap();
        fit.network.forward(&rows).unwrap().as_float32().unwrap().to_vec()
    };
    let alone = |repeat| said(&Learner::Ensemble(Ensemble { members: vec![member(repeat)], folds: 0 }));
    let (first, second, third) = (alone(0), alone(1), alone(2));
    assert_eq!(first, said(&network));
    for (place, mean) in said(&ensemble).into_iter().enumerate() {
        assert!((mean - (first[place] + second[place] + third[place]) / 3.0).abs() < 1e-4, "output {place}");
    }
    assert_ne!(first, second);
}
