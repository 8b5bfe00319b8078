//! Writes every reference case as ONNX beside its input and expected output, for `tests/data/check_exports.py`:
//! `cargo run --release -p lepton-nn --example export_cases FOLDER`.

#[path = "../tests/reference/mod.rs"]
mod reference;

use lepton_core::{Error, Result};
use lepton_nn::Network;
use std::path::PathBuf;

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).ok_or_else(|| Error::internal("name the folder to write to"))?;
    let folder = PathBuf::from(folder);
    std::fs::create_dir_all(&folder).map_err(|source| Error::io("create", &folder, source))?;
    for case in reference::cases() {
        let network = Network::from_weights(&case.architecture, &reference::safetensors(&case.weights))?;
        let path = folder.join(format!("{}.onnx", case.architecture.name));
        std::fs::write(&path, network.to_onnx()?).map_err(|source| Error::io("write", &path, source))?;
    }
    Ok(())
}
