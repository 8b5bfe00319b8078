//! Recurrent kernels against plain loops in float64, over random sizes, on one to three threads, with all instructions that
//! this processor has and with plain ones; gradients against finite differences.

#![allow(clippy::unwrap_used)]

mod plain_loops;

use lepton_kernels::{Cell, Level, Precision, Recurrent, RecurrentMemory, Workers};
use plain_loops::{blocked, cases, coarse, near, plain, rows, sizes, wide};
use proptest::prelude::*;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// One layer in one direction: `x` `[rows, time, features]` to `[rows, time, units]`.
fn reference(sizes: &Recurrent, x: &[f64], weights: &[Vec<f64>; 4], counts: &[usize]) -> Vec<f64> {
    let Recurrent { cell, features, units, time, reverse, .. } = *sizes;
    let gates = cell.gates() * units;
    let mut y = vec![0.0; counts.len() * time * units];
    for (row, count) in counts.iter().enumerate() {
        let (mut h, mut c) = (vec![0.0; units], vec![0.0; units]);
        for step in 0..*count {
            let place = if reverse { count - 1 - step } else { step };
            let x = &x[(row * time + place) * features..][..features];
            let product = |weights: &[f64], bias: &[f64], by: &[f64]| -> Vec<f64> {
                let of = |gate: usize| {
                    let row = &weights[gate * by.len()..][..by.len()];
                    bias[gate] + row.iter().zip(by).map(|(weight, by)| weight * by).sum::<f64>()
                };
                (0..gates).map(of).collect()
            };
            let (a, b) = (product(&weights[0], &weights[2], x), product(&weights[1], &weights[3], &h));
            for unit in 0..units {
                let sum = |gate: usize| a[gate * units + unit] + b[gate * units + unit];
                h[unit] = match cell {
                    Cell::Tanh => sum(0).tanh(),
                    Cell::Lstm => {
                        c[unit] = sigmoid(sum(1)) * c[unit] + sigmoid(sum(0)) * sum(2).tanh();
                        sigmoid(sum(3)) * c[unit].tanh()
                    }
                    Cell::Gru => {
                        let n = (a[2 * units + unit] + sigmoid(sum(0)) * b[2 * units + unit]).tanh();
                        let z = sigmoid(sum(1));
                        (1.0 - z) * n + z * h[unit]
                    }
                };
            }
            y[(row * time + place) * units..][..units].copy_from_slice(&h);
        }
    }
    y
}

/// What a training step computes.
struct Results {
    y: Vec<f32>,
    gradients: [Vec<f32>; 4],
    dx: Vec<f32>,
}

/// A layer with its inputs.
struct Layer {
    sizes: Recurrent,
    rows: usize,
    x: Vec<f32>,
    weights: [Vec<f32>; 4],
    counts: Option<Vec<usize>>,
    slope: Vec<f32>,
}

impl Layer {
    fn run(&self, workers: &Workers, memory: &mut RecurrentMemory) -> Results {
        let Layer { sizes, rows, .. } = self;
        let Recurrent { features, units, time, outputs, first, .. } = *sizes;
        let x = blocked(&self.x, time * features, 0.0);
        // What another direction has written stays.
        let spread = |values: &[f32], other: f32| -> Vec<f32> {
            let of = |place: &[f32]| {
                let mut all = vec![other; outputs];
                all[first..first + units].copy_from_slice(place);
                all
            };
            blocked(&values.chunks(units).flat_map(of).collect::<Vec<f32>>(), time * outputs, 0.0)
        };
        let lengths = self.counts.as_ref().map(|counts| {
            let counts: Vec<f32> = counts.iter().map(|count| *count as f32).collect();
            blocked(&counts, 1, 0.0)
        });
        let weights = self.weights.each_ref().map(|own| &own[..]);
        let mut y = spread(&vec![f32::NAN; rows * time * units], 7.0);
        sizes.forward(workers, &x, weights, lengths.as_deref(), memory, &mut y);
        let dy = spread(&self.slope, 3.0);
        let mut gradients = self.weights.each_ref().map(|own| vec![f32::NAN; own.len()]);
        let mut dx = vec![f32::NAN; x.len()];
        let all = gradients.each_mut().map(|own| &mut own[..]);
        let dx_to = Some((&mut dx[..], false));
        sizes.backward(workers, &x, weights, lengths.as_deref(), memory, [&y, &dy], all, dx_to);
        let mut again = blocked(&self.x, time * features, 0.0);
        sizes.forward(workers, &x, weights, lengths.as_deref(), memory, &mut y);
        let mut other = gradients.clone();
        let all = other.each_mut().map(|own| &mut own[..]);
        let dx_to = Some((&mut again[..], true));
        sizes.backward(workers, &x, weights, lengths.as_deref(), memory, [&y, &dy], all, dx_to);
        assert_eq!(other, gradients);
        let sums: Vec<f64> = x.iter().zip(&dx).map(|(x, dx)| f64::from(*x) + f64::from(*dx)).collect();
        near(&again, &sums, 1e-5, "dx added");
        let y = plain(&y, *rows, time * outputs);
        assert!(y.chunks(outputs).flat_map(|y| y[..first].iter().chain(&y[first + units..])).all(|y| *y == 7.0));
        let y = y.chunks(outputs).flat_map(|y| y[first..first + units].to_vec()).collect();
        Results { y, gradients, dx: plain(&dx, *rows, time * features) }
    }

    /// The sum of outputs times slopes, in float64.
    fn loss(&self, x: &[f64], weights: &[Vec<f64>; 4], counts: &[usize]) -> f64 {
        let y = reference(&self.sizes, x, weights, counts);
        y.iter().zip(&self.slope).map(|(y, slope)| y * f64::from(*slope)).sum()
    }

    fn check(&self, threads: usize) {
        let Layer { sizes, rows, .. } = self;
        let counts = self.counts.clone().unwrap_or(vec![sizes.time; *rows]);
        let (x, weights) = (wide(&self.x), self.weights.each_ref().map(|own| wide(own)));
        let y = reference(sizes, &x, &weights, &counts);
        // A few places of each are enough, the fewer the larger they are.
        let few = if weights[1].len() > 1 << 14 { 2 } else { cases(13) as usize };
        let some = |count: usize| (0..count).step_by(count.div_ceil(few)).collect::<Vec<usize>>();
        let difference = |moved: &dyn Fn(f64) -> f64| (moved(1e-4) - moved(-1e-4)) / 2e-4;
        let dx = some(x.len()).into_iter().map(|at| {
            difference(&|by| {
                let mut x = x.clone();
                x[at] += by;
                self.loss(&x, &weights, &counts)
            })
        });
        let dx: Vec<f64> = dx.collect();
        let dw = [0, 1, 2, 3].map(|part| {
            let own = some(weights[part].len()).into_iter().map(|at| {
                difference(&|by| {
                    let mut weights = weights.clone();
                    weights[part][at] += by;
                    self.loss(&x, &weights, &counts)
                })
            });
            own.collect::<Vec<f64>>()
        });
        let precisions = [(Precision::Float32, 1.0), (Precision::Bf16, 1000.0)];
        for (level, (precision, coarser)) in
            Level::all().into_iter().flat_map(|level| precisions.map(|own| (level, own)))
        {
            let workers = |threads| Workers::new(threads, level).unwrap().with_precision(precision);
            let (alone, workers) = (workers(1), workers(threads));
            let mut memory = RecurrentMemory::default();
            let ours = self.run(&workers, &mut memory);
            let picked = |values: &[f32]| some(values.len()).into_iter().map(|at| values[at]).collect::<Vec<f32>>();
            near(&ours.y, &y, 1e-5 * coarser, "y");
            near(&picked(&ours.dx), &dx, 1e-4 * coarser, "dx");
            for part in 0..4 {
                near(
                    &picked(&ours.gradients[part]),
                    &dw[part],
                    1e-4 * coarser,
                    ["dw input", "dw state", "db input", "db state"][part],
                );
            }
            // With memory that has been used, and on another number of threads, it is the same to the bit.
            let again = self.run(&workers, &mut memory);
            let alone = self.run(&alone, &mut RecurrentMemory::default());
            for other in [again, alone] {
                assert_eq!(
                    (other.y, other.gradients, other.dx),
                    (ours.y.clone(), ours.gradients.clone(), ours.dx.clone())
                );
            }
        }
    }
}

fn cells() -> impl Strategy<Value = Cell> {
    prop_oneof![Just(Cell::Tanh), Just(Cell::Lstm), Just(Cell::Gru)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(48)))]

    #[test]
    fn layers_in_one_direction(
        (cell, reverse, ends) in (cells(), any::<bool>(), any::<bool>()),
        features in sizes(1..40), units in sizes(1..40), time in sizes(1..8), rows in rows(1..40),
        threads in 1..4usize, (before, behind) in (0..3usize, 0..3usize),
    ) {
        let sizes = Recurrent { cell, features, units, time, reverse, outputs: before + units + behind, first: before };
        let counts = ends.then(|| (0..rows).map(|row| 1 + row * 7 % time).collect());
        layer(sizes, rows, counts).check(threads);
    }
}

/// A layer of about that size, with numbers that do not saturate it.
fn layer(sizes: Recurrent, rows: usize, counts: Option<Vec<usize>>) -> Layer {
    let Recurrent { cell, features, units, time, .. } = sizes;
    let gates = cell.gates() * units;
    let weights = [coarse(gates * features, 1), coarse(gates * units, 2), coarse(gates, 3), coarse(gates, 4)];
    let (x, slope) = (coarse(rows * time * features, 5), coarse(rows * time * units, 6));
    // A power of two near one over the root of the terms: bfloat16 has all weights, and a state's rounding to it fades with
    // time. With larger ones the states are chaotic, and no bound would hold for every size.
    let large = (features.max(units) as f32).sqrt().log2().ceil().exp2().recip();
    let weights = weights.map(|own| own.iter().map(|value| large * value).collect());
    Layer { sizes, rows, x, weights, counts, slope }
}

#[test]
#[cfg_attr(miri, ignore = "would take an hour")]
fn more_terms_than_a_piece_has() {
    for cell in [Cell::Tanh, Cell::Lstm, Cell::Gru] {
        let (features, units, time) = (270, 261, 2);
        let sizes = Recurrent { cell, features, units, time, reverse: false, outputs: units, first: 0 };
        layer(sizes, 17, None).check(3);
    }
}

#[test]
#[cfg_attr(miri, ignore = "would take an hour")]
fn threads_share_units_where_they_are_more_than_blocks() {
    for (cell, units) in [(Cell::Tanh, 185), (Cell::Lstm, 93), (Cell::Gru, 107)] {
        for (rows, threads, reverse) in [(5, 2, false), (5, 3, true), (20, 3, false)] {
            let sizes = Recurrent { cell, features: 9, units, time: 4, reverse, outputs: units + 2, first: 1 };
            let counts = reverse.then(|| (0..rows).map(|row| 1 + row * 3 % 4).collect());
            layer(sizes, rows, counts).check(threads);
        }
    }
}
