//! Times training steps when it is its turn, for `bench/compare train-zoo`: for each line of standard input, which says how
//! many steps, one JSON object on a line.
//! `echo 20 | cargo run --release -p lepton-nn --example train_zoo ROW THREADS [planned|burn|bf16]`.

use lepton_core::{Error, ErrorCode, Result, Seed, Tensor};
use lepton_nn::{
    Architecture, Conv1d, Conv2d, Embedding, FeedForwardActivation, Gru, InputSpec, InvertedResidualBlock, Layer, Loss,
    Lstm, MaxPool2d, Network, Node, OptimizerSettings, Padding, Precision, ResidualBlock, StepKind, Trainer,
    TransformerEncoder,
};
use std::io::BufRead;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Codes of texts.
const VOCABULARY: usize = 10_000;

/// Steps before the first turn.
const WARM: usize = 3;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = || {
        Error::new(ErrorCode::Usage, "train_zoo ROW THREADS [planned|burn|bf16], and a number of steps on each line")
    };
    let [row, threads, kind @ ..] = &arguments[..] else { return Err(usage()) };
    let number = |text: &str| text.trim().parse::<usize>().map_err(|_| usage());
    let (kind, precision) = match kind {
        [] => (StepKind::Auto, Precision::Float32),
        [kind] if kind == "planned" => (StepKind::Planned, Precision::Float32),
        [kind] if kind == "burn" => (StepKind::Burn, Precision::Float32),
        [kind] if kind == "bf16" => (StepKind::Planned, Precision::Bf16),
        _ => return Err(usage()),
    };
    let (input, batch, layers) = network(row).ok_or_else(usage)?;
    let is_text = row.starts_with("text");
    let spec = if is_text { InputSpec::codes(input[0], true) } else { InputSpec::float32(input.clone()) };
    let architecture = Architecture::new(row, spec, layers);
    let network = Network::new(&architecture, Seed(1))?.with_threads(number(threads)?)?;
    let trainer = Trainer::new(network, Loss::default(), OptimizerSettings::default())?;
    let mut trainer = trainer.with_step_in(kind, precision)?;
    let shape: Vec<usize> = std::iter::once(batch).chain(input).collect();
    let count = shape.iter().product();
    let input = if is_text {
        // Never the code of padding: every text is as long as it may be.
        let code = |index: usize| 1 + (index * 2_654_435_761 % (VOCABULARY - 1)) as i64;
        Tensor::int64(shape, (0..count).map(code).collect())?
    } else {
        let pixel = |index: usize| (index * 2_654_435_761 % 997) as f32 / 997.0;
        Tensor::float32(shape, (0..count).map(pixel).collect())?
    };
    let target = Tensor::int64([batch], (0..batch as i64).map(|row| row % 10).collect())?;
    let flops = architecture.summary()?.flops;
    for _ in 0..WARM {
        trainer.step(&input, &target, 1e-3)?;
    }
    for turn in std::io::stdin().lock().lines() {
        let steps = number(&turn.map_err(|_| usage())?)?;
        let (mut milliseconds, mut loss) = (Vec::with_capacity(steps), 0.0);
        for _ in 0..steps {
            let start = Instant::now();
            loss = trainer.step(&input, &target, 1e-3)?.loss;
            milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
        }
        milliseconds.sort_by(f64::total_cmp);
        let result = serde_json::json!({
            "median_ms": milliseconds.get(steps / 2),
            "least_ms": milliseconds.first(),
            "total_ms": milliseconds.iter().sum::<f64>(),
            "batch": batch,
            "loss": loss,
            "flops": flops,
            "peak_mib": peak_mib(),
            "versions": { "Lepton": trainer.backend() },
        });
        println!("{result}");
    }
    Ok(())
}

/// Input, batch and layers of a row.
fn network(row: &str) -> Option<(Vec<usize>, usize, Vec<Node>)> {
    Some(match row {
        "worked-example-32" => (vec![1, 28, 28], 32, worked_example()),
        "worked-example-128" => (vec![1, 28, 28], 128, worked_example()),
        "lenet5-64" => (vec![1, 28, 28], 64, lenet5()),
        "mlp-256" => {
            let relu = |units: usize| [Layer::linear(units), Layer::Relu];
            (vec![64], 256, numbered(relu(256).into_iter().chain(relu(256)).chain([Layer::linear(10)])))
        }
        "conv-stack-32" => {
            let conv =
                |channels: usize| [Conv2d { padding: Padding::Same, ..Conv2d::new(channels, 3) }.into(), Layer::Relu];
            let half = |channels: usize| conv(channels).into_iter().chain(conv(channels)).chain([Layer::max_pool2d(2)]);
            let layers = half(64).chain(half(128)).chain([Layer::Flatten, Layer::linear(10)]);
            (vec![3, 32, 32], 32, numbered(layers))
        }
        "resnet18-32" => (vec![3, 32, 32], 32, resnet18()),
        "mobilenet-v2-32" => (vec![3, 32, 32], 32, mobilenet_v2()),
        "lstm-32" => (vec![100, 64], 32, numbered([Lstm::new(256).into(), Layer::LastStep, Layer::linear(10)])),
        "gru-32" => (vec![100, 64], 32, numbered([Gru::new(256).into(), Layer::LastStep, Layer::linear(10)])),
        "transformer-16" => (vec![128, 64], 16, transformer()),
        "text-cnn-64" => (vec![100], 64, text_cnn()),
        _ => return deep(row),
    })
}

/// `deep-DEPTH-BATCH`: that many convolutions of 32 channels over 3x16x16, to see how cost grows.
fn deep(row: &str) -> Option<(Vec<usize>, usize, Vec<Node>)> {
    let (depth, batch) = row.strip_prefix("deep-")?.split_once('-')?;
    let (depth, batch): (usize, usize) = (depth.parse().ok()?, batch.parse().ok()?);
    let conv = || [Conv2d { padding: Padding::Same, ..Conv2d::new(32, 3) }.into(), Layer::Relu];
    let layers = (0..depth).flat_map(|_| conv()).chain([Layer::GlobalAvgPool, Layer::linear(10)]);
    Some((vec![3, 16, 16], batch, numbered(layers)))
}

fn worked_example() -> Vec<Node> {
    numbered([
        Layer::conv2d(32, 3),
        Layer::Relu,
        Layer::max_pool2d(2),
        Layer::Flatten,
        Layer::linear(128),
        Layer::Relu,
        Layer::linear(10),
    ])
}

fn lenet5() -> Vec<Node> {
    let pool = || Layer::from(MaxPool2d { kernel: [2, 2], stride: None, padding: Padding::Valid });
    numbered([
        Conv2d { padding: Padding::Same, ..Conv2d::new(6, 5) }.into(),
        Layer::Relu,
        pool(),
        Layer::conv2d(16, 5),
        Layer::Relu,
        pool(),
        Layer::Flatten,
        Layer::linear(120),
        Layer::Relu,
        Layer::linear(84),
        Layer::Relu,
        Layer::linear(10),
    ])
}

/// With a stem of 3x3 for small pictures.
fn resnet18() -> Vec<Node> {
    let mut layers = vec![
        Layer::from(Conv2d { padding: Padding::Same, bias: false, ..Conv2d::new(64, 3) }),
        Layer::batch_norm(),
        Layer::Relu,
    ];
    for (stage, out_channels) in [64, 128, 256, 512].into_iter().enumerate() {
        let stride = if stage == 0 { 1 } else { 2 };
        layers.push(ResidualBlock { out_channels, stride: [stride; 2] }.into());
        layers.push(ResidualBlock { out_channels, stride: [1; 2] }.into());
    }
    layers.extend([Layer::GlobalAvgPool, Layer::linear(10)]);
    numbered(layers)
}

/// With the sizes of the zoo for small pictures, which are halved twice.
fn mobilenet_v2() -> Vec<Node> {
    let convolution = |out_channels: usize, kernel: usize| {
        let conv = Conv2d { padding: Padding::Same, bias: false, ..Conv2d::new(out_channels, kernel) };
        [conv.into(), Layer::batch_norm(), Layer::Relu6]
    };
    let mut layers = convolution(32, 3).to_vec();
    let stages =
        [(1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 1), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];
    for (expansion, out_channels, blocks, stride) in stages {
        let of = |block: usize| {
            let stride = if block == 0 { stride } else { 1 };
            InvertedResidualBlock { out_channels, expansion, stride: [stride; 2] }.into()
        };
        layers.extend((0..blocks).map(of));
    }
    layers.extend(convolution(1280, 1));
    layers.extend([Layer::GlobalAvgPool, Layer::dropout(0.2), Layer::linear(10)]);
    numbered(layers)
}

/// Four encoder blocks over a series.
fn transformer() -> Vec<Node> {
    let block = || TransformerEncoder {
        heads: 4,
        feed_forward: 1024,
        dropout: 0.0,
        activation: FeedForwardActivation::Gelu,
        norm_first: true,
        causal: false,
        epsilon: 1e-5,
    };
    let blocks = (0..4).map(|_| block().into());
    numbered([Layer::linear(256)].into_iter().chain(blocks).chain([Layer::GlobalAvgPool, Layer::linear(10)]))
}

/// That of the zoo of texts, with 128 numbers for each code.
fn text_cnn() -> Vec<Node> {
    let codes = Embedding { vocabulary: VOCABULARY, dimensions: 128, padding: Some(0) };
    let mut layers = vec![Node::new("codes", codes.into()), Node::new("dropped", Layer::dropout(0.2))];
    let mut branches = Vec::new();
    for width in [3, 4, 5] {
        let name = |part: &str| format!("{part}{width}");
        layers.push(Node::with_inputs(name("conv"), Conv1d::same(64, width).into(), ["dropped"]));
        layers.push(Node::new(name("relu"), Layer::Relu));
        layers.push(Node::new(name("largest"), Layer::GlobalMaxPool));
        branches.push(name("largest"));
    }
    layers.push(Node::with_inputs("pooled", Layer::concat(0), branches));
    layers.extend([Node::new("dropout", Layer::dropout(0.5)), Node::new("scores", Layer::linear(10))]);
    layers
}

fn numbered(layers: impl IntoIterator<Item = Layer>) -> Vec<Node> {
    layers.into_iter().enumerate().map(|(at, layer)| Node::new(format!("layer{at}"), layer)).collect()
}

/// The most memory that this process has held, in MiB; nothing where the system does not tell.
fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}
