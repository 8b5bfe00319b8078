//! Pixels: against scipy and Pillow, and properties of the maps.

use super::{assert_close, floats, picture, reference};
use crate::augment::picture::geometry::{Homography, Move};
use crate::augment::picture::{Sample, colour, filter};
use crate::augment::{AugmentSettings, Augmenter};
use lepton_core::image::{Image, ImageRef};
use lepton_core::{Mask, Seed};
use proptest::prelude::*;

fn moved(picture: ImageRef<'_>, map: Homography) -> Image {
    Move { map, height: picture.height, width: picture.width }.apply(Sample::of_picture(picture)).picture
}

fn change(picture: &Image, [degrees, factor, down, right]: [f64; 4]) -> Image {
    let turn = Homography::rotation(degrees, factor, picture.height, picture.width);
    moved(picture.as_ref(), turn.then(&Homography::shift(right, down)))
}

/// make.py made the values with scipy.ndimage.
#[test]
fn warps_like_scipy() {
    let reference = reference("warp.json");
    let cases = reference["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 13);
    for case in cases {
        let side = |key: &str| case[key].as_u64().unwrap() as usize;
        let pixels = super::bytes(&case["pixels"]);
        let picture = Image { height: side("height"), width: side("width"), channels: side("channels"), pixels };
        let ours = change(&picture, floats(&case["change"])[..].try_into().unwrap());
        // Half a step for the rounding to bytes, and float32 places for the rest.
        assert_close(&ours.pixels, &floats(&case["output"]), 0.51, &case["change"].to_string());
    }
}

#[test]
fn perspective_and_masks_are_sampled_like_scipy() {
    let reference = reference("augment.json");
    let grey = picture(&reference, "grey");
    for case in reference["perspectives"].as_array().unwrap() {
        let map = Homography(floats(&case["map"])[..].try_into().unwrap());
        assert_close(&moved(grey.as_ref(), map).pixels, &floats(&case["output"]), 0.51, "perspective");
        let mask = Mask::new(9, 12, grey.pixels.clone()).unwrap();
        let sample = Sample { masks: vec![mask], ..Sample::of_picture(grey.as_ref()) };
        let mask = &Move { map, height: 9, width: 12 }.apply(sample).masks[0];
        assert_close(&mask.values, &floats(&case["nearest"]), 0.0, "mask");
    }
}

#[test]
fn tones_are_those_of_pillow_and_hues_those_of_the_colour_circle() {
    let reference = reference("augment.json");
    let tones = reference["tones"].as_object().unwrap();
    assert_eq!(tones.len(), 24);
    for (name, expected) in tones {
        let words: Vec<&str> = name.split(' ').collect();
        let (mut picture, amount) = (picture(&reference, words[1]), words[2].parse::<f32>().unwrap());
        match words[0] {
            "brightness" => colour::brightness(&mut picture, amount),
            "contrast" => colour::contrast(&mut picture, amount),
            "saturation" => colour::saturation(&mut picture, amount),
            "sharpness" => filter::sharpness(&mut picture, amount),
            "auto_contrast" => colour::auto_contrast(&mut picture),
            "equalize" => colour::equalize(&mut picture),
            "solarize" => colour::solarize(&mut picture, amount as u8),
            "posterize" => colour::posterize(&mut picture, amount as u32),
            "hue" => colour::hue(&mut picture, amount),
            other => panic!("{other}"),
        }
        // Pillow cuts where we round, and its smoothing rounds once more.
        let tolerance = match words[0] {
            "solarize" | "posterize" | "equalize" => 0.0,
            "hue" => 0.51,
            _ => 1.0,
        };
        assert_close(&picture.pixels, &floats(expected), tolerance, name);
    }
}

#[test]
fn blurs_like_scipy() {
    let reference = reference("augment.json");
    for case in reference["blurs"].as_array().unwrap() {
        let mut picture = picture(&reference, case["picture"].as_str().unwrap());
        filter::gaussian_blur(&mut picture, case["sigma"].as_f64().unwrap());
        assert_close(&picture.pixels, &floats(&case["output"]), 0.53, &case["sigma"].to_string());
    }
}

#[test]
fn a_lower_jpeg_quality_is_further_from_the_picture() {
    let source = disc(32, 9.0);
    let away = |quality| {
        let mut picture = source.clone();
        filter::jpeg(&mut picture, quality).unwrap();
        assert_eq!((picture.height, picture.width, picture.channels), (32, 32, 1));
        let pairs = picture.pixels.iter().zip(&source.pixels);
        pairs.map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>() / 1024.0
    };
    assert!(away(98) < 5.0 && away(98) < away(60) && away(60) < away(5), "{} {} {}", away(98), away(60), away(5));
    let wide = Image { height: 1, width: 70_000, channels: 1, pixels: vec![0; 70_000] };
    assert!(filter::jpeg(&mut wide.clone(), 50).is_err());
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

/// One pixel at a time, with no fast path: what the map means.
fn slowly(picture: &Image, back: &Homography) -> Vec<f64> {
    let at = |y: f64, x: f64, channel: usize| {
        let inside = y >= 0.0 && x >= 0.0 && y < picture.height as f64 && x < picture.width as f64;
        let place = |y: f64, x: f64| (y as usize * picture.width + x as usize) * picture.channels + channel;
        if inside { f64::from(picture.pixels[place(y, x)]) } else { 0.0 }
    };
    let mut values = Vec::new();
    for place in 0..picture.height * picture.width {
        let [x, y] = back.apply((place % picture.width) as f64, (place / picture.width) as f64).unwrap();
        let (top, left, down, right) = (y.floor(), x.floor(), y - y.floor(), x - x.floor());
        for channel in 0..picture.channels {
            let mix = |y: f64| at(y, left, channel) * (1.0 - right) + at(y, left + 1.0, channel) * right;
            values.push(mix(top) * (1.0 - down) + mix(top + 1.0) * down);
        }
    }
    values
}

proptest! {
    #[test]
    fn the_fast_path_gives_what_the_map_means(
        degrees in -180.0f64..180.0, factor in 0.3f64..3.0, down in -9.0f64..9.0, right in -9.0f64..9.0,
        height in 1usize..40, width in 1usize..40, colour: bool, seed: u64,
    ) {
        let channels = if colour { 3 } else { 1 };
        let pixels = (0..(height * width * channels) as u64).map(|place| (place.wrapping_mul(seed | 1) >> 5) as u8);
        let picture = Image { height, width, channels, pixels: pixels.collect() };
        let map = Homography::rotation(degrees, factor, height, width).then(&Homography::shift(right, down));
        let ours = moved(picture.as_ref(), map);
        assert_close(&ours.pixels, &slowly(&picture, &map.inverse().unwrap()), 0.51, "map");
    }

    #[test]
    fn settings_that_are_off_change_no_byte(
        pixels in prop::collection::vec(any::<u8>(), 24), row: u64, epoch: u64, seed: u64,
    ) {
        let picture = Image { height: 2, width: 4, channels: 3, pixels };
        let augmenter = Augmenter::new(&AugmentSettings::default(), Seed(seed)).unwrap();
        prop_assert_eq!(augmenter.picture(picture.as_ref(), row, epoch).unwrap(), picture.clone());
        prop_assert_eq!(change(&picture, [0.0, 1.0, 0.0, 0.0]), picture);
    }

    #[test]
    fn rotation_and_small_shifts_keep_the_mass_of_what_stays_inside(
        degrees in -180.0f64..180.0, down in -3.0f64..3.0, right in -3.0f64..3.0,
    ) {
        let picture = disc(31, 9.0);
        let moved = change(&picture, [degrees, 1.0, down, right]);
        prop_assert!((mass(&moved) / mass(&picture) - 1.0).abs() < 0.03);
    }

    #[test]
    fn scale_changes_the_mass_with_its_square(factor in 0.6f64..1.3) {
        let picture = disc(31, 9.0);
        let scaled = change(&picture, [0.0, factor, 0.0, 0.0]);
        prop_assert!((mass(&scaled) / mass(&picture) / factor.powi(2) - 1.0).abs() < 0.06);
    }

    #[test]
    fn maps_go_back_and_four_points_decide_one(values in prop::array::uniform8(-1.0f64..1.0), x in 0.0f64..9.0, y in 0.0f64..9.0) {
        let from = [[0.0, 0.0], [9.0, 0.0], [9.0, 9.0], [0.0, 9.0]];
        let mut to = from;
        (0..4).for_each(|corner| {
            to[corner][0] += values[2 * corner];
            to[corner][1] += values[2 * corner + 1];
        });
        let map = Homography::from_points(from, to).unwrap();
        for (from, to) in from.iter().zip(to) {
            let [x, y] = map.apply(from[0], from[1]).unwrap();
            prop_assert!((x - to[0]).abs() < 1e-9 && (y - to[1]).abs() < 1e-9);
        }
        let [u, v] = map.apply(x, y).unwrap();
        let [x_again, y_again] = map.inverse().unwrap().apply(u, v).unwrap();
        prop_assert!((x - x_again).abs() < 1e-8 && (y - y_again).abs() < 1e-8);
    }
}

#[test]
fn a_map_that_flattens_the_plane_leaves_nothing() {
    let flat = Homography([1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    assert_eq!(flat.inverse(), None);
    assert_eq!(mass(&moved(disc(9, 3.0).as_ref(), flat)), 0.0);
    let line = [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]];
    assert_eq!(Homography::from_points(line, line), None);
}
