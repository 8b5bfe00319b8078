//! Kernels of sequences against plain loops in float64, over random sizes, on one to three threads, with all instructions
//! that this processor has and with plain ones; gradients against finite differences.

#![allow(clippy::unwrap_used)]

mod plain_loops;

use lepton_kernels::{
    Activation, Attention, Embedding, FeatureTokens, LANES, LayerNorm, Level, Linear, OverTime, Workers, add_table,
    blocks, channel_sums, copy_part, scale_by,
};
use plain_loops::{blocked, cases, each_way, near, numbers, plain, rows, sizes, wide};
use proptest::prelude::*;

fn close(ours: &[f32], reference: &[f64], what: &str) {
    near(ours, reference, 2e-5, what);
}

/// The slopes of `loss` at `values`, by finite differences, for about `count` of them.
fn slopes(values: &[f64], count: usize, loss: impl Fn(&[f64]) -> f64) -> Vec<(usize, f64)> {
    let mut moved = values.to_vec();
    let step = values.len().div_ceil(count).max(1);
    let mut of = |at: usize| {
        let mut at_once = |by: f64| {
            moved[at] = values[at] + by;
            let loss = loss(&moved);
            moved[at] = values[at];
            loss
        };
        (at, (at_once(1e-5) - at_once(-1e-5)) / 2e-5)
    };
    (0..values.len()).step_by(step).map(&mut of).collect()
}

/// Gradients at the places of finite differences.
fn same_slopes(ours: &[f32], slopes: &[(usize, f64)], what: &str) {
    let own: Vec<f32> = slopes.iter().map(|(at, _)| ours[*at]).collect();
    near(&own, &slopes.iter().map(|(_, slope)| *slope).collect::<Vec<f64>>(), 1e-4, what);
}

/// Lengths of rows, for lanes, and as numbers.
fn lengths(rows: usize, time: usize) -> (Vec<f32>, Vec<usize>) {
    let counts: Vec<usize> = (0..rows).map(|row| 1 + (row * 7 + 3) % time).collect();
    let mut lanes = vec![1.0; blocks(rows) * LANES];
    counts.iter().zip(&mut lanes).for_each(|(count, lane)| *lane = *count as f32);
    (lanes, counts)
}

/// The sizes of an attention and what it sees.
struct Heads {
    sizes: Attention,
    counts: Option<Vec<usize>>,
    /// `[rows, heads, time, time]`.
    mask: Option<Vec<f32>>,
}

impl Heads {
    /// From `[rows, time, 3, features]` to `[rows, time, features]`.
    fn attend(&self, projected: &[f64]) -> Vec<f64> {
        let Attention { heads, features, time, causal } = self.sizes;
        let width = features / heads;
        let rows = projected.len() / (3 * time * features);
        let mut y = vec![0.0; rows * time * features];
        for (row, head, place) in (0..rows * heads * time).map(|at| (at / time / heads, at / time % heads, at % time)) {
            let at = |part: usize, place: usize, d: usize| {
                projected[((row * time + place) * 3 + part) * features + head * width + d]
            };
            let seen = self.counts.as_ref().map_or(time, |counts| counts[row]);
            let seen = if causal { seen.min(place + 1) } else { seen };
            let score = |other: usize| {
                (0..width).map(|d| at(0, place, d) * at(1, other, d)).sum::<f64>() / (width as f64).sqrt()
            };
            let powers: Vec<f64> = (0..seen).map(|other| score(other).exp()).collect();
            let sum: f64 = powers.iter().sum();
            for (other, power) in powers.iter().enumerate() {
                let kept = |mask: &Vec<f32>| f64::from(mask[((row * heads + head) * time + place) * time + other]);
                let weight = power / sum * self.mask.as_ref().map_or(1.0, kept);
                for d in 0..width {
                    y[(row * time + place) * features + head * width + d] += weight * at(2, other, d);
                }
            }
        }
        y
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(24)))]

    #[test]
    fn layer_norms(rows in rows(1..36), time in sizes(1..5), features in sizes(1..40), threads in 1..4usize) {
        let sizes = LayerNorm { features, epsilon: 1e-3 };
        let x = numbers(rows * time * features, 1);
        let (w, b, slope) = (numbers(features, 2), numbers(features, 3), numbers(x.len(), 4));
        let whole = |x: &[f64], w: &[f64], b: &[f64]| {
            x.chunks(features).flat_map(|x| {
                let mean = x.iter().sum::<f64>() / features as f64;
                let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / features as f64;
                let normal = x.iter().map(move |x| (x - mean) / (variance + 1e-3).sqrt());
                normal.zip(w).zip(b).map(|((x, w), b)| x * w + b).collect::<Vec<f64>>()
            }).collect::<Vec<f64>>()
        };
        let loss = |x: &[f64], w: &[f64], b: &[f64]| {
            whole(x, w, b).iter().zip(&slope).map(|(y, slope)| y * f64::from(*slope)).sum::<f64>()
        };
        let (x64, w64, b64) = (wide(&x), wide(&w), wide(&b));
        let dx = slopes(&x64, 60, |x| loss(x, &w64, &b64));
        let (dw, db) = (slopes(&w64, 60, |w| loss(&x64, w, &b64)), slopes(&b64, 60, |b| loss(&x64, &w64, b)));
        let size = time * features;
        let before = numbers(x.len(), 5);
        each_way(threads, |workers| {
            let (input, slope) = (blocked(&x, size, 7.0), blocked(&slope, size, 0.0));
            let mut y = vec![f32::NAN; input.len()];
            let mut moments = vec![f32::NAN; sizes.moments(blocks(rows) * time)];
            sizes.forward(workers, &input, &w, &b, &mut y, &mut moments);
            close(&plain(&y, rows, size), &whole(&x64, &w64, &b64), "y");
            assert!(y.iter().all(|y| y.is_finite()));
            let (mut our_dw, mut our_db, mut our_dx) = (vec![f32::NAN; features], vec![f32::NAN; features], y);
            sizes.backward(workers, &input, &moments, &w, &slope, &mut our_dw, &mut our_db, false, &mut our_dx);
            same_slopes(&our_dw, &dw, "dw");
            same_slopes(&our_db, &db, "db");
            let all = plain(&our_dx, rows, size);
            same_slopes(&all, &dx, "dx");
            let behind: f32 = our_dx.iter().map(|dx| dx.abs()).sum::<f32>() - all.iter().map(|dx| dx.abs()).sum::<f32>();
            assert!(behind.abs() < 1e-2, "{behind} behind the last row");
            let mut more = blocked(&before, size, 0.0);
            sizes.backward(workers, &input, &moments, &w, &slope, &mut our_dw, &mut our_db, true, &mut more);
            let sums: Vec<f64> = all.iter().zip(&before).map(|(dx, before)| f64::from(dx + before)).collect();
            close(&plain(&more, rows, size), &sums, "dx added");
            // Of the network's own input nobody wants a gradient.
            sizes.backward(workers, &input, &moments, &w, &slope, &mut our_dw, &mut our_db, false, &mut []);
            same_slopes(&our_dw, &dw, "dw alone");
        });
    }

    #[test]
    fn attentions(
        rows in rows(1..20), heads in 1..4usize, width in sizes(1..10),
        time in prop_oneof![sizes(1..14), sizes(33..40)], threads in 1..4usize,
        causal: bool, ends: bool, drops: bool,
    ) {
        let sizes = Attention { heads, features: heads * width, time, causal };
        let features = sizes.features;
        let projected: Vec<f32> = numbers(rows * time * 3 * features, 1).iter().map(|x| 2.0 * x).collect();
        let slope = numbers(rows * time * features, 2);
        let (lanes, counts) = lengths(rows, time);
        let square = heads * time * time;
        let mask: Vec<f32> = numbers(rows * square, 3).iter().map(|x| if *x < -0.4 { 0.0 } else { 1.4 }).collect();
        let reference = Heads { sizes, counts: ends.then_some(counts), mask: drops.then(|| mask.clone()) };
        let y = reference.attend(&wide(&projected));
        let loss = |x: &[f64]| {
            reference.attend(x).iter().zip(&slope).map(|(y, slope)| y * f64::from(*slope)).sum::<f64>()
        };
        let dx = slopes(&wide(&projected), 40, loss);
        each_way(threads, |workers| {
            let input = blocked(&projected, time * 3 * features, 3.0);
            let lengths = ends.then_some(&lanes[..]);
            let mut probabilities = vec![f32::NAN; sizes.probabilities(blocks(rows))];
            let mut scratch = vec![f32::NAN; sizes.scratch(threads)];
            let mut weights = drops.then(|| blocked(&mask, square, 1.0));
            let mut ours = vec![f32::NAN; blocks(rows) * time * features * LANES];
            sizes.forward(workers, &input, lengths, weights.as_deref_mut(), &mut probabilities, &mut scratch, &mut ours);
            close(&plain(&ours, rows, time * features), &y, "y");
            assert!(ours.iter().all(|y| y.is_finite()));
            let dy = blocked(&slope, time * features, 0.0);
            let mut our_dx = vec![f32::NAN; input.len()];
            let kept = probabilities.clone();
            sizes.backward(workers, &input, lengths, weights.as_deref_mut(), &mut probabilities, &dy, &mut scratch, &mut our_dx);
            same_slopes(&plain(&our_dx, rows, time * 3 * features), &dx, "dx");
            let live = blocked(&vec![1.0; projected.len()], time * 3 * features, 0.0);
            assert!(our_dx.iter().zip(live).all(|(dx, live)| live == 1.0 || *dx == 0.0));
            let mut again = vec![f32::NAN; input.len()];
            probabilities.copy_from_slice(&kept);
            sizes.backward(workers, &input, lengths, weights.as_deref_mut(), &mut probabilities, &dy, &mut scratch, &mut again);
            assert_eq!(again, our_dx);
        });
    }

    #[test]
    fn embeddings(
        rows in rows(1..40), time in sizes(1..8), vocabulary in sizes(1..30), dimensions in sizes(1..40),
        threads in 1..4usize,
        ends: bool,
    ) {
        let sizes = Embedding { vocabulary, dimensions };
        let codes: Vec<i64> = (0..rows * time).map(|at| ((at * 31 + at / 5) % vocabulary) as i64).collect();
        let (w, slope) = (numbers(vocabulary * dimensions, 1), numbers(rows * time * dimensions, 2));
        let (lanes, counts) = lengths(rows, time);
        let lanes = ends.then_some(&lanes[..]);
        let (mut y, mut dw) = (vec![0.0; slope.len()], vec![0.0; w.len()]);
        for (place, code) in codes.iter().enumerate().filter(|(at, _)| !ends || at % time < counts[at / time]) {
            for d in 0..dimensions {
                let (at, of) = (place * dimensions + d, *code as usize * dimensions + d);
                y[at] = f64::from(w[of]);
                dw[of] += f64::from(slope[at]);
            }
        }
        let size = time * dimensions;
        let mut first = None;
        each_way(threads, |workers| {
            let mut ours = vec![f32::NAN; blocks(rows) * size * LANES];
            sizes.forward(workers, &codes, time, lanes, &w, &mut ours);
            close(&plain(&ours, rows, size), &y, "y");
            let mut scratch = vec![f32::NAN; sizes.scratch(blocks(rows), time)];
            let mut our_dw = vec![f32::NAN; w.len()];
            let dy = blocked(&slope, size, 0.0);
            sizes.backward(workers, &codes, time, lanes, &dy, &mut scratch, &mut our_dw);
            close(&our_dw, &dw, "dw");
        });
        for threads in 1..4 {
            let workers = Workers::new(threads, Level::detect()).unwrap();
            let mut scratch = vec![f32::NAN; sizes.scratch(blocks(rows), time)];
            let mut dw = vec![f32::NAN; w.len()];
            sizes.backward(&workers, &codes, time, lanes, &blocked(&slope, size, 0.0), &mut scratch, &mut dw);
            prop_assert_eq!(first.get_or_insert_with(|| dw.clone()), &dw);
        }
    }

    #[test]
    fn feature_tokens(rows in rows(1..40), features in sizes(1..9), dimensions in sizes(1..40), threads in 1..4usize) {
        let size = features * dimensions;
        let (x, w, b) = (numbers(rows * features, 1), numbers(size, 2), numbers(size, 3));
        let (slope, before) = (numbers(rows * size, 4), numbers(x.len(), 5));
        let (mut y, mut dw, mut db) = (vec![0.0; slope.len()], vec![0.0; size], vec![0.0; size]);
        let mut dx = vec![0.0; x.len()];
        for at in 0..rows * size {
            let (from, place) = (at / dimensions, at % size);
            let (value, dy) = (f64::from(x[from]), f64::from(slope[at]));
            y[at] = value * f64::from(w[place]) + f64::from(b[place]);
            dw[place] += value * dy;
            db[place] += dy;
            dx[from] += dy * f64::from(w[place]);
        }
        let more: Vec<f64> = dx.iter().zip(&before).map(|(dx, before)| dx + f64::from(*before)).collect();
        each_way(threads, |workers| {
            let sizes = FeatureTokens { features, dimensions };
            let (x, dy) = (blocked(&x, features, 0.5), blocked(&slope, size, 0.0));
            let mut ours = vec![f32::NAN; dy.len()];
            sizes.forward(workers, &x, &w, &b, &mut ours);
            close(&plain(&ours, rows, size), &y, "y");
            for add in [false, true] {
                let (mut our_dw, mut our_db) = (vec![f32::NAN; size], vec![f32::NAN; size]);
                let mut ours = if add { blocked(&before, features, 0.0) } else { vec![f32::NAN; x.len()] };
                sizes.backward(workers, &x, &w, &dy, &mut our_dw, &mut our_db, add, &mut ours);
                close(&plain(&ours, rows, features), if add { &more } else { &dx }, "dx");
                close(&our_dw, &dw, "dw");
                close(&our_db, &db, "db");
            }
            // Of the network's own input nobody asks for a gradient.
            let (mut our_dw, mut our_db) = (vec![f32::NAN; size], vec![f32::NAN; size]);
            sizes.backward(workers, &x, &w, &dy, &mut our_dw, &mut our_db, false, &mut []);
            close(&our_dw, &dw, "dw");
        });
    }

    #[test]
    fn pools_over_time(
        rows in rows(1..40), time in sizes(1..12), channels in sizes(1..20), threads in 1..4usize, ends: bool,
    ) {
        let size = time * channels;
        // Few different values, so that many are equal.
        let x: Vec<f32> = numbers(rows * size, 1).iter().map(|x| (3.0 * x).round()).collect();
        let (slope, before) = (numbers(rows * channels, 2), numbers(x.len(), 3));
        let (lanes, counts) = lengths(rows, time);
        let count = |row: usize| if ends { counts[row] } else { time };
        let mut y = [(); 3].map(|()| vec![0.0; rows * channels]);
        let mut dx = [(); 3].map(|()| vec![0.0; x.len()]);
        for (at, slope) in slope.iter().enumerate() {
            let (row, channel, slope) = (at / channels, at % channels, f64::from(*slope));
            let place = |place: usize| row * size + place * channels + channel;
            let all: Vec<f64> = (0..count(row)).map(|at| f64::from(x[place(at)])).collect();
            let largest = all.iter().fold(f64::MIN, |most, x| most.max(*x));
            y[0][at] = all.iter().sum::<f64>() / all.len() as f64;
            y[1][at] = largest;
            y[2][at] = all[all.len() - 1];
            (0..all.len()).for_each(|at| dx[0][place(at)] = slope / all.len() as f64);
            dx[1][place(all.iter().position(|x| *x == largest).unwrap())] = slope;
            dx[2][place(all.len() - 1)] = slope;
        }
        each_way(threads, |workers| {
            let sizes = OverTime { time, channels, lengths: ends.then_some(&lanes[..]) };
            let (input, slope) = (blocked(&x, size, 2.0), blocked(&slope, channels, 0.0));
            let mut winners = vec![f32::NAN; slope.len()];
            for (kind, (y, dx)) in y.iter().zip(&dx).enumerate() {
                let mut ours = vec![f32::NAN; slope.len()];
                match kind {
                    0 => sizes.mean(workers, &input, &mut ours),
                    1 => sizes.largest(workers, &input, &mut ours, &mut winners),
                    _ => sizes.last(workers, &input, &mut ours),
                }
                close(&plain(&ours, rows, channels), y, "y");
                for add in [false, true] {
                    let mut our_dx = if add { blocked(&before, size, 0.0) } else { vec![f32::NAN; input.len()] };
                    match kind {
                        0 => sizes.mean_backward(workers, &slope, add, &mut our_dx),
                        1 => sizes.largest_backward(workers, &slope, &winners, add, &mut our_dx),
                        _ => sizes.last_backward(workers, &slope, add, &mut our_dx),
                    }
                    let old = |at: usize| if add { f64::from(before[at]) } else { 0.0 };
                    let sums: Vec<f64> = dx.iter().enumerate().map(|(at, dx)| dx + old(at)).collect();
                    close(&plain(&our_dx, rows, size), &sums, "dx");
                }
            }
        });
    }

    #[test]
    fn dense_layers_with_an_activation(
        places in sizes(1..200), features in prop_oneof![sizes(1..40), sizes(250..300)],
        units in prop_oneof![sizes(1..40), sizes(250..270)],
        threads in 1..4usize,
    ) {
        let (x, w, b) = (numbers(places * LANES * features, 1), numbers(units * features, 2), numbers(units, 3));
        let dy = numbers(places * LANES * units, 4);
        let mut reference = vec![0.0; w.len()];
        // Only a few of the units: it takes long.
        let some = [0, units / 2, units - 1];
        for (at, dw) in reference.iter_mut().enumerate().filter(|(at, _)| some.contains(&(at / features))) {
            let (unit, feature) = (at / features, at % features);
            for place in 0..places {
                let (x, dy) = (&x[(place * features + feature) * LANES..], &dy[(place * units + unit) * LANES..]);
                *dw += x[..LANES].iter().zip(dy).map(|(x, dy)| f64::from(*x) * f64::from(*dy)).sum::<f64>();
            }
        }
        each_way(threads, |workers| {
            let sizes = Linear { features, units };
            let mut apart = vec![f32::NAN; places * units * LANES];
            sizes.forward(workers, &x, &w, Some(&b), false, &mut apart);
            for at in (0..apart.len()).step_by(997) {
                let (place, unit, lane) = (at / LANES / units, at / LANES % units, at % LANES);
                let weights = w[unit * features..].iter().zip(x[place * features * LANES + lane..].iter().step_by(LANES));
                let terms = weights.take(features).map(|(w, x)| f64::from(*w) * f64::from(*x));
                let exact = f64::from(b[unit]) + terms.sum::<f64>();
                assert!((f64::from(apart[at]) - exact).abs() < 1e-4, "{} is not {exact}", apart[at]);
            }
            let (mut y, mut slopes) = (apart.clone(), apart.clone());
            Activation::Gelu.forward(workers, &apart, &mut y, &mut slopes);
            let (mut ours, mut our_slopes) = (vec![f32::NAN; y.len()], vec![f32::NAN; y.len()]);
            sizes.forward_active(workers, &x, &w, Some(&b), Activation::Gelu, &mut ours, &mut our_slopes);
            assert_eq!(ours, y);
            assert_eq!(our_slopes, slopes);
            let mut scaled = dy.clone();
            scale_by(workers, &slopes, &mut scaled);
            assert!(scaled.iter().zip(&dy).zip(&slopes).all(|((scaled, dy), slope)| *scaled == dy * slope));
            let mut dw = vec![f32::NAN; w.len()];
            sizes.backward_weights(workers, &x, &dy, &mut dw, None);
            for unit in some {
                let range = unit * features..(unit + 1) * features;
                // Sums of thousands of terms may end near 0.
                near(&dw[range.clone()], &reference[range], 1e-3, "dw");
            }
        });
    }

    #[test]
    fn tables_and_parts(rows in rows(1..40), time in sizes(1..6), channels in sizes(2..20), threads in 1..4usize) {
        let size = time * channels;
        let (x, table) = (numbers(rows * size, 1), numbers(size, 2));
        let y: Vec<f64> = x.iter().enumerate().map(|(at, x)| f64::from(x + table[at % size])).collect();
        let dt: Vec<f64> = (0..size).map(|at| x.iter().skip(at).step_by(size).map(|x| f64::from(*x)).sum()).collect();
        let first = channels / 3;
        let count = channels - first;
        let cut: Vec<f32> = x.chunks(channels).flat_map(|place| place[first..].to_vec()).collect();
        let twice: Vec<f64> = x.iter().enumerate().map(|(at, x)| f64::from(if at % channels < first { *x } else { 2.0 * x })).collect();
        each_way(threads, |workers| {
            let input = blocked(&x, size, 0.0);
            let (mut ours, mut our_dt) = (vec![f32::NAN; input.len()], vec![f32::NAN; size]);
            add_table(workers, &input, &table, &mut ours);
            close(&plain(&ours, rows, size), &y, "y");
            channel_sums(workers, &input, &mut our_dt);
            close(&our_dt, &dt, "dt");
            let mut part = vec![f32::NAN; blocks(rows) * time * count * LANES];
            copy_part(workers, &input, [channels, count], [first, 0], count, false, &mut part);
            assert_eq!(plain(&part, rows, time * count), cut);
            let mut whole = input.clone();
            copy_part(workers, &part, [count, channels], [0, first], count, true, &mut whole);
            close(&plain(&whole, rows, size), &twice, "added");
        });
    }
}

/// The error function by its series and, far out, by the continued fraction of what is missing to 1.
fn erf(x: f64) -> f64 {
    if x.abs() > 2.5 {
        let rest = (1..80).rev().fold(0.0, |rest, at| f64::from(at) / 2.0 / (x.abs() + rest));
        return x.signum() * (1.0 - (-x * x).exp() / std::f64::consts::PI.sqrt() / (x.abs() + rest));
    }
    let (mut term, mut sum) = (x, x);
    for at in 1..80 {
        term *= -x * x / f64::from(at);
        sum += term / f64::from(2 * at + 1);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

/// A function in float64.
type Function = Box<dyn Fn(f64) -> f64>;

#[test]
fn activations_and_their_slopes() {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let hard = |x: f64| (x / 6.0 + 0.5).clamp(0.0, 1.0);
    let (slope, alpha, scale) = (0.2_f32, 1.3_f32, 1.05_f32);
    let functions: [(Activation, Function); 11] = [
        (Activation::Relu6, Box::new(|x| x.clamp(0.0, 6.0))),
        (Activation::Gelu, Box::new(|x| 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)))),
        (Activation::Silu, Box::new(move |x| x * sigmoid(x))),
        (Activation::Sigmoid, Box::new(sigmoid)),
        (Activation::HardSigmoid, Box::new(hard)),
        (Activation::HardSwish, Box::new(move |x| x * hard(x))),
        (Activation::Tanh, Box::new(f64::tanh)),
        (Activation::Mish, Box::new(|x| x * x.exp().ln_1p().tanh())),
        (Activation::Softplus, Box::new(|x| x.exp().ln_1p())),
        (Activation::LeakyRelu { slope }, Box::new(move |x| if x > 0.0 { x } else { f64::from(slope) * x })),
        (
            Activation::Elu { alpha, scale },
            Box::new(move |x| f64::from(scale) * if x > 0.0 { x } else { f64::from(alpha) * (x.exp() - 1.0) }),
        ),
    ];
    // None of them is a corner.
    let parts = if cfg!(miri) { 15 } else { 1 };
    let x: Vec<f32> = (0..LANES * 90 / parts).map(|at| ((at * parts) as f32 - 719.7) / 103.0).collect();
    for (function, of) in functions {
        let y: Vec<f64> = x.iter().map(|x| of(f64::from(*x))).collect();
        let dy: Vec<f64> = x.iter().map(|x| (of(f64::from(*x) + 1e-6) - of(f64::from(*x) - 1e-6)) / 2e-6).collect();
        for threads in 1..4 {
            each_way(threads, |workers| {
                let (mut ours, mut slopes) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
                function.forward(workers, &x, &mut ours, &mut slopes);
                near(&ours, &y, 1e-6, "y");
                near(&slopes, &dy, 2e-6, "slope");
                let (mut bad, mut y) = (x.clone(), ours);
                bad[5] = f32::NAN;
                function.forward(workers, &bad, &mut y, &mut slopes);
                assert!(y[5].is_nan(), "{function:?}");
            });
        }
    }
}
