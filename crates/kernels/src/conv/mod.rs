//! Two-dimensional convolutions with their gradients, without copies of windows: in the layout of this crate all channels of
//! a row of a window lie behind each other, for 16 rows of the batch at once, so a window is read where it is. Weights, which
//! are `[out_channels, channels, height, width]` outside, are put in the order of the tiles once a step.

mod backward;
mod depthwise;
mod forward;
mod grouped;
mod pack;
mod pooled;
mod row;

pub use depthwise::Depthwise;
pub use grouped::GroupedConv;
pub use pooled::PooledConv;

use crate::LANES;
use crate::raw::{Lane, Simd};
use crate::tile::lanes;

/// Terms up to which a window is copied before the products, because its rows are too short for loops of their own.
const FEW: usize = 160;

/// Terms in a row of a window that are long enough for a loop of their own.
const LONG: usize = 32;

/// The sizes of a convolution. There is one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Channels in.
    pub channels: usize,
    /// Height and width in.
    pub sides: [usize; 2],
    /// Channels out.
    pub out_channels: usize,
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Steps of the window.
    pub stride: [usize; 2],
    /// Distance between the window's points.
    pub dilation: [usize; 2],
    /// Zeros above and to the left.
    pub before: [usize; 2],
    /// Height and width out; with `before` it says how many zeros are below and to the right.
    pub out_sides: [usize; 2],
}

impl Conv {
    /// Numbers of a weight.
    pub fn weights(&self) -> usize {
        self.out_channels * self.terms()
    }

    /// Products of one output.
    fn terms(&self) -> usize {
        self.channels * self.kernel[0] * self.kernel[1]
    }

    /// Places out.
    fn places(&self) -> usize {
        self.out_sides[0] * self.out_sides[1]
    }

    /// Blocks of 16 channels out.
    fn panels(&self) -> usize {
        self.out_channels.div_ceil(LANES)
    }

    /// Blocks of rows in an output.
    fn blocks(&self, y: &[f32]) -> usize {
        y.len() / (self.places() * self.out_channels * LANES)
    }

    /// Numbers of scratch memory that the gradient of the weights needs for so many blocks of rows.
    pub fn scratch(&self, blocks: usize) -> usize {
        self.panels() * LANES * (blocks * self.places() * LANES + self.terms())
    }

    /// The window's places on one side that lie inside the picture, for output `at` of side `side`.
    #[inline(always)]
    fn inside(&self, side: usize, at: usize) -> (usize, usize) {
        let start = at * self.stride[side];
        inside(start, self.before[side], self.sides[side], self.kernel[side], self.dilation[side])
    }

    /// Whether windows are copied before the products.
    fn has_few_terms(&self) -> bool {
        self.terms() <= FEW && self.kernel[1] * self.channels < LONG
    }

    /// A block of the input.
    #[inline(always)]
    fn block<'a>(&self, x: &'a [f32], block: usize) -> &'a [Lane] {
        let size = self.sides[0] * self.sides[1] * self.channels;
        &lanes(x)[block * size..][..size]
    }

    /// Copies the window of output `top`, `left`; what lies outside of the picture is 0.
    #[inline(always)]
    fn gather<S: Simd>(&self, simd: S, x: &[Lane], top: usize, left: usize, window: &mut [Lane]) {
        let Conv { channels, sides: [_, width], kernel, stride, dilation, before, .. } = *self;
        let ((above, below), (first, end)) = (self.inside(0, top), self.inside(1, left));
        let (pieces, places) = pieces(dilation[1], end - first);
        let count = places * channels;
        if (below - above, end - first) != (kernel[0], kernel[1]) {
            window.fill([0.0; LANES]);
        }
        if first == end {
            return;
        }
        let column = left * stride[1] + first * dilation[1] - before[1];
        for down in above..below {
            for piece in 0..pieces {
                let row = (top * stride[0] + down * dilation[0] - before[0]) * width;
                let from = (row + column + piece * dilation[1]) * channels;
                let term = (down * kernel[1] + first + piece) * channels;
                // By vectors: short rows are not worth a call.
                for (to, from) in window[term..term + count].iter_mut().zip(&x[from..from + count]) {
                    simd.store(simd.load(from), to);
                }
            }
        }
    }

    /// Row and column of the window, and channel, of a term.
    #[inline(always)]
    fn tap(&self, term: usize) -> [usize; 3] {
        let (place, channel) = (term / self.channels, term % self.channels);
        [place / self.kernel[1], place % self.kernel[1], channel]
    }

    /// What output `at` sees at a place of its window, unless that lies outside of the picture.
    #[inline(always)]
    fn seen_at<'a, T>(&self, x: &'a [T], at: [usize; 2], [down, across, channel]: [usize; 3]) -> Option<&'a T> {
        // Below 0 it becomes very large.
        let y = (at[0] * self.stride[0] + down * self.dilation[0]).wrapping_sub(self.before[0]);
        let column = (at[1] * self.stride[1] + across * self.dilation[1]).wrapping_sub(self.before[1]);
        let inside = y < self.sides[0] && column < self.sides[1];
        if inside { x.get((y * self.sides[1] + column) * self.channels + channel) } else { None }
    }
}

/// From and to which of the places of a window, `dilation` apart, it sees one of `side` places, when it begins at `start` of
/// those and `before` others.
#[inline(always)]
fn inside(start: usize, before: usize, side: usize, kernel: usize, dilation: usize) -> (usize, usize) {
    let (mut first, mut end) = (before.saturating_sub(start), (side + before).saturating_sub(start));
    if dilation > 1 {
        (first, end) = (first.div_ceil(dilation), end.div_ceil(dilation));
    }
    end = end.min(kernel);
    (first.min(end), end)
}

/// How many pieces so many neighbouring places of a row of the window lie in, and how many places are in each.
#[inline(always)]
fn pieces(dilation: usize, places: usize) -> (usize, usize) {
    if dilation == 1 { (1, places) } else { (places, 1) }
}
