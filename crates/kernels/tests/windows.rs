//! Kernels of layers that look at pictures through windows, against plain loops in float64: depthwise convolutions.

#![allow(clippy::unwrap_used)]

mod plain_loops;

use lepton_kernels::{Depthwise, LANES, blocks};
use plain_loops::{blocked_pictures, each_way, near, numbers, plain_pictures};
use proptest::prelude::*;

/// How windows lie on a picture.
#[derive(Clone, Copy, Debug)]
struct Windows {
    sides: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    before: [usize; 2],
    out_sides: [usize; 2],
}

impl Windows {
    fn places(&self) -> usize {
        self.sides[0] * self.sides[1]
    }

    fn out_places(&self) -> usize {
        self.out_sides[0] * self.out_sides[1]
    }

    /// Calls `of` with place in, tap and place out, wherever the three meet.
    fn each(&self, mut of: impl FnMut(usize, usize, usize)) {
        let [height, width] = self.out_sides;
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            for (down, across) in (0..self.kernel[0]).flat_map(|down| (0..self.kernel[1]).map(move |at| (down, at))) {
                let from =
                    [y * self.stride[0] + down * self.dilation[0], x * self.stride[1] + across * self.dilation[1]];
                if (0..2).all(|at| from[at] >= self.before[at] && from[at] - self.before[at] < self.sides[at]) {
                    let place = (from[0] - self.before[0]) * self.sides[1] + from[1] - self.before[1];
                    of(place, down * self.kernel[1] + across, y * width + x);
                }
            }
        }
    }
}

/// Windows with zeros on all sides, on pictures of up to 14 places a side.
fn windows() -> impl Strategy<Value = Windows> {
    let side = (1..6usize, 1..4usize, 1..4usize, 0..3usize, 0..3usize, 0..9usize);
    [side.clone(), side].prop_map(|sides| {
        let of = |at: usize| {
            let (kernel, stride, dilation, before, after, more) = sides[at];
            let span = dilation * (kernel - 1) + 1;
            let side = (span + more).saturating_sub(before + after).max(1);
            [side, kernel, stride, dilation, before, (side + before + after).max(span) - span]
        };
        let both = |part: usize| [of(0)[part], of(1)[part]];
        let out_sides = [0, 1].map(|at| of(at)[5] / of(at)[2] + 1);
        Windows { sides: both(0), kernel: both(1), stride: both(2), dilation: both(3), before: both(4), out_sides }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn depthwise_convolutions(
        windows in windows(),
        channels in 1..14usize,
        multiplier in prop_oneof![Just(1usize), 1..4usize],
        rows in 1..36usize,
        threads in 1..4usize,
        is_relu: bool,
    ) {
        let Windows { sides, kernel, stride, dilation, before, out_sides } = windows;
        let sizes = Depthwise { channels, multiplier, sides, kernel, stride, dilation, before, out_sides };
        let (places, out_places, out) = (windows.places(), windows.out_places(), channels * multiplier);
        let taps = kernel[0] * kernel[1];
        let (x, w, b) = (numbers(rows * channels * places, 1), numbers(sizes.weights(), 2), numbers(out, 3));
        let (slope, old) = (numbers(rows * out * out_places, 4), numbers(x.len(), 5));
        let mut y: Vec<f64> = (0..slope.len()).map(|at| f64::from(b[at / out_places % out])).collect();
        let (mut dx, mut dw, mut db) = (vec![0.0; x.len()], vec![0.0; w.len()], vec![0.0; out]);
        for (row, channel) in (0..rows).flat_map(|row| (0..out).map(move |channel| (row, channel))) {
            let (from, to) = (row * channels + channel / multiplier, row * out + channel);
            windows.each(|place, tap, target| {
                let (x_at, w_at, y_at) = (from * places + place, channel * taps + tap, to * out_places + target);
                y[y_at] += f64::from(x[x_at]) * f64::from(w[w_at]);
                dx[x_at] += f64::from(w[w_at]) * f64::from(slope[y_at]);
                dw[w_at] += f64::from(x[x_at]) * f64::from(slope[y_at]);
            });
        }
        slope.iter().enumerate().for_each(|(at, slope)| db[at / out_places % out] += f64::from(*slope));
        let more: Vec<f64> = dx.iter().zip(&old).map(|(dx, old)| dx + f64::from(*old)).collect();
        if is_relu {
            y.iter_mut().for_each(|y| *y = y.max(0.0));
        }
        each_way(threads, |workers| {
            let x = blocked_pictures(&x, rows, channels, places);
            let slope = blocked_pictures(&slope, rows, out, out_places);
            let mut packed = vec![f32::NAN; w.len()];
            sizes.pack(workers, &w, &mut packed);
            let mut ours = vec![f32::NAN; blocks(rows) * out * out_places * LANES];
            sizes.forward(workers, &x, &packed, Some(&b), is_relu, &mut ours);
            near(&plain_pictures(&ours, rows, out, out_places), &y, 2e-5, "y");
            let mut ours = vec![f32::NAN; x.len()];
            sizes.backward_input(workers, &slope, &packed, false, &mut ours);
            near(&plain_pictures(&ours, rows, channels, places), &dx, 2e-5, "dx");
            let mut ours = blocked_pictures(&old, rows, channels, places);
            sizes.backward_input(workers, &slope, &packed, true, &mut ours);
            near(&plain_pictures(&ours, rows, channels, places), &more, 2e-5, "dx added");
            let once = || {
                let (mut our_dw, mut our_db) = (vec![f32::NAN; w.len()], vec![f32::NAN; out]);
                sizes.backward_weights(workers, &x, &slope, &mut our_dw, Some(&mut our_db));
                (our_dw, our_db)
            };
            let (our_dw, our_db) = once();
            near(&our_dw, &dw, 2e-5, "dw");
            near(&our_db, &db, 2e-5, "db");
            assert_eq!(once(), (our_dw, our_db));
        });
    }
}
