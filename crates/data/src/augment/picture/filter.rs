//! Changes that mix neighbouring pixels: gaussian blur, sharpness, JPEG compression. Boxes, masks and key points
//! stay as they are.

use super::colour::to_byte;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageFormat};
use lepton_core::image::Image;
use lepton_core::{Error, ErrorCode, Result};

/// Blurs with a gaussian of deviation `sigma` pixels, cut at four deviations; the picture is mirrored at its border
/// without repeating the border's own pixels (OpenCV's default).
pub fn gaussian_blur(picture: &mut Image, sigma: f64) {
    let radius = (4.0 * sigma).ceil().max(1.0) as usize;
    let weights: Vec<f64> = (0..=radius).map(|place| (-0.5 * (place as f64 / sigma).powi(2)).exp()).collect();
    let sum = weights[0] + 2.0 * weights[1..].iter().sum::<f64>();
    let weights: Vec<f32> = weights.iter().map(|weight| (weight / sum) as f32).collect();
    let (height, width, channels) = (picture.height, picture.width, picture.channels);
    if picture.pixels.is_empty() {
        return;
    }
    let stride = width * channels;
    // Along columns: whole rows are added up, so neighbouring values are done together.
    let mut rows = vec![0f32; picture.pixels.len()];
    let line = |row: usize| &picture.pixels[row * stride..(row + 1) * stride];
    for (row, sums) in rows.chunks_exact_mut(stride).enumerate() {
        sums.iter_mut().zip(line(row)).for_each(|(sum, &value)| *sum = weights[0] * f32::from(value));
        for (distance, &weight) in weights.iter().enumerate().skip(1) {
            let above = line(mirrored(row as isize - distance as isize, height));
            let below = line(mirrored((row + distance) as isize, height));
            for ((sum, &one), &other) in sums.iter_mut().zip(above).zip(below) {
                *sum += weight * (f32::from(one) + f32::from(other));
            }
        }
    }
    // Along rows: the same over a line that carries its mirrored border on both sides.
    let mut wide = vec![0f32; (width + 2 * radius) * channels];
    let mut sums = vec![0f32; stride];
    for (source, target) in rows.chunks_exact(stride).zip(picture.pixels.chunks_exact_mut(stride)) {
        for (place, pixel) in wide.chunks_exact_mut(channels).enumerate() {
            let from = mirrored(place as isize - radius as isize, width) * channels;
            pixel.copy_from_slice(&source[from..from + channels]);
        }
        sums.iter_mut().zip(source).for_each(|(sum, value)| *sum = weights[0] * value);
        for (distance, &weight) in weights.iter().enumerate().skip(1) {
            let left = &wide[(radius - distance) * channels..][..stride];
            let right = &wide[(radius + distance) * channels..][..stride];
            for ((sum, one), other) in sums.iter_mut().zip(left).zip(right) {
                *sum += weight * (one + other);
            }
        }
        target.iter_mut().zip(&sums).for_each(|(value, &sum)| *value = to_byte(sum));
    }
}

/// The place inside `0..length` that `place` is mirrored to, without repeating the ends.
fn mirrored(place: isize, length: usize) -> usize {
    let period = (2 * length as isize - 2).max(1);
    let place = place.rem_euclid(period);
    if place < length as isize { place as usize } else { (period - place) as usize }
}

/// Away from a smoothed picture by `factor`: 0 is smooth, 1 the same, 2 sharper (Pillow's `ImageEnhance.Sharpness`;
/// the outermost pixels stay).
pub fn sharpness(picture: &mut Image, factor: f32) {
    let (height, width, channels) = (picture.height, picture.width, picture.channels);
    let source = picture.pixels.clone();
    for row in 1..height.saturating_sub(1) {
        for place in channels..(width.saturating_sub(1)) * channels {
            let here = row * width * channels + place;
            let mut sum = 0u32;
            for line in [here - width * channels, here, here + width * channels] {
                sum +=
                    u32::from(source[line - channels]) + u32::from(source[line]) + u32::from(source[line + channels]);
            }
            // The middle counts five times, the eight around it once.
            let smooth = ((sum + 4 * u32::from(source[here])) as f32 / 13.0 + 0.5).floor();
            picture.pixels[here] = to_byte(smooth + (f32::from(source[here]) - smooth) * factor);
        }
    }
}

/// Writes the picture as JPEG of that quality, 1 to 100, and reads it back.
///
/// # Errors
/// [`ErrorCode::BadData`] for a picture that JPEG cannot hold: no pixels, or a side above 65,535.
pub fn jpeg(picture: &mut Image, quality: u8) -> Result<()> {
    let refuse = |source: image::ImageError| {
        let text = format!("a picture of {} x {} cannot be kept as JPEG: {source}", picture.height, picture.width);
        Error::new(ErrorCode::BadData, text)
    };
    let colour = if picture.channels == 3 { ExtendedColorType::Rgb8 } else { ExtendedColorType::L8 };
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
    encoder_write(encoder, picture, colour).map_err(refuse)?;
    let decoded = image::load_from_memory_with_format(&bytes, ImageFormat::Jpeg).map_err(refuse)?;
    picture.pixels = match picture.channels {
        3 => decoded.into_rgb8().into_raw(),
        _ => decoded.into_luma8().into_raw(),
    };
    Ok(())
}

fn encoder_write(
    mut encoder: JpegEncoder<&mut Vec<u8>>,
    picture: &Image,
    colour: ExtendedColorType,
) -> image::ImageResult<()> {
    encoder.encode(&picture.pixels, picture.width as u32, picture.height as u32, colour)
}
