//! Writes the conformance suite's models and inputs next to its reference script:
//! `cargo run --release -p lepton-runtime --example conformance_models`, then
//! `python crates/runtime/tests/conformance/reference.py`.
#![allow(clippy::unwrap_used)]

#[path = "../tests/conformance/cases.rs"]
mod cases;
#[path = "../tests/conformance/json.rs"]
mod json;

fn main() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let mut requests = serde_json::Map::new();
    for case in cases::cases() {
        std::fs::write(folder.join(format!("{}.onnx", case.name)), &case.onnx).unwrap();
        requests.insert(case.name.to_owned(), case.requests.iter().map(json::from_tensors).collect());
    }
    let text = serde_json::to_string_pretty(&requests).unwrap();
    std::fs::write(folder.join("inputs.json"), text + "\n").unwrap();
}
