//! Writes an untrained network of a zoo as an ONNX file: `export_network TASK NETWORK SHAPE OUTPUTS FILE`, for example
//! `export_network image-classification resnet18 3x32x32 10 resnet18.onnx`. `bench/compare infer` times such files: weights
//! do not change the time, shapes do.
#![allow(clippy::print_stderr)]

use lepton_core::{Error, ErrorCode, Result, Seed, TaskKind};
use lepton_nn::Network;
use lepton_pipeline::task;
use std::process::ExitCode;

fn main() -> ExitCode {
    match export(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.code().exit_code())
        }
    }
}

fn export(arguments: &[String]) -> Result<()> {
    let usage =
        || Error::new(ErrorCode::Usage, "wrong arguments").fix("export_network TASK NETWORK SHAPE OUTPUTS FILE");
    let [kind, name, shape, outputs, file] = arguments else { return Err(usage()) };
    let number = |text: &str| text.parse::<usize>().map_err(|_| usage());
    let shape: Vec<usize> = shape.split('x').map(number).collect::<Result<_>>()?;
    let architecture = task(kind.parse::<TaskKind>()?).architecture(Some(name), &shape, number(outputs)?)?;
    let onnx = Network::new(&architecture, Seed(1))?.to_onnx()?;
    std::fs::write(file, onnx).map_err(|source| Error::io("write", file, source))
}
