//! Python's onnxruntime runs the exported ONNX file on the tensors of the recipe and must answer what
//! `lepton predict` answers.

use lepton_tests::{Lepton, Project, digit_png, python};
use serde_json::Value;

/// Reads a flat list of inputs from a JSON file, runs the model, applies softmax in float64, prints JSON.
const SCRIPT: &str = r#"
import json, sys
import numpy, onnx, onnxruntime
model, inputs = sys.argv[1:3]
onnx.checker.check_model(model, full_check=True)
graph = onnx.load(model, load_external_data=False)
assert all(opset.version >= 17 for opset in graph.opset_import if opset.domain in ("", "ai.onnx"))
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
shape = session.get_inputs()[0].shape
assert [i.name for i in session.get_inputs()] == ["input"] and [o.name for o in session.get_outputs()] == ["output"]
assert not isinstance(shape[0], int), shape
x = numpy.array(json.load(open(inputs)), dtype=numpy.float32).reshape([-1] + shape[1:])
whole = session.run(["output"], {"input": x})[0].astype(numpy.float64)
single = numpy.concatenate([session.run(["output"], {"input": row[None]})[0] for row in x])
assert numpy.allclose(whole, single, atol=1e-5), "the batch size changes the answer"
e = numpy.exp(whole - whole.max(axis=1, keepdims=True))
print(json.dumps((e / e.sum(axis=1, keepdims=True)).tolist()))
"#;

#[test]
fn the_exported_file_answers_alike_in_python() {
    let (lepton, place) = (Lepton::trained(), Project::with(""));
    let exported = place.at("package");
    lepton.done(&["model", "export", "digits", "--to", &exported]);
    let manifest: Value = serde_json::from_slice(&place.read("package/manifest.json")).expect("JSON");
    let labels: Vec<&str> =
        manifest["decoder"]["labels"].as_array().expect("labels").iter().filter_map(Value::as_str).collect();
    let rows = 40;
    let mut files = Vec::new();
    for index in 0..rows {
        place.write(&format!("{index}.png"), &digit_png(index).0);
        files.push(place.at(&format!("{index}.png")));
    }
    place.write("inputs.json", serde_json::to_string(&tensors(&place, rows)).expect("JSON").as_bytes());
    let served = manifest["served"].as_str().expect("a served file");
    let printed = python(SCRIPT, &[&format!("{exported}/{served}"), &place.at("inputs.json")]);
    let expected: Vec<Vec<f64>> = serde_json::from_str(&printed).expect("the script prints JSON");
    for engine in ["rten", "onnxruntime"] {
        let library = lepton_tests::setting("LEPTON_TEST_ORT_DYLIB");
        let mut arguments =
            vec!["predict", "digits", "--engine", engine, "--onnxruntime", library.to_str().expect("UTF-8")];
        arguments.extend(files.iter().map(String::as_str));
        let answer = lepton.json(&arguments);
        for (row, expected) in expected.iter().enumerate() {
            for class in answer["predictions"][row]["probabilities"].as_array().expect("probabilities") {
                let index = labels.iter().position(|label| class["label"] == *label).expect("a known label");
                let difference = (class["probability"].as_f64().expect("a number") - expected[index]).abs();
                assert!(difference < 1e-4, "{engine}, row {row}: {class} where Python says {}", expected[index]);
            }
        }
    }
}

/// The tensors that the package's recipe makes of the first `rows` pictures.
fn tensors(place: &Project, rows: usize) -> Vec<f32> {
    let recipe = lepton_recipe::Recipe::from_json(&place.read("package/recipe.json")).expect("a recipe");
    let pngs: Vec<Vec<u8>> = (0..rows).map(|index| digit_png(index).0).collect();
    let pictures: Vec<&[u8]> = pngs.iter().map(Vec::as_slice).collect();
    let rows = lepton_recipe::raw::rows_from_pictures(recipe.inputs(), &pictures, &lepton_core::Limits::default())
        .expect("rows");
    recipe.apply(&rows).expect("a tensor").as_float32().expect("float32").to_vec()
}
