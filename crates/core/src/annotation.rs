//! What is marked on a picture: boxes, key points and masks. Dataset readers give them, augmentation moves them
//! along with the pixels, figures draw them.
//!
//! Units are pixels, x to the right and y down. Boxes are measured along the edges of pixels: the pixel in column
//! `i` spans `i` to `i + 1`, so a box over the whole picture is `0, 0, width, height` (COCO). Key points name the
//! centres of pixels: `x = 3.0` is the middle of column 3, which lies at edge coordinate 3.5.

use crate::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

/// An upright rectangle around one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundingBox {
    /// Edge coordinate of its left side, in pixels.
    pub left: f32,
    /// Edge coordinate of its upper side, in pixels.
    pub top: f32,
    /// Pixels from left to right; above 0 in a valid box.
    pub width: f32,
    /// Pixels from top to bottom; above 0 in a valid box.
    pub height: f32,
    /// The class that the object is of.
    pub label: String,
}

impl BoundingBox {
    /// The box between two corners in any order.
    pub fn from_corners(one: [f32; 2], other: [f32; 2], label: impl Into<String>) -> BoundingBox {
        let (left, right) = (one[0].min(other[0]), one[0].max(other[0]));
        let (top, bottom) = (one[1].min(other[1]), one[1].max(other[1]));
        BoundingBox { left, top, width: right - left, height: bottom - top, label: label.into() }
    }

    /// Edge coordinate of its right side.
    pub fn right(&self) -> f32 {
        self.left + self.width
    }

    /// Edge coordinate of its lower side.
    pub fn bottom(&self) -> f32 {
        self.top + self.height
    }

    /// Its middle in edge coordinates, x before y.
    pub fn centre(&self) -> [f32; 2] {
        [self.left + self.width / 2.0, self.top + self.height / 2.0]
    }

    /// Square pixels; 0 for a box that is not valid.
    pub fn area(&self) -> f32 {
        if self.is_valid() { self.width * self.height } else { 0.0 }
    }

    /// Whether all numbers are finite and both sides are above 0.
    pub fn is_valid(&self) -> bool {
        self.left.is_finite()
            && self.top.is_finite()
            && self.width.is_finite()
            && self.height.is_finite()
            && self.width > 0.0
            && self.height > 0.0
    }

    /// The part of it inside a picture of `height` rows and `width` columns; `None` where nothing is left.
    pub fn clipped(&self, height: usize, width: usize) -> Option<BoundingBox> {
        let frame =
            BoundingBox { left: 0.0, top: 0.0, width: width as f32, height: height as f32, label: String::new() };
        self.intersection(&frame)
    }

    /// What this box and `other` have in common, with this box's label; `None` where that has no area.
    pub fn intersection(&self, other: &BoundingBox) -> Option<BoundingBox> {
        let (left, top) = (self.left.max(other.left), self.top.max(other.top));
        let (right, bottom) = (self.right().min(other.right()), self.bottom().min(other.bottom()));
        let common = BoundingBox { left, top, width: right - left, height: bottom - top, label: self.label.clone() };
        (self.is_valid() && other.is_valid() && common.is_valid()).then_some(common)
    }

    /// Area in common over area of both together, 0 to 1 (Jaccard).
    pub fn intersection_over_union(&self, other: &BoundingBox) -> f32 {
        let common = self.intersection(other).map_or(0.0, |common| common.area());
        if common == 0.0 { 0.0 } else { common / (self.area() + other.area() - common) }
    }

    /// Refuses a box with a number that is not finite or without area.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`], which says the box.
    pub fn check(&self) -> Result<()> {
        if self.is_valid() {
            return Ok(());
        }
        let BoundingBox { left, top, width, height, label } = self;
        let sides = format!("left {left}, top {top}, width {width}, height {height}");
        Err(Error::new(ErrorCode::BadData, format!("the box of \"{label}\" has no area: {sides}")))
    }
}

/// A marked place, for example a joint of a body.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPoint {
    /// Column, 0 at the centre of the leftmost pixel.
    pub x: f32,
    /// Row, 0 at the centre of the topmost pixel.
    pub y: f32,
    /// Whether it can be seen; a place that is hidden or outside of the picture keeps its number and is not.
    pub visible: bool,
}

impl KeyPoint {
    /// Whether it lies on a pixel of a picture of `height` rows and `width` columns.
    pub fn is_inside(&self, height: usize, width: usize) -> bool {
        let within = |place: f32, side: usize| place >= -0.5 && place < side as f32 - 0.5;
        within(self.x, width) && within(self.y, height)
    }

    /// The same place, not visible where it lies outside of a picture of that size.
    pub fn clipped(&self, height: usize, width: usize) -> KeyPoint {
        KeyPoint { visible: self.visible && self.is_inside(height, width), ..*self }
    }
}

/// One byte per pixel beside a picture of the same size: class indices of a segmentation, where 0 is the background,
/// or the grey values of a matte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Rows of pixels.
    pub height: usize,
    /// Pixels per row.
    pub width: usize,
    /// `height * width` bytes, row by row.
    pub values: Vec<u8>,
}

impl Mask {
    /// A mask of that size over `values`.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`] when there are not `height * width` values.
    pub fn new(height: usize, width: usize, values: Vec<u8>) -> Result<Mask> {
        if height.checked_mul(width) != Some(values.len()) {
            let text = format!("a mask of {height} x {width} pixels has {} values", values.len());
            return Err(Error::new(ErrorCode::Shape, text));
        }
        Ok(Mask { height, width, values })
    }

    /// A mask of that size with nothing but background.
    pub fn empty(height: usize, width: usize) -> Mask {
        Mask { height, width, values: vec![0; height * width] }
    }

    /// The value at row `y` and column `x`; 0 outside.
    pub fn at(&self, y: usize, x: usize) -> u8 {
        if x < self.width { self.values.get(y * self.width + x).copied().unwrap_or(0) } else { 0 }
    }

    /// How many pixels hold `value`.
    pub fn area(&self, value: u8) -> usize {
        self.values.iter().filter(|&&other| other == value).count()
    }

    /// Sets every pixel whose centre lies in `area` to `value`.
    pub fn fill(&mut self, area: &BoundingBox, value: u8) {
        // Centres lie half a pixel inside of the edges.
        let first = |edge: f32| (edge - 0.5).ceil().max(0.0) as usize;
        let (left, right) = (first(area.left), first(area.right()).min(self.width));
        for y in first(area.top)..first(area.bottom()).min(self.height) {
            if left < right {
                self.values[y * self.width + left..y * self.width + right].fill(value);
            }
        }
    }

    /// The smallest box around all pixels that hold `value`; `None` where there are none.
    pub fn bounding_box(&self, value: u8, label: impl Into<String>) -> Option<BoundingBox> {
        let mut corners: Option<[usize; 4]> = None;
        for (place, _) in self.values.iter().enumerate().filter(|(_, other)| **other == value) {
            let (y, x) = (place / self.width, place % self.width);
            let [left, top, right, bottom] = corners.unwrap_or([x, y, x, y]);
            corners = Some([left.min(x), top.min(y), right.max(x), bottom.max(y)]);
        }
        let [left, top, right, bottom] = corners?;
        Some(BoundingBox::from_corners([left as f32, top as f32], [right as f32 + 1.0, bottom as f32 + 1.0], label))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(left: f32, top: f32, width: f32, height: f32) -> BoundingBox {
        BoundingBox { left, top, width, height, label: "cat".to_owned() }
    }

    #[test]
    fn boxes_are_clipped_to_the_picture() {
        assert_eq!(of(-2.0, 1.0, 5.0, 3.5).clipped(4, 10), Some(of(0.0, 1.0, 3.0, 3.0)));
        assert_eq!(of(1.0, 1.0, 2.0, 2.0).clipped(4, 4), Some(of(1.0, 1.0, 2.0, 2.0)));
        for outside in [of(10.0, 0.0, 2.0, 2.0), of(-3.0, 0.0, 3.0, 2.0), of(0.0, 0.0, 0.0, 2.0)] {
            assert_eq!(outside.clipped(4, 10), None);
        }
    }

    #[test]
    fn areas_and_their_overlap() {
        assert_eq!(of(0.0, 0.0, 2.0, 3.0).area(), 6.0);
        assert_eq!(of(0.0, 0.0, -2.0, 3.0).area(), 0.0);
        assert_eq!(of(0.0, 0.0, 2.0, 2.0).intersection_over_union(&of(1.0, 0.0, 2.0, 2.0)), 1.0 / 3.0);
        assert_eq!(of(0.0, 0.0, 2.0, 2.0).intersection_over_union(&of(2.0, 0.0, 2.0, 2.0)), 0.0);
        assert_eq!(of(0.0, 0.0, 2.0, 2.0).intersection_over_union(&of(0.0, 0.0, 2.0, 2.0)), 1.0);
    }

    #[test]
    fn a_box_without_area_is_refused_by_its_numbers() {
        assert!(of(0.0, 0.0, 1.0, 1.0).check().is_ok());
        for bad in [of(0.0, 0.0, 0.0, 1.0), of(f32::NAN, 0.0, 1.0, 1.0), of(0.0, 0.0, f32::INFINITY, 1.0)] {
            assert!(bad.check().unwrap_err().message().contains("\"cat\" has no area"));
        }
    }

    #[test]
    fn key_points_outside_are_no_longer_visible() {
        let at = |x, y| KeyPoint { x, y, visible: true }.clipped(4, 10).visible;
        assert!(at(0.0, 0.0) && at(-0.5, 3.4) && at(9.4, 0.0));
        assert!(!at(9.5, 0.0) && !at(0.0, -0.6) && !at(f32::NAN, 0.0));
        assert!(!KeyPoint { x: 1.0, y: 1.0, visible: false }.clipped(4, 10).visible);
    }

    #[test]
    fn a_filled_box_is_found_again() {
        let mut mask = Mask::empty(5, 7);
        mask.fill(&of(2.0, 1.0, 3.0, 2.0), 4);
        assert_eq!((mask.area(4), mask.at(1, 2), mask.at(1, 5), mask.at(9, 9)), (6, 4, 0, 0));
        assert_eq!(mask.bounding_box(4, "cat"), Some(of(2.0, 1.0, 3.0, 2.0)));
        assert_eq!(mask.bounding_box(5, "cat"), None);
        mask.fill(&of(-3.0, 4.0, 99.0, 9.0), 5);
        assert_eq!(mask.bounding_box(5, "cat"), Some(of(0.0, 4.0, 7.0, 1.0)));
        assert!(Mask::new(2, 3, vec![0; 5]).is_err());
    }
}
