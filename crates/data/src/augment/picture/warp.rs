//! Sampling under a map of the plane: each output pixel looks up its source place and blends the four pixels around
//! it (masks take the nearest). Beyond the border is 0. Halves round up.

use super::geometry::Homography;
use lepton_core::Mask;
use lepton_core::image::{Image, ImageRef};

/// Fractional bits of the source places that a row walks through.
const BITS: u32 = 40;
const ONE: f64 = (1u64 << BITS) as f64;

/// Pixels that a place may be off after a whole row of steps, with room to spare: 65,536 steps of 2^-41.
const MARGIN: f64 = 1e-6;

/// The picture of `height` x `width` whose pixel at a place is `picture`'s at `back` of that place. `None` for `back`
/// gives an empty picture: the map had flattened the plane.
pub(crate) fn warp(picture: ImageRef<'_>, back: Option<&Homography>, height: usize, width: usize) -> Image {
    let channels = picture.channels;
    let mut output = vec![0; height * width * channels];
    if let Some(back) = back {
        match (whole_pixels(back), channels) {
            (Some([x, right, y, down]), _) => copy(picture, [x, right, y, down], height, width, &mut output),
            (None, 1) => blend_rows::<1>(picture, back, width, &mut output),
            (None, 3) => blend_rows::<3>(picture, back, width, &mut output),
            (None, _) => {}
        }
    }
    Image { height, width, channels, pixels: output }
}

/// The nearest value of `mask`, in the same way.
pub(crate) fn warp_mask(mask: &Mask, back: Option<&Homography>, height: usize, width: usize) -> Mask {
    let mut moved = Mask::empty(height, width);
    let Some(back) = back else { return moved };
    for (place, value) in moved.values.iter_mut().enumerate() {
        let Some([x, y]) = back.apply((place % width) as f64, (place / width) as f64) else { continue };
        let (x, y) = ((x + 0.5).floor(), (y + 0.5).floor());
        if x >= 0.0 && y >= 0.0 && x < mask.width as f64 && y < mask.height as f64 {
            *value = mask.values[y as usize * mask.width + x as usize];
        }
    }
    moved
}

/// `[x, right, y, down]` of a map that only mirrors and moves by whole pixels: `x` and `y` are 1 or -1.
fn whole_pixels(map: &Homography) -> Option<[i64; 4]> {
    let [a, b, c, d, e, f, ..] = map.0;
    let whole = |value: f64| (value.fract() == 0.0 && value.abs() < 1e9).then_some(value as i64);
    let mirrors = |value: f64| whole(value).filter(|value| value.abs() == 1);
    if !map.is_affine() || b != 0.0 || d != 0.0 {
        return None;
    }
    Some([mirrors(a)?, whole(c)?, mirrors(e)?, whole(f)?])
}

fn copy(picture: ImageRef<'_>, [x, right, y, down]: [i64; 4], height: usize, width: usize, output: &mut [u8]) {
    let channels = picture.channels;
    // Output columns whose source column lies inside.
    let inside = |column: i64| (0..picture.width as i64).contains(&(x * column + right));
    let Some(first) = (0..width as i64).find(|&column| inside(column)) else { return };
    let last = (0..width as i64).rev().find(|&column| inside(column)).unwrap_or(first);
    let (first_byte, last_byte) = (first as usize * channels, (last as usize + 1) * channels);
    let (one, other) = ((x * first + right) as usize, (x * last + right) as usize);
    for row in 0..height {
        let source = y * row as i64 + down;
        if !(0..picture.height as i64).contains(&source) {
            continue;
        }
        let line = &picture.pixels[source as usize * picture.width * channels..][..picture.width * channels];
        let target = &mut output[row * width * channels..][first_byte..last_byte];
        let part = &line[one.min(other) * channels..(one.max(other) + 1) * channels];
        if x > 0 {
            target.copy_from_slice(part);
        } else {
            let pixels = part.chunks_exact(channels).rev();
            target.chunks_exact_mut(channels).zip(pixels).for_each(|(to, from)| to.copy_from_slice(from));
        }
    }
}

fn blend_rows<const C: usize>(picture: ImageRef<'_>, back: &Homography, width: usize, output: &mut [u8]) {
    for (row, line) in output.chunks_exact_mut(width * C).enumerate() {
        let (inside, places) = if back.is_affine() { inside(picture, back, row, width) } else { ((0, 0), [0; 4]) };
        blend_inside::<C>(picture, places, &mut line[inside.0 * C..inside.1 * C]);
        for column in (0..inside.0).chain(inside.1..width) {
            if let Some([x, y]) = back.apply(column as f64, row as f64) {
                blend_anywhere::<C>(picture, x, y, &mut line[column * C..(column + 1) * C]);
            }
        }
    }
}

/// The columns from the first to below the second for which all four pixels lie inside the picture, and the source
/// place of the first of them with its steps, `[x, y, step x, step y]` in 2^-40 pixels.
fn inside(picture: ImageRef<'_>, back: &Homography, row: usize, width: usize) -> ((usize, usize), [i64; 4]) {
    let [a, b, c, d, e, f, ..] = back.0;
    let (x, y) = (b * row as f64 + c, e * row as f64 + f);
    let (mut low, mut high) = (0.0, width as f64);
    for (start, step, side) in [(x, a, picture.width), (y, d, picture.height)] {
        let most = side as f64 - 1.0;
        if step.abs() < MARGIN {
            let end = start + step * width as f64;
            if start.min(end) < MARGIN || start.max(end) > most - MARGIN {
                return ((0, 0), [0; 4]);
            }
        } else {
            let (one, other) = (-start / step, (most - start) / step);
            low = f64::max(low, one.min(other));
            high = f64::min(high, one.max(other));
        }
    }
    // One column less on each side than the numbers allow, so that no rounding reaches outside.
    let (first, last) = (low.ceil() as usize + 1, (high.floor() - 1.0).max(0.0) as usize);
    if first >= last || last > width {
        return ((0, 0), [0; 4]);
    }
    let fixed = |value: f64| (value * ONE).round() as i64;
    let (x, y) = (x + a * first as f64, y + d * first as f64);
    ((first, last), [fixed(x), fixed(y), fixed(a), fixed(d)])
}

fn blend_inside<const C: usize>(picture: ImageRef<'_>, [mut x, mut y, step_x, step_y]: [i64; 4], line: &mut [u8]) {
    let stride = picture.width * C;
    // Places are scaled to f32 with the upper 24 bits of their fraction.
    let part = |place: i64| ((place >> (BITS - 24)) & 0xff_ffff) as f32 * (1.0 / 16_777_216.0);
    for pixel in line.chunks_exact_mut(C) {
        let start = (y >> BITS) as usize * stride + (x >> BITS) as usize * C;
        let (part_x, part_y) = (part(x), part(y));
        let (Some(top), Some(bottom)) =
            (picture.pixels.get(start..start + 2 * C), picture.pixels.get(start + stride..start + stride + 2 * C))
        else {
            return;
        };
        for channel in 0..C {
            let mix = |line: &[u8]| {
                let (left, right) = (f32::from(line[channel]), f32::from(line[channel + C]));
                left + (right - left) * part_x
            };
            let (above, below) = (mix(top), mix(bottom));
            pixel[channel] = (above + (below - above) * part_y + 0.5) as i32 as u8;
        }
        x += step_x;
        y += step_y;
    }
}

fn blend_anywhere<const C: usize>(picture: ImageRef<'_>, x: f64, y: f64, pixel: &mut [u8]) {
    let (top, left) = (y.floor(), x.floor());
    let (part_y, part_x) = ((y - top) as f32, (x - left) as f32);
    let inside = |row: f64, column: f64| {
        let within = row >= 0.0 && column >= 0.0 && row < picture.height as f64 && column < picture.width as f64;
        within.then(|| (row as usize * picture.width + column as usize) * C)
    };
    let corners = [
        (inside(top, left), (1.0 - part_y) * (1.0 - part_x)),
        (inside(top, left + 1.0), (1.0 - part_y) * part_x),
        (inside(top + 1.0, left), part_y * (1.0 - part_x)),
        (inside(top + 1.0, left + 1.0), part_y * part_x),
    ];
    for (channel, value) in pixel.iter_mut().enumerate() {
        let blend = |sum: f32, &(start, weight): &(Option<usize>, f32)| match start {
            Some(start) => sum + weight * f32::from(picture.pixels[start + channel]),
            None => sum,
        };
        *value = (corners.iter().fold(0.0, blend) + 0.5) as u8;
    }
}
