//! Boxes, masks and key points follow the pixels: against albumentations, and exactly where pixels only change place.

use super::{assert_close, floats, picture, reference};
use crate::augment::draws::Draws;
use crate::augment::picture::geometry::{Homography, Move};
use crate::augment::picture::{Sample, erase};
use crate::augment::{AugmentSettings, Augmenter, Step, StepSettings};
use lepton_core::image::Image;
use lepton_core::{BoundingBox, KeyPoint, Mask, Seed};
use proptest::prelude::*;

fn box_of(values: &[f64], label: usize) -> BoundingBox {
    let [left, top, width, height] = [0, 1, 2, 3].map(|place| values[place] as f32);
    BoundingBox { left, top, width, height, label: label.to_string() }
}

#[test]
fn boxes_and_key_points_move_as_in_albumentations() {
    let reference = reference("augment.json");
    let grey = picture(&reference, "grey");
    let given = &reference["annotations"];
    let pairs = |value: &serde_json::Value| -> Vec<Vec<f64>> { value.as_array().unwrap().iter().map(floats).collect() };
    let boxes = pairs(&given["boxes"]).iter().enumerate().map(|(label, values)| box_of(values, label)).collect();
    let points = pairs(&given["key_points"]);
    let key_points =
        points.iter().map(|point| KeyPoint { x: point[0] as f32, y: point[1] as f32, visible: true }).collect();
    let sample = Sample { boxes, key_points, ..Sample::of_picture(grey.as_ref()) };
    let cases = given["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let name = case["change"].as_str().unwrap();
        let mut place = Move::start(9, 12);
        match name {
            "flip_horizontal" => place.add(&Homography::flip_horizontal(12)),
            "flip_vertical" => place.add(&Homography::flip_vertical(9)),
            "crop" => place = Move { map: Homography::shift(-2.0, -1.0), height: 6, width: 7 },
            "rotate" => place.add(&Homography::rotation(20.0, 1.0, 9, 12)),
            "scale" => place.add(&Homography::rotation(0.0, 1.25, 9, 12)),
            _ => place.add(&Homography::shift(2.0, -1.0)),
        }
        let moved = place.apply(sample.clone());
        if matches!(name, "flip_horizontal" | "flip_vertical" | "crop" | "shift") {
            assert_close(&moved.picture.pixels, &floats(&case["picture"]), 0.0, name);
        }
        let theirs = pairs(&case["boxes"]);
        assert_eq!(moved.boxes.len(), theirs.len(), "{name}");
        for (ours, theirs) in moved.boxes.iter().zip(&theirs) {
            let ours = [ours.left, ours.top, ours.width, ours.height].map(f64::from);
            let most = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(most < 1e-4, "{name}: {ours:?} {theirs:?}");
        }
        for (ours, theirs) in moved.key_points.iter().zip(pairs(&case["key_points"])) {
            let off = (f64::from(ours.x) - theirs[0]).hypot(f64::from(ours.y) - theirs[1]);
            assert!(off < 1e-4, "{name}: {ours:?} {theirs:?}");
            let (height, width) = (case["size"][0].as_u64().unwrap() as f64, case["size"][1].as_u64().unwrap() as f64);
            let inside = theirs[0] >= -0.5 && theirs[1] >= -0.5 && theirs[0] < width - 0.5 && theirs[1] < height - 0.5;
            assert_eq!(ours.visible, inside, "{name}: {ours:?}");
        }
    }
}

fn marked(area: [usize; 4]) -> Sample {
    let [left, top, width, height] = area.map(|side| side as f32);
    let area = BoundingBox { left, top, width, height, label: "a".to_owned() };
    let mut mask = Mask::empty(20, 30);
    mask.fill(&area, 1);
    let pixels = mask.values.iter().map(|&value| value * 255).collect();
    let corners = [[left, top], [left + width - 1.0, top + height - 1.0]];
    Sample {
        picture: Image { height: 20, width: 30, channels: 1, pixels },
        boxes: vec![area],
        key_points: corners.map(|[x, y]| KeyPoint { x, y, visible: true }).to_vec(),
        masks: vec![mask],
    }
}

fn area() -> impl Strategy<Value = [usize; 4]> {
    (0usize..25, 0usize..15, 1usize..6, 1usize..6).prop_map(|(left, top, width, height)| [left, top, width, height])
}

fn augmented(steps: &[Step], sample: Sample, seed: u64) -> Sample {
    let steps = steps.iter().map(|step| StepSettings::new(step.clone(), 1.0)).collect();
    let settings = AugmentSettings { steps, ..AugmentSettings::default() };
    Augmenter::new(&settings, Seed(seed)).unwrap().sample(sample, 3, 1).unwrap()
}

proptest! {
    #[test]
    fn a_mask_of_a_box_flips_and_crops_as_the_box_does(area in area(), seed: u64, steps in 1u8..8) {
        let all = [Step::FlipHorizontal {}, Step::FlipVertical {}, Step::Crop { height: 13, width: 21 }];
        let chosen: Vec<Step> =
            all.iter().enumerate().filter(|(bit, _)| steps >> bit & 1 == 1).map(|(_, step)| step.clone()).collect();
        let moved = augmented(&chosen, marked(area), seed);
        let mask = &moved.masks[0];
        // Picture, mask and box are still one thing, to the pixel.
        prop_assert_eq!(moved.picture.pixels, mask.values.iter().map(|&value| value * 255).collect::<Vec<_>>());
        prop_assert_eq!(mask.bounding_box(1, "a"), moved.boxes.first().cloned());
        prop_assert_eq!(mask.area(1) as f32, moved.boxes.first().map_or(0.0, BoundingBox::area));
        for point in moved.key_points.iter().filter(|point| point.visible) {
            prop_assert_eq!(mask.at(point.y as usize, point.x as usize), 1);
        }
    }

    #[test]
    fn the_box_of_a_turned_mask_lies_in_the_turned_box(area in area(), seed: u64) {
        let steps = [
            Step::Rotate { degrees: 40.0 },
            Step::Scale { amount: 0.3 },
            Step::Shear { degrees: 15.0 },
            Step::Shift { amount: 0.1 },
            Step::Perspective { amount: 0.2 },
        ];
        let moved = augmented(&steps, marked(area), seed);
        if let Some(of_mask) = moved.masks[0].bounding_box(1, "a") {
            let of_box = moved.boxes.first().expect("a box where there is a mask");
            // The nearest pixel may be up to half a pixel away.
            let slack = 0.51;
            prop_assert!(of_mask.left >= of_box.left - slack && of_mask.right() <= of_box.right() + slack);
            prop_assert!(of_mask.top >= of_box.top - slack && of_mask.bottom() <= of_box.bottom() + slack);
        }
    }

    #[test]
    fn a_resized_crop_keeps_the_size_and_what_is_cut_vanishes(area in area(), seed: u64) {
        let crop = Step::ResizedCrop { area: [0.2, 0.6], ratio: [0.5, 2.0] };
        let moved = augmented(&[crop], marked(area), seed);
        prop_assert_eq!((moved.picture.height, moved.picture.width), (20, 30));
        for area in &moved.boxes {
            prop_assert!(area.left >= 0.0 && area.top >= 0.0 && area.right() <= 30.0 && area.bottom() <= 20.0);
        }
        prop_assert!(!moved.boxes.is_empty() || moved.masks[0].area(1) <= 1);
    }
}

#[test]
fn tones_blur_and_noise_leave_the_labels_where_they_are() {
    let steps = [
        Step::Colour { brightness: 0.5, contrast: 0.5, saturation: 0.5, hue: 0.5 },
        Step::Grey {},
        Step::Blur { sigma: [1.0, 2.0] },
        Step::Noise { deviation: [5.0, 9.0] },
        Step::SaltPepper { amount: 0.1 },
        Step::Jpeg { quality: [20, 30] },
    ];
    let before = marked([4, 5, 6, 7]);
    let after = augmented(&steps, before.clone(), 8);
    assert_ne!(after.picture, before.picture);
    assert_eq!((after.boxes, after.masks, after.key_points), (before.boxes, before.masks, before.key_points));
}

#[test]
fn an_erased_key_point_is_no_longer_visible_and_the_box_stays() {
    let mut sample = marked([4, 5, 6, 7]);
    let before = sample.clone();
    erase::erase(&mut sample, [1.0, 1.0], [1.5, 1.5], 9, &mut Draws::new(Seed(1), "test", &[]));
    assert!(sample.picture.pixels.iter().all(|&value| value == 9), "an area of 1 is everything");
    assert!(sample.key_points.iter().all(|point| !point.visible));
    assert_eq!((sample.boxes, sample.masks), (before.boxes, before.masks));
}

#[test]
fn annotations_that_do_not_fit_are_refused() {
    let mut sample = marked([4, 5, 6, 7]);
    sample.masks[0] = Mask::empty(3, 3);
    let augmenter = Augmenter::new(&AugmentSettings::default(), Seed(0)).unwrap();
    let refused = augmenter.sample(sample, 0, 0).unwrap_err();
    assert!(refused.message().contains("a mask of 3 x 3 lies on a picture of 20 x 30"), "{refused}");
    let mut sample = marked([4, 5, 6, 7]);
    sample.boxes[0].width = 0.0;
    assert!(augmenter.sample(sample, 0, 0).is_err());
}
