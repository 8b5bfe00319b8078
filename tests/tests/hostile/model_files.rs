//! Packages and ONNX files from somebody else: changed, linked, pointing outside, or not models at all.

use lepton_tests::{Lepton, Project, python, request};

/// A copy of the digits package in `place/package`.
fn exported(lepton: &Lepton, place: &Project) -> String {
    let folder = place.at("package");
    lepton.done(&["model", "export", "digits", "--to", &folder]);
    folder
}

#[test]
fn a_changed_file_is_named_with_both_hashes_and_never_served() {
    let (lepton, place) = (Lepton::trained(), Project::with(""));
    let package = exported(&lepton, &place);
    for name in ["model.onnx", "recipe.json", "weights.safetensors", "reference.json", "architecture.json"] {
        let good = place.read(&format!("package/{name}"));
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        writable(&place, name);
        place.write(&format!("package/{name}"), &bad);
        lepton.refused(&["model", "verify", &package], 1, &[name, "sha256"]);
        place.write(&format!("package/{name}"), &good);
    }
    lepton.done(&["model", "verify", &package]);
    let onnx = place.read("package/model.onnx");
    place.write("package/model.onnx", &onnx[..onnx.len() - 1]);
    lepton.refused(&["serve", &package, "--port", "0"], 1, &["model.onnx", "sha256"]);
    std::fs::remove_file(place.folder().join("package/model.onnx")).expect("it can be removed");
    lepton.refused(&["model", "verify", &package], 1, &["model.onnx"]);
    // A link is no file of a package, even when it leads to the right bytes.
    place.write("elsewhere.onnx", &onnx);
    std::os::unix::fs::symlink(place.at("elsewhere.onnx"), place.folder().join("package/model.onnx")).expect("a link");
    let answer = lepton.run(&["model", "verify", &package]);
    assert!(answer.code == Some(1) || answer.code == Some(2), "{answer:?}");
    assert!(answer.err.contains("model.onnx"), "{}", answer.err);
}

#[test]
fn a_manifest_may_not_name_files_outside() {
    let (lepton, place) = (Lepton::trained(), Project::with(""));
    let package = exported(&lepton, &place);
    let good = String::from_utf8(place.read("package/manifest.json")).expect("UTF-8");
    writable(&place, "manifest.json");
    for (from, to) in [
        ("\"model.onnx\"", "\"../outside.onnx\""),
        ("\"model.onnx\"", "\"/etc/passwd\""),
        ("\"recipe.json\"", "\"..\\\\recipe.json\""),
        ("\"manifest_version\": 2", "\"manifest_version\": 99"),
        ("\"manifest_version\"", "\"surprise\": 1, \"manifest_version\""),
    ] {
        assert!(good.contains(from), "{from}");
        place.write("package/manifest.json", good.replace(from, to).as_bytes());
        let answer = lepton.run(&["model", "show", &package]);
        assert!(matches!(answer.code, Some(1 | 2)) && !answer.err.contains("panicked"), "{to}: {answer:?}");
    }
}

#[test]
fn external_data_is_refused_by_its_tensors_name() {
    let (lepton, place) = (Lepton::trained(), Project::with(""));
    exported(&lepton, &place);
    place.write("canary", b"secret bytes that no model may read");
    let script = "\
import sys, onnx
from onnx.external_data_helper import set_external_data
model = onnx.load(sys.argv[1])
tensor = max(model.graph.initializer, key=lambda t: len(t.raw_data))
print(tensor.name)
set_external_data(tensor, location=sys.argv[3])
tensor.ClearField('raw_data')
open(sys.argv[2], 'wb').write(model.SerializeToString())
";
    for location in ["canary", "../canary", "/etc/passwd"] {
        let name = python(script, &[&place.at("package/model.onnx"), &place.at("outside.onnx"), location]);
        for command in [vec!["model", "show"], vec!["serve", "--port", "0"], vec!["predict"]] {
            let file = place.at("outside.onnx");
            let mut arguments = command.clone();
            arguments.insert(if command[0] == "model" { 2 } else { 1 }, &file);
            if command[0] == "predict" {
                arguments.push("1,2");
            }
            lepton.refused(&arguments, 2, &[name.trim()]);
        }
    }
}

#[test]
fn files_that_are_no_models_are_refused_quickly() {
    let (lepton, place) = (Lepton::trained(), Project::with(""));
    exported(&lepton, &place);
    let whole = place.read("package/model.onnx");
    let mut hostile: Vec<(String, Vec<u8>)> =
        (0..16).map(|part| (format!("cut {part}/16"), whole[..whole.len() * part / 16].to_vec())).collect();
    hostile.push(("text".into(), b"hello, I am a model".to_vec()));
    hostile.push(("pickle".into(), b"\x80\x04\x95cposix\nsystem\n(S'touch /tmp/x'\ntR.".to_vec()));
    hostile.push((
        "a length of 2^60".into(),
        [&[0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], whole.as_slice()].concat(),
    ));
    hostile.push(("deep nesting".into(), nested(100_000)));
    for (name, bytes) in hostile {
        place.write("hostile.onnx", &bytes);
        let answer = lepton.run(&["model", "show", &place.at("hostile.onnx")]);
        assert_eq!(answer.code, Some(2), "{name}: {answer:?}");
        assert!(answer.took.as_secs() < 5 && answer.err.contains("hostile.onnx"), "{name}: {answer:?}");
    }
    // A bare file is served as tensors only, under its own name.
    place.write("bare.onnx", &whole);
    let server = lepton.serve(&[&place.at("bare.onnx")]);
    assert_eq!(request(server.address, "GET", "/v2/models/bare/ready", "", b"").status, 200);
    assert_eq!(request(server.address, "POST", "/v1/predict/bare", "image/png", b"x").status, 400);
}

/// A graph in an attribute in a node in a graph, `depth` times, as protobuf.
fn nested(depth: usize) -> Vec<u8> {
    // Built from the inside out; every level adds its tag and length. Stops where the file gets large.
    let mut inner: Vec<u8> = Vec::new();
    for _ in 0..depth {
        for tag in [0x32u8, 0x2a, 0x0a] {
            inner = [vec![tag], varint(inner.len()), inner].concat();
        }
        if inner.len() > 40_000 {
            break;
        }
    }
    [vec![0x3a], varint(inner.len()), inner].concat()
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Exports may keep the read-only mode of the registry.
fn writable(place: &Project, name: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    for path in [place.folder().join("package"), place.folder().join("package").join(name)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).expect("permissions");
    }
}
