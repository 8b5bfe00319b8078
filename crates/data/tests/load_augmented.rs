//! Loading with augmentation: targets of mixed rows, noise on numbers, and batches that are ready before they are
//! asked for.

#![allow(clippy::unwrap_used)]

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use lepton_core::image::{ImageBuilder, ImageRef};
use lepton_core::{Column, ColumnKind, Schema, Seed};
use lepton_data::*;
use lepton_recipe::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn column(name: &str, kind: ColumnKind) -> Column {
    Column { name: name.into(), kind, nullable: false }
}

fn fit(schema: &Schema, batch: &RecordBatch, step: StepPlan) -> Arc<Recipe> {
    let target = Some(TargetPlan::Classes { column: "y".into() });
    Arc::new(RecipePlan { steps: vec![step], target }.fit(schema, batch).unwrap())
}

/// Row `row` is an even picture of level `100 * class`, of class `row % 3`.
fn pictures(rows: usize, steps: Vec<StepSettings>, workers: usize) -> Loader {
    let schema = Schema { columns: vec![column("image", ColumnKind::Image), column("y", ColumnKind::Category)] };
    let mut builder = ImageBuilder::default();
    for row in 0..rows {
        builder.push(Some(ImageRef { height: 6, width: 6, channels: 1, pixels: &[(100 * (row % 3)) as u8; 36] }));
    }
    let labels: StringArray = (0..rows).map(|row| Some(["a", "b", "c"][row % 3])).collect();
    let batch = RecordBatch::try_new(raw::arrow_schema(&schema), vec![builder.finish(), Arc::new(labels)]).unwrap();
    let step = StepPlan::Image(ImagePlan::new("image"));
    let recipe = fit(&schema, &batch, step);
    let settings = AugmentSettings { steps, ..AugmentSettings::default() };
    Loader::new(batch, recipe, Some(Augmenter::new(&settings, Seed(3)).unwrap()), 4, Seed(3), workers).unwrap()
}

#[test]
fn mixed_rows_have_the_share_of_each_class_as_target() {
    for step in [Step::Mixup { alpha: 1.0 }, Step::Cutmix { alpha: 1.0 }, Step::Mosaic {}] {
        let loader = pictures(10, vec![StepSettings::new(step, 1.0)], 2);
        let mut mixed = 0;
        for batch in loader.epoch(1, 0, true) {
            let batch = batch.unwrap();
            assert_eq!(batch.target.shape(), [batch.rows.len(), 3]);
            let (inputs, targets) = (batch.input.as_float32().unwrap(), batch.target.as_float32().unwrap());
            for (pixels, shares) in inputs.chunks_exact(36).zip(targets.chunks_exact(3)) {
                assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                mixed += usize::from(shares.iter().all(|share| *share < 0.999));
                // The mean level says how much of each class is in the picture.
                let level = pixels.iter().sum::<f32>() / 36.0 * 255.0;
                assert!((level - 100.0 * shares[1] - 200.0 * shares[2]).abs() < 1.0, "{level} {shares:?}");
            }
        }
        assert!(mixed > 0, "some rows meet another class");
    }
}

#[test]
fn noise_on_numbers_is_new_in_each_epoch_and_the_same_on_any_number_of_threads() {
    let schema = Schema { columns: vec![column("x", ColumnKind::Number), column("y", ColumnKind::Category)] };
    let numbers: Float64Array = (0..20).map(|row| Some(f64::from(row))).collect();
    let labels: StringArray = (0..20).map(|row| Some(["a", "b"][row % 2])).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(numbers), Arc::new(labels)];
    let batch = RecordBatch::try_new(raw::arrow_schema(&schema), columns).unwrap();
    let step = StepPlan::Number(NumberPlan {
        missing: NumberMissing::Refuse,
        normalize: NumberNormalize::None,
        ..NumberPlan::new("x")
    });
    let recipe = fit(&schema, &batch, step);
    let steps = vec![StepSettings::new(Step::NumberNoise { amount: 0.01 }, 1.0)];
    let settings = AugmentSettings { steps, ..AugmentSettings::default() };
    let walk = |workers, epoch| -> Vec<f32> {
        let augmenter = Augmenter::new(&settings, Seed(3)).unwrap();
        let loader = Loader::new(batch.clone(), Arc::clone(&recipe), Some(augmenter), 3, Seed(3), workers).unwrap();
        let batches = loader.epoch(epoch, 0, false);
        batches.flat_map(|batch| batch.unwrap().input.as_float32().unwrap().to_vec()).collect()
    };
    let one = walk(0, 1);
    assert_eq!(one, walk(1, 1));
    assert_eq!(one, walk(3, 1));
    assert_ne!(one, walk(3, 2));
    for (row, value) in one.iter().enumerate() {
        assert!(*value != row as f32 && (value - row as f32).abs() < 0.4, "{row} {value}");
    }
}

#[test]
fn batches_are_ready_before_a_slow_step_asks_for_them() {
    let steps = vec![StepSettings::new(Step::Rotate { degrees: 20.0 }, 1.0)];
    let loader = pictures(200, steps, 2);
    let mut epoch = loader.epoch(0, 0, true);
    for asked in 0..loader.steps() {
        // A step that takes longer than preparing: by then each worker has filled its queue of two.
        let ready = loader.steps().min(asked + 4);
        let began = Instant::now();
        while epoch.prepared() < ready {
            assert!(began.elapsed() < Duration::from_secs(60), "nothing is prepared ahead: {}", epoch.prepared());
            std::thread::sleep(Duration::from_millis(1));
        }
        epoch.next().unwrap().unwrap();
    }
    assert_eq!(epoch.waits(), 0, "no batch was waited for");
    let alone = pictures(200, vec![StepSettings::new(Step::Rotate { degrees: 20.0 }, 1.0)], 0);
    let mut epoch = alone.epoch(0, 0, true);
    epoch.by_ref().for_each(drop);
    assert_eq!((epoch.waits(), epoch.prepared()), (50, 0), "without workers every batch is waited for");
}

#[test]
fn words_are_changed_before_they_become_codes() {
    let text = Column { nullable: true, ..column("x", ColumnKind::Text) };
    let schema = Schema { columns: vec![text, column("y", ColumnKind::Category)] };
    let texts: StringArray =
        (0..20).map(|row| (row != 7).then(|| format!("one two three four five of {}", row % 5))).collect();
    let labels: StringArray = (0..20).map(|row| Some(["a", "b"][row % 2])).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(texts), Arc::new(labels)];
    let batch = RecordBatch::try_new(raw::arrow_schema(&schema), columns).unwrap();
    let recipe = fit(&schema, &batch, StepPlan::Tokens(TokensPlan::new("x")));
    let steps = vec![StepSettings::new(Step::SwapWords { amount: 0.5 }, 1.0)];
    let settings = AugmentSettings { steps, ..AugmentSettings::default() };
    let walk = |augmented: bool, workers, epoch| -> Vec<i64> {
        let augmenter = augmented.then(|| Augmenter::new(&settings, Seed(3)).unwrap());
        let loader = Loader::new(batch.clone(), Arc::clone(&recipe), augmenter, 3, Seed(3), workers).unwrap();
        let batches = loader.epoch(epoch, 0, false);
        batches.flat_map(|batch| batch.unwrap().input.as_int64().unwrap().to_vec()).collect()
    };
    let (plain, one) = (walk(false, 0, 1), walk(true, 0, 1));
    assert_eq!(one, walk(true, 3, 1));
    assert_ne!(one, walk(true, 3, 2));
    let length = recipe.codes().unwrap().length;
    let sorted = |codes: &[i64]| {
        let mut sorted = codes.to_vec();
        sorted.sort_unstable();
        sorted
    };
    let mut moved = 0;
    for (row, (changed, codes)) in one.chunks(length).zip(plain.chunks(length)).enumerate() {
        // The same words in another order; a missing text stays one unknown word.
        assert_eq!(sorted(changed), sorted(codes), "row {row}");
        assert!(row != 7 || changed == codes);
        moved += usize::from(changed != codes);
    }
    assert!(moved > 10, "{moved} of 20 rows are changed");
}
