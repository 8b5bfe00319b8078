//! Covering a part of a picture (random erasing, Zhong and others 2017; cutout). Boxes and masks stay, for what is
//! covered is still there; key points under the cover are no longer visible.

use super::Sample;
use super::geometry::draw_area;
use crate::augment::draws::Draws;

/// Covers a drawn part: a share `area` of the picture, `ratio` times as wide as high, with `fill` in every channel.
pub fn erase(sample: &mut Sample, area: [f64; 2], ratio: [f64; 2], fill: u8, draws: &mut Draws) {
    let picture = &mut sample.picture;
    let [left, top, columns, rows] = draw_area(picture.height, picture.width, area, ratio, draws);
    let stride = picture.width * picture.channels;
    for line in picture.pixels.chunks_exact_mut(stride.max(1)).skip(top).take(rows) {
        line[left * picture.channels..(left + columns) * picture.channels].fill(fill);
    }
    for point in &mut sample.key_points {
        let across = point.x >= left as f32 - 0.5 && point.x < (left + columns) as f32 - 0.5;
        let along = point.y >= top as f32 - 0.5 && point.y < (top + rows) as f32 - 0.5;
        point.visible &= !(across && along);
    }
}
