//! Reads an encoder's folder, runs rows of codes through it, tells the time, and writes the outputs and the ONNX file, for
//! `tests/data/check_encoder.py`:
//! `cargo run --release -p lepton-nn --example encode FOLDER CODES.json OUTPUTS.json MODEL.onnx [THREADS]`.

use lepton_core::{Error, Limits, Result, Tensor};
use lepton_nn::import_encoder;
use std::path::Path;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::io("read", path, source))
}

fn write(path: &str, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|source| Error::io("write", path, source))
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, codes, outputs, onnx, threads @ ..] = &arguments[..] else {
        return Err(Error::internal("name the folder, the codes, the outputs and the ONNX file"));
    };
    let folder = Path::new(folder);
    let (config, weights) = (read(&folder.join("config.json"))?, read(&folder.join("model.safetensors"))?);
    let begun = Instant::now();
    let imported = import_encoder(&config, &weights, &Limits::default())?;
    println!("read in {:.2} s", begun.elapsed().as_secs_f64());
    imported.notes.iter().for_each(|note| println!("note: {note}"));
    let threads = threads.first().and_then(|threads| threads.parse().ok()).unwrap_or(2);
    let network = imported.network.with_threads(threads)?;
    let broken = |source: serde_json::Error| Error::internal(format!("not rows of codes: {source}"));
    let rows: Vec<Vec<i64>> = serde_json::from_slice(&read(Path::new(codes))?).map_err(broken)?;
    let time = rows.iter().map(Vec::len).max().unwrap_or(1);
    let padded = rows.iter().flat_map(|row| row.iter().copied().chain(std::iter::repeat(0)).take(time)).collect();
    let input = Tensor::int64([rows.len(), time], padded)?;
    let begun = Instant::now();
    let output = network.forward_in_batches(&input, 32)?;
    println!("{} rows of up to {time} codes in {:.2} s", rows.len(), begun.elapsed().as_secs_f64());
    let values: Vec<&[f32]> = output.as_float32()?.chunks(output.row_len().max(1)).collect();
    write(outputs, &serde_json::to_vec(&values).map_err(broken)?)?;
    write(onnx, &network.to_onnx()?)
}
