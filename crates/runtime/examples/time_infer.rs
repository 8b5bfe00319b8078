//! Times an ONNX file on a named engine, one JSON line per batch size:
//! `time_infer MODEL.onnx ENGINE [--threads N] [--batches 1,8] [--repeats 200] [--free 32] [--ort LIBRARY]
//! [--engines FOLDER]` prints
//! `{"engine","version","model","batch","threads","repeats","median_us","min_us"}`.
//!
//! Inputs are zeros of the model's own shapes; free sides other than the batch are what `--free` says.
#![allow(clippy::print_stdout)]

use lepton_core::{Error, ErrorCode, Limits, NamedTensors, Result, Signature, Tensor, TensorSpec};
use lepton_runtime::{Engines, Model, Package, SessionOptions};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

struct Arguments {
    model: PathBuf,
    engine: String,
    threads: Option<usize>,
    batches: Vec<usize>,
    repeats: usize,
    free: usize,
    library: Option<PathBuf>,
    engines: PathBuf,
}

fn main() -> ExitCode {
    match arguments().and_then(|arguments| time(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.code().exit_code())
        }
    }
}

fn arguments() -> Result<Arguments> {
    let usage = || {
        Error::new(ErrorCode::Usage, "wrong arguments")
            .fix("time_infer MODEL.onnx ENGINE [--threads N] [--batches 1,8] [--repeats 200] [--free 32] [--ort LIBRARY] [--engines FOLDER]")
    };
    let mut given = std::env::args().skip(1);
    let (Some(model), Some(engine)) = (given.next(), given.next()) else { return Err(usage()) };
    let mut arguments = Arguments {
        model: model.into(),
        engine,
        threads: None,
        batches: vec![1, 8],
        repeats: 200,
        free: 32,
        library: None,
        engines: "/nonexistent".into(),
    };
    while let Some(flag) = given.next() {
        let value = given.next().ok_or_else(usage)?;
        let number = |text: &str| text.parse::<usize>().ok().filter(|number| *number > 0).ok_or_else(usage);
        match flag.as_str() {
            "--threads" => arguments.threads = Some(number(&value)?),
            "--batches" => arguments.batches = value.split(',').map(number).collect::<Result<_>>()?,
            "--repeats" => arguments.repeats = number(&value)?,
            "--free" => arguments.free = number(&value)?,
            "--engines" => arguments.engines = value.into(),
            "--ort" => arguments.library = Some(value.into()),
            _ => return Err(usage()),
        }
    }
    Ok(arguments)
}

fn time(arguments: &Arguments) -> Result<()> {
    let limits = Limits::default();
    let engines = Engines::discover(&arguments.engines, arguments.library.as_deref());
    let engine = engines.get(Some(&arguments.engine))?;
    let options = SessionOptions { threads: arguments.threads, deadline: None };
    let model = Model::load(Package::from_onnx(&arguments.model, &limits)?, &*engine, &options, &limits)?;
    for &batch in &arguments.batches {
        let request = zeros(&model.manifest().signature, batch, arguments.free)?;
        for _ in 0..10 {
            model.infer(&request)?;
        }
        let mut micros = Vec::with_capacity(arguments.repeats);
        for _ in 0..arguments.repeats {
            let started = Instant::now();
            model.infer(&request)?;
            micros.push(started.elapsed().as_secs_f64() * 1e6);
        }
        micros.sort_by(f64::total_cmp);
        let line = serde_json::json!({
            "engine": engine.name(),
            "version": engine.version(),
            "model": arguments.model,
            "batch": batch,
            "threads": arguments.threads,
            "repeats": arguments.repeats,
            "median_us": micros[micros.len() / 2],
            "min_us": micros[0],
        });
        println!("{line}");
    }
    Ok(())
}

fn zeros(signature: &Signature, batch: usize, free: usize) -> Result<NamedTensors> {
    let zeros = |spec: &TensorSpec| Ok((spec.name.clone(), Tensor::zeros(spec.sides(batch, free), spec.dtype)?));
    signature.inputs.iter().map(zeros).collect()
}
