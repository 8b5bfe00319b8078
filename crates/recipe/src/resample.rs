//! Picture arithmetic that training and serving share: channel conversion, resizing, cutting and padding of bytes.
//! Written out here, because a package must give the same bytes whatever version of a library it meets later.

use crate::settings::ImageFit;
use lepton_core::image::ImageRef;
use std::borrow::Cow;

/// The pixels with 1 or 3 channels. Colour becomes grey as luma of ITU-R BT.601 (0.299 R + 0.587 G + 0.114 B)
/// in 16-bit fixed point; grey becomes colour by repetition.
pub(crate) fn convert_channels(picture: ImageRef<'_>, channels: usize) -> Cow<'_, [u8]> {
    match (picture.channels, channels) {
        (3, 1) => picture
            .pixels
            .chunks_exact(3)
            .map(|rgb| {
                let weighted = u32::from(rgb[0]) * 19595 + u32::from(rgb[1]) * 38470 + u32::from(rgb[2]) * 7471;
                ((weighted + 0x8000) >> 16) as u8
            })
            .collect(),
        (1, 3) => picture.pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
        _ => Cow::Borrowed(picture.pixels),
    }
}

/// Pixels of size `from` (height, width) in a frame of size `to`.
pub(crate) fn frame(
    pixels: Cow<'_, [u8]>,
    from: [usize; 2],
    to: [usize; 2],
    channels: usize,
    fit: ImageFit,
) -> Cow<'_, [u8]> {
    if from == to && !matches!(fit, ImageFit::Crop { resize: Some(_) }) {
        return pixels;
    }
    match fit {
        ImageFit::Stretch => resize(pixels, from, to, channels),
        ImageFit::Crop { resize: side } => {
            let size = match side {
                Some(side) => shorter_side(from, side),
                None => covering(from, to),
            };
            let resized = resize(pixels, from, size, channels);
            let [top, left] = [0, 1].map(|axis| half(size[axis] - to[axis]));
            let mut bytes = Vec::with_capacity(to[0] * to[1] * channels);
            for line in resized.chunks_exact(size[1] * channels).skip(top).take(to[0]) {
                bytes.extend_from_slice(&line[left * channels..(left + to[1]) * channels]);
            }
            Cow::Owned(bytes)
        }
        ImageFit::Pad { value } => {
            let size = inside(from, to);
            let resized = resize(pixels, from, size, channels);
            let [top, left] = [0, 1].map(|axis| half(to[axis] - size[axis]));
            let mut bytes = vec![value; to[0] * to[1] * channels];
            for (line, source) in resized.chunks_exact(size[1] * channels).enumerate() {
                let start = ((top + line) * to[1] + left) * channels;
                bytes[start..start + source.len()].copy_from_slice(source);
            }
            Cow::Owned(bytes)
        }
    }
}

/// Half of what is over, to the even number where it is between two (as torchvision and Pillow).
fn half(over: usize) -> usize {
    (over as f64 / 2.0).round_ties_even() as usize
}

/// The size with a shorter side of `side`; the longer one is cut to a whole number (as torchvision's `Resize`).
fn shorter_side([height, width]: [usize; 2], side: usize) -> [usize; 2] {
    match height <= width {
        true => [side, side * width / height],
        false => [side * height / width, side],
    }
}

/// The smallest size of the same proportions that covers `to`.
fn covering([height, width]: [usize; 2], to: [usize; 2]) -> [usize; 2] {
    // In whole numbers, so that a side that fits exactly is not one too long.
    match to[0] * width >= to[1] * height {
        true => [to[0], (width * to[0]).div_ceil(height).max(to[1])],
        false => [(height * to[1]).div_ceil(width).max(to[0]), to[1]],
    }
}

/// The largest size of the same proportions that fits into `to`, rounded (as Pillow's `ImageOps.contain`).
fn inside([height, width]: [usize; 2], to: [usize; 2]) -> [usize; 2] {
    let side = |over: usize, under: usize, of: usize| {
        ((over as f64 / under as f64 * of as f64).round_ties_even() as usize).max(1)
    };
    match width * to[0] >= height * to[1] {
        true => [side(height, width, to[1]).min(to[0]), to[1]],
        false => [to[0], side(width, height, to[0]).min(to[1])],
    }
}

/// Pixels of size `from` (height, width) as size `to`: separable linear interpolation between pixel centres,
/// columns first. Where a side shrinks, the filter widens by the same factor, so no source pixel is skipped.
fn resize(pixels: Cow<'_, [u8]>, from: [usize; 2], to: [usize; 2], channels: usize) -> Cow<'_, [u8]> {
    if from == to {
        return pixels;
    }
    let columns = filter(from[1], to[1]);
    let mut narrow = Vec::with_capacity(from[0] * to[1] * channels);
    for line in pixels.chunks_exact(from[1] * channels) {
        for (start, weights) in &columns {
            for channel in 0..channels {
                let values = line[start * channels..].iter().skip(channel).step_by(channels);
                narrow.push(weights.iter().zip(values).map(|(weight, &byte)| weight * f32::from(byte)).sum::<f32>());
            }
        }
    }
    let stride = to[1] * channels;
    let mut bytes = Vec::with_capacity(to[0] * stride);
    for (start, weights) in filter(from[0], to[0]) {
        for index in 0..stride {
            let values = narrow[start * stride..].iter().skip(index).step_by(stride);
            let sum: f32 = weights.iter().zip(values).map(|(weight, value)| weight * value).sum();
            bytes.push(sum.round().clamp(0.0, 255.0) as u8);
        }
    }
    Cow::Owned(bytes)
}

/// For each output place: the first source place and the weights from there on, which sum to 1.
fn filter(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let ratio = from as f64 / to as f64;
    let reach = ratio.max(1.0);
    (0..to)
        .map(|place| {
            let centre = (place as f64 + 0.5) * ratio;
            let start = (centre - reach).floor().max(0.0) as usize;
            let end = ((centre + reach).ceil() as usize).clamp(start + 1, from);
            let raw: Vec<f64> =
                (start..end).map(|source| (1.0 - ((source as f64 + 0.5 - centre) / reach).abs()).max(0.0)).collect();
            let sum: f64 = raw.iter().sum();
            (start, raw.into_iter().map(|weight| (weight / sum) as f32).collect())
        })
        .collect()
}
