//! Kernels of layers that look at pictures through windows or at channels by groups, against plain loops in float64:
//! convolutions in groups, pools, enlarged pictures, and norms of groups and of windows of a series.

#![allow(clippy::unwrap_used)]

mod plain_loops;

use lepton_kernels::{
    Conv, Depthwise, GroupNorm, GroupedConv, LANES, Resample, WindowNorm, blocks, channel_sums, fill_channels,
    scale_channels, scale_channels_gradient,
};
use plain_loops::{blocked_pictures, cases, each_way, near, numbers, plain_pictures, rows, sizes, wide};
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
    let side = (sizes(1..6), 1..4usize, 1..4usize, 0..3usize, 0..3usize, sizes(0..9));
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
    #![proptest_config(ProptestConfig::with_cases(cases(200)))]

    #[test]
    fn depthwise_convolutions(
        windows in windows(),
        channels in sizes(1..14),
        multiplier in prop_oneof![Just(1usize), 1..4usize],
        rows in rows(1..36),
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

    #[test]
    fn convolutions_in_groups(
        windows in windows(),
        groups in 2..5usize,
        own in sizes(1..5),
        outs in sizes(1..5),
        rows in rows(1..20),
        threads in 1..4usize,
    ) {
        let Windows { sides, kernel, stride, dilation, before, out_sides } = windows;
        let conv = Conv { channels: own, sides, out_channels: outs, kernel, stride, dilation, before, out_sides };
        let sizes = GroupedConv { conv, groups };
        let (channels, out) = (groups * own, groups * outs);
        let (places, out_places, taps) = (windows.places(), windows.out_places(), kernel[0] * kernel[1]);
        let x = numbers(rows * channels * places, 1);
        let (w, b, slope) =
            (numbers(out * own * taps, 2), numbers(out, 3), numbers(rows * out * out_places, 4));
        let mut y: Vec<f64> = (0..slope.len()).map(|at| f64::from(b[at / out_places % out])).collect();
        let (mut dx, mut dw, mut db) = (vec![0.0; x.len()], vec![0.0; w.len()], vec![0.0; out]);
        for (row, channel) in (0..rows).flat_map(|row| (0..out).map(move |channel| (row, channel))) {
            for input in 0..own {
                let from = (row * channels + channel / outs * own + input) * places;
                windows.each(|place, tap, target| {
                    let (x_at, y_at) = (from + place, (row * out + channel) * out_places + target);
                    let w_at = (channel * own + input) * taps + tap;
                    y[y_at] += f64::from(x[x_at]) * f64::from(w[w_at]);
                    dx[x_at] += f64::from(w[w_at]) * f64::from(slope[y_at]);
                    dw[w_at] += f64::from(x[x_at]) * f64::from(slope[y_at]);
                });
            }
        }
        slope.iter().enumerate().for_each(|(at, slope)| db[at / out_places % out] += f64::from(*slope));
        let twice: Vec<f64> = dx.iter().map(|dx| 2.0 * dx).collect();
        each_way(threads, |workers| {
            let x = blocked_pictures(&x, rows, channels, places);
            let slope = blocked_pictures(&slope, rows, out, out_places);
            let mut scratch = vec![f32::NAN; sizes.scratch(blocks(rows))];
            let mut ours = vec![f32::NAN; slope.len()];
            sizes.forward(workers, &x, &w, Some(&b), false, &mut scratch, &mut ours);
            near(&plain_pictures(&ours, rows, out, out_places), &y, 2e-5, "y");
            let (mut our_dw, mut our_db, mut ours) = (vec![f32::NAN; w.len()], vec![f32::NAN; out], x.clone());
            let mut back = |add: bool, ours: &mut [f32]| {
                sizes.backward(workers, &x, &w, &slope, &mut scratch, &mut our_dw, Some(&mut our_db), add, ours);
            };
            back(false, &mut ours);
            near(&plain_pictures(&ours, rows, channels, places), &dx, 2e-5, "dx");
            back(true, &mut ours);
            near(&plain_pictures(&ours, rows, channels, places), &twice, 2e-5, "dx added");
            back(false, &mut []);
            near(&our_dw, &dw, 2e-5, "dw");
            near(&our_db, &db, 2e-5, "db");
        });
    }

    #[test]
    fn channels_and_windows_of_a_series(
        channels in sizes(1..8), places in sizes(1..9), rows in rows(1..36), threads in 1..4usize,
        is_last: bool, scale: bool,
    ) {
        let size = channels * places;
        let (x, slope, factors) = (numbers(rows * size, 1), numbers(rows * size, 2), numbers(rows * channels, 3));
        let product = |a: &[f32], at: usize| f64::from(a[at]) * f64::from(factors[at / places]);
        let y: Vec<f64> = (0..x.len()).map(|at| product(&x, at)).collect();
        let more: Vec<f64> = (0..x.len()).map(|at| f64::from(x[at]) + product(&slope, at)).collect();
        let (mut slopes, mut sums) = (vec![0.0; factors.len()], vec![0.0; channels]);
        for at in 0..x.len() {
            slopes[at / places] += f64::from(x[at]) * f64::from(slope[at]);
            sums[at / places % channels] += f64::from(x[at]);
        }
        // A row as a window of so many steps.
        let norm = WindowNorm { time: size, is_last, scale, epsilon: 1e-3 };
        let windows: Vec<[f64; 2]> = x.chunks(size).map(|x| {
            let x = wide(x);
            let mean = x.iter().sum::<f64>() / size as f64;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / size as f64;
            [if is_last { x[size - 1] } else { mean }, if scale { (variance + 1e-3).sqrt() } else { 1.0 }]
        }).collect();
        let of = |values: &[f32], of: &dyn Fn(f64, [f64; 2]) -> f64| {
            values.iter().enumerate().map(|(at, x)| of(f64::from(*x), windows[at / size])).collect::<Vec<f64>>()
        };
        let normal = of(&x, &|x, [centre, deviation]| (x - centre) / deviation);
        let reversed = of(&slope, &|x, [centre, deviation]| x * deviation + centre);
        let back = of(&slope, &|x, [_, deviation]| x * deviation);
        each_way(threads, |workers| {
            let whole = blocked_pictures(&x, rows, channels, places);
            let own_slope = blocked_pictures(&slope, rows, channels, places);
            let own = blocked_pictures(&factors, rows, channels, 1);
            let mut ours = vec![f32::NAN; whole.len()];
            scale_channels(workers, &whole, &own, channels, places, false, &mut ours);
            near(&plain_pictures(&ours, rows, channels, places), &y, 1e-6, "scaled");
            let mut ours = whole.clone();
            scale_channels(workers, &own_slope, &own, channels, places, true, &mut ours);
            near(&plain_pictures(&ours, rows, channels, places), &more, 1e-6, "scaled and added");
            let mut ours = own.clone();
            scale_channels_gradient(workers, &whole, &own_slope, channels, places, false, &mut ours);
            near(&plain_pictures(&ours, rows, channels, 1), &slopes, 1e-5, "gradient of factors");
            scale_channels_gradient(workers, &whole, &own_slope, channels, places, true, &mut ours);
            let twice: Vec<f64> = slopes.iter().map(|slope| 2.0 * slope).collect();
            near(&plain_pictures(&ours, rows, channels, 1), &twice, 1e-5, "gradient of factors added");
            let mut ours = vec![f32::NAN; channels];
            channel_sums(workers, &whole, &mut ours);
            near(&ours, &sums, 1e-5, "sums");
            let mut filled = vec![f32::NAN; whole.len()];
            fill_channels(workers, &ours, &mut filled);
            assert!(filled.chunks(channels * LANES).all(|place| {
                place.iter().enumerate().all(|(at, value)| *value == ours[at / LANES])
            }));
            let (window, values) = (blocked_pictures(&x, rows, size, 1), blocked_pictures(&slope, rows, size, 1));
            let (mut moments, mut ours) = (vec![f32::NAN; blocks(rows) * 2 * LANES], vec![f32::NAN; window.len()]);
            norm.moments(workers, &window, &mut moments);
            norm.forward(workers, &window, &moments, &mut ours);
            near(&plain_pictures(&ours, rows, size, 1), &normal, 1e-5, "window");
            WindowNorm::reverse(workers, &values, &moments, size, &mut ours);
            near(&plain_pictures(&ours, rows, size, 1), &reversed, 1e-5, "reversed");
            WindowNorm::reverse_gradient(workers, &values, &moments, size, false, &mut ours);
            near(&plain_pictures(&ours, rows, size, 1), &back, 1e-5, "gradient of values");
            WindowNorm::reverse_gradient(workers, &values, &moments, size, true, &mut ours);
            let twice: Vec<f64> = back.iter().map(|back| 2.0 * back).collect();
            near(&plain_pictures(&ours, rows, size, 1), &twice, 1e-5, "gradient of values added");
        });
    }

    #[test]
    fn means_and_enlarged_pictures(
        windows in windows(),
        (height, width, scale) in (sizes(1..7), sizes(1..7), 1..4usize),
        channels in sizes(1..6),
        rows in rows(1..20),
        threads in 1..4usize,
    ) {
        let Windows { sides, kernel, stride, before, out_sides, .. } = windows;
        // Each window of a mean has a place inside.
        if (0..2).all(|at| windows.dilation[at] == 1 && before[at] < kernel[at]
            && (out_sides[at] - 1) * stride[at] < sides[at] + before[at])
        {
            let mut inside = vec![0.0; windows.out_places()];
            windows.each(|_, _, target| inside[target] += 1.0);
            let mut map = vec![vec![0.0; windows.places()]; inside.len()];
            windows.each(|place, _, target| map[target][place] = 1.0 / inside[target]);
            let sizes = Resample::mean(channels, sides, kernel, stride, before, out_sides);
            check_map(&sizes, channels, rows, threads, &map);
        }
        let (small, large) = ([height, width], [height * scale, width * scale]);
        let map = |sides: [usize; 2], out_sides: [usize; 2], of: &dyn Fn(usize, usize, usize) -> f64| {
            let row = |at: usize| {
                let (y, x) = (at / out_sides[1], at % out_sides[1]);
                let one = |place: usize| of(0, y, place / sides[1]) * of(1, x, place % sides[1]);
                (0..sides[0] * sides[1]).map(one).collect::<Vec<f64>>()
            };
            (0..out_sides[0] * out_sides[1]).map(row).collect::<Vec<Vec<f64>>>()
        };
        let repeated = map(small, large, &|_, at, place| f64::from(u8::from(at / scale == place)));
        check_map(&Resample::repeated(channels, small, scale), channels, rows, threads, &repeated);
        let bilinear = map(small, large, &|side, at, place| {
            let middle = (at as f64 + 0.5) / scale as f64 - 0.5;
            (1.0 - (middle.clamp(0.0, (small[side] - 1) as f64) - place as f64).abs()).max(0.0)
        });
        check_map(&Resample::bilinear(channels, small, scale), channels, rows, threads, &bilinear);
        let cells = [(height * scale).min(scale + 1), width];
        let grid = map(large, cells, &|side, cell, place| {
            let (from, to) = (cell * large[side] / cells[side], ((cell + 1) * large[side]).div_ceil(cells[side]));
            if (from..to).contains(&place) { 1.0 / (to - from) as f64 } else { 0.0 }
        });
        check_map(&Resample::grid(channels, large, cells), channels, rows, threads, &grid);
    }

    #[test]
    fn group_norms(
        groups in sizes(1..5), own in sizes(1..6), places in sizes(1..12), rows in rows(1..36), threads in 1..4usize,
    ) {
        let channels = groups * own;
        let sizes = GroupNorm { channels, groups, places, epsilon: 1e-3 };
        let (size, count) = (channels * places, (own * places) as f64);
        let x = numbers(rows * size, 1);
        let (w, b, slope) = (numbers(channels, 2), numbers(channels, 3), numbers(x.len(), 4));
        let old = numbers(x.len(), 5);
        let channel = |at: usize| at / places % channels;
        // The values of a group, one after the other, are those of a row of so many.
        let whole = |x: &[f64], w: &[f64], b: &[f64]| {
            let normal = x.chunks(own * places).flat_map(|x| {
                let mean = x.iter().sum::<f64>() / count;
                let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
                x.iter().map(|x| (x - mean) / (variance + 1e-3).sqrt()).collect::<Vec<f64>>()
            });
            let scaled = normal.enumerate().map(|(at, x)| x * w[channel(at)] + b[channel(at)]);
            scaled.collect::<Vec<f64>>()
        };
        let (x64, w64, b64) = (wide(&x), wide(&w), wide(&b));
        let loss = |x: &[f64], w: &[f64], b: &[f64]| {
            whole(x, w, b).iter().zip(&slope).map(|(y, slope)| y * f64::from(*slope)).sum::<f64>()
        };
        let slopes = |values: &[f64], loss: &dyn Fn(&[f64]) -> f64| {
            let moved = |at: usize, by: f64| {
                let mut values = values.to_vec();
                values[at] += by;
                loss(&values)
            };
            (0..values.len().min(40)).map(|at| (moved(at, 1e-5) - moved(at, -1e-5)) / 2e-5).collect::<Vec<f64>>()
        };
        let y = whole(&x64, &w64, &b64);
        let dx = slopes(&x64, &|x| loss(x, &w64, &b64));
        let (dw, db) = (slopes(&w64, &|w| loss(&x64, w, &b64)), slopes(&b64, &|b| loss(&x64, &w64, b)));
        each_way(threads, |workers| {
            let x = blocked_pictures(&x, rows, channels, places);
            let (mut ours, mut moments) = (vec![f32::NAN; x.len()], vec![f32::NAN; blocks(rows) * groups * 2 * LANES]);
            sizes.forward(workers, &x, &w, &b, &mut ours, &mut moments);
            near(&plain_pictures(&ours, rows, channels, places), &y, 1e-4, "y");
            let slope = blocked_pictures(&slope, rows, channels, places);
            let (mut our_dw, mut our_db) = (vec![f32::NAN; channels], vec![f32::NAN; channels]);
            let mut our_dx = vec![f32::NAN; x.len()];
            sizes.backward(workers, &x, &moments, &w, &slope, &mut our_dw, &mut our_db, false, &mut our_dx);
            near(&our_dw, &dw, 1e-4, "dw");
            near(&our_db, &db, 1e-4, "db");
            let first = plain_pictures(&our_dx, rows, channels, places);
            // Where a group has nearly one value, its slopes are steep.
            let largest = first.iter().fold(1.0, |most: f32, value| most.max(value.abs()));
            near(&first[..dx.len()], &dx, 1e-3 * f64::from(largest).max(1.0), "dx");
            let mut more = blocked_pictures(&old, rows, channels, places);
            sizes.backward(workers, &x, &moments, &w, &slope, &mut our_dw, &mut our_db, true, &mut more);
            let sums: Vec<f64> = first.iter().zip(&old).map(|(dx, old)| f64::from(*dx) + f64::from(*old)).collect();
            near(&plain_pictures(&more, rows, channels, places), &sums, 1e-5, "dx added");
            sizes.backward(workers, &x, &moments, &w, &slope, &mut our_dw, &mut our_db, false, &mut []);
        });
    }
}

/// That every place out is the sum of those in by the rows of `map`, and the way back.
fn check_map(sizes: &Resample, channels: usize, rows: usize, threads: usize, map: &[Vec<f64>]) {
    let (places, out_places) = (map[0].len(), map.len());
    let (x, slope) = (numbers(rows * channels * places, 1), numbers(rows * channels * out_places, 2));
    let (mut y, mut dx) = (vec![0.0; slope.len()], vec![0.0; x.len()]);
    for (at, place) in (0..slope.len()).flat_map(|at| (0..places).map(move |place| (at, place))) {
        let (plane, share) = (at / out_places, map[at % out_places][place]);
        y[at] += share * f64::from(x[plane * places + place]);
        dx[plane * places + place] += share * f64::from(slope[at]);
    }
    let back = sizes.back();
    each_way(threads, |workers| {
        let (x, slope) =
            (blocked_pictures(&x, rows, channels, places), blocked_pictures(&slope, rows, channels, out_places));
        let mut ours = vec![f32::NAN; slope.len()];
        sizes.forward(workers, &x, false, &mut ours);
        near(&plain_pictures(&ours, rows, channels, out_places), &y, 1e-5, "y");
        let mut ours = vec![f32::NAN; x.len()];
        back.forward(workers, &slope, false, &mut ours);
        near(&plain_pictures(&ours, rows, channels, places), &dx, 1e-5, "dx");
        back.forward(workers, &slope, true, &mut ours);
        let twice: Vec<f64> = dx.iter().map(|dx| 2.0 * dx).collect();
        near(&plain_pictures(&ours, rows, channels, places), &twice, 1e-5, "dx added");
    });
}
