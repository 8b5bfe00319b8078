//! What a person may write in `[augment]`, and what is refused by its key.

use crate::augment::{AugmentSettings, Augmenter, Domain, Step, StepSettings};
use lepton_core::image::Image;
use lepton_core::{ErrorCode, Seed};
use proptest::prelude::*;
use serde_json::json;

fn read(steps: serde_json::Value) -> Result<AugmentSettings, String> {
    serde_json::from_value(json!({ "steps": steps })).map_err(|error| error.to_string())
}

#[test]
fn steps_take_defaults_and_give_themselves_back() {
    let settings = read(json!([
        { "kind": "flip_horizontal", "probability": 0.25 },
        { "kind": "rotate", "degrees": 20 },
        { "kind": "rand_augment" },
    ]))
    .unwrap();
    assert_eq!(settings.steps[0], StepSettings::new(Step::FlipHorizontal {}, 0.25));
    assert_eq!(settings.steps[1], StepSettings { probability: None, step: Step::Rotate { degrees: 20.0 } });
    assert_eq!(settings.steps[1].chance(), 0.5);
    assert_eq!(settings.steps[2].step, Step::RandAugment { operations: 2, magnitude: 9 });
    let again: AugmentSettings = serde_json::from_value(serde_json::to_value(&settings).unwrap()).unwrap();
    assert_eq!(again, settings);
    assert_eq!(settings.describe(), "flip_horizontal (25 %), rotate (50 %), rand_augment (50 %); training split only");
}

#[test]
fn unknown_kinds_and_keys_are_refused() {
    assert!(read(json!([{ "kind": "flip" }])).unwrap_err().contains("unknown variant `flip`"));
    assert!(read(json!([{ "kind": "rotate", "degree": 3 }])).unwrap_err().contains("unknown field `degree`"));
    assert!(read(json!([{ "kind": "mosaic", "alpha": 3 }])).unwrap_err().contains("unknown field `alpha`"));
    assert!(read(json!([{ "kind": "crop", "height": 3 }])).unwrap_err().contains("missing field `width`"));
    assert!(read(json!([{ "probability": 1 }])).unwrap_err().contains("kind"));
}

#[test]
fn settings_out_of_range_are_refused_by_key() {
    for (settings, key) in [
        (AugmentSettings { rotate_degrees: 181.0, ..Default::default() }, "augment.rotate_degrees"),
        (AugmentSettings { shift: -0.1, ..Default::default() }, "augment.shift"),
        (AugmentSettings { scale: 1.0, ..Default::default() }, "augment.scale"),
        (AugmentSettings { scale: f64::NAN, ..Default::default() }, "augment.scale"),
    ] {
        let error = Augmenter::new(&settings, Seed(0)).unwrap_err();
        assert_eq!(error.place().key.as_deref(), Some(key));
    }
    for (step, key) in [
        (json!({ "kind": "rotate", "probability": 1.5 }), "probability"),
        (json!({ "kind": "rotate", "degrees": 200 }), "degrees"),
        (json!({ "kind": "shear", "degrees": 61 }), "degrees"),
        (json!({ "kind": "perspective", "amount": 0.5 }), "amount"),
        (json!({ "kind": "crop", "height": 0, "width": 3 }), "height"),
        (json!({ "kind": "resized_crop", "area": [0.5, 0.2] }), "area"),
        (json!({ "kind": "erase", "ratio": [0.01, 2] }), "ratio"),
        (json!({ "kind": "colour", "hue": 0.6 }), "hue"),
        (json!({ "kind": "blur", "sigma": [0, 1] }), "sigma"),
        (json!({ "kind": "noise", "deviation": [0, 256] }), "deviation"),
        (json!({ "kind": "jpeg", "quality": [0, 50] }), "quality"),
        (json!({ "kind": "rand_augment", "magnitude": 31 }), "magnitude"),
        (json!({ "kind": "mixup", "alpha": 0 }), "alpha"),
        (json!({ "kind": "smote", "neighbours": 0 }), "neighbours"),
        (json!({ "kind": "smote", "probability": 0.5 }), "probability"),
        (json!({ "kind": "time_stretch", "speed": [0.1, 1] }), "speed"),
        (json!({ "kind": "spec_augment", "masks": 0 }), "masks"),
        (json!({ "kind": "back_translate", "command": [] }), "command"),
        (json!({ "kind": "magnitude_warp", "knots": 65 }), "knots"),
        (json!({ "kind": "window_warp", "window": 1 }), "window"),
    ] {
        let settings = read(json!([{ "kind": "flip_vertical" }, step])).unwrap();
        let error = Augmenter::new(&settings, Seed(0)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Config);
        assert_eq!(error.place().key.as_deref(), Some(format!("augment.steps[1].{key}").as_str()), "{error}");
    }
}

#[test]
fn what_mixes_rows_comes_last() {
    let settings = read(json!([{ "kind": "mixup" }, { "kind": "cutmix" }, { "kind": "grey" }])).unwrap();
    let error = settings.check().unwrap_err();
    assert_eq!(error.place().key.as_deref(), Some("augment.steps[2]"));
    assert_eq!(error.remedy(), Some("write mixup last"));
}

#[test]
fn what_the_rows_cannot_take_is_refused() {
    let error = AugmentSettings { shift: 0.1, ..Default::default() }.check_domain(Domain::Tables).unwrap_err();
    assert_eq!((error.code(), error.place().key.as_deref()), (ErrorCode::Unsupported, Some("augment")));
    let settings = read(json!([{ "kind": "grey" }, { "kind": "gain" }])).unwrap();
    let error = settings.check_domain(Domain::Pictures).unwrap_err();
    assert_eq!(error.message(), "gain changes sounds; this project trains on pictures");
    assert_eq!(error.place().key.as_deref(), Some("augment.steps[1]"));
}

fn all_picture_steps() -> AugmentSettings {
    let kinds = [
        "flip_horizontal",
        "rotate",
        "scale",
        "shift",
        "shear",
        "perspective",
        "resized_crop",
        "colour",
        "blur",
        "noise",
        "salt_pepper",
        "erase",
        "jpeg",
        "rand_augment",
    ];
    let mut settings = read(kinds.iter().map(|kind| json!({ "kind": kind, "probability": 0.9 })).collect()).unwrap();
    (settings.rotate_degrees, settings.shift, settings.scale) = (20.0, 0.2, 0.2);
    settings
}

fn pattern() -> Image {
    let pixels = (0..15u64 * 17 * 3).map(|place| (place * place % 251) as u8).collect();
    Image { height: 15, width: 17, channels: 3, pixels }
}

proptest! {
    #[test]
    fn seed_row_and_epoch_decide_the_picture(seed in 0u64..100, row in 0u64..100, epoch in 0u64..100) {
        let (settings, picture) = (all_picture_steps(), pattern());
        let at = |seed, row, epoch| {
            Augmenter::new(&settings, Seed(seed)).unwrap().picture(picture.as_ref(), row, epoch).unwrap()
        };
        let one = at(seed, row, epoch);
        prop_assert_eq!(&one, &at(seed, row, epoch));
        prop_assert_ne!(&one, &at(seed + 1, row, epoch));
        prop_assert_ne!(&one, &at(seed, row + 1, epoch));
        prop_assert_ne!(&one, &at(seed, row, epoch + 1));
    }

    #[test]
    fn pictures_of_any_size_come_through(height in 1usize..12, width in 1usize..12, colour: bool, row in 0u64..50) {
        let channels = if colour { 3 } else { 1 };
        let picture = Image { height, width, channels, pixels: vec![77; height * width * channels] };
        let changed = Augmenter::new(&all_picture_steps(), Seed(1)).unwrap().picture(picture.as_ref(), row, 0).unwrap();
        prop_assert_eq!((changed.height, changed.width, changed.channels), (height, width, channels));
        prop_assert_eq!(changed.pixels.len(), height * width * channels);
    }
}

#[test]
fn a_step_more_shifts_no_other_steps_draws() {
    let one = read(json!([{ "kind": "rotate", "probability": 1 }])).unwrap();
    let two = read(json!([{ "kind": "rotate", "probability": 1 }, { "kind": "grey", "probability": 0 }])).unwrap();
    let of = |settings| Augmenter::new(settings, Seed(4)).unwrap().picture(pattern().as_ref(), 2, 2).unwrap();
    assert_eq!(of(&one), of(&two));
}

#[test]
fn a_crop_that_is_larger_than_the_picture_is_refused() {
    let settings = read(json!([{ "kind": "crop", "height": 16, "width": 4, "probability": 1 }])).unwrap();
    let error = Augmenter::new(&settings, Seed(4)).unwrap().picture(pattern().as_ref(), 2, 2).unwrap_err();
    assert_eq!(error.message(), "a picture of 15 x 17 has no crop of 16 x 4");
}
