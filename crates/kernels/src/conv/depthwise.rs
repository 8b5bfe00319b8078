//! Convolutions of each channel by itself, with their gradients: a tap is one multiply-add for 16 rows of the batch. A few
//! places and channels at a time, so that weights and what windows share are loaded once for several sums.

use crate::channels::channel_sums;
use crate::parts::share;
use crate::raw::{Lane, Simd, Task};
use crate::tile::{Tile, each, lanes, lanes_mut};
use crate::{LANES, Workers};
use std::ops::Range;

/// The most channels whose sums are held at once.
const CHANNELS: usize = 4;

/// The most taps of a row of the window whose gradients are summed at once.
const TAPS: usize = 3;

/// What stands outside of the picture.
const NOTHING: [Lane; CHANNELS] = [[0.0; LANES]; CHANNELS];

/// An offset at which nothing is.
const OUTSIDE: usize = usize::MAX >> 1;

/// The sizes of a depthwise convolution. Its weight is `[channels · multiplier, 1, height, width]`, and output `o` sees
/// channel `o / multiplier`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depthwise {
    /// Channels in.
    pub channels: usize,
    /// Channels out for each channel in.
    pub multiplier: usize,
    /// Height and width in.
    pub sides: [usize; 2],
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

impl Depthwise {
    /// Channels out.
    pub fn out_channels(&self) -> usize {
        self.channels * self.multiplier
    }

    /// Numbers of a weight.
    pub fn weights(&self) -> usize {
        self.out_channels() * self.taps()
    }

    /// Places of the window.
    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The weight for [`Depthwise::forward`] and [`Depthwise::backward_input`]: `[height, width, channels · multiplier]`.
    pub fn pack(&self, workers: &Workers, weights: &[f32], packed: &mut [f32]) {
        let (channels, taps) = (self.out_channels(), self.taps());
        let packed = &mut packed[..channels * taps];
        share(workers, packed, channels, |range, to| Pack { weights, channels, taps, range, to });
    }

    /// `y = max(W * x + b, 0)`, or without the maximum: `x` `[blocks, height, width, channels, 16]`, `packed` from
    /// [`Depthwise::pack`], `bias` `[channels · multiplier]`, `y` `[blocks, height', width', channels · multiplier, 16]`.
    pub fn forward(
        &self,
        workers: &Workers,
        x: &[f32],
        packed: &[f32],
        bias: Option<&[f32]>,
        relu: bool,
        y: &mut [f32],
    ) {
        let size = self.out_sides[1] * self.out_channels() * LANES;
        let way = Way { sizes: *self, is_forward: true };
        share(workers, y, size, |rows, to| Sums { way, from: x, packed, bias, relu, add: false, rows, to });
    }

    /// `dx`, or added to `dx`: `dy` `[blocks, height', width', channels · multiplier, 16]`, `packed` from
    /// [`Depthwise::pack`], `dx` `[blocks, height, width, channels, 16]`.
    pub fn backward_input(&self, workers: &Workers, dy: &[f32], packed: &[f32], add: bool, dx: &mut [f32]) {
        let size = self.sides[1] * self.channels * LANES;
        let way = Way { sizes: *self, is_forward: false };
        let (bias, relu) = (None, false);
        share(workers, dx, size, |rows, to| Sums { way, from: dy, packed, bias, relu, add, rows, to });
    }

    /// The gradients of weight and bias.
    pub fn backward_weights(&self, workers: &Workers, x: &[f32], dy: &[f32], dw: &mut [f32], db: Option<&mut [f32]>) {
        let sizes = *self;
        share(workers, dw, self.taps(), |channels, to| Gradients { sizes, x, dy, channels, to });
        if let Some(db) = db {
            channel_sums(workers, dy, db);
        }
    }
}

struct Pack<'a> {
    weights: &'a [f32],
    channels: usize,
    taps: usize,
    range: Range<usize>,
    to: &'a mut [f32],
}

impl Task for Pack<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for (tap, to) in self.range.zip(self.to.chunks_exact_mut(self.channels)) {
            let from = self.weights[tap..].iter().step_by(self.taps);
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
    }
}

/// From inputs to outputs, or from the gradients of outputs to those of inputs: which places of the one picture a place of
/// the other sums up.
#[derive(Clone, Copy)]
struct Way {
    sizes: Depthwise,
    is_forward: bool,
}

impl Way {
    /// Sides of what is read and of what is written.
    #[inline(always)]
    fn sides(&self) -> ([usize; 2], [usize; 2]) {
        let Depthwise { sides, out_sides, .. } = self.sizes;
        if self.is_forward { (sides, out_sides) } else { (out_sides, sides) }
    }

    /// From one place that is written to the next that sees the same taps, and how far what they see is apart.
    #[inline(always)]
    fn steps(&self, side: usize) -> (usize, usize) {
        let stride = self.sizes.stride[side];
        if self.is_forward { (1, stride) } else { (stride, 1) }
    }

    /// What place `at` of a side sees at a tap; it may lie outside, also below 0. Nothing where it lies between two.
    #[inline(always)]
    fn seen(&self, side: usize, at: usize, tap: usize) -> Option<isize> {
        let Depthwise { stride, dilation, before, .. } = self.sizes;
        let (at, tap) = (at as isize, (tap * dilation[side]) as isize);
        let (stride, before) = (stride[side] as isize, before[side] as isize);
        if self.is_forward {
            return Some(at * stride + tap - before);
        }
        let start = at + before - tap;
        if stride == 1 { Some(start) } else { (start.rem_euclid(stride) == 0).then(|| start.div_euclid(stride)) }
    }
}

/// A tap of the window for some places beside each other: its number, and where what each sees begins.
#[derive(Clone, Copy)]
struct Tap<const P: usize> {
    number: usize,
    from: [usize; P],
}

struct Sums<'a> {
    way: Way,
    from: &'a [f32],
    packed: &'a [f32],
    bias: Option<&'a [f32]>,
    relu: bool,
    add: bool,
    /// Of the rows of all blocks' pictures that are written.
    rows: Range<usize>,
    to: &'a mut [f32],
}

impl Task for Sums<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let Depthwise { channels, multiplier, .. } = self.way.sizes;
        let ([height, width], sides) = self.way.sides();
        let (own, others) = match self.way.is_forward {
            true => (channels * multiplier, channels),
            false => (channels, channels * multiplier),
        };
        let (step, _) = self.way.steps(1);
        let mut taps = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let to = std::mem::take(&mut self.to);
        for (row, to) in self.rows.clone().zip(to.chunks_exact_mut(sides[1] * own * LANES)) {
            let (block, top) = (row / sides[0], row % sides[0]);
            let from = &lanes(self.from)[block * height * width * others..][..height * width * others];
            let to = lanes_mut(to);
            for phase in 0..step.min(sides[1]) {
                let mut left = phase;
                while left < sides[1] {
                    let rest = (sides[1] - left).div_ceil(step);
                    // As many as there are registers for.
                    let most = if const { S::ROWS > 6 } { 4 } else { 2 };
                    let at = [top, left];
                    match rest.min(most) {
                        1 => self.places::<S, 1>(simd, from, at, &mut taps.0, to),
                        2 => self.places::<S, 2>(simd, from, at, &mut taps.1, to),
                        3 if const { S::ROWS > 6 } => self.places::<S, 3>(simd, from, at, &mut taps.2, to),
                        _ if const { S::ROWS > 6 } => self.places::<S, 4>(simd, from, at, &mut taps.3, to),
                        _ => {}
                    }
                    left += rest.min(most) * step;
                }
            }
        }
    }
}

impl Sums<'_> {
    /// `P` places that see the same taps, of all channels.
    #[inline(always)]
    fn places<S: Simd, const P: usize>(
        &self,
        simd: S,
        from: &[Lane],
        at: [usize; 2],
        taps: &mut Vec<Tap<P>>,
        to: &mut [Lane],
    ) {
        let sizes = self.way.sizes;
        self.find_taps(at, taps);
        let own = if self.way.is_forward { sizes.out_channels() } else { sizes.channels };
        let mut first = 0;
        // Channels lie beside each other in both pictures only where there are as many.
        if sizes.multiplier == 1 {
            let most = if const { S::ROWS > 6 } { CHANNELS } else { CHANNELS / 2 };
            while first + most <= own {
                match most {
                    CHANNELS if const { S::ROWS > 6 } => self.tile::<S, P, CHANNELS>(simd, from, taps, at, first, to),
                    _ => self.tile::<S, P, { CHANNELS / 2 }>(simd, from, taps, at, first, to),
                }
                first += most;
            }
        }
        for channel in first..own {
            self.tile::<S, P, 1>(simd, from, taps, at, channel, to);
        }
    }

    /// The taps at which some of the places see something.
    #[inline(always)]
    fn find_taps<const P: usize>(&self, [top, left]: [usize; 2], taps: &mut Vec<Tap<P>>) {
        let sizes = self.way.sizes;
        let others = if self.way.is_forward { sizes.channels } else { sizes.out_channels() };
        let ([height, width], _) = self.way.sides();
        let (_, apart) = self.way.steps(1);
        taps.clear();
        for down in 0..sizes.kernel[0] {
            let Some(row) = self.way.seen(0, top, down) else { continue };
            // Below 0 it becomes very large.
            let row = row as usize;
            if row >= height {
                continue;
            }
            for across in 0..sizes.kernel[1] {
                let Some(first) = self.way.seen(1, left, across) else { continue };
                let from: [usize; P] = each!(place => {
                    let column = (first + (place * apart) as isize) as usize;
                    if column < width { (row * width + column) * others } else { OUTSIDE }
                });
                if from.iter().any(|from| *from != OUTSIDE) {
                    taps.push(Tap { number: down * sizes.kernel[1] + across, from });
                }
            }
        }
    }

    /// Channels `first` to `first + M` of the places.
    #[inline(always)]
    fn tile<S: Simd, const P: usize, const M: usize>(
        &self,
        simd: S,
        from: &[Lane],
        taps: &[Tap<P>],
        [_, left]: [usize; 2],
        first: usize,
        to: &mut [Lane],
    ) {
        let sizes = self.way.sizes;
        let all = sizes.out_channels();
        // On the way back an input has the gradients of several outputs.
        let (own, parts, seen) = match self.way.is_forward {
            true => (all, 1, first / sizes.multiplier),
            false => (sizes.channels, sizes.multiplier, first * sizes.multiplier),
        };
        let (step, _) = self.way.steps(1);
        let zero = simd.splat(0.0);
        let mut sums: [Tile<S, M>; P] = match self.bias {
            Some(bias) => [each!(channel => simd.splat(bias[first + channel])); P],
            None => [[zero; M]; P],
        };
        if self.add {
            for (place, sums) in sums.iter_mut().enumerate() {
                let old = &to[(left + place * step) * own + first..][..M];
                for (sum, old) in sums.iter_mut().zip(old) {
                    *sum = simd.load(old);
                }
            }
        }
        for tap in taps {
            for part in 0..parts {
                let weights = &self.packed[tap.number * all + first * parts + part..][..M];
                let weights: Tile<S, M> = each!(channel => simd.splat(weights[channel]));
                for (sums, at) in sums.iter_mut().zip(tap.from) {
                    let values = from.get(at + seen + part..).and_then(|from| from.first_chunk::<M>());
                    let values = values.map_or(&NOTHING[..M], |values| &values[..]);
                    for ((sum, weight), value) in sums.iter_mut().zip(weights).zip(values) {
                        *sum = simd.fma(weight, simd.load(value), *sum);
                    }
                }
            }
        }
        for (place, sums) in sums.into_iter().enumerate() {
            let to = &mut to[(left + place * step) * own + first..][..M];
            for (sum, to) in sums.into_iter().zip(to) {
                simd.store(if self.relu { simd.relu(sum) } else { sum }, to);
            }
        }
    }
}

/// The gradients of the weights of some channels out.
struct Gradients<'a> {
    sizes: Depthwise,
    x: &'a [f32],
    dy: &'a [f32],
    channels: Range<usize>,
    to: &'a mut [f32],
}

impl Task for Gradients<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let to = std::mem::take(&mut self.to);
        let taps = self.sizes.taps();
        let mut sums = vec![[0.0; LANES]; taps * CHANNELS];
        let most = if const { S::ROWS > 6 } && self.sizes.multiplier == 1 { CHANNELS } else { 1 };
        let (mut channel, mut to) = (self.channels.start, to);
        while channel < self.channels.end {
            let count = if channel + most <= self.channels.end { most } else { 1 };
            let sums = &mut sums[..taps * count];
            sums.fill([0.0; LANES]);
            match count {
                CHANNELS if const { S::ROWS > 6 } => self.tile::<S, CHANNELS>(simd, channel, sums),
                _ => self.tile::<S, 1>(simd, channel, sums),
            }
            let (own, rest) = to.split_at_mut(taps * count);
            for (at, value) in own.iter_mut().enumerate() {
                *value = simd.sum(simd.load(&sums[at % taps * count + at / taps]));
            }
            (channel, to) = (channel + count, rest);
        }
    }
}

impl Gradients<'_> {
    /// Adds the products of all places to `sums`, `[taps, M, 16]`.
    #[inline(always)]
    fn tile<S: Simd, const M: usize>(&self, simd: S, channel: usize, sums: &mut [Lane]) {
        let Depthwise { channels, multiplier, sides, kernel, stride, dilation, before, out_sides } = self.sizes;
        let (size, out_channels) = (sides[0] * sides[1] * channels, channels * multiplier);
        let row_size = out_sides[1] * out_channels;
        for (row, dy) in lanes(self.dy).chunks_exact(row_size).enumerate() {
            let (block, top) = (row / out_sides[0], row % out_sides[0]);
            let x = &lanes(self.x)[block * size..][..size];
            for (down, sums) in sums.chunks_exact_mut(kernel[1] * M).enumerate() {
                let seen = (top * stride[0] + down * dilation[0]).wrapping_sub(before[0]);
                if seen >= sides[0] {
                    continue;
                }
                let x = &x[seen * sides[1] * channels..][..sides[1] * channels];
                let (x, dy) = (&x[channel / multiplier..], &dy[channel..]);
                for (at, sums) in sums.chunks_mut(TAPS * M).enumerate() {
                    // Below 0 it becomes very large.
                    let first = (at * TAPS * dilation[1]).wrapping_sub(before[1]);
                    match sums.len() / M {
                        1 => self.taps::<S, 1, M>(simd, x, dy, first, sums),
                        2 => self.taps::<S, 2, M>(simd, x, dy, first, sums),
                        _ => self.taps::<S, TAPS, M>(simd, x, dy, first, sums),
                    }
                }
            }
        }
    }

    /// Of `T` taps of one row of the window and `M` channels, over one row of outputs.
    #[inline(always)]
    fn taps<S: Simd, const T: usize, const M: usize>(
        &self,
        simd: S,
        x: &[Lane],
        dy: &[Lane],
        first: usize,
        to: &mut [Lane],
    ) {
        let Depthwise { channels, multiplier, sides, stride, dilation, out_sides, .. } = self.sizes;
        let out_channels = channels * multiplier;
        let mut sums: [Tile<S, M>; T] = each!(tap => each!(channel => simd.load(&to[tap * M + channel])));
        for left in 0..out_sides[1] {
            let dy = &dy[left * out_channels..][..M];
            let dy: Tile<S, M> = each!(channel => simd.load(&dy[channel]));
            let seen = first.wrapping_add(left * stride[1]);
            for (tap, sums) in sums.iter_mut().enumerate() {
                let column = seen.wrapping_add(tap * dilation[1]);
                let inside = column < sides[1];
                let values = if inside { &x[column * channels..][..M] } else { &NOTHING[..M] };
                for ((sum, dy), value) in sums.iter_mut().zip(dy).zip(values) {
                    *sum = simd.fma(dy, simd.load(value), *sum);
                }
            }
        }
        for (tap, sums) in sums.into_iter().enumerate() {
            for (sum, to) in sums.into_iter().zip(&mut to[tap * M..]) {
                simd.store(sum, to);
            }
        }
    }
}
