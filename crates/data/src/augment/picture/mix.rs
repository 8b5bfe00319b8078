//! Changes that mix several rows: mixup, cutmix and mosaic. What comes out is of several classes, each with a share;
//! the shares are the row's target.

use super::Sample;
use super::colour::{luma, to_byte};
use super::geometry::{Homography, Move};
use crate::augment::draws::Draws;
use lepton_core::image::Image;
use lepton_core::{BoundingBox, Mask};

/// `share` of one picture over the other (Zhang and others, 2017). Boxes and key points of both stay; the masks are
/// those of the picture with the larger share.
pub fn mixup(one: &Sample, other: &Sample, share: f32) -> Sample {
    let other = fitted(other, &one.picture);
    let pairs = one.picture.pixels.iter().zip(&other.picture.pixels);
    let pixels = pairs.map(|(&a, &b)| to_byte(f32::from(a) * share + f32::from(b) * (1.0 - share))).collect();
    let masks = if share >= 0.5 { one.masks.clone() } else { other.masks };
    Sample {
        picture: Image { pixels, ..one.picture.clone() },
        boxes: one.boxes.iter().cloned().chain(other.boxes).collect(),
        key_points: one.key_points.iter().copied().chain(other.key_points).collect(),
        masks,
    }
}

/// One picture with a drawn part of the other in its place (Yun and others, 2019), and the share of the first in what
/// comes out. The part covers what is under it: boxes of the first that lie wholly under it vanish, its key points
/// there are no longer visible.
pub fn cutmix(one: &Sample, other: &Sample, share: f64, draws: &mut Draws) -> (Sample, f32) {
    let (height, width) = (one.picture.height, one.picture.width);
    // A part of the same shape as the picture around a drawn centre, cut at the border.
    let side = (1.0 - share).max(0.0).sqrt();
    let half = |length: usize| (side * length as f64 / 2.0).round() as usize;
    let (x, y) = (draws.below(width), draws.below(height));
    let (left, right) = (x.saturating_sub(half(width)), (x + half(width)).min(width));
    let (top, bottom) = (y.saturating_sub(half(height)), (y + half(height)).min(height));
    let part = Part { left, top, columns: right - left, rows: bottom - top };
    let mut mixed = one.clone();
    if part.area() > 0 {
        paste(&mut mixed, &fitted(other, &one.picture), part, [left, top]);
    }
    (mixed, 1.0 - part.area() as f32 / (height * width).max(1) as f32)
}

/// Parts of four pictures around a drawn point (Bochkovskiy and others, 2020), as large as the first, and the share of
/// each. Boxes move along and are cut at the border of their part.
pub fn mosaic(pictures: [&Sample; 4], draws: &mut Draws) -> (Sample, [f32; 4]) {
    let first = &pictures[0].picture;
    let (height, width) = (first.height, first.width);
    let mut middle = |side: usize| ((draws.between([0.25, 0.75]) * side as f64).round() as usize).min(side);
    let (x, y) = (middle(width), middle(height));
    let mut mixed = Sample {
        picture: Image { pixels: vec![0; first.pixels.len()], ..*first },
        boxes: Vec::new(),
        key_points: Vec::new(),
        masks: pictures[0].masks.iter().map(|_| Mask::empty(height, width)).collect(),
    };
    let parts = [
        Part { left: 0, top: 0, columns: x, rows: y },
        Part { left: x, top: 0, columns: width - x, rows: y },
        Part { left: 0, top: y, columns: x, rows: height - y },
        Part { left: x, top: y, columns: width - x, rows: height - y },
    ];
    let mut shares = [0.0; 4];
    for ((sample, part), share) in pictures.into_iter().zip(parts).zip(&mut shares) {
        let from = [draws.below(width - part.columns + 1), draws.below(height - part.rows + 1)];
        if part.area() > 0 {
            paste(&mut mixed, &fitted(sample, first), part, from);
        }
        *share = part.area() as f32 / (height * width).max(1) as f32;
    }
    (mixed, shares)
}

/// A rectangle of whole pixels.
#[derive(Clone, Copy)]
struct Part {
    left: usize,
    top: usize,
    columns: usize,
    rows: usize,
}

impl Part {
    fn area(self) -> usize {
        self.columns * self.rows
    }

    fn as_box(self) -> BoundingBox {
        BoundingBox {
            left: self.left as f32,
            top: self.top as f32,
            width: self.columns as f32,
            height: self.rows as f32,
            label: String::new(),
        }
    }
}

/// Puts the part of `source` that begins at `from` (x before y) over `part` of `target`; both have one size.
fn paste(target: &mut Sample, source: &Sample, part: Part, from: [usize; 2]) {
    let (width, channels) = (target.picture.width, target.picture.channels);
    copy_part(&mut target.picture.pixels, &source.picture.pixels, width * channels, channels, part, from);
    for (index, mask) in target.masks.iter_mut().enumerate() {
        let empty = Mask::empty(mask.height, mask.width);
        let values = &source.masks.get(index).unwrap_or(&empty).values;
        copy_part(&mut mask.values, values, width, 1, part, from);
    }
    let cover = part.as_box();
    target.boxes.retain(|area| area.intersection(&cover).is_none_or(|common| common.area() < area.area()));
    for point in &mut target.key_points {
        point.visible &= !holds(&cover, point.x, point.y);
    }
    let (right, down) = (part.left as f32 - from[0] as f32, part.top as f32 - from[1] as f32);
    target.boxes.extend(source.boxes.iter().filter_map(|area| {
        BoundingBox { left: area.left + right, top: area.top + down, ..area.clone() }.intersection(&cover)
    }));
    target.key_points.extend(source.key_points.iter().map(|point| {
        let (x, y) = (point.x + right, point.y + down);
        lepton_core::KeyPoint { x, y, visible: point.visible && holds(&cover, x, y) }
    }));
}

fn holds(area: &BoundingBox, x: f32, y: f32) -> bool {
    let (x, y) = (x + 0.5, y + 0.5);
    x >= area.left && x < area.right() && y >= area.top && y < area.bottom()
}

fn copy_part(target: &mut [u8], source: &[u8], stride: usize, size: usize, part: Part, from: [usize; 2]) {
    for row in 0..part.rows {
        let to = (part.top + row) * stride + part.left * size;
        let start = (from[1] + row) * stride + from[0] * size;
        target[to..to + part.columns * size].copy_from_slice(&source[start..start + part.columns * size]);
    }
}

/// The sample at the size and with the channels of `like`.
fn fitted(sample: &Sample, like: &Image) -> Sample {
    let Image { height, width, channels, .. } = sample.picture;
    let mut fitted = sample.clone();
    if (height, width) != (like.height, like.width) {
        let map = Homography::area([0.0, 0.0, width as f64, height as f64], like.height, like.width);
        fitted = Move { map, height: like.height, width: like.width }.apply(fitted);
    }
    let picture = &mut fitted.picture;
    match (channels, like.channels) {
        (3, 1) => picture.pixels = picture.pixels.chunks_exact(3).map(luma).collect(),
        (1, 3) => picture.pixels = picture.pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
        _ => {}
    }
    picture.channels = like.channels;
    fitted
}
