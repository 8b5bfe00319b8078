//! Forests as files: they come back as they went, and damaged ones are refused without a panic.
#![allow(clippy::unwrap_used, clippy::panic)]

use lepton_boost::{BoostSettings, Examples, Forest, Objective, fit};
use lepton_core::{ErrorCode, Seed};
use proptest::prelude::*;
use std::ops::ControlFlow;

fn forest_of(values: &[f32], columns: usize, classes: usize, seed: u64) -> Forest {
    let rows = values.len() / columns;
    let features = &values[..rows * columns];
    let targets: Vec<f32> = (0..rows).map(|row| (row % classes) as f32).collect();
    let settings = BoostSettings { rounds: 4, min_rows_per_leaf: 1, max_leaves: 6, ..BoostSettings::default() };
    let examples = Examples { features, targets: &targets, weights: None };
    let objective = Objective::Softmax { classes };
    fit(&examples, None, &settings, &objective, Seed(seed), &mut |_, _, _| ControlFlow::Continue(())).unwrap()
}

fn values() -> impl Strategy<Value = Vec<f32>> {
    let value =
        prop_oneof![8 => -1e3f32..1e3, 1 => Just(f32::NAN), 1 => any::<f32>().prop_filter("finite", |x| x.is_finite())];
    prop::collection::vec(value, 30..90)
}

/// The six arrays of numbers that an index can be wrong in.
fn numbers(forest: &mut Forest, which: usize) -> &mut Vec<u32> {
    match which {
        0 => &mut forest.left,
        1 => &mut forest.right,
        2 => &mut forest.roots,
        3 => &mut forest.feature,
        _ => &mut forest.output_of_tree,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_forest_comes_back_from_json_as_it_went(values in values(), columns in 1usize..4, seed: u64) {
        let forest = forest_of(&values, columns, 3, seed);
        prop_assert!(forest.check().is_ok());
        let back: Forest = serde_json::from_str(&serde_json::to_string(&forest).unwrap()).unwrap();
        prop_assert_eq!(&back, &forest);
        let rows = &values[..values.len() / columns * columns];
        let bits = |forest: &Forest| forest.predict(rows, columns).unwrap().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&back), bits(&forest));
    }

    #[test]
    fn a_changed_index_is_refused_or_leaves_a_sound_forest(
        values in values(),
        which in 0usize..5,
        at: prop::sample::Index,
        new in prop_oneof![0u32..64, any::<u32>()],
    ) {
        let mut forest = forest_of(&values, 2, 2, 0);
        let array = numbers(&mut forest, which);
        prop_assume!(!array.is_empty());
        let at = at.index(array.len());
        let old = std::mem::replace(&mut array[at], new);
        // Whatever the arena, predicting gives an answer or an error.
        let answer = forest.predict(&values[..2], 2);
        match forest.check() {
            Ok(()) => prop_assert!(answer.is_ok()),
            Err(error) => {
                prop_assert_eq!(error.code(), ErrorCode::Integrity);
                prop_assert!(error.remedy().is_some() && error.place().key.is_some());
            }
        }
        if which < 3 && new != old {
            prop_assert!(forest.check().is_err(), "a tree with another way is no tree");
        }
    }

    #[test]
    fn an_array_of_another_length_is_refused(values in values(), which in 0usize..11) {
        let mut forest = forest_of(&values, 2, 2, 0);
        prop_assume!(forest.trees() > 0);
        match which {
            0..5 => numbers(&mut forest, which).truncate(0),
            5 => forest.threshold.push(0.0),
            6 => forest.default_left.push(true),
            7 => forest.value.push(0.0),
            8 => forest.gain.push(0.0),
            9 => forest.base.clear(),
            _ => forest.depth += 1,
        }
        let _ = forest.predict(&values[..2], 2);
        let _ = forest.importance();
        prop_assert!(forest.check().is_err());
    }

    #[test]
    fn arbitrary_arenas_never_panic(
        feature in prop::collection::vec(0u32..4, 0..12),
        left in prop::collection::vec(0u32..14, 0..12),
        right in prop::collection::vec(0u32..14, 0..12),
        roots in prop::collection::vec(0u32..14, 0..4),
        output_of_tree in prop::collection::vec(0u32..3, 0..4),
        depth in prop_oneof![0u32..6, any::<u32>()],
        number in any::<f32>(),
        columns in 0u32..4,
    ) {
        let nodes = feature.len();
        let forest = Forest {
            columns, depth, base: vec![0.0; 2], roots, output_of_tree, left, right,
            threshold: vec![number; nodes], default_left: vec![true; nodes], value: vec![1.0; nodes],
            gain: vec![0.0; nodes], feature,
        };
        // An unsound depth with a cycle would only take long: check refuses both.
        let sound = forest.check().is_ok();
        if sound || depth < 6 {
            let answer = forest.predict(&vec![number; columns as usize * 2], columns as usize);
            prop_assert!(!sound || answer.is_ok());
        }
    }
}

#[test]
fn numbers_that_are_none_are_refused() {
    let values: Vec<f32> = (0..60).map(|number| number as f32).collect();
    let forest = forest_of(&values, 2, 2, 0);
    assert!(forest.trees() > 0);
    let damages: [fn(&mut Forest); 5] = [
        |forest| forest.threshold[0] = f32::NAN,
        |forest| forest.value[0] = f32::INFINITY,
        |forest| forest.gain[0] = f32::NAN,
        |forest| forest.base[0] = f32::NAN,
        |forest| forest.columns = 0,
    ];
    for damage in damages {
        let mut damaged = forest.clone();
        damage(&mut damaged);
        assert_eq!(damaged.check().unwrap_err().code(), ErrorCode::Integrity);
    }
    assert!(serde_json::from_str::<Forest>(r#"{"columns": 1}"#).is_err());
}
