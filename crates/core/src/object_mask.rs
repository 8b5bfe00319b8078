//! The pixels of one object, as run lengths: how COCO keeps them, and small enough to keep one for each object.
//! Runs go down each column of pixels, column after column, and begin with the pixels outside of the object.

use crate::{BoundingBox, Error, ErrorCode, Mask, Result};
use serde::{Deserialize, Serialize};

/// The pixels of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectMask {
    /// The class that the object is of.
    pub label: String,
    /// Rows of pixels of the picture.
    pub height: u32,
    /// Pixels per row.
    pub width: u32,
    /// Lengths of runs, outside and inside by turns, in column-major order; their sum is `height * width`.
    pub counts: Vec<u32>,
}

fn pixels(height: u32, width: u32) -> Result<u32> {
    height.checked_mul(width).ok_or_else(|| Error::new(ErrorCode::Shape, "a mask of more than 4,294,967,295 pixels"))
}

impl ObjectMask {
    /// A mask of these runs.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] when they do not add up to `height * width`.
    pub fn new(label: impl Into<String>, height: u32, width: u32, counts: Vec<u32>) -> Result<ObjectMask> {
        let sum: u64 = counts.iter().map(|count| u64::from(*count)).sum();
        if sum != u64::from(pixels(height, width)?) {
            let text = format!("the runs of a mask add up to {sum} pixels; the picture is {height} x {width}");
            return Err(Error::new(ErrorCode::BadData, text));
        }
        Ok(ObjectMask { label: label.into(), height, width, counts })
    }

    /// The runs that COCO writes as a text: each the difference to the one two before, in groups of five bits, the
    /// lowest first, as letters from `0` on.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] for a text that is none, or whose runs do not fit.
    pub fn from_compressed(label: impl Into<String>, height: u32, width: u32, text: &str) -> Result<ObjectMask> {
        let wrong = || Error::new(ErrorCode::BadData, "the packed runs of a mask cannot be read");
        let mut counts: Vec<u32> = Vec::new();
        let mut letters = text.bytes();
        while let Some(mut letter) = letters.next() {
            let (mut value, mut group) = (0i64, 0);
            loop {
                let bits = i64::from(letter.checked_sub(48).filter(|bits| *bits < 64).ok_or_else(wrong)?);
                value |= (bits & 0x1f) << (5 * group);
                group += 1;
                if bits & 0x20 == 0 {
                    if bits & 0x10 != 0 {
                        value |= -1 << (5 * group);
                    }
                    break;
                }
                if group > 7 {
                    return Err(wrong());
                }
                letter = letters.next().ok_or_else(wrong)?;
            }
            if counts.len() > 2 {
                value += i64::from(counts[counts.len() - 2]);
            }
            counts.push(u32::try_from(value).map_err(|_| wrong())?);
        }
        ObjectMask::new(label, height, width, counts)
    }

    /// The pixels inside of polygons, each a list of x, y, x, y, ... in edge coordinates; what lies in any of them
    /// belongs to the object. The outline is drawn at five times the size and then followed down each column, as
    /// pycocotools does it, so that both give the same pixels.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] for a polygon of fewer than three points, one with an odd number of coordinates, and a
    /// point that is not finite or lies more than a pixel outside of the picture.
    pub fn from_polygons(
        label: impl Into<String>,
        height: u32,
        width: u32,
        polygons: &[Vec<f64>],
    ) -> Result<ObjectMask> {
        pixels(height, width)?;
        let mut all: Option<ObjectMask> = None;
        let label = label.into();
        for polygon in polygons {
            let counts = runs_of(polygon, height, width)?;
            let one = ObjectMask::new(label.clone(), height, width, counts)?;
            all = Some(match all {
                None => one,
                Some(before) => before.union(&one),
            });
        }
        all.ok_or_else(|| Error::new(ErrorCode::BadData, "an object without a polygon"))
    }

    /// The object's pixels in a mask: those with `value`. The label is given, since a mask knows only numbers.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`] for a mask whose size cannot be counted.
    pub fn of_mask(label: impl Into<String>, mask: &Mask, value: u8) -> Result<ObjectMask> {
        let side = |side: usize| u32::try_from(side).map_err(|_| Error::new(ErrorCode::Shape, "a mask is too large"));
        let (height, width) = (side(mask.height)?, side(mask.width)?);
        pixels(height, width)?;
        let columns = (0..mask.width).flat_map(|x| (0..mask.height).map(move |y| mask.at(y, x) == value));
        Ok(ObjectMask { label: label.into(), height, width, counts: runs(columns) })
    }

    /// The runs inside of the object, as first pixel and length, in column-major order.
    fn inside(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut start = 0;
        self.counts.iter().enumerate().filter_map(move |(index, count)| {
            let from = start;
            start += u64::from(*count);
            (index % 2 == 1 && *count > 0).then_some((from, u64::from(*count)))
        })
    }

    /// How many pixels the object has.
    pub fn area(&self) -> u64 {
        self.inside().map(|(_, count)| count).sum()
    }

    /// Draws the object's pixels into a mask of its size.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`] for a mask of another size.
    pub fn draw(&self, mask: &mut Mask, value: u8) -> Result<()> {
        if (mask.height, mask.width) != (self.height as usize, self.width as usize) {
            let text = format!(
                "an object in a picture of {} x {} pixels cannot be drawn into a mask of {} x {}",
                self.height, self.width, mask.height, mask.width
            );
            return Err(Error::new(ErrorCode::Shape, text));
        }
        for (from, count) in self.inside() {
            for pixel in from..from + count {
                let (x, y) = (pixel / u64::from(self.height), pixel % u64::from(self.height));
                mask.values[y as usize * mask.width + x as usize] = value;
            }
        }
        Ok(())
    }

    /// The smallest box around the object; `None` for one without pixels.
    pub fn bounding_box(&self) -> Option<BoundingBox> {
        let height = u64::from(self.height);
        let mut corners: Option<[u64; 4]> = None;
        for (from, count) in self.inside() {
            let (first, last) = (from, from + count - 1);
            let (left, right) = (first / height, last / height);
            // A run that goes on in the next column reaches from top to bottom.
            let (top, bottom) = if left == right { (first % height, last % height) } else { (0, height - 1) };
            let known = corners.unwrap_or([left, top, right, bottom]);
            let [a, b, c, d] = known;
            corners = Some([a.min(left), b.min(top), c.max(right), d.max(bottom)]);
        }
        let [left, top, right, bottom] = corners?;
        let corner = |x: u64, y: u64| [x as f32, y as f32];
        Some(BoundingBox::from_corners(corner(left, top), corner(right + 1, bottom + 1), self.label.clone()))
    }

    fn union(&self, other: &ObjectMask) -> ObjectMask {
        let mut inside: Vec<(u64, u64)> = self.inside().chain(other.inside()).collect();
        inside.sort_unstable();
        let (mut counts, mut end) = (Vec::new(), 0u64);
        for (from, count) in inside {
            let after = from + count;
            if after <= end {
                continue;
            }
            match counts.len() % 2 {
                // Inside of a run that goes on.
                0 if !counts.is_empty() && from <= end => {
                    if let Some(last) = counts.last_mut() {
                        *last += (after - end) as u32;
                    }
                }
                _ => counts.extend([(from - end) as u32, count as u32]),
            }
            end = after;
        }
        counts.push((u64::from(self.height) * u64::from(self.width) - end) as u32);
        ObjectMask { label: self.label.clone(), counts, ..*self }
    }
}

/// Lengths of runs of `false` and `true` by turns.
fn runs(pixels: impl Iterator<Item = bool>) -> Vec<u32> {
    let (mut counts, mut inside, mut count) = (Vec::new(), false, 0);
    for pixel in pixels {
        if pixel != inside {
            counts.push(count);
            (inside, count) = (pixel, 0);
        }
        count += 1;
    }
    counts.push(count);
    counts
}

/// The runs of one polygon.
fn runs_of(polygon: &[f64], height: u32, width: u32) -> Result<Vec<u32>> {
    const SCALE: f64 = 5.0;
    if polygon.len() < 6 || !polygon.len().is_multiple_of(2) {
        let text = format!("a polygon of {} numbers; it takes an x and a y for each of three points", polygon.len());
        return Err(Error::new(ErrorCode::BadData, text));
    }
    let within = |place: f64, side: u32| place >= -1.0 && place <= f64::from(side) + 1.0;
    for point in polygon.chunks_exact(2) {
        if !within(point[0], width) || !within(point[1], height) {
            let (x, y) = (point[0], point[1]);
            let text = format!("a polygon has the point {x}, {y} outside of its picture of {height} x {width} pixels");
            return Err(Error::new(ErrorCode::BadData, text));
        }
    }
    // The outline, at five times the size.
    let corner = |place: f64| (SCALE * place + 0.5) as i64;
    let mut corners: Vec<(i64, i64)> =
        polygon.chunks_exact(2).map(|point| (corner(point[0]), corner(point[1]))).collect();
    corners.push(corners[0]);
    let mut outline: Vec<(i64, i64)> = Vec::new();
    for pair in corners.windows(2) {
        let ((mut xs, mut ys), (mut xe, mut ye)) = (pair[0], pair[1]);
        let (dx, dy) = ((xe - xs).abs(), (ye - ys).abs());
        let flip = (dx >= dy && xs > xe) || (dx < dy && ys > ye);
        if flip {
            (xs, xe, ys, ye) = (xe, xs, ye, ys);
        }
        let steps = dx.max(dy);
        let slope = match (steps, dx >= dy) {
            (0, _) => 0.0,
            (_, true) => (ye - ys) as f64 / dx as f64,
            (_, false) => (xe - xs) as f64 / dy as f64,
        };
        for step in 0..=steps {
            let t = if flip { steps - step } else { step };
            let along = |from: i64| (from as f64 + slope * t as f64 + 0.5) as i64;
            outline.push(if dx >= dy { (t + xs, along(ys)) } else { (along(xs), t + ys) });
        }
    }
    // Where it crosses the middle of a column of pixels, the inside begins or ends.
    let mut crossings: Vec<u64> = Vec::new();
    for pair in outline.windows(2) {
        let ((u_before, v_before), (u, v)) = (pair[0], pair[1]);
        if u == u_before {
            continue;
        }
        let x = ((if u < u_before { u } else { u - 1 }) as f64 + 0.5) / SCALE - 0.5;
        if x.floor() != x || x < 0.0 || x > f64::from(width) - 1.0 {
            continue;
        }
        let y = (v.min(v_before) as f64 + 0.5) / SCALE - 0.5;
        let y = y.clamp(0.0, f64::from(height)).ceil();
        crossings.push(x as u64 * u64::from(height) + y as u64);
    }
    crossings.push(u64::from(height) * u64::from(width));
    crossings.sort_unstable();
    let mut before = 0;
    let mut lengths = crossings.into_iter().map(|at| (at - std::mem::replace(&mut before, at)) as u32);
    let mut counts: Vec<u32> = lengths.next().into_iter().collect();
    while let Some(length) = lengths.next() {
        if length > 0 {
            counts.push(length);
        } else if let (Some(next), Some(last)) = (lengths.next(), counts.last_mut()) {
            *last += next;
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_found_again() {
        let mut mask = Mask::empty(4, 5);
        let area = BoundingBox { left: 1.0, top: 1.0, width: 2.0, height: 3.0, label: "cat".to_owned() };
        mask.fill(&area, 7);
        let object = ObjectMask::of_mask("cat", &mask, 7).unwrap();
        assert_eq!((object.counts.as_slice(), object.area()), (&[5, 3, 1, 3, 8][..], 6));
        assert_eq!(object.bounding_box(), Some(area));
        let mut drawn = Mask::empty(4, 5);
        object.draw(&mut drawn, 7).unwrap();
        assert_eq!(drawn, mask);
        assert!(object.draw(&mut Mask::empty(5, 4), 7).is_err());
        assert_eq!(ObjectMask::of_mask("none", &mask, 1).unwrap().bounding_box(), None);
    }

    #[test]
    fn a_union_has_the_pixels_of_both() {
        let runs = |counts: &[u32]| ObjectMask::new("a", 4, 5, counts.to_vec()).unwrap();
        for (one, other, both) in [
            (&[2, 3, 15][..], &[4, 6, 10][..], &[2, 8, 10][..]),
            (&[2, 3, 15], &[5, 1, 14], &[2, 4, 14]),
            (&[2, 3, 15], &[10, 2, 8], &[2, 3, 5, 2, 8]),
            (&[0, 20], &[3, 1, 16], &[0, 20, 0]),
            (&[20], &[3, 1, 16], &[3, 1, 16]),
        ] {
            assert_eq!(runs(one).union(&runs(other)).counts, both);
            assert_eq!(runs(other).union(&runs(one)).counts, both);
        }
    }

    #[test]
    fn what_does_not_fit_its_picture_is_refused() {
        assert!(ObjectMask::new("a", 4, 5, vec![3, 16]).is_err());
        assert!(ObjectMask::new("a", u32::MAX, 2, vec![3]).is_err());
        for text in ["\n", "o", "oooooooooooooooo1", "é"] {
            assert!(ObjectMask::from_compressed("a", 4, 5, text).is_err(), "{text}");
        }
        for polygon in [vec![], vec![0.0; 4], vec![0.0; 7], vec![0.0, 0.0, 9.0, 0.0, 0.0, 1.0], vec![f64::NAN; 6]] {
            assert!(ObjectMask::from_polygons("a", 4, 5, &[polygon]).is_err());
        }
    }
}
