//! Every kernel against plain loops in float64, over random sizes, on one to three threads, with all instructions that
//! this processor has and with plain ones; gradients against finite differences.

#![allow(clippy::unwrap_used)]

mod plain_loops;

use lepton_kernels::{
    BatchNorm, Conv, CrossEntropy, LANES, Level, Linear, MaxPool, Moments, PooledConv, Precision, Workers, blocks,
    flatten, from_pictures, from_rows, global_mean, global_mean_backward, mask_relu, product_of, relu, squares, sum_of,
    to_rows, unflatten,
};
use plain_loops::{
    blocked_pictures as blocked, cases, coarse, each_precision, each_way, numbers, plain_pictures as plain, rows, sizes,
};
use proptest::prelude::*;

fn close(ours: &[f32], reference: &[f64], what: &str) {
    assert_eq!(ours.len(), reference.len(), "{what}");
    let largest = reference.iter().fold(1e-3, |most: f64, value| most.max(value.abs()));
    for (at, (ours, reference)) in ours.iter().zip(reference).enumerate() {
        assert!((f64::from(*ours) - reference).abs() <= 2e-5 * largest, "{what} at {at}: {ours}, not {reference}");
    }
}

/// The sizes of a convolution, with zeros below and to the right.
fn conv_sizes() -> impl Strategy<Value = (Conv, usize, usize)> {
    let sides = (1..4usize, 1..4usize, 1..3usize, 1..3usize, 0..3usize, 0..3usize, 0..3usize, 0..3usize);
    let channels = prop_oneof![sizes(1..9), sizes(14..36)];
    let dilation = prop_oneof![Just([1, 1]), [1..4usize, 1..4usize]];
    (sides, dilation, channels.clone(), channels, sizes(0..6), sizes(0..6), rows(1..36), 1..4usize).prop_map(
        |((kh, kw, sh, sw, top, left, bottom, right), dilation, channels, out_channels, more, wide, rows, threads)| {
            let spans = [(kh - 1) * dilation[0] + 1, (kw - 1) * dilation[1] + 1];
            // Small pictures may lie between the window's points, where there are zeros enough.
            let sides = [
                (spans[0] + more).saturating_sub(top + bottom).max(kh),
                (spans[1] + wide).saturating_sub(left + right).max(kw),
            ];
            let out_sides =
                [(sides[0] + top + bottom - spans[0]) / sh + 1, (sides[1] + left + right - spans[1]) / sw + 1];
            let (kernel, stride, before) = ([kh, kw], [sh, sw], [top, left]);
            (Conv { channels, sides, out_channels, kernel, stride, dilation, before, out_sides }, rows, threads)
        },
    )
}

/// Calls `of` with all (input, weight, output) that meet in a convolution.
fn each_product(sizes: &Conv, rows: usize, mut of: impl FnMut(usize, usize, usize)) {
    let Conv { channels, sides, out_channels, kernel, stride, dilation, before, out_sides } = *sizes;
    for row in 0..rows {
        for out in 0..out_channels {
            for y in 0..out_sides[0] {
                for x in 0..out_sides[1] {
                    for channel in 0..channels {
                        for down in 0..kernel[0] {
                            for across in 0..kernel[1] {
                                let from = [y * stride[0] + down * dilation[0], x * stride[1] + across * dilation[1]];
                                let inside =
                                    (0..2).all(|at| from[at] >= before[at] && from[at] - before[at] < sides[at]);
                                if inside {
                                    let from = [from[0] - before[0], from[1] - before[1]];
                                    of(
                                        ((row * channels + channel) * sides[0] + from[0]) * sides[1] + from[1],
                                        ((out * channels + channel) * kernel[0] + down) * kernel[1] + across,
                                        ((row * out_channels + out) * out_sides[0] + y) * out_sides[1] + x,
                                    );
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What a convolution gives, and what it gives with its pool, by the two kernels and in one pass: outputs and winners. Where nothing
/// is written, `behind` stays.
fn forward_pooled(
    workers: &Workers,
    both: &PooledConv,
    x: &[f32],
    w: &[f32],
    b: &[f32],
    rows: usize,
    behind: f32,
) -> (Vec<f32>, [Vec<f32>; 2], [Vec<f32>; 2]) {
    let (conv, pool) = (both.conv(), both.pool());
    let new = |sides: [usize; 2]| vec![behind; blocks(rows) * sides[0] * sides[1] * conv.out_channels * LANES];
    let (mut packed, mut our_packed) = (w.to_vec(), w.to_vec());
    conv.pack_forward(workers, w, &mut packed);
    both.pack_forward(workers, w, &mut our_packed);
    let mut whole = new(conv.out_sides);
    let [mut y, mut winners, mut our_y, mut our_winners] = [(); 4].map(|()| new(pool.out_sides));
    conv.forward(workers, x, &packed, Some(b), true, &mut whole);
    pool.forward(workers, &whole, &mut y, &mut winners);
    both.forward(workers, x, &our_packed, Some(b), &mut our_y, &mut our_winners);
    (whole, [y, winners], [our_y, our_winners])
}

/// A convolution with its pool in one pass, against the two kernels.
fn check_pooled(workers: &Workers, both: &PooledConv, x: &[f32], w: &[f32], b: &[f32], rows: usize) {
    let (conv, pool) = (both.conv(), both.pool());
    let (whole, [y, winners], [our_y, our_winners]) = forward_pooled(workers, both, x, w, b, rows, f32::NAN);
    assert_eq!(our_y, y);
    // Where nothing is above 0 nothing comes back, whoever won.
    assert!(our_winners.iter().zip(&winners).zip(&y).all(|((ours, winner), y)| ours == winner || *y <= 0.0));
    let slope = blocked(
        &numbers(rows * conv.out_channels * pool.out_sides[0] * pool.out_sides[1], 8),
        rows,
        conv.out_channels,
        pool.out_sides[0] * pool.out_sides[1],
    );
    let mut spread = vec![f32::NAN; whole.len()];
    pool.backward(workers, &slope, &winners, false, &mut spread);
    let mut scratch = vec![f32::NAN; conv.scratch(blocks(rows)).max(both.scratch(workers.threads()))];
    let [(mut dw, mut db), (mut our_dw, mut our_db)] = [(), ()].map(|()| (vec![0.0; w.len()], vec![0.0; b.len()]));
    conv.backward_weights(workers, x, Some(&whole), &mut spread, &mut scratch, &mut dw, Some(&mut db));
    both.backward_weights(workers, x, &our_y, &our_winners, &slope, &mut scratch, &mut our_dw, Some(&mut our_db));
    let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>();
    close(&our_dw, &wide(&dw), "dw with the pool");
    close(&our_db, &wide(&db), "db with the pool");
}

/// NaN, and infinite numbers whose sums are NaN, win a window of a pool and go through, wherever they stand in it.
#[test]
fn pools_let_nan_through() {
    let sizes =
        MaxPool { channels: 5, sides: [6, 6], kernel: [2, 2], stride: [2, 2], before: [0, 0], out_sides: [3, 3] };
    let conv = Conv {
        channels: 1,
        sides: [8, 8],
        out_channels: 5,
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        before: [0, 0],
        out_sides: [6, 6],
    };
    let both = PooledConv::new(conv, sizes).unwrap();
    let (rows, places) = (32, 64);
    let mut x = numbers(rows * places, 1);
    for (row, x) in x.chunks_exact_mut(places).enumerate() {
        match row % 3 {
            0 => x[row] = f32::NAN,
            1 => x[row] = f32::INFINITY,
            _ => (x[row], x[(row + 1) % places]) = (f32::INFINITY, f32::NEG_INFINITY),
        }
    }
    let (x, w, b) = (blocked(&x, rows, 1, places), numbers(5 * 9, 2), numbers(5, 3));
    each_way(2, |workers| {
        let (_, [y, winners], [our_y, our_winners]) = forward_pooled(workers, &both, &x, &w, &b, rows, 0.0);
        assert!(y.iter().any(|y| y.is_nan()) && y.iter().any(|y| y.is_infinite()));
        for (((y, ours), winner), our_winner) in y.iter().zip(&our_y).zip(&winners).zip(&our_winners) {
            assert!(y == ours || y.is_nan() && ours.is_nan(), "{ours}, not {y}");
            assert!(winner == our_winner || *y <= 0.0, "{our_winner}, not {winner}, of {y}");
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(60)))]

    #[test]
    fn blocks_are_another_order(
        rows in rows(1..40), channels in sizes(1..20), places in sizes(1..20), threads in 1..4usize,
    ) {
        let x = numbers(rows * channels * places, 1);
        each_way(threads, |workers| {
            let mut pictures = vec![f32::NAN; blocks(rows) * channels * places * LANES];
            from_pictures(workers, &x, channels, places, &mut pictures);
            assert_eq!(pictures, blocked(&x, rows, channels, places));
            let mut flat = vec![f32::NAN; pictures.len()];
            flatten(workers, &pictures, channels, places, &mut flat);
            assert_eq!(flat, blocked(&x, rows, channels * places, 1));
            let mut direct = vec![f32::NAN; pictures.len()];
            from_rows(workers, &x, channels * places, &mut direct);
            assert_eq!(direct, flat);
            let mut back = vec![f32::NAN; pictures.len()];
            unflatten(workers, &flat, channels, places, false, &mut back);
            assert_eq!(back, pictures);
            let mut plain = vec![f32::NAN; x.len()];
            to_rows(&flat, channels * places, &mut plain);
            assert_eq!(plain, x);
        });
    }

    #[test]
    fn dense_layers(
        rows in prop_oneof![3 => rows(1..50), 1 => rows(120..300)],
        features in prop_oneof![sizes(1..40), sizes(250..300)], units in prop_oneof![sizes(1..40), sizes(250..270)],
        threads in 1..4usize, is_relu: bool,
    ) {
        let (x, w, b) = (coarse(rows * features, 1), coarse(units * features, 2), coarse(units, 3));
        let (slope, before) = (coarse(rows * units, 4), coarse(rows * features, 5));
        let of = |at: usize| f64::from(b[at % units]) + (0..features).map(|f| {
            f64::from(x[at / units * features + f]) * f64::from(w[at % units * features + f])
        }).sum::<f64>();
        let y: Vec<f64> = (0..rows * units).map(of).map(|y| if is_relu { y.max(0.0) } else { y }).collect();
        let (mut dx, mut dw, mut db) = (vec![0.0; x.len()], vec![0.0; w.len()], vec![0.0; units]);
        for (at, slope) in slope.iter().enumerate() {
            let (row, unit, slope) = (at / units, at % units, f64::from(*slope));
            db[unit] += slope;
            for f in 0..features {
                dx[row * features + f] += slope * f64::from(w[unit * features + f]);
                dw[unit * features + f] += slope * f64::from(x[row * features + f]);
            }
        }
        let more: Vec<f64> = dx.iter().zip(&before).map(|(dx, before)| dx + f64::from(*before)).collect();
        let masked: Vec<f64> = dx.iter().zip(&x).map(|(dx, x)| if *x > 0.0 { *dx } else { 0.0 }).collect();
        each_precision(threads, |workers| {
            let sizes = Linear { features, units };
            let (x, slope) = (blocked(&x, rows, features, 1), blocked(&slope, rows, units, 1));
            let mut ours = vec![f32::NAN; blocks(rows) * units * LANES];
            sizes.forward(workers, &x, &w, Some(&b), is_relu, &mut ours);
            close(&plain(&ours, rows, units, 1), &y, "y");
            let mut ours = vec![f32::NAN; x.len()];
            sizes.backward_input(workers, &slope, &w, None, false, &mut ours);
            close(&plain(&ours, rows, features, 1), &dx, "dx");
            sizes.backward_input(workers, &slope, &w, Some(&x), false, &mut ours);
            close(&plain(&ours, rows, features, 1), &masked, "dx in front of max(x, 0)");
            let mut ours = blocked(&before, rows, features, 1);
            sizes.backward_input(workers, &slope, &w, None, true, &mut ours);
            close(&plain(&ours, rows, features, 1), &more, "dx added");
            let (mut our_dw, mut our_db) = (vec![f32::NAN; w.len()], vec![f32::NAN; units]);
            sizes.backward_weights(workers, &x, &slope, &mut our_dw, Some(&mut our_db));
            close(&our_dw, &dw, "dw");
            close(&our_db, &db, "db");
        });
    }

    #[test]
    fn convolutions((sizes, rows, threads) in conv_sizes(), is_relu: bool) {
        let (places, out_places) = (sizes.sides[0] * sizes.sides[1], sizes.out_sides[0] * sizes.out_sides[1]);
        let (channels, out) = (sizes.channels, sizes.out_channels);
        let x = coarse(rows * channels * places, 1);
        let (w, b) = (coarse(sizes.weights(), 2), coarse(out, 3));
        let (mut slope, before) = (coarse(rows * out * out_places, 4), coarse(x.len(), 5));
        let mut y: Vec<f64> = (0..rows * out * out_places).map(|at| f64::from(b[at / out_places % out])).collect();
        each_product(&sizes, rows, |x_at, w_at, y_at| y[y_at] += f64::from(x[x_at]) * f64::from(w[w_at]));
        if is_relu {
            // Where it is hard to say on which side of 0 a sum is, nothing comes back.
            slope.iter_mut().zip(&y).filter(|(_, y)| y.abs() < 1e-5).for_each(|(slope, _)| *slope = 0.0);
        }
        let unmasked = slope.clone();
        if is_relu {
            slope.iter_mut().zip(&mut y).for_each(|(slope, y)| if *y <= 0.0 { (*slope, *y) = (0.0, 0.0) });
        }
        let (mut dx, mut dw, mut db) = (vec![0.0; x.len()], vec![0.0; w.len()], vec![0.0; out]);
        each_product(&sizes, rows, |x_at, w_at, y_at| {
            dx[x_at] += f64::from(w[w_at]) * f64::from(slope[y_at]);
            dw[w_at] += f64::from(x[x_at]) * f64::from(slope[y_at]);
        });
        slope.iter().enumerate().for_each(|(at, slope)| db[at / out_places % out] += f64::from(*slope));
        let more: Vec<f64> = dx.iter().zip(&before).map(|(dx, before)| dx + f64::from(*before)).collect();
        each_precision(threads, |workers| {
            let x = blocked(&x, rows, channels, places);
            let mut packed = vec![f32::NAN; w.len()];
            sizes.pack_forward(workers, &w, &mut packed);
            let mut our_y = vec![f32::NAN; blocks(rows) * out * out_places * LANES];
            sizes.forward(workers, &x, &packed, Some(&b), is_relu, &mut our_y);
            close(&plain(&our_y, rows, out, out_places), &y, "y");
            let mut scratch = vec![f32::NAN; sizes.scratch(blocks(rows))];
            let mut our_slope = blocked(&unmasked, rows, out, out_places);
            let (mut our_dw, mut our_db) = (vec![f32::NAN; w.len()], vec![f32::NAN; out]);
            let masked = is_relu.then_some(&our_y[..]);
            sizes.backward_weights(workers, &x, masked, &mut our_slope, &mut scratch, &mut our_dw, Some(&mut our_db));
            close(&our_dw, &dw, "dw");
            close(&our_db, &db, "db");
            let pooled = MaxPool {
                channels: out,
                sides: sizes.out_sides,
                kernel: [2, 2],
                stride: [2, 2],
                before: [0, 0],
                out_sides: sizes.out_sides.map(|side| side / 2),
            };
            let is_pooled = is_relu && !pooled.out_sides.contains(&0) && workers.precision() == Precision::Float32;
            if let Some(both) = PooledConv::new(sizes, pooled).filter(|_| is_pooled) {
                check_pooled(workers, &both, &x, &w, &b, rows);
            }
            sizes.pack_backward(workers, &w, &mut packed);
            let mut ours = vec![f32::NAN; x.len()];
            sizes.backward_input(workers, &our_slope, &packed, false, &mut ours);
            close(&plain(&ours, rows, channels, places), &dx, "dx");
            let mut ours = blocked(&before, rows, channels, places);
            sizes.backward_input(workers, &our_slope, &packed, true, &mut ours);
            close(&plain(&ours, rows, channels, places), &more, "dx added");
        });
    }

    /// Kernels that are larger than the tiles of their sums.
    #[test]
    fn pooled_convolutions(
        kernel in [sizes(1..8), sizes(1..8)], before in [sizes(0..4), sizes(0..4)],
        outputs in [sizes(2..9), sizes(2..9)],
        channels in 1..4usize, out_channels in sizes(1..9), rows in rows(1..36), threads in 1..4usize,
    ) {
        // As many zeros behind the picture as in front of it.
        let side = |at: usize| (outputs[at] + kernel[at] - 1).saturating_sub(2 * before[at]).max(1);
        let sides = [side(0), side(1)];
        let out_sides = [0, 1].map(|at| (sides[at] + 2 * before[at] + 1).saturating_sub(kernel[at]));
        let sizes = Conv { channels, sides, out_channels, kernel, stride: [1, 1], dilation: [1, 1], before, out_sides };
        let pool = MaxPool {
            channels: out_channels,
            sides: out_sides,
            kernel: [2, 2],
            stride: [2, 2],
            before: [0, 0],
            out_sides: out_sides.map(|side| side / 2),
        };
        let Some(both) = PooledConv::new(sizes, pool) else {
            prop_assert!(channels * kernel[1] >= 15 || pool.out_sides.contains(&0) || channels * kernel[0] * kernel[1] > 160);
            return Ok(());
        };
        let x = blocked(&numbers(rows * channels * sides[0] * sides[1], 1), rows, channels, sides[0] * sides[1]);
        let (w, b) = (numbers(out_channels * channels * kernel[0] * kernel[1], 2), numbers(out_channels, 3));
        each_way(threads, |workers| check_pooled(workers, &both, &x, &w, &b, rows));
    }

    #[test]
    fn max_pools((sizes, rows, threads) in conv_sizes()) {
        // A window has a place inside where there are fewer zeros than it is long.
        let Conv { channels, sides, kernel, stride, dilation, before, out_sides, .. } = sizes;
        prop_assume!((0..2).all(|at| {
            dilation[at] == 1 && before[at] < kernel[at] && (out_sides[at] - 1) * stride[at] < sides[at] + before[at]
        }));
        let sizes = MaxPool { channels, sides, kernel, stride, before, out_sides };
        let (places, out_places) = (sides[0] * sides[1], out_sides[0] * out_sides[1]);
        // Few different values, so that many are equal.
        let x: Vec<f32> = numbers(rows * channels * places, 1).iter().map(|x| (3.0 * x).round()).collect();
        let slope = numbers(rows * channels * out_places, 2);
        let (mut y, mut dx) = (Vec::new(), vec![0.0; x.len()]);
        for (at, slope) in slope.iter().enumerate() {
            let (plane, top, left) = (at / out_places, at % out_places / out_sides[1], at % out_sides[1]);
            let mut best: Option<usize> = None;
            for down in 0..kernel[0] {
                for across in 0..kernel[1] {
                    let from = [top * stride[0] + down, left * stride[1] + across];
                    if (0..2).all(|at| from[at] >= before[at] && from[at] - before[at] < sides[at]) {
                        let place = (plane * sides[0] + from[0] - before[0]) * sides[1] + from[1] - before[1];
                        best = best.filter(|best| x[*best] >= x[place]).or(Some(place));
                    }
                }
            }
            y.push(f64::from(x[best.unwrap()]));
            dx[best.unwrap()] += f64::from(*slope);
        }
        each_way(threads, |workers| {
            let x = blocked(&x, rows, channels, places);
            let mut ours = vec![f32::NAN; blocks(rows) * channels * out_places * LANES];
            let mut winners = ours.clone();
            sizes.forward(workers, &x, &mut ours, &mut winners);
            close(&plain(&ours, rows, channels, out_places), &y, "y");
            let slope = blocked(&slope, rows, channels, out_places);
            let mut ours = vec![f32::NAN; x.len()];
            sizes.backward(workers, &slope, &winners, false, &mut ours);
            close(&plain(&ours, rows, channels, places), &dx, "dx");
            sizes.backward(workers, &slope, &winners, true, &mut ours);
            let twice: Vec<f64> = dx.iter().map(|dx| 2.0 * dx).collect();
            close(&plain(&ours, rows, channels, places), &twice, "dx added");
        });
    }

    #[test]
    fn means_and_sums(rows in rows(1..40), channels in sizes(1..20), places in sizes(1..20), threads in 1..4usize) {
        let (x, slope) = (numbers(rows * channels * places, 1), numbers(rows * channels, 2));
        let mean = x.chunks(places).map(|own| own.iter().map(|x| f64::from(*x)).sum::<f64>() / places as f64);
        let mean: Vec<f64> = mean.collect();
        let spread: Vec<f64> = (0..x.len()).map(|at| f64::from(slope[at / places]) / places as f64).collect();
        each_way(threads, |workers| {
            let input = blocked(&x, rows, channels, places);
            let mut ours = vec![f32::NAN; blocks(rows) * channels * LANES];
            global_mean(workers, &input, places, channels, &mut ours);
            close(&plain(&ours, rows, channels, 1), &mean, "mean");
            let mut ours = vec![f32::NAN; input.len()];
            global_mean_backward(workers, &blocked(&slope, rows, channels, 1), places, channels, false, &mut ours);
            close(&plain(&ours, rows, channels, places), &spread, "spread");
            let mut up = vec![f32::NAN; input.len()];
            relu(workers, &input, &mut up);
            assert!(up.iter().zip(&input).all(|(up, x)| *up == x.max(0.0)));
            let mut both = vec![f32::NAN; input.len()];
            sum_of(workers, &input, &up, false, &mut both);
            assert!(both.iter().zip(input.iter().zip(&up)).all(|(sum, (a, b))| *sum == a + b));
            lepton_kernels::add(workers, &input, &mut up);
            assert_eq!(up, both);
            sum_of(workers, &input, &input, true, &mut both);
            assert!(both.iter().zip(&input).all(|(sum, x)| *sum == (x + x).max(0.0)));
            let mut products = both.clone();
            product_of(workers, &input, &up, true, &mut products);
            let expected: Vec<f64> = (0..up.len())
                .map(|at| f64::from(input[at]) * f64::from(up[at]) + f64::from(both[at]))
                .collect();
            close(&products, &expected, "products added");
            product_of(workers, &input, &input, false, &mut products);
            assert!(products.iter().zip(&input).all(|(product, x)| *product == x * x));
            let whole: f64 = x.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
            let (sum, finite) = squares(workers, &x);
            assert!((sum - whole).abs() <= 1e-6 * whole && finite, "{sum}, not {whole}");
            for wrong in [f32::NAN, f32::INFINITY] {
                let mut bad = x.clone();
                bad[x.len() / 2] = wrong;
                assert!(!squares(workers, &bad).1);
            }
            let mut slope = input.clone();
            mask_relu(workers, &both, &mut slope);
            assert!(slope.iter().zip(&input).all(|(slope, x)| *slope == x.max(0.0)));
        });
    }

    #[test]
    fn batch_norms(
        rows in rows(2..40), channels in sizes(1..20), places in sizes(1..12), threads in 1..4usize,
        most in prop_oneof![Just(None), Just(Some(f32::INFINITY)), Just(Some(0.5))],
    ) {
        let sizes = BatchNorm { channels, places, rows, epsilon: 1e-3, most };
        let x = numbers(rows * channels * places, 1);
        let (w, b, mut slope) = (numbers(channels, 2), numbers(channels, 3), numbers(x.len(), 4));
        let channel = |at: usize| at / places % channels;
        let count = (rows * places) as f64;
        let bounded = |y: f64| most.map_or(y, |most| y.max(0.0).min(f64::from(most)));
        // The loss is the sum of outputs times slopes, in float64.
        let whole = |x: &[f64], w: &[f64], b: &[f64]| {
            let (mut mean, mut variance) = (vec![0.0; channels], vec![0.0; channels]);
            x.iter().enumerate().for_each(|(at, x)| mean[channel(at)] += x / count);
            x.iter().enumerate().for_each(|(at, x)| variance[channel(at)] += (x - mean[channel(at)]).powi(2) / count);
            let of = |(at, x): (usize, &f64)| {
                (x - mean[channel(at)]) / (variance[channel(at)] + 1e-3).sqrt() * w[channel(at)] + b[channel(at)]
            };
            let y: Vec<f64> = x.iter().enumerate().map(of).collect();
            (y, mean, variance)
        };
        let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>();
        let (x64, w64, b64) = (wide(&x), wide(&w), wide(&b));
        let (mut y, mean, variance) = whole(&x64, &w64, &b64);
        // Where it is hard to say on which side of a corner a value is, nothing comes back.
        let corners = [0.0, f64::from(most.unwrap_or(0.0))];
        let is_near = |y: f64| most.is_some() && corners.iter().any(|corner| (y - corner).abs() < 1e-2);
        slope.iter_mut().zip(&y).filter(|(_, y)| is_near(**y)).for_each(|(slope, _)| *slope = 0.0);
        y.iter_mut().for_each(|y| *y = bounded(*y));
        let loss = |x: &[f64], w: &[f64], b: &[f64]| {
            whole(x, w, b).0.iter().zip(&slope).map(|(y, slope)| bounded(*y) * f64::from(*slope)).sum::<f64>()
        };
        let slopes = |values: &[f64], loss: &dyn Fn(&[f64]) -> f64| {
            let moved = |at: usize, by: f64| {
                let mut values = values.to_vec();
                values[at] += by;
                loss(&values)
            };
            (0..values.len().min(60)).map(|at| (moved(at, 1e-5) - moved(at, -1e-5)) / 2e-5).collect::<Vec<f64>>()
        };
        let dx = slopes(&x64, &|x| loss(x, &w64, &b64));
        let (dw, db) = (slopes(&w64, &|w| loss(&x64, w, &b64)), slopes(&b64, &|b| loss(&x64, &w64, b)));
        each_way(threads, |workers| {
            // What stands behind the last row must not count.
            let mut input = blocked(&x, rows, channels, places);
            let live = |at: usize| at / (channels * places * LANES) * LANES + at % LANES < rows;
            input.iter_mut().enumerate().filter(|(at, _)| !live(*at)).for_each(|(_, x)| *x = 7.0);
            let moments = sizes.moments(workers, &input);
            close(&moments.mean, &mean, "mean");
            close(&moments.variance, &variance, "variance");
            let mut ours = vec![f32::NAN; input.len()];
            sizes.forward(workers, &input, &moments, &w, &b, &mut ours);
            close(&plain(&ours, rows, channels, places), &y, "y");
            let slope = blocked(&slope, rows, channels, places);
            let (mut our_dw, mut our_db, mut our_dx) = (vec![0.0; channels], vec![0.0; channels], ours);
            sizes.backward(workers, &input, &moments, &w, &b, &slope, &mut our_dw, &mut our_db, false, &mut our_dx);
            close(&our_dw, &dw, "dw");
            close(&our_db, &db, "db");
            let all = plain(&our_dx, rows, channels, places);
            let wide = all.iter().fold(1e-2, |most: f32, value| most.max(value.abs()));
            let off = all.iter().zip(&dx).map(|(ours, dx)| (f64::from(*ours) - dx).abs()).fold(0.0, f64::max);
            assert!(off < 1e-4 * f64::from(wide), "dx is off by {off} of {wide}");
            assert!(our_dx.iter().enumerate().all(|(at, dx)| live(at) || *dx == 0.0));
        });
    }

    #[test]
    fn cross_entropy_of_classes(
        rows in rows(1..40), classes in sizes(1..20), smoothing in prop_oneof![Just(0.0f32), 0.0..0.5f32],
        scale in prop_oneof![Just(1.0f32), Just(60.0)], threads in 1..4usize,
    ) {
        let x: Vec<f32> = numbers(rows * classes, 1).iter().map(|x| scale * x).collect();
        let target = |row: usize| (7 * row + 3) % classes;
        let weight = |row: usize| if row % 5 == 4 { 0.0 } else { 0.25 + row as f32 };
        let (mut losses, mut slopes) = (Vec::new(), Vec::new());
        for (row, x) in x.chunks(classes).enumerate() {
            let sum: f64 = x.iter().map(|x| f64::from(*x).exp()).sum();
            let share = |class: usize| {
                f64::from(smoothing) / classes as f64 + if class == target(row) { 1.0 - f64::from(smoothing) } else { 0.0 }
            };
            losses.push((0..classes).map(|at| -share(at) * (f64::from(x[at]) - sum.ln())).sum::<f64>());
            slopes.extend((0..classes).map(|at| f64::from(weight(row)) * (f64::from(x[at]).exp() / sum - share(at))));
        }
        each_way(threads, |workers| {
            let by_row = |of: &dyn Fn(usize) -> f32| -> Vec<f32> {
                (0..blocks(rows) * LANES).map(|row| if row < rows { of(row) } else { 0.0 }).collect()
            };
            let (targets, weights) = (by_row(&|row| target(row) as f32), by_row(&weight));
            let (mut parts, mut ours) = (vec![f32::NAN; 2 * targets.len()], vec![f32::NAN; targets.len() * classes]);
            let x = blocked(&x, rows, classes, 1);
            CrossEntropy { classes, smoothing }.evaluate(workers, &x, &targets, &weights, &mut parts, &mut ours);
            let of_row = |row: usize| {
                let part = &parts[row / LANES * 2 * LANES..][..2 * LANES];
                (f64::from(part[row % LANES]).ln() + f64::from(part[LANES + row % LANES])) as f32
            };
            close(&(0..rows).map(of_row).collect::<Vec<f32>>(), &losses, "loss");
            close(&plain(&ours, rows, classes, 1), &slopes, "dx");
            let behind = ours.chunks(LANES).flat_map(|lane| &lane[(rows - 1) % LANES + 1..]);
            assert!(ours.len() > classes * LANES || behind.copied().all(|slope| slope == 0.0));
        });
    }

    #[test]
    #[cfg_attr(miri, ignore = "would take an hour")]
    fn results_repeat_to_the_bit(rows in rows(1..40), threads in 1..4usize) {
        let sizes = Conv { channels: 5, sides: [7, 6], out_channels: 9, kernel: [3, 3], stride: [1, 1], dilation: [1, 1], before: [1, 1], out_sides: [7, 6] };
        let workers = |precision| Workers::new(threads, Level::detect()).unwrap().with_precision(precision);
        let workers = [workers(Precision::Float32), workers(Precision::Bf16)];
        let x = blocked(&numbers(rows * 5 * 42, 1), rows, 5, 42);
        let slope = blocked(&numbers(rows * 9 * 42, 2), rows, 9, 42);
        let once = |workers: &Workers| {
            let (mut slope, mut scratch) = (slope.clone(), vec![0.0; sizes.scratch(blocks(rows))]);
            let (mut dw, mut db) = (vec![0.0; sizes.weights()], vec![0.0; 9]);
            sizes.backward_weights(workers, &x, None, &mut slope, &mut scratch, &mut dw, Some(&mut db));
            (dw, db)
        };
        for workers in &workers {
            let first = once(workers);
            for _ in 0..5 {
                prop_assert_eq!(&once(workers), &first);
            }
        }
    }
}

#[test]
fn not_a_number_comes_through() {
    each_way(1, |workers| {
        let mut x = vec![0.0; 4 * LANES];
        for at in 0..4 {
            x[at * LANES + at] = f32::NAN;
        }
        let sizes =
            MaxPool { channels: 1, sides: [2, 2], kernel: [2, 2], stride: [2, 2], before: [0, 0], out_sides: [1, 1] };
        let (mut y, mut winners) = (vec![0.0; LANES], vec![0.0; LANES]);
        sizes.forward(workers, &x, &mut y, &mut winners);
        assert!(y[..4].iter().all(|y| y.is_nan()) && y[4..].iter().all(|y| *y == 0.0));
        let mut up = vec![0.0; x.len()];
        relu(workers, &x, &mut up);
        assert!((0..4).all(|at| up[at * LANES + at].is_nan()));
    });
    assert_eq!(Moments::default().mean.len(), 0);
}
