//! What is marked on a picture, drawn onto it: masks as a tint, boxes as outlines, key points as crosses.

use lepton_core::image::Image;
use lepton_data::Sample;

/// Colours of the marks, one for each box or mask in turn.
const COLOURS: [[u8; 3]; 4] = [[255, 140, 0], [0, 170, 255], [230, 60, 160], [60, 190, 90]];

/// The picture with its annotations; as it is where there are none.
pub(super) fn annotated(sample: &Sample) -> Image {
    if sample.boxes.is_empty() && sample.masks.is_empty() && sample.key_points.is_empty() {
        return sample.picture.clone();
    }
    let mut picture = coloured(&sample.picture);
    for (mask, colour) in sample.masks.iter().zip(COLOURS.iter().cycle()) {
        for (pixel, _) in picture.pixels.chunks_exact_mut(3).zip(&mask.values).filter(|(_, value)| **value > 0) {
            pixel.iter_mut().zip(colour).for_each(|(value, tint)| *value = value.midpoint(*tint));
        }
    }
    for (area, colour) in sample.boxes.iter().zip(COLOURS.iter().cycle()) {
        let (left, right) = (area.left.floor() as i64, area.right().ceil() as i64 - 1);
        let (top, bottom) = (area.top.floor() as i64, area.bottom().ceil() as i64 - 1);
        (left..=right).for_each(|x| [top, bottom].iter().for_each(|&y| set(&mut picture, x, y, colour)));
        (top..=bottom).for_each(|y| [left, right].iter().for_each(|&x| set(&mut picture, x, y, colour)));
    }
    for point in sample.key_points.iter().filter(|point| point.visible) {
        let (x, y) = (point.x.round() as i64, point.y.round() as i64);
        (-2..=2).for_each(|step| {
            set(&mut picture, x + step, y, &[255, 0, 0]);
            set(&mut picture, x, y + step, &[255, 0, 0]);
        });
    }
    picture
}

/// The picture with three channels.
pub(super) fn coloured(picture: &Image) -> Image {
    let pixels = match picture.channels {
        3 => picture.pixels.clone(),
        _ => picture.pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
    };
    Image { channels: 3, pixels, ..*picture }
}

fn set(picture: &mut Image, x: i64, y: i64, colour: &[u8; 3]) {
    if (0..picture.width as i64).contains(&x) && (0..picture.height as i64).contains(&y) {
        let start = (y as usize * picture.width + x as usize) * 3;
        picture.pixels[start..start + 3].copy_from_slice(colour);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_core::{BoundingBox, KeyPoint, Mask};

    #[test]
    fn boxes_are_outlined_masks_tinted_and_points_crossed() {
        let grey = Image { height: 8, width: 9, channels: 1, pixels: vec![100; 72] };
        let mut sample = Sample::of_picture(grey.as_ref());
        assert_eq!(annotated(&sample), grey);
        let area = BoundingBox { left: 1.0, top: 2.0, width: 3.0, height: 4.0, label: "a".into() };
        let mut mask = Mask::empty(8, 9);
        mask.fill(&area, 1);
        sample.masks.push(mask);
        sample.boxes.push(area);
        sample.key_points.push(KeyPoint { x: 7.0, y: 1.0, visible: true });
        sample.key_points.push(KeyPoint { x: 7.0, y: 7.0, visible: false });
        let drawn = annotated(&sample);
        let at = |y: usize, x: usize| &drawn.pixels[(y * 9 + x) * 3..][..3];
        assert_eq!((at(2, 1), at(5, 3), at(2, 3)), (&COLOURS[0][..], &COLOURS[0][..], &COLOURS[0][..]));
        assert_eq!(at(3, 2), [177, 120, 50], "inside of the box is tinted");
        assert_eq!((at(1, 7), at(3, 7), at(7, 7)), (&[255, 0, 0][..], &[255, 0, 0][..], &[100; 3][..]));
        assert_eq!(at(2, 4), [100; 3]);
    }
}
