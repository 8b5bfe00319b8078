//! Two-dimensional convolutions with their gradients, without copies of windows: in the layout of this crate all channels of
//! a row of a window lie behind each other, for 16 rows of the batch at once, so a window is read where it is. Weights, which
//! are `[out_channels, channels, height, width]` outside, are put in the order of the tiles once a step.

mod backward;
mod forward;
mod pack;

use crate::LANES;

/// The sizes of a convolution. Dilation is 1, and there is one group.
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
        let first = self.before[side].saturating_sub(start);
        let end = (self.sides[side] + self.before[side]).saturating_sub(start).min(self.kernel[side]);
        (first.min(end), end)
    }
}
