//! What this machine can do at most: fused multiply-adds that never leave the registers, and numbers that are read from and
//! written to memory. A kernel's rate beside it says how much is left.

use crate::raw::{Simd, Task};
use crate::tile::{Tile, each, for_rows, lanes, lanes_mut};
use crate::{LANES, Precision, Workers};
use lepton_core::Result;
use std::time::{Duration, Instant};

/// Rounds of which the best counts: what else runs on a machine only ever takes away.
const ROUNDS: usize = 25;

/// Numbers of each of three buffers of a thread: 64 MiB, more than caches hold.
const NUMBERS: usize = 1 << 24;

/// Multiply-adds of each sum in a round.
const STEPS: usize = 1 << 21;

/// The ceilings of some threads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ceiling {
    /// Threads that worked side by side.
    pub threads: usize,
    /// Float32 operations in a second, in 10⁹: a fused multiply-add is two.
    pub gflops: f64,
    /// The same of products of bfloat16 numbers with float32 sums, where there are instructions for it.
    pub bf16_gflops: Option<f64>,
    /// Bytes that `a = b + s · c` reads and writes in a second, in 10⁹, over buffers that no cache holds.
    pub gigabytes: f64,
}

impl Ceiling {
    /// Measures for a second or two.
    ///
    /// # Errors
    /// Those of [`Workers::new`].
    pub fn measure(workers: &Workers) -> Result<Ceiling> {
        let threads = workers.threads();
        let mut kept = vec![0.0; threads * LANES];
        let operations = (threads * STEPS * workers.level().rows() * LANES * 2) as f64;
        let mut rate = |precision| {
            operations
                / best(|| workers.multiply_in(precision, kept.chunks_exact_mut(LANES).map(Multiply).collect()))
                / 1e9
        };
        let gflops = rate(Precision::Float32);
        let bf16_gflops = workers.level().has_bf16().then(|| 2.0 * rate(Precision::Bf16));
        let mut buffers = vec![vec![1.0_f32; NUMBERS]; 3 * threads];
        let seconds = best(|| {
            let triads = buffers.chunks_exact_mut(3).filter_map(|own| match own {
                [a, b, c] => Some(Triad { a, b, c }),
                _ => None,
            });
            workers.run(triads.collect());
        });
        let bytes = (threads * 3 * NUMBERS * size_of::<f32>()) as f64;
        Ok(Ceiling { threads, gflops, bf16_gflops, gigabytes: bytes / seconds / 1e9 })
    }
}

/// The seconds of the fastest round.
fn best(mut of: impl FnMut()) -> f64 {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        of();
        best = best.min(start.elapsed());
    }
    best.as_secs_f64()
}

/// As many sums as a tile has rows: they do not wait for each other, hide the latency of a multiply-add, and fit the registers.
struct Multiply<'a>(&'a mut [f32]);

impl Task for Multiply<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Some(to) = lanes_mut(self.0).first_mut() else { return };
        let (keep, add) = (simd.splat(0.999), simd.splat(0.001));
        for_rows!(S, S::ROWS, M => {
            // Different ones, so that none stands for another.
            let mut sums: Tile<S, M> = each!(at => simd.add(simd.load(to), simd.splat(at as f32)));
            for _ in 0..STEPS {
                for sum in &mut sums {
                    *sum = if const { S::PAIRED } { simd.products(keep, add, *sum) } else { simd.fma(*sum, keep, add) };
                }
            }
            // Read, so that none of it can be left out.
            let mut total = simd.splat(0.0);
            for (at, sum) in sums.into_iter().enumerate() {
                total = simd.fma(sum, simd.splat(at as f32), total);
            }
            simd.store(total, to);
        });
    }
}

struct Triad<'a> {
    a: &'a mut [f32],
    b: &'a [f32],
    c: &'a [f32],
}

impl Task for Triad<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let scale = simd.splat(0.5);
        for ((a, b), c) in lanes_mut(self.a).iter_mut().zip(lanes(self.b)).zip(lanes(self.c)) {
            simd.store(simd.fma(scale, simd.load(c), simd.load(b)), a);
        }
    }
}
