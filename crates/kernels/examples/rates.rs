//! Times kernels and prints how many operations a second each reaches at its fastest, beside the peak of this machine:
//! `cargo run --release -p lepton-kernels --example rates [THREADS] [FILTER] [LEVEL]`.

use lepton_kernels::{
    Activation, Attention, Ceiling, Cell, Conv, Depthwise, Embedding, LANES, LayerNorm, Level, Linear, MaxPool,
    OverTime, PooledConv, Precision, Recurrent, RecurrentMemory, Rule, Workers, blocks,
};
use std::time::Instant;

// As in the program: its large blocks begin at lines of the cache, which optimisers' steps need.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Milliseconds that each kernel is run for.
const SPAN: f64 = 150.0;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let threads = arguments.first().and_then(|text| text.parse().ok()).unwrap_or(2);
    let filter = arguments.get(1).cloned().unwrap_or_default();
    println!("{:28} {:>10} {:>10} {:>10}  {threads} threads", "", "median ms", "least ms", "GFLOP/s");
    let level = arguments.get(2).cloned().unwrap_or_default();
    let levels = Level::all().into_iter().filter(|own| own.name().contains(&level));
    let precisions = |level: Level| [Precision::Float32, Precision::Bf16].map(|precision| (level, precision));
    for (level, precision) in
        levels.flat_map(precisions).filter(|(level, own)| level.has_bf16() || *own == Precision::Float32)
    {
        let Ok(workers) = Workers::new(threads, level) else { return };
        let workers = workers.with_precision(precision);
        let Ok(ceiling) = Ceiling::measure(&workers) else { return };
        println!("{} {precision:?}: {:.0} GFLOP/s, {:.0} GB/s", level.name(), ceiling.gflops, ceiling.gigabytes);
        let mut bench = Bench { workers: &workers, filter: &filter };
        bench.conv("worked example conv", 1, 28, 32, 3, 0, 32, true);
        bench.linear("worked example dense", 5408, 128, 32);
        bench.conv("lenet conv 1", 1, 28, 6, 5, 2, 64, true);
        bench.conv("lenet conv 2", 6, 14, 16, 5, 0, 64, true);
        bench.linear("lenet dense 1", 400, 120, 64);
        bench.linear("lenet dense 2", 120, 84, 64);
        bench.linear("mlp dense 1", 64, 256, 256);
        bench.linear("mlp dense 2", 256, 256, 256);
        bench.linear("mlp dense 3", 256, 10, 256);
        bench.conv("stack conv 1", 3, 32, 64, 3, 1, 32, false);
        bench.conv("stack conv 2", 64, 32, 64, 3, 1, 32, false);
        bench.conv("stack conv 4", 128, 16, 128, 3, 1, 32, false);
        bench.conv("resnet conv 4x4", 512, 4, 512, 3, 1, 32, false);
        bench.depthwise("depthwise 192x32", 192, 32, 1, 32);
        bench.depthwise("depthwise 192x32 half", 192, 32, 2, 32);
        bench.depthwise("depthwise 960x4", 960, 4, 1, 32);
        bench.recurrent("lstm", Cell::Lstm, 32);
        bench.recurrent("gru", Cell::Gru, 32);
        bench.recurrent("rnn", Cell::Tanh, 32);
        bench.recurrent("lstm of 16", Cell::Lstm, 16);
        bench.adam("adam 693k", 693_000);
        bench.linear("transformer in", 256, 768, 2048);
        bench.linear("transformer out", 256, 256, 2048);
        bench.linear("transformer up", 256, 1024, 2048);
        bench.linear("transformer down", 1024, 256, 2048);
        bench.sequence("transformer", 128, 256);
        bench.attention("attention", 4, 256, 128);
        bench.conv_over_time("text conv", 128, 100, 64, 4, 64);
        bench.embedding("embedding 10k", 10_000, 128, 100, 64);
    }
}

struct Bench<'a> {
    workers: &'a Workers,
    filter: &'a str,
}

fn zeros(count: usize) -> Vec<f32> {
    (0..count).map(|at| (at * 2_654_435_761 % 997) as f32 / 997.0 - 0.5).collect()
}

impl Bench<'_> {
    fn time(&self, name: &str, flops: f64, mut of: impl FnMut()) {
        if !name.contains(self.filter) {
            return;
        }
        of();
        let (start, mut times) = (Instant::now(), Vec::new());
        while start.elapsed().as_secs_f64() * 1e3 < SPAN || times.len() < 3 {
            let start = Instant::now();
            of();
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        println!("  {name:26} {median:>10.4} {:>10.4} {:>10.1}", times[0], flops / times[0] / 1e6);
    }

    #[allow(clippy::too_many_arguments)]
    fn conv(
        &mut self,
        name: &str,
        channels: usize,
        side: usize,
        out: usize,
        k: usize,
        pad: usize,
        rows: usize,
        pool: bool,
    ) {
        let out_side = side + 2 * pad - k + 1;
        let conv = Conv {
            channels,
            sides: [side; 2],
            out_channels: out,
            kernel: [k; 2],
            stride: [1; 2],
            dilation: [1; 2],
            before: [pad; 2],
            out_sides: [out_side; 2],
        };
        let flops = 2.0 * (rows * out_side * out_side * out * channels * k * k) as f64;
        let count = |side: usize, channels: usize| blocks(rows) * side * side * channels * LANES;
        let (x, w, b) = (zeros(count(side, channels)), zeros(conv.weights()), zeros(out));
        let (mut packed, mut dw, mut db) = (w.clone(), w.clone(), b.clone());
        let mut dx = x.clone();
        let workers = self.workers;
        self.time(&format!("{name} pack"), 0.0, || conv.pack_forward(workers, &w, &mut packed));
        let pooled = MaxPool {
            channels: out,
            sides: [out_side; 2],
            kernel: [2; 2],
            stride: [2; 2],
            before: [0; 2],
            out_sides: [out_side / 2; 2],
        };
        let small = count(out_side / 2, out);
        if let Some(both) = PooledConv::new(conv, pooled).filter(|_| pool) {
            both.pack_forward(workers, &w, &mut packed);
            let (mut y, mut winners, dy) = (zeros(small), zeros(small), zeros(small));
            let mut scratch = zeros(both.scratch(workers.threads()));
            self.time(&format!("{name}+pool"), flops, || {
                both.forward(workers, &x, &packed, Some(&b), &mut y, &mut winners)
            });
            self.time(&format!("{name}+pool dw"), flops / 4.0, || {
                both.backward_weights(workers, &x, &y, &winners, &dy, &mut scratch, &mut dw, Some(&mut db));
            });
            if channels > 1 {
                let mut spread = zeros(count(out_side, out));
                self.time(&format!("{name} unpool"), 0.0, || {
                    both.pool().backward(workers, &dy, &winners, false, &mut spread)
                });
            }
        } else {
            let mut y = zeros(count(out_side, out));
            self.time(name, flops, || conv.forward(workers, &x, &packed, Some(&b), true, &mut y));
        }
        let mut dy = zeros(count(out_side, out));
        let y = zeros(dy.len());
        let mut scratch = zeros(conv.scratch(blocks(rows)));
        if !pool {
            self.time(&format!("{name} dw"), flops, || {
                conv.backward_weights(workers, &x, Some(&y), &mut dy, &mut scratch, &mut dw, Some(&mut db));
            });
        }
        if channels > 3 {
            conv.pack_backward(workers, &w, &mut packed);
            self.time(&format!("{name} dx"), flops, || conv.backward_input(workers, &dy, &packed, false, &mut dx));
        }
    }

    /// With a window of 3x3.
    fn depthwise(&mut self, name: &str, channels: usize, side: usize, stride: usize, rows: usize) {
        let out_side = side.div_ceil(stride);
        let conv = Depthwise {
            channels,
            multiplier: 1,
            sides: [side; 2],
            kernel: [3; 2],
            stride: [stride; 2],
            dilation: [1; 2],
            before: [1; 2],
            out_sides: [out_side; 2],
        };
        let flops = 18.0 * (rows * out_side * out_side * channels) as f64;
        let count = |side: usize| blocks(rows) * side * side * channels * LANES;
        let (x, w) = (zeros(count(side)), zeros(conv.weights()));
        let (mut packed, mut dw, mut dx, mut y) = (w.clone(), w.clone(), x.clone(), zeros(count(out_side)));
        let workers = self.workers;
        conv.pack(workers, &w, &mut packed);
        self.time(name, flops, || conv.forward(workers, &x, &packed, None, false, &mut y));
        self.time(&format!("{name} dw"), flops, || conv.backward_weights(workers, &x, &y, &mut dw, None));
        self.time(&format!("{name} dx"), flops, || conv.backward_input(workers, &y, &packed, false, &mut dx));
    }

    fn linear(&mut self, name: &str, features: usize, units: usize, rows: usize) {
        let linear = Linear { features, units };
        let flops = 2.0 * (features * units * rows) as f64;
        let x = zeros(blocks(rows) * features * LANES);
        let (w, b) = (zeros(features * units), zeros(units));
        let (mut y, mut dw, mut db) = (zeros(blocks(rows) * units * LANES), w.clone(), b.clone());
        let mut dx = x.clone();
        let workers = self.workers;
        self.time(name, flops, || linear.forward(workers, &x, &w, Some(&b), true, &mut y));
        self.time(&format!("{name} dw"), flops, || linear.backward_weights(workers, &x, &y, &mut dw, Some(&mut db)));
        self.time(&format!("{name} dx"), flops, || linear.backward_input(workers, &y, &w, None, false, &mut dx));
    }

    /// 256 units over 100 places of 64 numbers.
    fn recurrent(&mut self, name: &str, cell: Cell, rows: usize) {
        let (features, units, time) = (64, 256, 100);
        let sizes = Recurrent { cell, features, units, time, reverse: false, outputs: units, first: 0 };
        let x = zeros(blocks(rows) * time * features * LANES);
        let gates = cell.gates() * units;
        let scaled = |count: usize| zeros(count).iter().map(|value| 0.1 * value).collect::<Vec<f32>>();
        let weights = [gates * features, gates * units, gates, gates].map(scaled);
        let mut gradients = weights.clone();
        let own = weights.each_ref().map(|own| &own[..]);
        let (mut memory, workers) = (RecurrentMemory::default(), self.workers);
        let mut y = zeros(blocks(rows) * time * units * LANES);
        let dy = y.clone();
        let flops = 2.0 * (rows * time * gates * (features + units)) as f64;
        let back = format!("{name} back");
        if back.contains(self.filter) {
            sizes.forward(workers, &x, own, None, &mut memory, &mut y);
        }
        self.time(name, flops, || sizes.forward(workers, &x, own, None, &mut memory, &mut y));
        self.time(&back, flops + 2.0 * (rows * time * gates * units) as f64, || {
            let gradients = gradients.each_mut().map(|own| &mut own[..]);
            sizes.backward(workers, &x, own, None, &mut memory, [&y, &dy], gradients, None);
        });
    }

    /// Functions over `[1, time, features, 16]`; in place of operations, numbers are counted.
    fn sequence(&mut self, name: &str, time: usize, features: usize) {
        let workers = self.workers;
        let (x, w, b) = (zeros(time * features * LANES), zeros(features), zeros(features));
        let (mut y, mut slopes, mut dw, mut db) = (x.clone(), x.clone(), w.clone(), b.clone());
        let count = x.len() as f64;
        let norm = LayerNorm { features, epsilon: 1e-5 };
        let mut moments = zeros(norm.moments(time));
        self.time(&format!("{name} norm"), count, || norm.forward(workers, &x, &w, &b, &mut y, &mut moments));
        self.time(&format!("{name} norm back"), count, || {
            norm.backward(workers, &x, &moments, &w, &slopes, &mut dw, &mut db, false, &mut y)
        });
        self.time(&format!("{name} gelu"), count, || Activation::Gelu.forward(workers, &x, &mut y, &mut slopes));
        let pool = OverTime { time, channels: features, lengths: None };
        let (mut small, mut winners) = (zeros(features * LANES), zeros(features * LANES));
        self.time(&format!("{name} mean"), count, || pool.mean(workers, &x, &mut small));
        self.time(&format!("{name} largest"), count, || pool.largest(workers, &x, &mut small, &mut winners));
    }

    fn attention(&mut self, name: &str, heads: usize, features: usize, time: usize) {
        let workers = self.workers;
        let sizes = Attention { heads, features, time, causal: false };
        let flops = 4.0 * (time * time * features * LANES) as f64;
        let x = zeros(time * 3 * features * LANES);
        let (mut kept, mut y, mut dx) = (zeros(sizes.probabilities(1)), zeros(x.len() / 3), x.clone());
        let mut scratch = zeros(sizes.scratch(workers.threads()));
        self.time(name, flops, || sizes.forward(workers, &x, None, None, &mut kept, &mut scratch, &mut y));
        self.time(&format!("{name} back"), 2.0 * flops, || {
            sizes.backward(workers, &x, None, None, &mut kept, &y, &mut scratch, &mut dx);
        });
    }

    fn conv_over_time(&mut self, name: &str, channels: usize, time: usize, out: usize, k: usize, rows: usize) {
        let workers = self.workers;
        let conv = Conv {
            channels,
            sides: [1, time],
            out_channels: out,
            kernel: [1, k],
            stride: [1; 2],
            dilation: [1; 2],
            before: [0, 1],
            out_sides: [1, time],
        };
        let flops = 2.0 * (rows * time * out * channels * k) as f64;
        let (x, w, b) = (zeros(blocks(rows) * time * channels * LANES), zeros(conv.weights()), zeros(out));
        let (mut packed, mut dw, mut db, mut dx) = (w.clone(), w.clone(), b.clone(), x.clone());
        let mut y = zeros(blocks(rows) * time * out * LANES);
        conv.pack_forward(workers, &w, &mut packed);
        self.time(name, flops, || conv.forward(workers, &x, &packed, Some(&b), true, &mut y));
        let mut scratch = zeros(conv.scratch(blocks(rows)));
        self.time(&format!("{name} dw"), flops, || {
            conv.backward_weights(workers, &x, None, &mut y, &mut scratch, &mut dw, Some(&mut db));
        });
        conv.pack_backward(workers, &w, &mut packed);
        self.time(&format!("{name} dx"), flops, || conv.backward_input(workers, &y, &packed, false, &mut dx));
    }

    fn embedding(&mut self, name: &str, vocabulary: usize, dimensions: usize, time: usize, rows: usize) {
        let workers = self.workers;
        let sizes = Embedding { vocabulary, dimensions };
        let codes: Vec<i64> = (0..rows * time).map(|at| (at * 2_654_435_761 % vocabulary) as i64).collect();
        let w = zeros(vocabulary * dimensions);
        let (mut y, mut dw) = (zeros(blocks(rows) * time * dimensions * LANES), w.clone());
        let count = y.len() as f64;
        self.time(name, count, || sizes.forward(workers, &codes, time, None, &w, &mut y));
        let mut scratch = zeros(sizes.scratch(blocks(rows), time));
        self.time(&format!("{name} dw"), count, || {
            sizes.backward(workers, &codes, time, None, &y, &mut scratch, &mut dw);
        });
    }

    fn adam(&mut self, name: &str, count: usize) {
        let rule = Rule::Adam {
            step_size: 1e-3,
            root_correction: 1.0,
            first: [0.9, 0.1],
            second: [0.999, 0.001],
            epsilon: 1e-8,
            shrink: 1.0,
            pull: 0.0,
        };
        let (mut w, g, mut m) = (zeros(count), zeros(count), zeros(count));
        let mut v: Vec<f32> = zeros(count).iter().map(|value| value.abs()).collect();
        self.time(name, 0.0, || rule.update(self.workers, &mut w, &g, &mut [&mut m, &mut v]));
    }
}
