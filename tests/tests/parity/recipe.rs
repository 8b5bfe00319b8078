//! Raw rows through the training path (collect, loader, recipe) and through the serving path (what arrives over
//! the wire, recipe of the package): the tensors must be equal byte for byte.

use lepton_core::{Cancel, Limits, Seed, Silent, Split, Tensor};
use lepton_data::{CollectSettings, Dataset, Loader, collect};
use lepton_recipe::{Recipe, raw};
use lepton_tests::{Lepton, Project, digit_png};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// Collects a project's data as a run does.
fn dataset(project: &Project) -> Dataset {
    let settings = lepton_pipeline::Project::load(project.folder(), &[]).expect("a project").settings;
    let collect_settings: CollectSettings = settings.collect;
    collect(&collect_settings, project.folder(), None, &Limits::default(), &Silent, &Cancel::default()).expect("data")
}

/// The recipe of the package that a run made.
fn recipe(package: &str) -> Arc<Recipe> {
    let bytes = std::fs::read(Path::new(package).join("recipe.json")).expect("recipe.json");
    Arc::new(Recipe::from_json(&bytes).expect("a recipe"))
}

/// What the network is trained on: the loader's batches, joined.
fn as_trained(dataset: &Dataset, split: Split, recipe: &Arc<Recipe>) -> Tensor {
    let part = dataset.parts[&split].clone();
    let loader = Loader::new(part, Arc::clone(recipe), None, 32, Seed(7), 2).expect("a loader");
    let inputs: Vec<Tensor> = loader.epoch(1, 0, false).map(|batch| batch.expect("a batch").input).collect();
    Tensor::concat_rows(&inputs.iter().collect::<Vec<_>>()).expect("one tensor")
}

fn assert_same_bytes(trained: &Tensor, served: &Tensor) {
    let bytes = |tensor: &Tensor| {
        tensor.as_float32().expect("float32").iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>()
    };
    assert_eq!(trained.shape(), served.shape());
    assert!(bytes(trained) == bytes(served), "training and serving give different bytes");
}

#[test]
fn pictures_are_the_same_bytes_in_training_and_serving() {
    let (lepton, project) = (Lepton::trained(), Project::digits());
    let shown = lepton.json(&["model", "show", "digits"]);
    let recipe = recipe(shown["package"].as_str().expect("a package"));
    let trained = as_trained(&dataset(&project), Split::Test, &recipe);
    let pngs: Vec<Vec<u8>> = (0..360).map(|index| digit_png(index).0).collect();
    let pictures: Vec<&[u8]> = pngs.iter().map(Vec::as_slice).collect();
    let limits = Limits { batch_rows: 1000, ..Limits::default() };
    let rows = raw::rows_from_pictures(recipe.inputs(), &pictures, &limits).expect("rows");
    assert_same_bytes(&trained, &recipe.apply(&rows).expect("a tensor"));
}

#[test]
fn table_rows_are_the_same_bytes_in_training_and_serving() {
    let (lepton, project) = (Lepton::new(), Project::table(250));
    let run = lepton.json(&["run", &project.at("")]);
    let recipe = recipe(run["package"].as_str().expect("a package"));
    let trained = as_trained(&dataset(&project), Split::Train, &recipe);
    let text = String::from_utf8(project.read("table.csv")).expect("UTF-8");
    let unlabelled: Vec<&str> = text.lines().map(|line| line.rsplit_once(',').expect("a label").0).collect();
    let csv = raw::rows_from_csv(recipe.inputs(), unlabelled.join("\n").as_bytes(), &Limits::default()).expect("rows");
    assert_same_bytes(&trained, &recipe.apply(&csv).expect("a tensor"));
    let objects: Vec<Value> = unlabelled[1..]
        .iter()
        .map(|line| {
            let (size, colour) = line.split_once(',').expect("two cells");
            json!({
                "colour": if colour.is_empty() { Value::Null } else { json!(colour) },
                "size": size.parse::<f64>().map_or(Value::Null, |size| json!(size)),
            })
        })
        .collect();
    let rows = raw::rows_from_json(recipe.inputs(), &objects, &Limits::default()).expect("rows");
    assert_same_bytes(&trained, &recipe.apply(&rows).expect("a tensor"));
    // The comparison can fail: one changed cell shows.
    let changed = unlabelled.join("\n").replacen("blue", "red", 1);
    let rows = raw::rows_from_csv(recipe.inputs(), changed.as_bytes(), &Limits::default()).expect("rows");
    assert_ne!(trained, recipe.apply(&rows).expect("a tensor"));
}
