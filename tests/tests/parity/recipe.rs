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

/// A table with every kind of column, and settings for every kind of step.
const EVERY_STEP: &str = r#"[project]
name = "steps"
task = "tabular-classification"
seed = 7

[collect]
path = "table.csv"
target = "label"
columns = { note = "text", seen = "text" }

[recipe]
numbers = "yeo_johnson"
clip = [0.02, 0.98]
text_features = 32

[recipe.columns.a]
missing = { nearest = 3 }

[recipe.columns.b]
scale = { bins = 4 }
missing = "iterative"

[recipe.columns.c]
scale = "robust"
missing = { group = "colour" }

[recipe.columns.colour]
encode = "frequency"

[recipe.columns.city]
encode = "ordinal"
min_count = 5

[recipe.columns.seen]
as = "date"

[train]
epochs = 1
threads = 1

[optimize]
int8 = false
"#;

fn every_step_table(rows: usize) -> String {
    let mut text = String::from("a,b,c,colour,city,seen,note,label\n");
    for row in 0..rows {
        let number = |salt: usize| match (row * 7 + salt) % 13 {
            0 => String::new(),
            rest => format!("{}", (row * salt % 97) as f64 * 0.5 - rest as f64),
        };
        let (colour, city) = (["red", "green", "blue", ""][row % 4], ["Bonn", "Ulm", "Jena"][row % 3]);
        let seen = format!("{:02}.{:02}.20{:02} {:02}:30", row % 28 + 1, row % 12 + 1, row % 20 + 1, row % 24);
        let note = ["<b>Gut</b> und schnell", "See www.example.org now", "Cafe\u{301} &amp; more", ""][row % 4];
        let label = if row * 37 % 100 > 50 { "large" } else { "small" };
        text += &format!("{},{},{},{colour},{city},{seen},{note},{label}\n", number(3), number(5), number(11));
    }
    text
}

#[test]
fn every_step_of_a_table_makes_the_same_bytes_in_training_and_serving() {
    let (lepton, project) = (Lepton::new(), Project::with(EVERY_STEP));
    project.write("table.csv", every_step_table(260).as_bytes());
    let run = lepton.json(&["run", &project.at("")]);
    let recipe = recipe(run["package"].as_str().expect("a package"));
    for part in
        ["a", "a (missing)", "seen (hour cosine)", "note (words 31)", "note (missing)", "colour (share)", "city"]
    {
        assert!(recipe.feature_names().iter().any(|name| name == part), "{part}: {:?}", recipe.feature_names());
    }
    let trained = as_trained(&dataset(&project), Split::Train, &recipe);
    let limits = Limits { batch_rows: 1000, ..Limits::default() };
    let text = String::from_utf8(project.read("table.csv")).expect("UTF-8");
    let unlabelled: Vec<&str> = text.lines().map(|line| line.rsplit_once(',').expect("a label").0).collect();
    let rows = raw::rows_from_csv(recipe.inputs(), unlabelled.join("\n").as_bytes(), &limits).expect("rows");
    assert_same_bytes(&trained, &recipe.apply(&rows).expect("a tensor"));
    // One by one as JSON, as requests come.
    for (row, line) in unlabelled[1..].iter().enumerate().step_by(17) {
        let cells = unlabelled[0].split(',').zip(line.split(',')).map(|(name, cell)| {
            let value = match cell.parse::<f64>() {
                _ if cell.is_empty() => Value::Null,
                Ok(number) => json!(number),
                Err(_) => json!(cell),
            };
            (name.to_owned(), value)
        });
        let object = Value::Object(cells.collect());
        let served = recipe.apply(&raw::rows_from_json(recipe.inputs(), &[object], &limits).expect("a row"));
        let width = recipe.feature_names().len();
        let served = served.expect("a tensor");
        let ours = &trained.as_float32().expect("float32")[row * width..(row + 1) * width];
        assert_eq!(served.as_float32().expect("float32"), ours, "row {row}");
    }
}

#[test]
fn target_encoded_training_rows_differ_from_served_ones_by_their_own_labels_alone() {
    let (lepton, project) = (Lepton::new(), Project::table(250));
    project.edit("[train]", "[recipe]\ncategories = \"target\"\n\n[train]");
    let run = lepton.json(&["run", &project.at("")]);
    let recipe = recipe(run["package"].as_str().expect("a package"));
    assert!(recipe.is_out_of_fold());
    let part = dataset(&project).parts[&Split::Train].clone();
    let over = |training: bool| {
        let make = if training { Loader::for_training } else { Loader::new };
        let loader = make(part.clone(), Arc::clone(&recipe), None, 32, Seed(7), 2).expect("a loader");
        let inputs: Vec<Tensor> = loader.epoch(1, 0, false).map(|batch| batch.expect("a batch").input).collect();
        Tensor::concat_rows(&inputs.iter().collect::<Vec<_>>()).expect("one tensor")
    };
    let (training, served) = (over(true), over(false));
    assert_same_bytes(&served, &recipe.apply(&part).expect("a tensor"));
    assert_ne!(training, served);
    let places: Vec<usize> = (0..part.num_rows()).collect();
    assert_same_bytes(&training, &recipe.apply_in_training(&part, &places).expect("a tensor"));
}
