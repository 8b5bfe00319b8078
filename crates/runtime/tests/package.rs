//! Packages: what is written opens and answers, and every way to tamper with one is refused by name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use arrow_array::{Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema as ArrowSchema};
use lepton_core::{
    Activation, Column, ColumnKind, DType, Decoder, Digest, ErrorCode, Limits, MANIFEST_VERSION, Manifest, Prediction,
    Schema, TaskKind, Tensor, TensorSpec,
};
use lepton_onnx::{GraphProto, ModelProto, NodeProto, OPSET, ValueInfoProto};
use lepton_recipe::{NumberMissing, NumberNormalize, NumberPlan, Recipe, RecipePlan, StepPlan, TargetPlan};
use lepton_runtime::{Engines, Model, Package, SessionOptions, write_package, zeros};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

fn recipe() -> Recipe {
    let number = |name: &str| Column { name: name.to_owned(), kind: ColumnKind::Number, nullable: false };
    let class = Column { name: "kind".to_owned(), kind: ColumnKind::Category, nullable: false };
    let schema = Schema { columns: vec![number("width"), number("height"), class] };
    let step = |name: &str| {
        StepPlan::Number(NumberPlan {
            missing: NumberMissing::Refuse,
            normalize: NumberNormalize::None,
            ..NumberPlan::new(name)
        })
    };
    let plan = RecipePlan {
        steps: vec![step("width"), step("height")],
        target: Some(TargetPlan::Classes { column: "kind".to_owned() }),
    };
    let fields = vec![
        Field::new("width", DataType::Float64, false),
        Field::new("height", DataType::Float64, false),
        Field::new("kind", DataType::Utf8, false),
    ];
    let train = RecordBatch::try_new(
        Arc::new(ArrowSchema::new(fields)),
        vec![
            Arc::new(Float64Array::from(vec![1.0, 2.0])),
            Arc::new(Float64Array::from(vec![2.0, 1.0])),
            Arc::new(StringArray::from(vec!["tall", "wide"])),
        ],
    )
    .unwrap();
    plan.fit(&schema, &train).unwrap()
}

/// Logits `[10 * (height - width), 10 * (width - height)]`.
fn onnx() -> Vec<u8> {
    let mut graph = GraphProto::new("shape");
    graph.input.push(ValueInfoProto::tensor("input", DType::Float32, &[-1, 2]));
    graph.output.push(ValueInfoProto::tensor("output", DType::Float32, &[-1, 2]));
    graph.add_initializer("w", &Tensor::float32([2, 2], vec![-10.0, 10.0, 10.0, -10.0]).unwrap());
    graph.node.push(NodeProto::new("MatMul", "product", ["input", "w"], ["output"]));
    lepton_onnx::encode(&ModelProto::new(graph, OPSET))
}

fn manifest() -> Manifest {
    let model = lepton_onnx::decode(&onnx(), &Limits::default()).unwrap();
    Manifest {
        manifest_version: MANIFEST_VERSION,
        name: "shape".to_owned(),
        task: Some(TaskKind::TabularClassification),
        inputs: recipe().inputs().clone(),
        signature: lepton_onnx::signature(&model).unwrap(),
        decoder: Decoder::Classification {
            output: "output".to_owned(),
            labels: vec!["tall".to_owned(), "wide".to_owned()],
            activation: Activation::Softmax,
        },
        served: "model.onnx".to_owned(),
        metrics: BTreeMap::from([("test".to_owned(), BTreeMap::from([("accuracy".to_owned(), 0.75)]))]),
        int8: None,
        engine: None,
        lineage: None,
        files: BTreeMap::new(),
    }
}

fn files() -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([
        ("model.onnx".to_owned(), onnx()),
        ("recipe.json".to_owned(), recipe().to_json().unwrap()),
        ("weights.safetensors".to_owned(), vec![7; 64]),
    ])
}

fn written() -> (TempDir, Digest) {
    let folder = tempfile::tempdir().unwrap();
    let (_, digest) = write_package(folder.path(), manifest(), files()).unwrap();
    (folder, digest)
}

fn open(folder: &Path) -> lepton_core::Result<Package> {
    Package::open(folder, &Limits::default())
}

fn rows(width: &[f64], height: &[f64]) -> RecordBatch {
    let fields = vec![Field::new("width", DataType::Float64, false), Field::new("height", DataType::Float64, false)];
    RecordBatch::try_new(
        Arc::new(ArrowSchema::new(fields)),
        vec![Arc::new(Float64Array::from(width.to_vec())), Arc::new(Float64Array::from(height.to_vec()))],
    )
    .unwrap()
}

fn load(package: Package, limits: &Limits) -> Model {
    let engine = Engines::discover(Path::new("/nowhere"), None).get(Some("rten")).unwrap();
    Model::load(package, &*engine, &SessionOptions::default(), limits).unwrap()
}

#[test]
fn what_is_written_opens_and_answers() {
    let (folder, digest) = written();
    let package = open(folder.path()).unwrap();
    assert_eq!(Digest::of(std::fs::read(folder.path().join("manifest.json")).unwrap()), digest);
    package.verify().unwrap();
    assert_eq!(package.served_bytes().unwrap(), onnx());
    let listed: Vec<_> = package.manifest.files.keys().map(String::as_str).collect();
    assert_eq!(listed, ["MLmodel", "README.md", "model.onnx", "recipe.json", "weights.safetensors"]);
    // Pieces of two rows: answers and their order do not depend on the piece.
    let model = load(package, &Limits { batch_rows: 2, ..Limits::default() });
    let answers = model.predict(&rows(&[1.0, 3.0, 1.0, 2.0, 9.0], &[2.0, 1.0, 2.0, 1.0, 0.0])).unwrap();
    let labels: Vec<_> = answers
        .iter()
        .map(|answer| match answer {
            Prediction::Classification { label, probability, .. } => {
                assert!(*probability > 0.99);
                label.as_str()
            }
            other => panic!("a classifier answered {other:?}"),
        })
        .collect();
    assert_eq!(labels, ["tall", "wide", "tall", "wide", "wide"]);
    assert!(model.predict(&rows(&[], &[])).unwrap().is_empty());
}

#[test]
fn an_answer_that_is_not_finite_is_an_error_with_its_row() {
    let (folder, _) = written();
    let model = load(open(folder.path()).unwrap(), &Limits { batch_rows: 2, ..Limits::default() });
    // Finite in float32, infinite after the product with 10, and infinite minus infinite is NaN.
    let error = model.predict(&rows(&[1.0, 1.0, 1.0, 3e38], &[2.0, 2.0, 2.0, 3e38])).unwrap_err();
    assert_eq!((error.code(), error.place().row), (ErrorCode::GateFailed, Some(4)), "{error}");
}

#[test]
fn a_changed_file_is_named_with_both_hashes() {
    for name in ["MLmodel", "README.md", "model.onnx", "recipe.json", "weights.safetensors"] {
        let (folder, _) = written();
        let path = folder.path().join(name);
        let package = open(folder.path()).unwrap();
        let before = std::fs::read(&path).unwrap();
        let mut after = before.clone();
        *after.last_mut().unwrap() ^= 1;
        std::fs::write(&path, &after).unwrap();
        for error in [open(folder.path()).err().unwrap(), package.verify().unwrap_err()] {
            assert_eq!(error.code(), ErrorCode::Integrity);
            let text = error.to_string();
            let hashes = [Digest::of(&before).hex(), Digest::of(&after).hex()];
            assert!(text.contains(name) && hashes.iter().all(|hash| text.contains(hash)), "{text}");
        }
    }
}

/// Each tampering and what the error must say.
#[test]
fn every_tampering_is_refused() {
    type Tamper = fn(&Path);
    let cases: [(&str, Tamper, ErrorCode, &str); 9] = [
        (
            "a longer file",
            |dir| std::fs::write(dir.join("weights.safetensors"), [7; 65]).unwrap(),
            ErrorCode::Integrity,
            "65 bytes",
        ),
        (
            "a missing file",
            |dir| std::fs::remove_file(dir.join("weights.safetensors")).unwrap(),
            ErrorCode::Integrity,
            "weights.safetensors",
        ),
        (
            "an unlisted file",
            |dir| std::fs::write(dir.join("extra.onnx"), "").unwrap(),
            ErrorCode::Integrity,
            "extra.onnx",
        ),
        ("an unlisted folder", |dir| std::fs::create_dir(dir.join("sub")).unwrap(), ErrorCode::Integrity, "sub"),
        ("a link to the same bytes", link_model, ErrorCode::Integrity, "model.onnx: is a link"),
        ("a folder instead of a file", folder_for_model, ErrorCode::Integrity, "model.onnx: is not a plain file"),
        ("a named pipe", pipe_for_model, ErrorCode::Integrity, "model.onnx: is not a plain file"),
        (
            "no manifest",
            |dir| std::fs::remove_file(dir.join("manifest.json")).unwrap(),
            ErrorCode::NotFound,
            "manifest.json",
        ),
        (
            "half a manifest",
            |dir| std::fs::write(dir.join("manifest.json"), "{\"manifest_version\": 1").unwrap(),
            ErrorCode::BadData,
            "manifest.json",
        ),
    ];
    for (what, tamper, code, text) in cases {
        let (folder, _) = written();
        tamper(folder.path());
        let error = open(folder.path()).err().unwrap_or_else(|| panic!("{what} was let in"));
        assert_eq!(error.code(), code, "{what}: {error}");
        assert!(error.to_string().contains(text), "{what}: {error}");
    }
}

fn link_model(dir: &Path) {
    let elsewhere = dir.join(".elsewhere");
    std::fs::rename(dir.join("model.onnx"), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, dir.join("model.onnx")).unwrap();
}

fn folder_for_model(dir: &Path) {
    std::fs::remove_file(dir.join("model.onnx")).unwrap();
    std::fs::create_dir(dir.join("model.onnx")).unwrap();
}

fn pipe_for_model(dir: &Path) {
    std::fs::remove_file(dir.join("model.onnx")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        dir.join("model.onnx"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
}

/// Rewrites the manifest as JSON: hashes of the other files stay right, only the manifest lies.
fn edited(edit: impl FnOnce(&mut serde_json::Value)) -> lepton_core::Error {
    let (folder, _) = written();
    let path = folder.path().join("manifest.json");
    let mut manifest = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    edit(&mut manifest);
    std::fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    open(folder.path()).err().expect("a lying manifest was let in")
}

#[test]
fn a_package_of_version_1_opens_and_names_no_engine() {
    let (folder, _) = written();
    let path = folder.path().join("manifest.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    manifest["manifest_version"] = 1.into();
    manifest.as_object_mut().unwrap().remove("engine");
    std::fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    let package = open(folder.path()).unwrap();
    assert_eq!((package.manifest.manifest_version, package.manifest.engine), (1, None));
}

#[test]
fn a_manifest_that_lies_is_refused() {
    let newer = edited(|manifest| {
        manifest["manifest_version"] = (MANIFEST_VERSION + 1).into();
        manifest["something_new"] = true.into();
    });
    assert_eq!(newer.code(), ErrorCode::Unsupported, "{newer}");
    assert!(newer.to_string().contains("newer Lepton"), "{newer}");
    for name in ["../model.onnx", "/etc/passwd", "a/b", "a\\b", "..", "", "manifest.json"] {
        let error = edited(|manifest| manifest["files"][name] = manifest["files"]["model.onnx"].clone());
        assert_eq!(error.code(), ErrorCode::BadData, "{name}: {error}");
    }
    for served in ["weights.safetensors", "other.onnx", "../model.onnx"] {
        assert_eq!(edited(|manifest| manifest["served"] = served.into()).code(), ErrorCode::BadData, "{served}");
    }
    let unknown = edited(|manifest| manifest["surprise"] = 1.into());
    assert!(unknown.code() == ErrorCode::BadData && unknown.message().contains("surprise"), "{unknown}");
    let shape = edited(|manifest| manifest["signature"]["inputs"][0]["shape"] = vec![-1, 3].into());
    assert!(shape.to_string().contains("inputs and outputs"), "{shape}");
    let labels = edited(|manifest| manifest["decoder"]["labels"] = vec!["a", "b", "c"].into());
    assert!(labels.to_string().contains("3 labels do not fit"), "{labels}");
    let twice = edited(|manifest| manifest["decoder"]["labels"] = vec!["a", "a"].into());
    assert!(twice.to_string().contains("unique"), "{twice}");
    let columns = edited(|manifest| manifest["inputs"]["columns"][0]["name"] = "depth".into());
    assert!(columns.to_string().contains("recipe.json"), "{columns}");
    let bytes = edited(|manifest| manifest["files"]["model.onnx"]["bytes"] = u64::MAX.into());
    assert_eq!(bytes.code(), ErrorCode::TooLarge, "{bytes}");
}

/// A model whose weight lies in another file, as a package and as a bare file.
#[test]
fn external_data_is_refused() {
    let mut model = lepton_onnx::decode(&onnx(), &Limits::default()).unwrap();
    let weight = &mut model.graph.as_mut().unwrap().initializer[0];
    weight.raw_data = None;
    weight.float_data.clear();
    weight.data_location = Some(lepton_onnx::proto::DataLocation::External as i32);
    weight.external_data.push(lepton_onnx::proto::StringStringEntryProto {
        key: "location".to_owned(),
        value: "/etc/passwd".to_owned(),
    });
    let bytes = lepton_onnx::encode(&model);
    let folder = tempfile::tempdir().unwrap();
    let mut files = files();
    files.insert("model.onnx".to_owned(), bytes.clone());
    write_package(folder.path(), manifest(), files).unwrap();
    let bare = folder.path().join("bare.onnx");
    std::fs::write(&bare, bytes).unwrap();
    let from_bare = Package::from_onnx(&bare, &Limits::default()).err().unwrap();
    std::fs::remove_file(&bare).unwrap();
    for error in [from_bare, open(folder.path()).err().unwrap()] {
        let text = error.to_string();
        assert!(text.contains("\"w\"") && text.contains(".onnx"), "{text}");
    }
}

#[test]
fn limits_hold() {
    let (folder, _) = written();
    let error = Package::open(folder.path(), &Limits { model_bytes: 100, ..Limits::default() }).err().unwrap();
    assert_eq!(error.code(), ErrorCode::TooLarge);
    assert!(error.message().contains("model_bytes = 100"), "{error}");
    let limits = Limits { tensor_elements: 3, ..Limits::default() };
    let model = load(open(folder.path()).unwrap(), &limits);
    let request = |rows: usize| vec![("input".to_owned(), Tensor::float32([rows, 2], vec![0.0; rows * 2]).unwrap())];
    model.infer(&request(1)).unwrap();
    let error = model.infer(&request(2)).unwrap_err();
    assert!(error.code() == ErrorCode::TooLarge && error.message().contains("tensor_elements = 3"), "{error}");
}

#[test]
fn zeros_of_a_size_that_only_a_file_declares_are_not_made() {
    let spec = |shape: &[i64]| TensorSpec { name: "input".to_owned(), dtype: DType::Float32, shape: shape.to_vec() };
    let limits = Limits { tensor_elements: 6, ..Limits::default() };
    let made = zeros(&[spec(&[-1, 2])], 3, 1, &limits).unwrap();
    assert_eq!(made[0].1.shape(), [3, 2]);
    for shape in [&[-1, 2][..], &[-1, 1 << 40], &[-1, 1 << 40, 1 << 40]] {
        let error = zeros(&[spec(shape)], 8, 1, &limits).unwrap_err();
        assert!(error.code() == ErrorCode::TooLarge && error.message().contains("tensor_elements = 6"), "{error}");
    }
}

#[test]
fn a_file_that_changes_after_opening_does_not_run() {
    let (folder, _) = written();
    let package = open(folder.path()).unwrap();
    std::fs::write(folder.path().join("model.onnx"), onnx().repeat(2)).unwrap();
    let engine = Engines::discover(Path::new("/nowhere"), None).get(Some("rten")).unwrap();
    let error = Model::load(package, &*engine, &SessionOptions::default(), &Limits::default()).err().unwrap();
    assert_eq!(error.code(), ErrorCode::Integrity);
}

#[test]
fn a_bare_file_answers_with_its_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shape.onnx");
    std::fs::write(&path, onnx()).unwrap();
    let package = Package::from_onnx(&path, &Limits::default()).unwrap();
    assert_eq!((package.manifest.name.as_str(), &package.manifest.decoder), ("shape", &Decoder::Raw));
    package.verify().unwrap();
    let model = load(package, &Limits::default());
    let outputs = model.infer(&vec![("input".to_owned(), Tensor::float32([1, 2], vec![1.0, 3.0]).unwrap())]).unwrap();
    let answers = serde_json::to_value(model.decode(&outputs).unwrap()).unwrap();
    assert_eq!(answers, serde_json::json!([{"outputs": {"output": [20.0, -20.0]}}]));
    assert_eq!(model.predict(&rows(&[1.0], &[2.0])).unwrap_err().code(), ErrorCode::Unsupported);
    let other: PathBuf = folder.path().join("shape.pt");
    std::fs::write(&other, onnx()).unwrap();
    assert_eq!(Package::from_onnx(&other, &Limits::default()).err().unwrap().code(), ErrorCode::Usage);
}

#[test]
fn writing_refuses_what_opening_would() {
    let write = |manifest: Manifest, files| {
        let folder = tempfile::tempdir().unwrap();
        write_package(folder.path(), manifest, files).err().map(|error| error.code())
    };
    let mut no_model = files();
    no_model.remove("model.onnx");
    assert_eq!(write(manifest(), no_model), Some(ErrorCode::Usage));
    for name in ["../escape", "README.md", "manifest.json"] {
        let mut bad = files();
        bad.insert(name.to_owned(), Vec::new());
        assert_eq!(write(manifest(), bad), Some(ErrorCode::Usage), "{name}");
    }
    let mut labels = manifest();
    labels.decoder = Decoder::Classification {
        output: "output".to_owned(),
        labels: vec!["one".to_owned()],
        activation: Activation::None,
    };
    assert_eq!(write(labels, files()), Some(ErrorCode::BadData));
    let (folder, _) = written();
    assert!(write_package(folder.path(), manifest(), files()).is_err(), "an existing package is not overwritten");
}

#[test]
fn the_card_shows_data_as_text() {
    let mut hostile = manifest();
    hostile.name = "<script>x</script>\n# not a heading | cell".to_owned();
    let folder = tempfile::tempdir().unwrap();
    write_package(folder.path(), hostile, files()).unwrap();
    let card = std::fs::read_to_string(folder.path().join("README.md")).unwrap();
    assert!(card.starts_with("# \\<script\\>x\\</script\\> \\# not a heading \\| cell\n"), "{card}");
    assert!(card.contains("| test | accuracy | 0.750000 |") && card.contains("Classes (2): tall, wide"), "{card}");
    let yaml = std::fs::read_to_string(folder.path().join("MLmodel")).unwrap();
    assert!(yaml.contains("loader_module: mlflow.onnx") && yaml.contains("tensor-spec"), "{yaml}");
}
