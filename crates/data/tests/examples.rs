//! The datasets of examples/ through collect, prepare and the loader, as a run walks them.

#![allow(clippy::unwrap_used)]

use lepton_core::{Cancel, ColumnKind, Limits, Seed, Silent, Split};
use lepton_data::*;
use lepton_recipe::*;
use std::path::PathBuf;
use std::sync::Arc;

fn example(name: &str, settings: &CollectSettings) -> Dataset {
    let base = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    collect(settings, &base, None, &Limits::default(), &Silent, &Cancel::default()).unwrap()
}

fn prepared(data: Dataset) -> (Dataset, PrepareReport) {
    prepare(data, &PrepareSettings::default(), Seed(7), &Silent, &Cancel::default()).unwrap()
}

#[test]
fn digits_are_whole_and_in_proportion() {
    let data = example("digits", &CollectSettings { path: Some(".".into()), ..Default::default() });
    assert_eq!((data.name.as_str(), data.rows(Split::Train), data.rows(Split::Test)), ("digits", 1437, 360));
    let (data, report) = prepared(data);
    assert_eq!((data.rows(Split::Train), data.rows(Split::Valid)), (1437 - 144, 144));
    for (split, range) in [(Split::Train, 125..=133), (Split::Valid, 13..=16), (Split::Test, 34..=38)] {
        assert!(report.classes[&split].values().all(|count| range.contains(count)), "{split}: {:?}", report.classes);
    }
    let step = StepPlan::Image(ImagePlan { normalize: ImageNormalize::Standardize, ..ImagePlan::new("image") });
    let plan = RecipePlan { steps: vec![step], target: Some(TargetPlan::Classes { column: data.target.clone() }) };
    let recipe = plan.fit(&data.schema, &data.parts[&Split::Train]).unwrap();
    assert_eq!(recipe.output().shape, [-1, 1, 8, 8]);
    let loader = Loader::new(data.parts[&Split::Test].clone(), Arc::new(recipe), None, 32, Seed(1), 1).unwrap();
    let rows: usize = loader.epoch(0, 0, false).map(|batch| batch.unwrap().rows.len()).sum();
    assert_eq!((rows, loader.steps()), (360, 12));
}

#[test]
fn titanic_has_missing_ages_and_loses_no_passenger() {
    let settings =
        CollectSettings { path: Some("titanic.csv".into()), target: Some("survived".into()), ..Default::default() };
    let data = example("titanic", &settings);
    let kinds: Vec<_> = data.schema.columns.iter().map(|column| (column.name.as_str(), column.kind)).collect();
    use ColumnKind::*;
    assert_eq!(
        kinds,
        [("name", Text), ("class", Category), ("age", Number), ("sex", Category), ("survived", Category)]
    );
    assert_eq!(data.parts[&Split::Train].column(2).null_count(), 557);
    let (data, report) = prepared(data);
    let rows = Split::ALL.map(|split| data.rows(split));
    assert_eq!(rows.iter().sum::<usize>(), 1313, "{:?}", report.findings);
    assert!(report.findings.iter().any(|finding| finding.kind == FindingKind::MissingValues && finding.count == 557));
}

/// The real packages: it needs the registries, so it runs when asked, with `-- --ignored --nocapture`.
#[test]
#[ignore = "downloads 37 MB"]
fn the_catalogue_is_fetched_collected_and_prepared() {
    for entry in &catalogue::ENTRIES {
        let scratch = tempfile::tempdir().unwrap();
        let mut started = std::time::Instant::now();
        let mut lap = |what: &str| {
            println!("{} {what}: {:.2} s", entry.name, started.elapsed().as_secs_f64());
            started = std::time::Instant::now();
        };
        let files = catalogue::fetch(entry, scratch.path(), &Limits::default(), &Silent, &Cancel::default()).unwrap();
        lap("fetch");
        let settings = CollectSettings { dataset: Some(entry.name.into()), ..Default::default() };
        let files = catalogue::CatalogueFiles { files };
        let limits = Limits::default();
        let data = collect(&settings, scratch.path(), Some(&files), &limits, &Silent, &Cancel::default()).unwrap();
        lap("collect");
        data.digest().unwrap();
        lap("digest");
        let (data, report) = prepared(data);
        lap("prepare");
        println!("{:?}\n{:#?}", Split::ALL.map(|split| data.rows(split)), report.findings);
        assert!(data.source.iter().all(|source| source.path.is_relative()));
    }
}
