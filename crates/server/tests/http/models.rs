//! The models that the tests serve.

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use image::{DynamicImage, GrayImage, ImageFormat};
use lepton_core::image::{ImageBuilder, ImageRef};
use lepton_core::{
    Activation, Column, ColumnKind, DType, Decoder, Limits, MANIFEST_VERSION, Manifest, NamedTensors, Result, Schema,
    Signature, TaskKind, Tensor, TensorSpec,
};
use lepton_onnx::{GraphProto, ModelProto, NodeProto, OPSET, ValueInfoProto, encode};
use lepton_recipe::{ImagePlan, NumberMissing, NumberNormalize, NumberPlan, RecipePlan, StepPlan, TargetPlan};
use lepton_runtime::{Model, Package, RtenEngine, Session, SessionOptions, write_package};
use lepton_server::ServedModel;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::{Arc, Condvar, Mutex};

pub(crate) fn served(name: &str, version: u64, model: Model) -> ServedModel {
    ServedModel { name: name.into(), version, model: Arc::new(model), monitor: None }
}

fn column(name: &str, kind: ColumnKind) -> Column {
    Column { name: name.into(), kind, nullable: false }
}

/// `output = flatten(input) x weights + bias`, two scores.
fn linear(row_shape: &[usize], weights: Vec<f32>, bias: Vec<f32>) -> Vec<u8> {
    let features = row_shape.iter().product();
    let mut graph = GraphProto::new("linear");
    let shape: Vec<i64> = std::iter::once(-1).chain(row_shape.iter().map(|&side| side as i64)).collect();
    graph.input.push(ValueInfoProto::tensor("input", DType::Float32, &shape));
    graph.output.push(ValueInfoProto::tensor("output", DType::Float32, &[-1, 2]));
    graph.add_initializer("weights", &Tensor::float32(vec![features, 2], weights).unwrap());
    graph.add_initializer("bias", &Tensor::float32(vec![2], bias).unwrap());
    graph.node.push(NodeProto::new("Flatten", "flatten", ["input"], ["flat"]).int("axis", 1));
    graph.node.push(NodeProto::new("Gemm", "gemm", ["flat", "weights", "bias"], ["output"]));
    encode(&ModelProto::new(graph, OPSET))
}

fn package(
    dir: &std::path::Path,
    plan: RecipePlan,
    schema: Schema,
    rows: &RecordBatch,
    onnx: impl Fn(&[usize]) -> Vec<u8>,
) -> Package {
    let recipe = plan.fit(&schema, rows).unwrap();
    let input = recipe.output();
    let row_shape: Vec<usize> = input.shape[1..].iter().map(|&side| side as usize).collect();
    let manifest = Manifest {
        manifest_version: MANIFEST_VERSION,
        name: "test".into(),
        task: Some(TaskKind::TabularClassification),
        inputs: recipe.inputs().clone(),
        signature: Signature {
            inputs: vec![input],
            outputs: vec![TensorSpec::batched("output", DType::Float32, &[2])],
        },
        decoder: Decoder::Classification {
            output: "output".into(),
            labels: recipe.labels().to_vec(),
            activation: Activation::Softmax,
        },
        served: "model.onnx".into(),
        metrics: BTreeMap::new(),
        int8: None,
        engine: None,
        lineage: None,
        files: BTreeMap::new(),
    };
    let files = BTreeMap::from([
        ("model.onnx".to_owned(), onnx(&row_shape)),
        ("recipe.json".to_owned(), recipe.to_json().unwrap()),
    ]);
    write_package(dir, manifest, files).unwrap();
    Package::open(dir, &Limits::default()).unwrap()
}

fn table_package(dir: &std::path::Path) -> Package {
    let number = |name: &str| {
        StepPlan::Number(NumberPlan {
            missing: NumberMissing::Refuse,
            normalize: NumberNormalize::None,
            ..NumberPlan::new(name)
        })
    };
    let plan = RecipePlan {
        steps: vec![number("x"), number("y")],
        target: Some(TargetPlan::Classes { column: "side".into() }),
    };
    let schema = Schema {
        columns: vec![
            column("x", ColumnKind::Number),
            column("y", ColumnKind::Number),
            column("side", ColumnKind::Category),
        ],
    };
    let rows = RecordBatch::try_from_iter([
        ("x", Arc::new(Float64Array::from(vec![1.0, 2.0])) as ArrayRef),
        ("y", Arc::new(Float64Array::from(vec![2.0, 1.0])) as ArrayRef),
        ("side", Arc::new(StringArray::from(vec!["left", "right"])) as ArrayRef),
    ])
    .unwrap();
    package(dir, plan, schema, &rows, |shape| linear(shape, vec![1.0, 0.0, 0.0, 1.0], vec![0.0, 0.0]))
}

/// Columns `x` and `y`; their values are the scores of `left` and `right`.
pub(crate) fn table() -> Model {
    let dir = tempfile::tempdir().unwrap();
    load(table_package(dir.path()))
}

fn load(package: Package) -> Model {
    Model::load(package, &RtenEngine, &SessionOptions::default(), &Limits::default()).unwrap()
}

/// The table model with another session behind it.
pub(crate) fn table_over(session: impl Session + 'static, limits: &Limits) -> Model {
    let dir = tempfile::tempdir().unwrap();
    Model::with_session(table_package(dir.path()), Arc::new(session), "test", limits)
}

/// Grey pictures of 2x2; `bright` when their mean is above one half, else `dark`.
pub(crate) fn pictures() -> Model {
    let step =
        StepPlan::Image(ImagePlan { height: Some(2), width: Some(2), channels: Some(1), ..ImagePlan::new("picture") });
    let plan = RecipePlan { steps: vec![step], target: Some(TargetPlan::Classes { column: "light".into() }) };
    let schema = Schema { columns: vec![column("picture", ColumnKind::Image), column("light", ColumnKind::Category)] };
    let mut builder = ImageBuilder::default();
    for value in [0, 255] {
        builder.push(Some(ImageRef { height: 2, width: 2, channels: 1, pixels: &[value; 4] }));
    }
    let rows = RecordBatch::try_from_iter([
        ("picture", builder.finish()),
        ("light", Arc::new(StringArray::from(vec!["dark", "bright"])) as ArrayRef),
    ])
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    // Labels stand in byte order: bright, dark.
    let package = package(dir.path(), plan, schema, &rows, |shape| {
        linear(shape, vec![10.0, 0.0, 10.0, 0.0, 10.0, 0.0, 10.0, 0.0], vec![0.0, 20.0])
    });
    load(package)
}

/// A grey picture of one value.
pub(crate) fn picture(value: u8, format: ImageFormat) -> Vec<u8> {
    let picture = DynamicImage::ImageLuma8(GrayImage::from_pixel(8, 8, image::Luma([value])));
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Every dtype of the protocol, one input and one output each.
pub(crate) const ECHO_DTYPES: [DType; 8] =
    [DType::Float32, DType::Float64, DType::Int64, DType::Int32, DType::Int8, DType::UInt8, DType::Bool, DType::Text];

/// A bare ONNX file whose outputs `<dtype>_out` are its inputs `<dtype>`, all of `[-1, 2]`.
pub(crate) fn echo() -> Model {
    let mut graph = GraphProto::new("echo");
    for dtype in ECHO_DTYPES {
        let (from, to) = (dtype.name().to_owned(), format!("{dtype}_out"));
        graph.input.push(ValueInfoProto::tensor(from.clone(), dtype, &[-1, 2]));
        graph.output.push(ValueInfoProto::tensor(to.clone(), dtype, &[-1, 2]));
        graph.node.push(NodeProto::new("Identity", to.clone(), [from], [to]));
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("echo.onnx");
    std::fs::write(&file, encode(&ModelProto::new(graph, OPSET))).unwrap();
    Model::with_session(
        Package::from_onnx(&file, &Limits::default()).unwrap(),
        Arc::new(Echo),
        "test",
        &Limits::default(),
    )
}

struct Echo;

impl Session for Echo {
    fn run(&self, inputs: &NamedTensors) -> Result<NamedTensors> {
        Ok(inputs.iter().map(|(name, tensor)| (format!("{name}_out"), tensor.clone())).collect())
    }
}

/// Gives the input back as the output, but only while the gate is open.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Default)]
struct GateState {
    open: bool,
    waiting: usize,
}

impl Gate {
    pub(crate) fn open(&self) {
        self.0.0.lock().unwrap().open = true;
        self.0.1.notify_all();
    }

    /// Blocks until `count` runs wait at the gate.
    pub(crate) fn wait_for(&self, count: usize) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |state| state.waiting < count).unwrap());
    }
}

impl Session for Gate {
    fn run(&self, inputs: &NamedTensors) -> Result<NamedTensors> {
        let mut state = self.0.0.lock().unwrap();
        state.waiting += 1;
        self.0.1.notify_all();
        drop(self.0.1.wait_while(state, |state| !state.open).unwrap());
        Ok(vec![("output".into(), inputs[0].1.clone())])
    }
}

/// Takes a moment, gives the input back, and panics when it starts with 13.
pub(crate) struct Moody(pub(crate) std::time::Duration);

impl Session for Moody {
    fn run(&self, inputs: &NamedTensors) -> Result<NamedTensors> {
        std::thread::sleep(self.0);
        assert!(inputs[0].1.as_float32()?[0] != 13.0, "unlucky");
        Ok(vec![("output".into(), inputs[0].1.clone())])
    }
}
