//! How many pictures per second one core augments: rotation with scale and shift, colour, noise. `bench/compare
//! augment` runs it beside albumentations. Usage: `time_augment SIDE CHANNELS SECONDS`.

use lepton_core::Seed;
use lepton_core::image::Image;
use lepton_data::{AugmentSettings, Augmenter};
use serde_json::{Value, json};
use std::time::Instant;

/// The same steps, one at a time and all together, as in `bench/peers/augment_albumentations.py`.
fn pipelines() -> [(&'static str, Value); 4] {
    let affine = json!({ "rotate_degrees": 15, "shift": 0.1, "scale": 0.1 });
    let colour = json!({ "kind": "colour", "brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.1, "probability": 1 });
    let noise = json!({ "kind": "noise", "deviation": [10, 20], "probability": 1 });
    let mut all = affine.clone();
    all["steps"] = json!([colour, noise]);
    [("affine", affine), ("colour", json!({ "steps": [colour] })), ("noise", json!({ "steps": [noise] })), ("all", all)]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [side, channels, seconds] = arguments.as_slice() else { return Err("SIDE CHANNELS SECONDS".into()) };
    let (side, channels, seconds): (usize, usize, f64) = (side.parse()?, channels.parse()?, seconds.parse()?);
    let pixels = (0..side * side * channels).map(|place| (place * 31 % 251) as u8).collect();
    let picture = Image { height: side, width: side, channels, pixels };
    let mut rates = serde_json::Map::new();
    for (name, settings) in pipelines() {
        let settings: AugmentSettings = serde_json::from_value(settings)?;
        let augmenter = Augmenter::new(&settings, Seed(1))?;
        let began = Instant::now();
        let mut row = 0;
        while began.elapsed().as_secs_f64() < seconds {
            for _ in 0..16 {
                std::hint::black_box(augmenter.picture(picture.as_ref(), row, 1)?);
                row += 1;
            }
        }
        rates.insert(name.to_owned(), json!(row as f64 / began.elapsed().as_secs_f64()));
    }
    println!("{}", json!({ "pictures_per_second": rates, "version": env!("CARGO_PKG_VERSION") }));
    Ok(())
}
