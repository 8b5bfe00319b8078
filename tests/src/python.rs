//! The Python of tests/.env, with numpy, onnx and onnxruntime: the reference that exported models are held to.

use crate::setting;
use std::process::Command;

/// What a Python script prints, given its text and arguments.
///
/// # Panics
/// With the script's standard error when it fails.
pub fn python(script: &str, arguments: &[&str]) -> String {
    let output = Command::new(setting("LEPTON_TEST_PYTHON"))
        .arg("-c")
        .arg(script)
        .args(arguments)
        .output()
        .expect("the Python of LEPTON_TEST_PYTHON starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the script prints UTF-8")
}
