//! Augmentation held against scipy, Pillow, albumentations and imbalanced-learn (`tests/reference`), and against
//! what must hold for any of its draws.

mod labels;
mod mixing;
mod pictures;
mod settings;
mod tables;

use lepton_core::image::Image;
use serde_json::Value;

fn reference(file: &str) -> Value {
    let file = format!("{}/tests/reference/{file}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    floats(value).into_iter().map(|value| value as u8).collect()
}

/// The picture of that name in `augment.json`.
fn picture(reference: &Value, name: &str) -> Image {
    let (height, width, channels) = if name == "grey" { (9, 12, 1) } else { (8, 10, 3) };
    Image { height, width, channels, pixels: bytes(&reference[name]) }
}

fn assert_close(ours: &[u8], theirs: &[f64], tolerance: f64, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (place, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert!((f64::from(*ours) - theirs).abs() <= tolerance, "{what} at {place}: {ours} {theirs}");
    }
}
