//! RandAugment (Cubuk and others, 2019): a few changes drawn evenly from fourteen, all of one strength. The strengths
//! are torchvision's, 0 to 30.

use super::colour::{auto_contrast, brightness, contrast, equalize, posterize, saturation, solarize};
use super::filter::sharpness;
use super::geometry::Homography;
use crate::augment::Work;
use crate::augment::draws::Draws;

/// The strongest magnitude.
pub const MOST: u32 = 30;

const CHANGES: usize = 14;

/// Applies `operations` drawn changes.
pub fn rand_augment(work: &mut Work, operations: u32, magnitude: u32, draws: &mut Draws) {
    let strength = f64::from(magnitude) / f64::from(MOST);
    for _ in 0..operations {
        let change = draws.below(CHANGES);
        let sign = if draws.chance(0.5) { 1.0 } else { -1.0 };
        apply(work, change, strength, sign);
    }
}

/// Change number `change`, at `strength` 0 to 1. Those with two directions go the way of `sign`.
fn apply(work: &mut Work, change: usize, strength: f64, sign: f64) {
    let factor = (1.0 + sign * 0.9 * strength) as f32;
    let slant = sign * 0.3 * strength;
    let distance = sign * strength * 150.0 / 331.0;
    match change {
        0 => {}
        1 => turn(work, [1.0, slant, 0.0, 1.0]),
        2 => turn(work, [1.0, 0.0, slant, 1.0]),
        3 => {
            let place = work.geometry();
            place.add(&Homography::shift((distance * place.width as f64).round(), 0.0));
        }
        4 => {
            let place = work.geometry();
            place.add(&Homography::shift(0.0, (distance * place.height as f64).round()));
        }
        5 => {
            let place = work.geometry();
            place.add(&Homography::rotation(sign * 30.0 * strength, 1.0, place.height, place.width));
        }
        6 => brightness(work.picture(), factor),
        7 => saturation(work.picture(), factor),
        8 => contrast(work.picture(), factor),
        9 => sharpness(work.picture(), factor),
        10 => posterize(work.picture(), 8 - (4.0 * strength).round() as u32),
        11 => solarize(work.picture(), (255.0 * (1.0 - strength)).round() as u8),
        12 => auto_contrast(work.picture()),
        _ => equalize(work.picture()),
    }
}

fn turn(work: &mut Work, linear: [f64; 4]) {
    let place = work.geometry();
    place.add(&Homography::about_centre(linear, place.height, place.width));
}
