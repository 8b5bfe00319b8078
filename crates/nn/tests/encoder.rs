//! Encoders in the layout of Hugging Face: they compute what `transformers` computes, with and without padding, as a
//! network and as what it is exported to, and folders that do not fit together or were made to do harm are errors.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod reference;

use lepton_core::{ErrorCode, Limits, Tensor};
use lepton_nn::{Architecture, Imported, Network, import_encoder};
use proptest::prelude::*;
use reference::{Flat, assert_close};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Deserialize)]
struct Case {
    name: String,
    input: Flat,
    output: Flat,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("data/bert.json")).unwrap()
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/bert").join(name)).unwrap()
}

fn encoder() -> Imported {
    import_encoder(&file("config.json"), &file("model.safetensors"), &Limits::default()).unwrap()
}

type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

/// The tensors of the file, by key.
fn tensors() -> Tensors {
    let bytes = file("model.safetensors");
    let read = SafeTensors::deserialize(&bytes).unwrap();
    let part = |view: TensorView<'_>| (view.dtype(), view.shape().to_vec(), view.data().to_vec());
    read.tensors().into_iter().map(|(key, view)| (key, part(view))).collect()
}

fn written(tensors: &Tensors) -> Vec<u8> {
    let views: Vec<(String, TensorView<'_>)> = tensors
        .iter()
        .map(|(key, (dtype, shape, bytes))| (key.clone(), TensorView::new(*dtype, shape.clone(), bytes).unwrap()))
        .collect();
    safetensors::serialize(views, None).unwrap()
}

/// A value of `config.json` in another way.
fn config_with(key: &str, value: serde_json::Value) -> Vec<u8> {
    let mut config: serde_json::Value = serde_json::from_slice(&file("config.json")).unwrap();
    config[key] = value;
    serde_json::to_vec(&config).unwrap()
}

fn refused(config: &[u8], weights: &[u8]) -> lepton_core::Error {
    import_encoder(config, weights, &Limits::default()).err().unwrap()
}

#[test]
fn outputs_are_those_of_transformers() {
    let Imported { architecture, network, notes, .. } = encoder();
    for case in cases() {
        let output = network.forward(&case.input.tensor()).unwrap();
        assert_eq!(output.shape(), case.output.shape, "{}", case.name);
        assert_close(&case.name, output.as_float32().unwrap(), &case.output.floats(), 1e-5);
    }
    assert_eq!((architecture.input.shape.clone(), architecture.input.free_length), (vec![12], true));
    assert_eq!(Architecture::from_json(&architecture.to_json().unwrap()).unwrap(), architecture);
    let notes = notes.join("\n");
    assert!(notes.contains("not scaled") && notes.contains("type 0") && notes.contains("2 tensors"), "{notes}");
}

#[test]
fn padding_and_company_change_nothing() {
    let network = encoder().network;
    let case = cases().into_iter().find(|case| case.name == "padded").unwrap();
    let (input, expected) = (case.input.tensor(), case.output.floats());
    let codes = input.as_int64().unwrap();
    for (row, length) in [12, 5, 1, 9].into_iter().enumerate() {
        let alone = Tensor::int64([1, length], codes[row * 12..row * 12 + length].to_vec()).unwrap();
        let output = network.forward(&alone).unwrap();
        assert_close(&format!("row {row}"), output.as_float32().unwrap(), &expected[row * 16..][..16], 1e-5);
    }
    for batch_rows in [1, 2, 3, 100] {
        let output = network.forward_in_batches(&input, batch_rows).unwrap();
        assert_eq!(output.shape(), [4, 16]);
        assert_close("in batches", output.as_float32().unwrap(), &expected, 1e-5);
    }
    // Longer than the positions that the encoder knows.
    let long = Tensor::int64([1, 13], vec![3; 13]).unwrap();
    assert_eq!(network.forward(&long).unwrap_err().code(), ErrorCode::Shape);
}

#[test]
fn the_export_has_free_axes() {
    let model = lepton_onnx::decode(&encoder().network.to_onnx().unwrap(), &Limits::default()).unwrap();
    let signature = lepton_onnx::signature(&model).unwrap();
    assert_eq!(signature.inputs[0].shape, [-1, -1]);
    assert_eq!(signature.outputs[0].shape, [-1, 16]);
}

#[test]
fn halves_and_the_prefix_of_a_model_with_a_head_are_read() {
    let plain = encoder().network;
    let input = cases()[1].input.tensor();
    let expected = plain.forward(&input).unwrap();
    let mut inside = BTreeMap::new();
    for (key, tensor) in tensors() {
        inside.insert(format!("bert.{key}"), tensor);
    }
    inside.insert("cls.predictions.bias".to_owned(), (Dtype::F32, vec![1], vec![0; 4]));
    let other = import_encoder(&file("config.json"), &written(&inside), &Limits::default()).unwrap();
    assert_eq!(other.network.forward(&input).unwrap(), expected);
    assert!(other.notes.iter().any(|note| note.starts_with("3 tensors")), "{:?}", other.notes);

    let mut halves = tensors();
    for (dtype, _, bytes) in halves.values_mut() {
        *bytes = bytes.as_chunks::<4>().0.iter().flat_map(|value| [value[2], value[3]]).collect();
        *dtype = Dtype::BF16;
    }
    let rough = import_encoder(&file("config.json"), &written(&halves), &Limits::default()).unwrap();
    let output = rough.network.forward(&input).unwrap();
    assert_ne!(output, expected);
    assert_close("bfloat16", output.as_float32().unwrap(), expected.as_float32().unwrap(), 0.2);
}

#[test]
fn folders_that_do_not_fit_are_errors_that_say_why() {
    let (config, weights) = (file("config.json"), file("model.safetensors"));
    let says = |error: lepton_core::Error, code: ErrorCode, text: &str| {
        assert_eq!(error.code(), code, "{error:?}");
        let all = format!("{error} {} {:?}", error.remedy().unwrap_or_default(), error.place());
        assert!(all.contains(text), "{all} says nothing of {text}");
    };
    let with = |key: &str, value: serde_json::Value| refused(&config_with(key, value), &weights);
    says(with("model_type", "roberta".into()), ErrorCode::Unsupported, "of type \"bert\"");
    says(with("model_type", serde_json::Value::Null), ErrorCode::BadData, "transformers saved");
    says(with("hidden_act", "gelu_new".into()), ErrorCode::Unsupported, "hidden_act");
    says(with("position_embedding_type", "relative_key".into()), ErrorCode::Unsupported, "absolute");
    says(with("is_decoder", true.into()), ErrorCode::Unsupported, "decoder");
    says(with("hidden_size", "wide".into()), ErrorCode::BadData, "config.json");
    says(with("hidden_size", (-16).into()), ErrorCode::BadData, "config.json");
    says(with("num_attention_heads", 3.into()), ErrorCode::Shape, "3 heads");
    says(with("num_hidden_layers", 3.into()), ErrorCode::BadData, "encoder.layer.2.");
    says(with("num_hidden_layers", 0.into()), ErrorCode::BadData, "num_hidden_layers");
    says(with("intermediate_size", 32.into()), ErrorCode::Shape, "encoder.layer.0.intermediate.dense.weight");
    says(with("vocab_size", 49.into()), ErrorCode::Shape, "word_embeddings");
    says(with("layer_norm_eps", 0.into()), ErrorCode::Config, "epsilon");
    says(with("pad_token_id", 50.into()), ErrorCode::Shape, "padding");
    says(refused(b"[]", &weights), ErrorCode::BadData, "config.json");
    says(refused(&config, b"weights"), ErrorCode::BadData, "model.safetensors");

    let mut tensors = tensors();
    let key = "encoder.layer.1.attention.self.key.bias";
    let kept = tensors.remove(key).unwrap();
    says(refused(&config, &written(&tensors)), ErrorCode::BadData, key);
    tensors.insert(key.to_owned(), (Dtype::I32, kept.1.clone(), kept.2.clone()));
    says(refused(&config, &written(&tensors)), ErrorCode::Dtype, key);
    let nan = f32::NAN.to_le_bytes().repeat(16);
    tensors.insert(key.to_owned(), (Dtype::F32, kept.1, nan));
    says(refused(&config, &written(&tensors)), ErrorCode::BadData, key);
}

#[test]
fn limits_are_respected() {
    let (config, weights) = (file("config.json"), file("model.safetensors"));
    let import = |config: &[u8], limits: &Limits| import_encoder(config, &weights, limits).err().unwrap();
    let few = Limits { tensor_elements: 1_000, ..Limits::default() };
    let error = import(&config, &few);
    assert!(error.code() == ErrorCode::TooLarge && error.to_string().contains("tensor_elements"), "{error}");
    let small = Limits { model_bytes: 1_000, ..Limits::default() };
    let error = import(&config, &small);
    assert!(error.code() == ErrorCode::TooLarge && error.to_string().contains("model_bytes"), "{error}");
    for key in ["vocab_size", "hidden_size", "num_hidden_layers", "intermediate_size", "max_position_embeddings"] {
        for huge in [1u64 << 31, 1 << 62, u64::MAX] {
            let error = import(&config_with(key, huge.into()), &Limits::default());
            assert!(matches!(error.code(), ErrorCode::TooLarge | ErrorCode::Shape | ErrorCode::Config), "{error:?}");
        }
    }
}

/// The same encoder in parts.
fn parts(network: &Network, layers: usize, input: &Tensor) -> Tensor {
    let (first, rest) = network.split(layers).unwrap();
    rest.forward(&first.forward(input).unwrap()).unwrap()
}

#[test]
fn an_encoder_is_cut_only_where_one_tensor_passes() {
    let network = encoder().network;
    let kept = |pattern: &'static str| move |key: &str| if key.starts_with(pattern) { 1.0 } else { 0.0 };
    // All stays, so nothing is left to learn behind a cut at the end; in front of it the mask would pass too.
    assert_eq!(network.fixed_layers(kept("none")), None);
    assert_eq!(network.fixed_layers(kept("block2")), None);
    assert!(network.split(4).is_err() && network.split(0).is_err() && network.split(99).is_err());
    let architecture = network.architecture();
    let mut layers = architecture.layers.clone();
    layers.push(lepton_nn::Node::new("head", lepton_nn::Layer::linear(3)));
    let longer = Architecture::new("longer", architecture.input.clone(), layers);
    let (with_head, fresh) = Network::starting_from(&longer, &network, |_| false, lepton_core::Seed(1)).unwrap();
    assert_eq!(fresh, ["head.weight", "head.bias"]);
    let layers = with_head.fixed_layers(kept("head")).unwrap();
    assert_eq!(layers, longer.layers.len() - 1);
    let input = cases()[1].input.tensor();
    assert_eq!(parts(&with_head, layers, &input), with_head.forward(&input).unwrap());
}

#[test]
fn positions_of_shorter_rows_are_the_first_ones() {
    let trained = encoder().network;
    let mut shorter = trained.architecture().clone();
    shorter.input.shape = vec![7];
    let (network, fresh) = Network::starting_from(&shorter, &trained, |_| false, lepton_core::Seed(1)).unwrap();
    assert!(fresh.is_empty(), "{fresh:?}");
    let case = cases().into_iter().find(|case| case.name == "whole").unwrap();
    let output = network.forward(&case.input.tensor()).unwrap();
    assert_close("shorter", output.as_float32().unwrap(), &case.output.floats(), 1e-5);
    shorter.input.shape = vec![13];
    let (_, fresh) = Network::starting_from(&shorter, &trained, |_| false, lepton_core::Seed(1)).unwrap();
    assert_eq!(fresh, ["positions.weight"]);
}

proptest! {
    #[test]
    fn damaged_files_are_errors_and_no_panic(at in 0usize..20_000, byte in any::<u8>(), cut in 0usize..20_000) {
        let (config, mut weights) = (file("config.json"), file("model.safetensors"));
        let place = at % weights.len().min(3_000);
        weights[place] = byte;
        let _ = import_encoder(&config, &weights, &Limits::default());
        weights.truncate(cut);
        let _ = import_encoder(&config, &weights, &Limits::default());
        let mut damaged = config.clone();
        let place = at % damaged.len();
        damaged[place] = byte;
        let _ = import_encoder(&damaged, &file("model.safetensors"), &Limits::default());
        let _ = import_encoder(&config[..cut % config.len()], &file("model.safetensors"), &Limits::default());
    }
}
