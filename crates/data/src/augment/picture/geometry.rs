//! Where the content of a picture goes: maps of the plane (homographies), how they are drawn, and how pixels,
//! masks, boxes and key points follow them. Sampling pixels is in `warp`.

use super::Sample;
use super::warp::{warp, warp_mask};
use crate::augment::draws::Draws;
use lepton_core::{BoundingBox, Error, ErrorCode, KeyPoint, Result};

/// A map of the plane, `x, y` in pixels with 0 at the centre of the first pixel, to homogeneous coordinates; row
/// by row. The last row of an affine map is `0, 0, 1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Homography(pub [f64; 9]);

impl Homography {
    /// Leaves everything where it is.
    pub const IDENTITY: Homography = Homography([1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);

    /// Moves content right and down by that many pixels.
    pub fn shift(right: f64, down: f64) -> Homography {
        Homography([1.0, 0.0, right, 0.0, 1.0, down, 0.0, 0.0, 1.0])
    }

    /// A linear map `[a, b, c, d]` (`x' = a x + b y`, `y' = c x + d y`) about the middle of a picture.
    pub fn about_centre([a, b, c, d]: [f64; 4], height: usize, width: usize) -> Homography {
        let (x, y) = centre(height, width);
        Homography::shift(-x, -y)
            .then(&Homography([a, b, 0.0, c, d, 0.0, 0.0, 0.0, 1.0]))
            .then(&Homography::shift(x, y))
    }

    /// Turns content counter-clockwise as seen on the screen, and lets it grow by `factor`, about the middle.
    pub fn rotation(degrees: f64, factor: f64, height: usize, width: usize) -> Homography {
        let (sin, cos) = degrees.to_radians().sin_cos();
        Homography::about_centre([factor * cos, factor * sin, -factor * sin, factor * cos], height, width)
    }

    /// Mirrors left and right.
    pub fn flip_horizontal(width: usize) -> Homography {
        Homography([-1.0, 0.0, width as f64 - 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0])
    }

    /// Mirrors top and bottom.
    pub fn flip_vertical(height: usize) -> Homography {
        Homography([1.0, 0.0, 0.0, 0.0, -1.0, height as f64 - 1.0, 0.0, 0.0, 1.0])
    }

    /// The area of that many columns and rows at `left`, `top` (edge coordinates) stretched over a whole picture of
    /// `width` and `height`.
    pub fn area([left, top, columns, rows]: [f64; 4], height: usize, width: usize) -> Homography {
        let (x, y) = (width as f64 / columns, height as f64 / rows);
        // Edges meet edges; a centre lies half a pixel inside of its edge.
        let (right, down) = ((0.5 - left) * x - 0.5, (0.5 - top) * y - 0.5);
        Homography([x, 0.0, right, 0.0, y, down, 0.0, 0.0, 1.0])
    }

    /// The map that takes four points to four others; `None` where three of a kind lie on one line.
    pub fn from_points(from: [[f64; 2]; 4], to: [[f64; 2]; 4]) -> Option<Homography> {
        // Eight equations for eight unknowns, solved by elimination with the largest pivot of each column.
        let mut rows = [[0.0; 9]; 8];
        for (index, ([x, y], [u, v])) in from.into_iter().zip(to).enumerate() {
            rows[2 * index] = [x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y, u];
            rows[2 * index + 1] = [0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y, v];
        }
        for column in 0..8 {
            let pivot = (column..8).max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs()))?;
            rows.swap(column, pivot);
            if rows[column][column].abs() < 1e-12 {
                return None;
            }
            let pivot = rows[column];
            for row in rows.iter_mut().enumerate().filter(|(row, _)| *row != column).map(|(_, row)| row) {
                let share = row[column] / pivot[column];
                row.iter_mut().zip(pivot).for_each(|(value, pivot)| *value -= share * pivot);
            }
        }
        let mut values = [1.0; 9];
        (0..8).for_each(|index| values[index] = rows[index][8] / rows[index][index]);
        Some(Homography(values))
    }

    /// This map, and `next` after it.
    #[must_use]
    pub fn then(&self, next: &Homography) -> Homography {
        let mut product = [0.0; 9];
        for (place, value) in product.iter_mut().enumerate() {
            let (row, column) = (place / 3, place % 3);
            *value = (0..3).map(|k| next.0[3 * row + k] * self.0[3 * k + column]).sum();
        }
        Homography(product)
    }

    /// The way back; `None` for a map that flattens the plane.
    pub fn inverse(&self) -> Option<Homography> {
        let [a, b, c, d, e, f, g, h, i] = self.0;
        let (p, q, r) = (e * i - f * h, f * g - d * i, d * h - e * g);
        let determinant = a * p + b * q + c * r;
        if !determinant.is_finite() || determinant.abs() < 1e-12 {
            return None;
        }
        let cofactors =
            [p, c * h - b * i, b * f - c * e, q, a * i - c * g, c * d - a * f, r, b * g - a * h, a * e - b * d];
        Some(Homography(cofactors.map(|value| value / determinant)))
    }

    /// Where a point goes; `None` at or behind the horizon.
    pub fn apply(&self, x: f64, y: f64) -> Option<[f64; 2]> {
        let [a, b, c, d, e, f, g, h, i] = self.0;
        let depth = g * x + h * y + i;
        (depth > 1e-9).then(|| [(a * x + b * y + c) / depth, (d * x + e * y + f) / depth])
    }

    /// Whether lines that were parallel stay so.
    pub fn is_affine(&self) -> bool {
        self.0[6..] == [0.0, 0.0, 1.0]
    }
}

/// The middle of a picture, x before y, in centre coordinates.
fn centre(height: usize, width: usize) -> (f64, f64) {
    ((width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0)
}

/// A map under way: geometric steps in a row become one, so that pixels are sampled once.
#[derive(Clone, Copy, Debug)]
pub struct Move {
    /// From the places of the picture to those of the result.
    pub map: Homography,
    /// Rows of the result.
    pub height: usize,
    /// Columns of the result.
    pub width: usize,
}

impl Move {
    /// Nothing yet, on a picture of that size.
    pub fn start(height: usize, width: usize) -> Move {
        Move { map: Homography::IDENTITY, height, width }
    }

    /// Adds a map of the plane.
    pub fn add(&mut self, map: &Homography) {
        self.map = self.map.then(map);
    }

    /// Cuts out `height` x `width` pixels at a place that is drawn.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] for a picture that is smaller.
    pub fn crop(&mut self, height: usize, width: usize, draws: &mut Draws) -> Result<()> {
        if height > self.height || width > self.width {
            let text = format!("a picture of {} x {} has no crop of {height} x {width}", self.height, self.width);
            return Err(Error::new(ErrorCode::BadData, text)
                .fix("crop less, or use resized_crop, whose size is a share of the picture"));
        }
        let (top, left) = (draws.below(self.height - height + 1), draws.below(self.width - width + 1));
        self.add(&Homography::shift(-(left as f64), -(top as f64)));
        (self.height, self.width) = (height, width);
        Ok(())
    }

    /// Stretches a drawn part over the whole picture: a share `area` of it, `ratio` times as wide as high
    /// (Szegedy and others 2014, as torchvision does it).
    pub fn resized_crop(&mut self, area: [f64; 2], ratio: [f64; 2], draws: &mut Draws) {
        let part = draw_area(self.height, self.width, area, ratio, draws);
        self.add(&Homography::area(part.map(|side| side as f64), self.height, self.width));
    }

    /// Moves each corner inward by up to `amount` of the sides.
    pub fn perspective(&mut self, amount: f64, draws: &mut Draws) {
        let (right, bottom) = (self.width as f64 - 1.0, self.height as f64 - 1.0);
        let from = [[0.0, 0.0], [right, 0.0], [right, bottom], [0.0, bottom]];
        let to = from.map(|[x, y]| {
            let (inward_x, inward_y) = (draws.unit() * amount * right, draws.unit() * amount * bottom);
            [if x > 0.0 { x - inward_x } else { inward_x }, if y > 0.0 { y - inward_y } else { inward_y }]
        });
        // A picture that is one pixel wide has no perspective.
        if let Some(map) = Homography::from_points(from, to) {
            self.add(&map);
        }
    }

    /// Slants columns and rows by up to `degrees` each, about the middle.
    pub fn shear(&mut self, degrees: f64, draws: &mut Draws) {
        let (x, y) = (draws.within(degrees).to_radians().tan(), draws.within(degrees).to_radians().tan());
        // Across, then along: both amounts at their bound still leave the content its area.
        let along = Homography::about_centre([1.0, 0.0, y, 1.0], self.height, self.width);
        self.add(&Homography::about_centre([1.0, x, 0.0, 1.0], self.height, self.width).then(&along));
    }

    /// Moves a sample and everything that is marked on it. Pixels and masks from outside of the picture are 0; boxes
    /// become the upright box around their moved corners, cut at the border, and vanish when nothing of them is
    /// left; key points outside are no longer visible.
    pub fn apply(&self, sample: Sample) -> Sample {
        let (height, width) = (self.height, self.width);
        let same_size = (height, width) == (sample.picture.height, sample.picture.width);
        if self.map == Homography::IDENTITY && same_size {
            return sample;
        }
        let inverse = self.map.inverse();
        Sample {
            picture: warp(sample.picture.as_ref(), inverse.as_ref(), height, width),
            masks: sample.masks.iter().map(|mask| warp_mask(mask, inverse.as_ref(), height, width)).collect(),
            boxes: sample.boxes.iter().filter_map(|area| move_box(&self.map, area)?.clipped(height, width)).collect(),
            key_points: sample.key_points.iter().map(|point| move_point(&self.map, *point, height, width)).collect(),
        }
    }
}

fn move_box(map: &Homography, area: &BoundingBox) -> Option<BoundingBox> {
    let corners =
        [[area.left, area.top], [area.right(), area.top], [area.left, area.bottom()], [area.right(), area.bottom()]];
    let mut bounds = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
    for [x, y] in corners {
        // Edge coordinates to those of centres and back.
        let [x, y] = map.apply(f64::from(x) - 0.5, f64::from(y) - 0.5)?;
        bounds = [bounds[0].min(x), bounds[1].min(y), bounds[2].max(x), bounds[3].max(y)];
    }
    let [left, top, right, bottom] = bounds.map(|place| (place + 0.5) as f32);
    Some(BoundingBox::from_corners([left, top], [right, bottom], area.label.clone()))
}

fn move_point(map: &Homography, point: KeyPoint, height: usize, width: usize) -> KeyPoint {
    match map.apply(f64::from(point.x), f64::from(point.y)) {
        Some([x, y]) => KeyPoint { x: x as f32, y: y as f32, visible: point.visible }.clipped(height, width),
        None => KeyPoint { visible: false, ..point },
    }
}

/// A drawn part `[left, top, columns, rows]` of a picture: a share `area` of it, `ratio` times as wide as high. After
/// ten draws that do not fit, the largest part in the middle whose ratio is allowed.
pub(super) fn draw_area(height: usize, width: usize, area: [f64; 2], ratio: [f64; 2], draws: &mut Draws) -> [usize; 4] {
    let whole = (height * width) as f64;
    for _ in 0..10 {
        let (target, shape) = (whole * draws.between(area), draws.between_logs(ratio));
        let (columns, rows) = ((target * shape).sqrt().round() as usize, (target / shape).sqrt().round() as usize);
        if (1..=width).contains(&columns) && (1..=height).contains(&rows) {
            return [draws.below(width - columns + 1), draws.below(height - rows + 1), columns, rows];
        }
    }
    let shape = (width as f64 / height as f64).clamp(ratio[0], ratio[1]);
    let columns = ((height as f64 * shape).round() as usize).clamp(1, width);
    let rows = ((columns as f64 / shape).round() as usize).clamp(1, height);
    [(width - columns) / 2, (height - rows) / 2, columns, rows]
}
