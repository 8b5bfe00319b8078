//! What fitting promises: the same forest for the same seed, a loss that falls, predictions that are the trained
//! ones, an end in time, and refusals that say where and what to do.
#![allow(clippy::unwrap_used, clippy::panic)]

use lepton_boost::{BoostSettings, Examples, Forest, Objective, fit};
use lepton_core::{Error, ErrorCode, Seed};
use std::ops::ControlFlow;

const COLUMNS: usize = 4;

/// Rows with steps, a slope, holes and noise; the same for the same numbers.
fn table(rows: usize, offset: usize) -> (Vec<f32>, Vec<f32>) {
    let number = |row: usize, column: usize| {
        let mixed = ((row + offset) as u64 * 4 + column as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f32 / (1u64 << 24) as f32
    };
    let mut features: Vec<f32> = (0..rows * COLUMNS).map(|at| number(at / COLUMNS, at % COLUMNS)).collect();
    let targets = features
        .chunks(COLUMNS)
        .map(|row| 3.0 * row[0] + if row[1] < 0.3 { 2.0 } else { 0.0 } + row[2] * row[0] + 0.3 * row[3])
        .collect();
    features.iter_mut().step_by(7).for_each(|value| *value = f32::NAN);
    (features, targets)
}

fn targets_for(objective: Objective, targets: &[f32]) -> Vec<f32> {
    match objective {
        Objective::Logistic => targets.iter().map(|&target| f32::from(u8::from(target > 2.5))).collect(),
        Objective::Softmax { .. } => targets.iter().map(|&target| (target / 2.0).floor().min(2.0)).collect(),
        Objective::SquaredError | Objective::Quantile { .. } => targets.to_vec(),
    }
}

const OBJECTIVES: [Objective; 4] =
    [Objective::SquaredError, Objective::Logistic, Objective::Softmax { classes: 3 }, Objective::Quantile { q: 0.8 }];

/// The forest and the losses of each round.
fn trained(
    training: &Examples,
    validation: Option<&Examples>,
    settings: &BoostSettings,
    objective: Objective,
    seed: u64,
) -> (Forest, Vec<(f64, Option<f64>)>) {
    let mut losses = Vec::new();
    let forest = fit(training, validation, settings, &objective, Seed(seed), &mut |round, train, valid| {
        losses.push((train, valid));
        assert_eq!(round, losses.len());
        ControlFlow::Continue(())
    });
    (forest.unwrap(), losses)
}

#[test]
fn the_training_loss_never_rises_with_all_rows() {
    let (features, targets) = table(800, 0);
    let settings = BoostSettings { rounds: 60, ..BoostSettings::default() };
    for objective in OBJECTIVES {
        let targets = targets_for(objective, &targets);
        let examples = Examples { features: &features, targets: &targets, weights: None };
        let (_, losses) = trained(&examples, None, &settings, objective, 0);
        assert_eq!(losses.len(), 60);
        for pair in losses.windows(2) {
            assert!(pair[1].0 <= pair[0].0 + 1e-9, "{objective:?}: {pair:?}");
        }
        assert!(losses[59].0 < 0.5 * losses[0].0, "{objective:?}: {losses:?}");
    }
}

#[test]
fn predictions_are_the_scores_of_training_bit_for_bit() {
    let (features, targets) = table(700, 0);
    for (objective, row_share) in OBJECTIVES.into_iter().flat_map(|objective| [(objective, 1.0), (objective, 0.6)]) {
        let settings = BoostSettings { rounds: 25, row_share, max_bins: 40, ..BoostSettings::default() };
        let targets = targets_for(objective, &targets);
        let examples = Examples { features: &features, targets: &targets, weights: None };
        // The same rows as validation are scored by the thresholds, the training rows by their bins.
        let (forest, losses) = trained(&examples, Some(&examples), &settings, objective, 3);
        assert!(losses.iter().all(|(train, valid)| Some(*train) == *valid), "{objective:?} {row_share}");
        assert!(forest.trees() >= 20);
        forest.check().unwrap();
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let (features, targets) = table(6000, 0);
    let examples = Examples { features: &features, targets: &targets, weights: None };
    let settings = BoostSettings { rounds: 10, row_share: 0.7, column_share: 0.5, ..BoostSettings::default() };
    let bytes = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| serde_json::to_vec(&trained(&examples, None, &settings, Objective::SquaredError, seed).0))
            .unwrap()
    };
    assert_eq!(bytes(1, 5), bytes(1, 5));
    assert_eq!(bytes(1, 5), bytes(2, 5));
    assert_eq!(bytes(1, 5), bytes(3, 5));
    assert_ne!(bytes(1, 5), bytes(1, 6));
}

#[test]
fn training_ends_when_patience_does_and_keeps_the_best_round() {
    let (features, mut targets) = table(300, 0);
    let (valid_features, valid_targets) = table(200, 5000);
    // Noise that cannot be learned makes the validation loss turn.
    targets.iter_mut().enumerate().for_each(|(row, target)| *target += [2.0, -2.0, 0.5][row * 7 % 3]);
    let training = Examples { features: &features, targets: &targets, weights: None };
    let validation = Examples { features: &valid_features, targets: &valid_targets, weights: None };
    let settings = BoostSettings { rounds: 400, patience: 10, min_rows_per_leaf: 2, ..BoostSettings::default() };
    let (forest, losses) = trained(&training, Some(&validation), &settings, Objective::SquaredError, 0);
    assert!(losses.len() < 400);
    let losses: Vec<f64> = losses.into_iter().map(|(_, valid)| valid.unwrap()).collect();
    let best = (0..losses.len()).min_by(|&left, &right| losses[left].total_cmp(&losses[right])).unwrap();
    assert_eq!((forest.trees(), losses.len()), (best + 1, best + 11));
    forest.check().unwrap();
    let scores = forest.predict(&valid_features, COLUMNS).unwrap();
    let error = |(score, target): (&f32, &f32)| (f64::from(*score) - f64::from(*target)).powi(2);
    assert_eq!(scores.iter().zip(&valid_targets).map(error).sum::<f64>() / 200.0, losses[best]);
}

#[test]
fn a_caller_may_stop_after_any_round() {
    let (features, targets) = table(300, 0);
    let examples = Examples { features: &features, targets: &targets, weights: None };
    let settings = BoostSettings::default();
    let forest = fit(&examples, None, &settings, &Objective::SquaredError, Seed(0), &mut |round, _, _| {
        if round == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(forest.unwrap().trees(), 3);
}

#[test]
fn a_weight_counts_like_that_many_rows_and_zero_like_none() {
    let (features, targets) = table(400, 0);
    let weights: Vec<f32> = (0..400).map(|row| (row % 3) as f32).collect();
    let settings =
        BoostSettings { rounds: 8, min_rows_per_leaf: 1, min_child_weight: 12.0, ..BoostSettings::default() };
    let repeated: Vec<usize> = (0..400).flat_map(|row| std::iter::repeat_n(row, row % 3)).collect();
    let many_features: Vec<f32> =
        repeated.iter().flat_map(|row| &features[row * COLUMNS..(row + 1) * COLUMNS]).copied().collect();
    let many_targets: Vec<f32> = repeated.iter().map(|&row| targets[row]).collect();
    let weighted = Examples { features: &features, targets: &targets, weights: Some(&weights) };
    let many = Examples { features: &many_features, targets: &many_targets, weights: None };
    let (weighted, weighted_losses) = trained(&weighted, None, &settings, Objective::SquaredError, 0);
    let (many, many_losses) = trained(&many, None, &settings, Objective::SquaredError, 0);
    assert!((weighted.base[0] - many.base[0]).abs() < 1e-5);
    let (weighted_loss, many_loss) = (weighted_losses[7].0, many_losses[7].0);
    assert!((weighted_loss / many_loss - 1.0).abs() < 0.05, "{weighted_loss} {many_loss}");
}

#[test]
fn rows_that_are_all_alike_give_the_base() {
    let examples = Examples { features: &[1.0; 60], targets: &[4.0; 30], weights: None };
    let (forest, losses) = trained(&examples, None, &BoostSettings::default(), Objective::SquaredError, 0);
    assert!(losses.is_empty());
    assert_eq!((forest.trees(), forest.depth), (0, 0));
    forest.check().unwrap();
    assert_eq!(forest.predict(&[5.0, 6.0], 2).unwrap(), [4.0]);
}

#[test]
fn what_cannot_be_learned_from_is_refused_with_place_and_remedy() {
    let settings = BoostSettings::default();
    let refused = |features: &[f32], targets: &[f32], weights: Option<&[f32]>, objective: Objective| -> Error {
        let examples = Examples { features, targets, weights };
        let error = fit(&examples, None, &settings, &objective, Seed(0), &mut |_, _, _| ControlFlow::Continue(()));
        let error = error.unwrap_err();
        assert!(error.remedy().is_some() && !error.place().to_string().is_empty(), "{error}");
        error
    };
    let squared = Objective::SquaredError;
    assert_eq!(refused(&[], &[], None, squared).code(), ErrorCode::BadData);
    assert_eq!(refused(&[1.0, 2.0, 3.0], &[1.0, 2.0], None, squared).code(), ErrorCode::Shape);
    let infinite = refused(&[1.0, 2.0, 3.0, f32::INFINITY], &[1.0, 2.0], None, squared);
    assert_eq!(infinite.headline(), "row 2, column \"feature 1\": the training value is inf");
    assert_eq!(refused(&[1.0, 2.0], &[1.0, f32::NAN], None, squared).place().row, Some(2));
    assert_eq!(refused(&[1.0, 2.0], &[1.0, 2.0], Some(&[1.0]), squared).code(), ErrorCode::Shape);
    assert_eq!(refused(&[1.0, 2.0], &[1.0, 2.0], Some(&[1.0, -1.0]), squared).place().row, Some(2));
    assert_eq!(refused(&[1.0, 2.0], &[1.0, 2.0], Some(&[0.0, 0.0]), squared).code(), ErrorCode::BadData);
    assert_eq!(refused(&[1.0, 2.0], &[0.0, 2.0], None, Objective::Logistic).place().row, Some(2));
    let alone = refused(&[1.0, 2.0], &[1.0, 1.0], None, Objective::Logistic);
    assert!(alone.message().contains("class 0"), "{alone}");
    let lacking = refused(&[1.0, 2.0], &[0.0, 2.0], None, Objective::Softmax { classes: 3 });
    assert!(lacking.message().contains("class 1"), "{lacking}");
    assert_eq!(refused(&[1.0, 2.0], &[0.0, 1.5], None, Objective::Softmax { classes: 3 }).place().row, Some(2));
    assert_eq!(refused(&[1.0; 3], &[3.4e38, 3.4e38, -3.4e38], None, squared).code(), ErrorCode::Diverged);
    assert_eq!(refused(&[1.0], &[1.0], None, Objective::Quantile { q: 0.0 }).code(), ErrorCode::Config);
}

#[test]
fn validation_rows_of_another_width_are_refused() {
    let training = Examples { features: &[1.0, 2.0, 3.0, 4.0], targets: &[1.0, 2.0], weights: None };
    let validation = Examples { features: &[1.0], targets: &[1.0], weights: None };
    let settings = BoostSettings::default();
    let error = fit(&training, Some(&validation), &settings, &Objective::SquaredError, Seed(0), &mut |_, _, _| {
        ControlFlow::Continue(())
    });
    assert_eq!(error.unwrap_err().place().key.as_deref(), Some("validation.features"));
}
