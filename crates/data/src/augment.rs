//! Seeded changes to training pictures: rotation, scale and shift as one affine map, sampled bilinearly.
//! What a row becomes depends on the seed, the row and the epoch alone, never on threads or batches.

use lepton_core::image::{Image, ImageRef};
use lepton_core::{Error, ErrorCode, Result, Seed};
use rand_chacha::rand_core::Rng;
use serde::{Deserialize, Serialize};

/// How far training pictures may be changed. Each value is a bound: amounts are drawn evenly from minus to plus
/// that much. All zero is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentSettings {
    /// Rotation about the centre, in degrees, 0 to 180.
    pub rotate_degrees: f64,
    /// Shift along each axis, as a fraction of that side, 0 to 1.
    pub shift: f64,
    /// Change of size, as a fraction: 0.1 draws factors from 0.9 to 1.1; 0 to below 1.
    pub scale: f64,
}

impl AugmentSettings {
    /// Whether nothing is changed.
    pub fn is_off(&self) -> bool {
        self.rotate_degrees == 0.0 && self.shift == 0.0 && self.scale == 0.0
    }

    /// Refuses values out of range.
    ///
    /// # Errors
    /// [`ErrorCode::Config`], naming the key under `augment`.
    pub fn check(&self) -> Result<()> {
        let bounds = [
            ("augment.rotate_degrees", self.rotate_degrees, 180.0),
            ("augment.shift", self.shift, 1.0),
            ("augment.scale", self.scale, 0.99),
        ];
        for (key, value, most) in bounds {
            if !(0.0..=most).contains(&value) {
                return Err(Error::new(ErrorCode::Config, format!("{value} is not between 0 and {most}")).at_key(key));
            }
        }
        Ok(())
    }
}

/// Changes pictures by [`AugmentSettings`] and a seed.
#[derive(Clone, Debug)]
pub struct Augmenter {
    settings: AugmentSettings,
    seed: Seed,
}

/// One drawn change: what happens to the picture's content.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Change {
    /// Counter-clockwise as seen on the screen.
    pub(crate) degrees: f64,
    /// Content grows by this factor.
    pub(crate) factor: f64,
    /// Content moves down by this many pixels.
    pub(crate) down: f64,
    /// Content moves right by this many pixels.
    pub(crate) right: f64,
}

impl Augmenter {
    /// An augmenter.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] for settings out of range.
    pub fn new(settings: &AugmentSettings, seed: Seed) -> Result<Augmenter> {
        settings.check()?;
        Ok(Augmenter { settings: *settings, seed })
    }

    /// Whether nothing is changed.
    pub fn is_off(&self) -> bool {
        self.settings.is_off()
    }

    /// The picture that `row` is in `epoch`: same size and channels. Settings that are off give the same bytes.
    pub fn picture(&self, picture: ImageRef<'_>, row: u64, epoch: u64) -> Image {
        if self.settings.is_off() {
            return owned(picture);
        }
        let mut rng = self.seed.rng("augment", &[row, epoch]);
        let mut within = |bound: f64| (2.0 * unit(rng.next_u64()) - 1.0) * bound;
        let change = Change {
            degrees: within(self.settings.rotate_degrees),
            factor: 1.0 + within(self.settings.scale),
            down: within(self.settings.shift) * picture.height as f64,
            right: within(self.settings.shift) * picture.width as f64,
        };
        warp(picture, change)
    }
}

/// Evenly from 0 to below 1, from the upper 53 bits.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

fn owned(picture: ImageRef<'_>) -> Image {
    let ImageRef { height, width, channels, pixels } = picture;
    Image { height, width, channels, pixels: pixels.to_vec() }
}

/// Applies a change about the picture's centre. Each output pixel looks up its source place and blends the four
/// pixels around it; beyond the border is 0. Halves round up.
pub(crate) fn warp(picture: ImageRef<'_>, change: Change) -> Image {
    let ImageRef { height, width, channels, pixels } = picture;
    let (sin, cos) = change.degrees.to_radians().sin_cos();
    let (sin, cos) = ((sin / change.factor) as f32, (cos / change.factor) as f32);
    let middle = ((height as f32 - 1.0) / 2.0, (width as f32 - 1.0) / 2.0);
    let stride = width * channels;
    let mut output = Vec::with_capacity(pixels.len());
    for y in 0..height {
        let dy = y as f32 - middle.0 - change.down as f32;
        for x in 0..width {
            let dx = x as f32 - middle.1 - change.right as f32;
            let (from_y, from_x) = (cos * dy + sin * dx + middle.0, cos * dx - sin * dy + middle.1);
            let (top, left) = (from_y.floor(), from_x.floor());
            let (part_y, part_x) = (from_y - top, from_x - left);
            let (top, left) = (top as isize, left as isize);
            let corners = [
                (top, left, (1.0 - part_y) * (1.0 - part_x)),
                (top, left + 1, (1.0 - part_y) * part_x),
                (top + 1, left, part_y * (1.0 - part_x)),
                (top + 1, left + 1, part_y * part_x),
            ];
            let at = |(row, column, weight): (isize, isize, f32)| {
                let inside = (0..height as isize).contains(&row) && (0..width as isize).contains(&column);
                inside.then(|| (row as usize * stride + column as usize * channels, weight))
            };
            let places = corners.map(at);
            for channel in 0..channels {
                let blend =
                    |sum: f32, &(start, weight): &(usize, f32)| sum + weight * f32::from(pixels[start + channel]);
                output.push((places.iter().flatten().fold(0.0, blend) + 0.5) as u8);
            }
        }
    }
    Image { height, width, channels, pixels: output }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// tests/reference/make.py made the values with scipy.ndimage.
    #[test]
    fn warps_like_scipy() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/warp.json");
        let reference: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let floats = |value: &serde_json::Value| -> Vec<f64> { serde_json::from_value(value.clone()).unwrap() };
        let cases = reference["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 13);
        for case in cases {
            let side = |key: &str| case[key].as_u64().unwrap() as usize;
            let [degrees, factor, down, right] = floats(&case["change"])[..] else { panic!("four numbers") };
            let pixels: Vec<u8> = floats(&case["pixels"]).into_iter().map(|value| value as u8).collect();
            let picture = Image { height: side("height"), width: side("width"), channels: side("channels"), pixels };
            let ours = warp(picture.as_ref(), Change { degrees, factor, down, right });
            for (place, (ours, theirs)) in ours.pixels.iter().zip(floats(&case["output"])).enumerate() {
                // Half a step for the rounding to bytes, and float32 places for the rest.
                assert!((f64::from(*ours) - theirs).abs() < 0.51, "{} at {place}: {ours} {theirs}", case["change"]);
            }
        }
    }

    fn disc(side: usize, radius: f64) -> Image {
        let middle = (side as f64 - 1.0) / 2.0;
        let inside = |place: usize| {
            let (y, x) = ((place / side) as f64 - middle, (place % side) as f64 - middle);
            if y.hypot(x) < radius { 200 } else { 0 }
        };
        Image { height: side, width: side, channels: 1, pixels: (0..side * side).map(inside).collect() }
    }

    fn mass(picture: &Image) -> f64 {
        picture.pixels.iter().map(|&byte| f64::from(byte)).sum()
    }

    proptest! {
        #[test]
        fn settings_that_are_off_change_no_byte(
            pixels in prop::collection::vec(any::<u8>(), 24), row: u64, epoch: u64, seed: u64,
        ) {
            let picture = Image { height: 2, width: 4, channels: 3, pixels };
            let augmenter = Augmenter::new(&AugmentSettings::default(), Seed(seed)).unwrap();
            prop_assert_eq!(augmenter.picture(picture.as_ref(), row, epoch), picture.clone());
            let still = Change { degrees: 0.0, factor: 1.0, down: 0.0, right: 0.0 };
            prop_assert_eq!(warp(picture.as_ref(), still), picture);
        }

        #[test]
        fn rotation_and_small_shifts_keep_the_mass_of_what_stays_inside(
            degrees in -180.0f64..180.0, down in -3.0f64..3.0, right in -3.0f64..3.0,
        ) {
            let picture = disc(31, 9.0);
            let moved = warp(picture.as_ref(), Change { degrees, factor: 1.0, down, right });
            prop_assert!((mass(&moved) / mass(&picture) - 1.0).abs() < 0.03);
        }

        #[test]
        fn scale_changes_the_mass_with_its_square(factor in 0.6f64..1.3) {
            let picture = disc(31, 9.0);
            let scaled = warp(picture.as_ref(), Change { degrees: 0.0, factor, down: 0.0, right: 0.0 });
            prop_assert!((mass(&scaled) / mass(&picture) / factor.powi(2) - 1.0).abs() < 0.06);
        }

        #[test]
        fn seed_row_and_epoch_decide_the_picture(seed in 0u64..100, row in 0u64..100, epoch in 0u64..100) {
            let settings = AugmentSettings { rotate_degrees: 20.0, shift: 0.2, scale: 0.2 };
            let picture = disc(15, 4.0);
            let at = |seed, row, epoch| Augmenter::new(&settings, Seed(seed)).unwrap().picture(picture.as_ref(), row, epoch);
            let one = at(seed, row, epoch);
            prop_assert_eq!(&one, &at(seed, row, epoch));
            prop_assert_ne!(&one, &at(seed + 1, row, epoch));
            prop_assert_ne!(&one, &at(seed, row + 1, epoch));
            prop_assert_ne!(&one, &at(seed, row, epoch + 1));
        }
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
    }
}
