//! Weighted sums of places, for all channels the same and along each side by itself: means over windows and grids, and
//! enlarged pictures. The way back is another of them.

use crate::parts::share;
use crate::raw::{Lane, Simd, Task};
use crate::tile::{lanes, lanes_mut};
use crate::{LANES, Workers};
use std::ops::Range;

/// What each place out takes of the places in along one side: which they are, and by how much they are multiplied.
type Shares = Vec<Vec<(usize, f32)>>;

/// Pictures of so many channels from one size to another: place `[i, j]` out is the sum of places `[r, c]` in, times what
/// `i` takes of `r` and `j` of `c`.
#[derive(Clone, Debug, PartialEq)]
pub struct Resample {
    channels: usize,
    sides: [usize; 2],
    shares: [Shares; 2],
}

impl Resample {
    /// The means of windows, each over what of it lies inside, of which there is some; `before` are places above and to the
    /// left that are outside.
    pub fn mean(
        channels: usize,
        sides: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        before: [usize; 2],
        out_sides: [usize; 2],
    ) -> Resample {
        let of = |side: usize, at: usize| {
            let start = at * stride[side];
            let end = (start + kernel[side]).saturating_sub(before[side]).min(sides[side]);
            start.saturating_sub(before[side]).min(end)..end
        };
        let shares = [0, 1].map(|side| (0..out_sides[side]).map(|at| whole(of(side, at))).collect());
        Resample { channels, sides, shares }
    }

    /// The means of a grid of cells that cover the picture: cell `i` of `n` goes from `floor(i · side / n)` to
    /// `ceil((i + 1) · side / n)`.
    pub fn grid(channels: usize, sides: [usize; 2], out_sides: [usize; 2]) -> Resample {
        let of = |side: usize, cell: usize| {
            let (from, cells) = (sides[side], out_sides[side]);
            whole(cell * from / cells..((cell + 1) * from).div_ceil(cells))
        };
        let shares = [0, 1].map(|side| (0..out_sides[side]).map(|cell| of(side, cell)).collect());
        Resample { channels, sides, shares }
    }

    /// Each place repeated `scale` times along both sides.
    pub fn repeated(channels: usize, sides: [usize; 2], scale: usize) -> Resample {
        let shares = sides.map(|side| (0..side * scale).map(|at| vec![(at / scale, 1.0)]).collect());
        Resample { channels, sides, shares }
    }

    /// `scale` times as large: between places there are weighted means of the four nearest, where the edges of pictures,
    /// not the middles of their outer places, lie on each other.
    pub fn bilinear(channels: usize, sides: [usize; 2], scale: usize) -> Resample {
        let of = |side: usize, at: usize| {
            let place = ((at as f32 + 0.5) / scale as f32 - 0.5).clamp(0.0, (side - 1) as f32);
            let (first, share) = (place as usize, place.fract());
            if share == 0.0 { vec![(first, 1.0)] } else { vec![(first, 1.0 - share), (first + 1, share)] }
        };
        let shares = sides.map(|side| (0..side * scale).map(|at| of(side, at)).collect());
        Resample { channels, sides, shares }
    }

    /// The way back: from gradients of what comes out to those of what goes in.
    pub fn back(&self) -> Resample {
        let mut shares = self.sides.map(|side| vec![Vec::new(); side]);
        for (to, from) in shares.iter_mut().zip(&self.shares) {
            for (at, own) in from.iter().enumerate() {
                own.iter().for_each(|(place, share)| to[*place].push((at, *share)));
            }
        }
        Resample { channels: self.channels, sides: self.out_sides(), shares }
    }

    fn out_sides(&self) -> [usize; 2] {
        [self.shares[0].len(), self.shares[1].len()]
    }

    /// `y`, or added to it: `x` `[blocks, height, width, channels, 16]`, `y` `[blocks, height', width', channels, 16]`.
    pub fn forward(&self, workers: &Workers, x: &[f32], add: bool, y: &mut [f32]) {
        let size = self.out_sides()[1] * self.channels * LANES;
        share(workers, y, size, |rows, y| Sums { sizes: self, x, add, rows, y });
    }
}

/// The mean of places.
fn whole(places: Range<usize>) -> Vec<(usize, f32)> {
    let share = 1.0 / places.len() as f32;
    places.map(|place| (place, share)).collect()
}

struct Sums<'a> {
    sizes: &'a Resample,
    x: &'a [f32],
    add: bool,
    /// Of the rows of all blocks' outputs.
    rows: Range<usize>,
    y: &'a mut [f32],
}

impl Task for Sums<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Resample { channels, sides: [height, width], ref shares } = *self.sizes;
        let [tops, columns] = shares;
        let mut seen: Vec<(&[Lane], f32)> = Vec::new();
        for (row, y) in self.rows.zip(self.y.chunks_exact_mut(columns.len() * channels * LANES)) {
            let (block, top) = (row / tops.len(), row % tops.len());
            let x = &lanes(self.x)[block * height * width * channels..][..height * width * channels];
            for (own, y) in columns.iter().zip(lanes_mut(y).chunks_exact_mut(channels)) {
                seen.clear();
                for (row, down) in &tops[top] {
                    let places = own
                        .iter()
                        .map(|(column, across)| (&x[(row * width + column) * channels..][..channels], down * across));
                    seen.extend(places);
                }
                for (channel, y) in y.iter_mut().enumerate() {
                    let mut sum = if self.add { simd.load(y) } else { simd.splat(0.0) };
                    for (x, share) in &seen {
                        sum = simd.fma(simd.splat(*share), simd.load(&x[channel]), sum);
                    }
                    simd.store(sum, y);
                }
            }
        }
    }
}
