//! The grid of predictions: each picture as an inline PNG, its prediction, its probability and, where the
//! prediction is wrong, the truth. Right and wrong differ by sign, words and frame, not by colour alone.

use image::{ExtendedColorType, ImageEncoder as _, codecs::png::PngEncoder};
use lepton_core::image::Image;
use lepton_core::{CaptionedPicture, PictureCell};
use maud::{Markup, html};

/// Labels up to this many characters fit under a picture on a telephone.
const SHORT_LABEL: usize = 4;

/// The grid with a heading that counts the mistakes.
pub(super) fn draw(title: &str, cells: &[PictureCell]) -> Markup {
    let right = cells.iter().filter(|cell| cell.truth == cell.predicted).count();
    let long = cells.iter().any(|cell| cell.truth.chars().count().max(cell.predicted.chars().count()) > SHORT_LABEL);
    html! {
        figure {
            figcaption { (title) }
            @if right > 0 { p.muted { (right) " of " (cells.len()) " right." } }
            ol.pictures.long[long] { @for cell in cells { li { (picture(cell)) } } }
        }
    }
}

/// Pictures with a line under each, `columns` in a row.
pub(super) fn captioned(title: &str, columns: usize, cells: &[CaptionedPicture]) -> Markup {
    html! {
        figure {
            figcaption { (title) }
            ol.pictures style={ "--columns:" (columns.clamp(1, 10)) } { @for cell in cells { li { div.picture {
                (drawing(&cell.image, &cell.caption))
                p.probability { (cell.caption) }
            } } } }
        }
    }
}

fn drawing(image: &Image, said: &str) -> Markup {
    html! {
        @match data_uri(image) {
            Some(uri) => img src=(uri) alt=(said) width=(image.width) height=(image.height);,
            None => div.broken role="img" aria-label=(said) { "no picture" },
        }
    }
}

fn picture(cell: &PictureCell) -> Markup {
    let right = cell.truth == cell.predicted;
    let probability = format!("{:.1}\u{a0}%", cell.probability * 100.0);
    let said = format!("Predicted {} with {probability}; the truth is {}.", cell.predicted, cell.truth);
    html! {
        div.picture.miss[!right] {
            (drawing(&cell.image, &said))
            p.answer {
                @if right { span.sign.good aria-hidden="true" { "✓" } " " b { (cell.predicted) } }
                @else { span.sign.bad aria-hidden="true" { "✗" } " " b { (cell.predicted) } span.truth { "is " (cell.truth) } }
            }
            p.probability { (probability) }
        }
    }
}

/// A `data:` URI of the picture as PNG; `None` when its buffer does not have the size that its sides say.
fn data_uri(image: &Image) -> Option<String> {
    let colour = match image.channels {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        _ => return None,
    };
    let expected = image.height.checked_mul(image.width)?.checked_mul(image.channels)?;
    if expected == 0 || expected != image.pixels.len() {
        return None;
    }
    let (width, height) = (u32::try_from(image.width).ok()?, u32::try_from(image.height).ok()?);
    let mut png = Vec::new();
    PngEncoder::new(&mut png).write_image(&image.pixels, width, height, colour).ok()?;
    Some(png_uri(&png))
}

/// A `data:` URI of bytes that are a PNG already.
pub(super) fn png_uri(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", base64(png))
}

/// Base64 with padding, RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = at(0) << 16 | at(1) << 8 | at(2);
        for index in 0..4 {
            let symbol = ALPHABET[(group >> (18 - 6 * index) & 63) as usize];
            text.push(if index <= chunk.len() { char::from(symbol) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_matches_the_vectors_of_the_standard() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn a_picture_whose_buffer_is_short_is_not_drawn() {
        let cell = |pixels| PictureCell {
            image: Image { height: 2, width: 2, channels: 1, pixels },
            truth: "4".into(),
            predicted: "9".into(),
            probability: 0.5,
        };
        assert!(picture(&cell(vec![0; 4])).into_string().contains("data:image/png;base64,"));
        let broken = picture(&cell(vec![0; 3])).into_string();
        assert!(broken.contains("no picture") && broken.contains("Predicted 9"));
    }
}
