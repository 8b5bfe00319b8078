//! Times the training step of the worked example: `cargo run --release -p lepton-nn --example step_time [THREADS]`.

use lepton_core::{Error, Result, Seed, Tensor};
use lepton_nn::{Architecture, InputSpec, Layer, Loss, Network, Node, OptimizerSettings, Trainer};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 32;
const STEPS: usize = 200;

fn main() -> Result<()> {
    let threads = std::env::args().nth(1).map(|text| text.parse::<usize>());
    let threads = threads.transpose().map_err(|_| Error::internal("the only argument is a number of threads"))?;
    let layers = vec![
        Node::new("conv", Layer::conv2d(32, 3)),
        Node::new("relu", Layer::Relu),
        Node::new("pool", Layer::max_pool2d(2)),
        Node::new("flatten", Layer::Flatten),
        Node::new("hidden", Layer::linear(128)),
        Node::new("relu2", Layer::Relu),
        Node::new("classes", Layer::linear(10)),
    ];
    let architecture = Architecture::new("worked-example", InputSpec::float32([1, 28, 28]), layers);
    print!("{}", architecture.summary()?);
    let mut network = Network::new(&architecture, Seed(1))?;
    if let Some(threads) = threads {
        network = network.with_threads(threads)?;
    }
    let mut trainer = Trainer::new(network, Loss::default(), OptimizerSettings::default())?;
    let pixels = (0..BATCH * 784).map(|index| (index * 2_654_435_761 % 997) as f32 / 997.0).collect();
    let input = Tensor::float32([BATCH, 1, 28, 28], pixels)?;
    let target = Tensor::int64([BATCH], (0..BATCH as i64).map(|row| row % 10).collect())?;
    let mut milliseconds = Vec::with_capacity(STEPS);
    for _ in 0..STEPS {
        let start = Instant::now();
        trainer.step(&input, &target, 1e-3)?;
        milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
    }
    milliseconds.sort_by(f64::total_cmp);
    let at = |share: usize| milliseconds[(STEPS - 1) * share / 100];
    println!(
        "{}: ms a step, batch {BATCH}: min {:.2}, median {:.2}, p90 {:.2}",
        trainer.backend(),
        at(0),
        at(50),
        at(90)
    );
    Ok(())
}
