//! Changes of colour, each the usual one of Pillow and torchvision: brightness, contrast, saturation, hue, and the
//! tone changes that RandAugment draws from. Boxes, masks and key points stay as they are.

use crate::augment::draws::Draws;
use lepton_core::image::Image;

/// Luma of ITU-R BT.601 in 16-bit fixed point, as Pillow rounds it.
#[inline]
pub(super) fn luma(rgb: &[u8]) -> u8 {
    let weighted = u32::from(rgb[0]) * 19595 + u32::from(rgb[1]) * 38470 + u32::from(rgb[2]) * 7471;
    ((weighted + 0x8000) >> 16) as u8
}

/// The bounds of a colour change: each factor is drawn evenly from 1 minus to 1 plus its bound, the hue from minus to
/// plus its bound in turns of the colour circle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColourBounds {
    /// 0 to 1.
    pub brightness: f64,
    /// 0 to 1.
    pub contrast: f64,
    /// 0 to 1.
    pub saturation: f64,
    /// 0 to 0.5.
    pub hue: f64,
}

/// Draws and applies brightness, contrast, saturation and hue, in this order. Grey pictures have no saturation and no
/// hue to change.
pub fn colour(picture: &mut Image, bounds: &ColourBounds, draws: &mut Draws) {
    let mut factor = |bound: f64| (1.0 + draws.within(bound)) as f32;
    let (light, spread, vivid) = (factor(bounds.brightness), factor(bounds.contrast), factor(bounds.saturation));
    let turn = draws.within(bounds.hue);
    // Both are a table over 256 values, but contrast needs the mean of what brightness leaves.
    if bounds.brightness > 0.0 {
        brightness(picture, light);
    }
    if bounds.contrast > 0.0 {
        contrast(picture, spread);
    }
    if picture.channels == 3 && (bounds.saturation > 0.0 || bounds.hue > 0.0) {
        saturation(picture, vivid);
        if bounds.hue > 0.0 {
            hue(picture, turn as f32);
        }
    }
}

/// Every value times `factor`.
pub fn brightness(picture: &mut Image, factor: f32) {
    map(picture, |value| value * factor);
}

/// Away from the mean grey by `factor`; 0 is an even grey.
pub fn contrast(picture: &mut Image, factor: f32) {
    let mean = mean_luma(picture);
    map(picture, |value| mean + (value - mean) * factor);
}

/// The mean of the picture's luma, rounded to a whole number as Pillow does.
fn mean_luma(picture: &Image) -> f32 {
    let sum: u64 = match picture.channels {
        3 => picture.pixels.chunks_exact(3).map(|rgb| u64::from(luma(rgb))).sum(),
        _ => picture.pixels.iter().map(|&value| u64::from(value)).sum(),
    };
    let count = (picture.height * picture.width).max(1);
    (sum as f64 / count as f64 + 0.5).floor() as f32
}

/// Away from each pixel's grey by `factor`; 0 is grey. Grey pictures stay.
pub fn saturation(picture: &mut Image, factor: f32) {
    if picture.channels != 3 {
        return;
    }
    for rgb in picture.pixels.chunks_exact_mut(3) {
        let grey = f32::from(luma(rgb));
        for value in rgb {
            *value = to_byte(grey + (f32::from(*value) - grey) * factor);
        }
    }
}

/// Turns each pixel on the colour circle (HSV) by `turn` of a whole turn. Grey pictures stay.
pub fn hue(picture: &mut Image, turn: f32) {
    if picture.channels != 3 {
        return;
    }
    let turn = turn.rem_euclid(1.0) * 6.0;
    // Channel by channel in blocks, so that the compiler does several pixels at once.
    for block in picture.pixels.chunks_mut(3 * BLOCK) {
        let mut channels = [[0f32; BLOCK]; 3];
        for (place, rgb) in block.chunks_exact(3).enumerate() {
            (0..3).for_each(|channel| channels[channel][place] = f32::from(rgb[channel]));
        }
        let turned = turn_hues(&channels, turn);
        for (place, rgb) in block.chunks_exact_mut(3).enumerate() {
            (0..3).for_each(|channel| rgb[channel] = turned[channel][place]);
        }
    }
}

/// Pixels that are turned together.
const BLOCK: usize = 32;

fn turn_hues([red, green, blue]: &[[f32; BLOCK]; 3], turn: f32) -> [[u8; BLOCK]; 3] {
    let (mut most, mut range, mut sector) = ([0f32; BLOCK], [0f32; BLOCK], [0f32; BLOCK]);
    for place in 0..BLOCK {
        let (r, g, b) = (red[place], green[place], blue[place]);
        let high = if r > g { r } else { g };
        let high = if high > b { high } else { b };
        let low = if r < g { r } else { g };
        let low = if low < b { low } else { b };
        let inverse = if high > low { 1.0 / (high - low) } else { 0.0 };
        let (by_red, by_green, by_blue) = ((g - b) * inverse + 6.0, (b - r) * inverse + 8.0, (r - g) * inverse + 10.0);
        let side = if high == g { by_green } else { by_blue };
        sector[place] = (if high == r { by_red } else { side }) + turn;
        (most[place], range[place]) = (high, high - low);
    }
    let mut turned = [[0u8; BLOCK]; 3];
    for (values, offset) in turned.iter_mut().zip([5.0, 3.0, 1.0]) {
        for place in 0..BLOCK {
            // From 5 to below 22, brought to below 6 without a division.
            let at = sector[place] + offset;
            let at = if at >= 12.0 { at - 12.0 } else { at };
            let at = if at >= 6.0 { at - 6.0 } else { at };
            let slope = if at < 4.0 - at { at } else { 4.0 - at };
            let slope = if slope < 0.0 { 0.0 } else { slope };
            let slope = if slope > 1.0 { 1.0 } else { slope };
            values[place] = (most[place] - range[place] * slope + 0.5) as i32 as u8;
        }
    }
    turned
}

/// Grey, on as many channels as before.
pub fn grey(picture: &mut Image) {
    if picture.channels == 3 {
        for rgb in picture.pixels.chunks_exact_mut(3) {
            rgb.fill(luma(rgb));
        }
    }
}

/// Inverts every value of at least `threshold`.
pub fn solarize(picture: &mut Image, threshold: u8) {
    map_bytes(picture, |value| if value >= threshold { 255 - value } else { value });
}

/// Keeps the upper `bits` of each value, 1 to 8.
pub fn posterize(picture: &mut Image, bits: u32) {
    let mask = !(0xffu32 >> bits.clamp(1, 8)) as u8;
    map_bytes(picture, |value| value & mask);
}

/// Stretches each channel so that its darkest value is 0 and its brightest 255.
pub fn auto_contrast(picture: &mut Image) {
    for_each_channel(picture, |counts| {
        let low = counts.iter().position(|&count| count > 0).unwrap_or(0);
        let high = counts.iter().rposition(|&count| count > 0).unwrap_or(0);
        let scale = if high > low { 255.0 / (high - low) as f64 } else { 0.0 };
        let stretch = |value: usize| if high > low { (value as f64 - low as f64) * scale } else { value as f64 };
        std::array::from_fn(|value| stretch(value).clamp(0.0, 255.0) as u8)
    });
}

/// Spreads each channel so that its values are about equally frequent (Pillow's integer arithmetic).
pub fn equalize(picture: &mut Image) {
    for_each_channel(picture, |counts| {
        let total: usize = counts.iter().sum();
        let last = counts.iter().rev().find(|&&count| count > 0).copied().unwrap_or(0);
        let step = (total - last) / 255;
        let mut sum = step / 2;
        std::array::from_fn(|value| {
            if step == 0 {
                return value as u8;
            }
            let level = (sum / step).min(255) as u8;
            sum += counts[value];
            level
        })
    });
}

fn for_each_channel(picture: &mut Image, table_of: impl Fn(&[usize; 256]) -> [u8; 256]) {
    for channel in 0..picture.channels {
        let mut counts = [0usize; 256];
        picture.pixels.iter().skip(channel).step_by(picture.channels).for_each(|&value| counts[value as usize] += 1);
        let table = table_of(&counts);
        for value in picture.pixels.iter_mut().skip(channel).step_by(picture.channels) {
            *value = table[*value as usize];
        }
    }
}

fn map(picture: &mut Image, change: impl Fn(f32) -> f32) {
    map_bytes(picture, |value| to_byte(change(f32::from(value))));
}

/// By a table: a change of single values costs one look-up each.
fn map_bytes(picture: &mut Image, change: impl Fn(u8) -> u8) {
    let table: [u8; 256] = std::array::from_fn(|value| change(value as u8));
    picture.pixels.iter_mut().for_each(|value| *value = table[*value as usize]);
}

/// Rounds and keeps within a byte.
#[inline]
pub(super) fn to_byte(value: f32) -> u8 {
    (value.clamp(0.0, 255.0) + 0.5) as i32 as u8
}
