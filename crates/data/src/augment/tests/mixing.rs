//! Mixup, cutmix and mosaic: shares add up, pixels and boxes come from where the shares say.

use crate::augment::{AugmentSettings, Augmenter, Mixed, Sample, Step, StepSettings};
use lepton_core::image::Image;
use lepton_core::{BoundingBox, KeyPoint, Mask, Seed};
use proptest::prelude::*;

/// Row `row` is an even picture of grey level `row + 1`, wholly inside one box of that name.
fn row(row: usize) -> Sample {
    let value = row as u8 + 1;
    Sample {
        picture: Image { height: 12, width: 16, channels: 1, pixels: vec![value; 192] },
        boxes: vec![BoundingBox { left: 0.0, top: 0.0, width: 16.0, height: 12.0, label: row.to_string() }],
        key_points: vec![KeyPoint { x: 5.0, y: 5.0, visible: true }],
        masks: vec![Mask::new(12, 16, vec![value; 192]).unwrap()],
    }
}

fn mixed(step: Step, seed: u64) -> Mixed {
    let settings = AugmentSettings { steps: vec![StepSettings::new(step, 1.0)], ..AugmentSettings::default() };
    let augmenter = Augmenter::new(&settings, Seed(seed)).unwrap();
    assert!(augmenter.mixes());
    augmenter.mixed(2, 9, 4, &|index| Ok(row(index))).unwrap()
}

/// The share of the pixels that came from a row.
fn seen(mixed: &Mixed, row: usize) -> f32 {
    let pixels = &mixed.sample.picture.pixels;
    pixels.iter().filter(|&&value| usize::from(value) == row + 1).count() as f32 / pixels.len() as f32
}

fn share(mixed: &Mixed, row: usize) -> f32 {
    mixed.shares.iter().filter(|(other, _)| *other == row).map(|(_, share)| share).sum()
}

proptest! {
    #[test]
    fn shares_are_the_areas(seed: u64, mosaic: bool) {
        let mixed = mixed(if mosaic { Step::Mosaic {} } else { Step::Cutmix { alpha: 1.0 } }, seed);
        prop_assert!((mixed.shares.iter().map(|(_, share)| share).sum::<f32>() - 1.0).abs() < 1e-5);
        for &(row, _) in &mixed.shares {
            prop_assert!((share(&mixed, row) - seen(&mixed, row)).abs() < 1e-5);
        }
        prop_assert_eq!(&mixed.sample.masks[0].values, &mixed.sample.picture.pixels);
        // Boxes lie where the pixels of their row are.
        for area in mixed.sample.boxes.iter().filter(|area| mosaic || area.label != "2") {
            let row: usize = area.label.parse().unwrap();
            let (x, y) = (area.left as usize, area.top as usize);
            prop_assert_eq!(usize::from(mixed.sample.picture.pixels[y * 16 + x]), row + 1);
        }
    }

    #[test]
    fn mixup_is_the_weighted_mean(seed: u64) {
        let mixed = mixed(Step::Mixup { alpha: 1.0 }, seed);
        let expected: f32 = mixed.shares.iter().map(|&(row, share)| (row + 1) as f32 * share).sum();
        prop_assert!(mixed.sample.picture.pixels.iter().all(|&value| (f32::from(value) - expected).abs() <= 0.51));
        prop_assert_eq!(mixed.sample.boxes.len(), 2);
    }
}

#[test]
fn pictures_of_other_sizes_and_colours_are_fitted() {
    let of = |index: usize| {
        let (height, width, channels) = [(12, 16, 3), (5, 7, 1), (30, 20, 1)][index % 3];
        Ok(Sample::of_picture(Image { height, width, channels, pixels: vec![90; height * width * channels] }.as_ref()))
    };
    let steps = vec![StepSettings::new(Step::Mosaic {}, 1.0), StepSettings::new(Step::Mixup { alpha: 1.0 }, 1.0)];
    let augmenter = Augmenter::new(&AugmentSettings { steps, ..AugmentSettings::default() }, Seed(5)).unwrap();
    for epoch in 0..6 {
        let mixed = augmenter.mixed(0, 3, epoch, &of).unwrap();
        assert_eq!((mixed.sample.picture.height, mixed.sample.picture.channels), (12, 3));
        assert_eq!(mixed.shares.len(), 5);
        assert!((mixed.shares.iter().map(|(_, share)| share).sum::<f32>() - 1.0).abs() < 1e-5);
    }
}

#[test]
fn a_step_that_is_not_drawn_mixes_nothing() {
    let steps = vec![StepSettings::new(Step::Mixup { alpha: 1.0 }, 0.0)];
    let augmenter = Augmenter::new(&AugmentSettings { steps, ..AugmentSettings::default() }, Seed(5)).unwrap();
    let mixed = augmenter.mixed(2, 9, 0, &|index| Ok(row(index))).unwrap();
    assert_eq!(mixed, Mixed { sample: row(2), shares: vec![(2, 1.0)] });
}
