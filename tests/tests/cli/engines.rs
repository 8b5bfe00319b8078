//! Engines and what a machine can do: which a machine has, which of them a model is fastest on, and what a machine does that lacks that one.

use lepton_tests::{Lepton, Project, setting};
use serde_json::Value;
use std::path::Path;

/// A data folder whose OpenVINO is the tests' own.
fn with_openvino() -> Lepton {
    let lepton = Lepton::new();
    let engines = lepton.home().join("engines");
    std::fs::create_dir_all(&engines).expect("a folder");
    std::os::unix::fs::symlink(setting("LEPTON_TEST_OPENVINO"), engines.join("openvino")).expect("a link");
    lepton
}

fn names(measured: &Value) -> Vec<&str> {
    measured.as_array().expect("engines").iter().filter_map(|engine| engine["engine"].as_str()).collect()
}

#[test]
fn every_engine_is_timed_the_package_names_one_and_a_machine_without_it_says_so() {
    let lepton = with_openvino();
    let library = setting("LEPTON_TEST_ORT_DYLIB");
    let library = library.to_str().expect("UTF-8");
    let project = Project::digits();
    let folder = project.folder().to_str().expect("UTF-8");
    let run = lepton.json(&[
        "run",
        folder,
        "--onnxruntime",
        library,
        "--set",
        "train.epochs=1",
        "--set",
        "deploy.require={}",
    ]);
    let package = Path::new(run["package"].as_str().expect("a package"));
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(package.join("manifest.json")).expect("a manifest")).expect("JSON");
    let choice = &manifest["engine"];
    assert_eq!(names(&choice["measured"]), ["onnxruntime", "openvino", "rten"], "{choice}");
    for engine in choice["measured"].as_array().expect("engines") {
        assert!(engine["seconds_batch_1"].as_f64().is_some_and(|seconds| seconds > 0.0), "{engine}");
        assert!(engine["version"].as_str().is_some_and(|version| version.contains('.')), "{engine}");
    }
    let chosen = choice["engine"].as_str().expect("a name");
    assert!(choice["reason"].as_str().is_some_and(|reason| reason.starts_with(chosen)), "{choice}");

    // What the package names is what runs it, and a name on the command line goes before it.
    let png = project.folder().join("one.png");
    std::fs::write(&png, lepton_tests::digit_png(3).0).expect("a picture");
    let png = png.to_str().expect("UTF-8");
    let name = run["model"].as_str().expect("a model");
    let answer = |flags: &[&str]| lepton.json(&[&["predict", name, png, "--onnxruntime", library], flags].concat());
    assert_eq!(answer(&[])["engine"], chosen);
    let answers: Vec<Value> =
        ["onnxruntime", "openvino", "rten"].map(|engine| answer(&["--engine", engine])["predictions"].clone()).into();
    assert!(answers.iter().all(|answer| lepton_tests::alike(answer, &answers[0])), "{answers:?}");

    let measured = lepton.json(&["engine", "list", "--measure", name, "--onnxruntime", library]);
    assert_eq!(names(&measured["choice"]["measured"]), ["onnxruntime", "openvino", "rten"], "{measured}");

    // Made on a machine with OpenVINO alone, used on one without.
    let named = lepton.json(&[
        "run",
        folder,
        "--set",
        "train.epochs=1",
        "--set",
        "deploy.require={}",
        "--set",
        "optimize.engine=openvino",
    ]);
    let package = named["package"].as_str().expect("a package");
    let elsewhere = Lepton::new().done(&["predict", package, png]);
    assert!(
        elsewhere.err.contains("fastest on openvino") && elsewhere.err.contains("so rten runs it"),
        "{}",
        elsewhere.err
    );
    let refused = Lepton::new().refused(&["predict", package, png, "--engine", "openvino"], 2, &["openvino"]);
    assert!(refused.err.contains("lepton engine install openvino"), "{}", refused.err);
}

#[test]
fn an_engine_that_nobody_installs_is_refused_with_the_nearest_name() {
    Lepton::new().refused(&["engine", "install", "openvin"], 2, &["did you mean \"openvino\"?"]);
}

#[test]
fn a_machine_says_what_it_can_do_at_most() {
    let measured = Lepton::new().json(&["bench", "machine", "--threads", "2"]);
    let ceilings = measured["ceilings"].as_array().expect("ceilings");
    assert_eq!(ceilings.iter().map(|own| own["threads"].as_u64()).collect::<Vec<_>>(), [Some(1), Some(2)]);
    for ceiling in ceilings {
        // Between a slow emulator and what no processor of this decade does.
        let [gflops, gigabytes] =
            ["gflops", "gigabytes_per_second"].map(|key| ceiling[key].as_f64().expect("a number"));
        assert!((0.1..10_000.0).contains(&gflops) && (0.1..2_000.0).contains(&gigabytes), "{measured}");
    }
    assert!(
        measured["machine"]["backend"].as_str().is_some_and(|backend| backend.starts_with("lepton-kernels (cpu, "))
    );
}
