//! Times an ONNX file on a named engine, in turns:
//! `time_infer MODEL.onnx ENGINE [--threads N] [--batch 1] [--free 32] [--ort LIBRARY] [--engines FOLDER]` reads numbers of
//! runs, one a line, and answers each with `{"engine","version","batch","threads","runs","median_us","min_us"}`.
//!
//! Whoever compares keeps one such process for each side and asks them in turn, so that a machine whose speed changes
//! changes for all. Inputs are zeros of the model's own shapes; free sides other than the batch are what `--free` says.
#![allow(clippy::print_stdout)]

use lepton_core::{Error, ErrorCode, Limits, Result};
use lepton_runtime::{Engines, Model, Package, SessionOptions, zeros};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

struct Arguments {
    model: PathBuf,
    engine: String,
    threads: Option<usize>,
    batch: usize,
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

fn wrong() -> Error {
    Error::new(ErrorCode::Usage, "wrong arguments")
        .fix("time_infer MODEL.onnx ENGINE [--threads N] [--batch 1] [--free 32] [--ort LIBRARY] [--engines FOLDER]")
}

fn number(text: &str) -> Result<usize> {
    text.trim().parse::<usize>().ok().filter(|number| *number > 0).ok_or_else(wrong)
}

fn arguments() -> Result<Arguments> {
    let mut given = std::env::args().skip(1);
    let (Some(model), Some(engine)) = (given.next(), given.next()) else { return Err(wrong()) };
    let mut arguments = Arguments {
        model: model.into(),
        engine,
        threads: None,
        batch: 1,
        free: 32,
        library: None,
        engines: "/nonexistent".into(),
    };
    while let Some(flag) = given.next() {
        let value = given.next().ok_or_else(wrong)?;
        match flag.as_str() {
            "--threads" => arguments.threads = Some(number(&value)?),
            "--batch" => arguments.batch = number(&value)?,
            "--free" => arguments.free = number(&value)?,
            "--engines" => arguments.engines = value.into(),
            "--ort" => arguments.library = Some(value.into()),
            _ => return Err(wrong()),
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
    let request = zeros(&model.manifest().signature.inputs, arguments.batch, arguments.free, &limits)?;
    for line in std::io::stdin().lines() {
        let runs = number(&line.map_err(|source| Error::io("read", "standard input", source))?)?;
        let mut micros = Vec::with_capacity(runs);
        for _ in 0..runs {
            let started = Instant::now();
            model.infer(&request)?;
            micros.push(started.elapsed().as_secs_f64() * 1e6);
        }
        micros.sort_by(f64::total_cmp);
        let line = serde_json::json!({
            "engine": engine.name(),
            "version": engine.version(),
            "batch": arguments.batch,
            "threads": arguments.threads,
            "runs": runs,
            "median_us": micros[runs / 2],
            "min_us": micros[0],
        });
        println!("{line}");
    }
    Ok(())
}
