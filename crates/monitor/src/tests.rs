//! Tests of the whole crate: drift where there is some, none where there is none, nothing said where there is
//! too little to say.

use super::*;
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use lepton_core::image::{ImageBuilder, ImageRef};
use lepton_core::{Column, ColumnKind, ErrorCode, Prediction, Schema};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::sync::Arc;

/// What traffic is made of; the default is what the reference is made of.
#[derive(Clone)]
struct World {
    age_shift: f64,
    age_missing: f64,
    age_nan: f64,
    class_first: f64,
    ports: &'static [&'static str],
    brightness: f64,
    sure: f64,
    survivors: f64,
}

const USUAL: World = World {
    age_shift: 0.0,
    age_missing: 0.1,
    age_nan: 0.0,
    class_first: 0.3,
    ports: &["S", "S", "S", "C", "Q"],
    brightness: 100.0,
    sure: 0.7,
    survivors: 0.4,
};

fn schema() -> Schema {
    let column = |name: &str, kind| Column { name: name.into(), kind, nullable: true };
    Schema {
        columns: vec![
            column("age", ColumnKind::Number),
            column("class", ColumnKind::Number),
            column("port", ColumnKind::Category),
            column("name", ColumnKind::Text),
            column("face", ColumnKind::Image),
        ],
    }
}

struct Draw(ChaCha8Rng);

impl Draw {
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Roughly normal: the sum of twelve uniforms.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

fn traffic(world: &World, rows: usize, seed: u64) -> (RecordBatch, Vec<Prediction>) {
    let mut draw = Draw(ChaCha8Rng::seed_from_u64(seed));
    let (mut ages, mut classes, mut ports, mut names) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut faces, mut answers) = (ImageBuilder::default(), Vec::new());
    for _ in 0..rows {
        let age = if draw.unit() < world.age_nan { f64::NAN } else { 30.0 + 12.0 * draw.normal() + world.age_shift };
        ages.push(Some(age).filter(|_| draw.unit() >= world.age_missing));
        classes.push(if draw.unit() < world.class_first { 1.0 } else { 2.0 + (draw.unit() * 2.0).floor() });
        ports.push(world.ports[(draw.unit() * world.ports.len() as f64) as usize]);
        names.push("x".repeat((10.0 + 20.0 * draw.unit()) as usize));
        let grey = (world.brightness + 10.0 * draw.normal()).clamp(0.0, 255.0) as u8;
        faces.push(Some(ImageRef { height: 2, width: 2, channels: 1, pixels: &[grey, grey, grey, 255] }));
        let label = if draw.unit() < world.survivors { "yes" } else { "no" }.to_owned();
        let probability = (world.sure + 0.3 * draw.unit()).min(1.0);
        answers.push(Prediction::Classification { label, probability, probabilities: vec![] });
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("age", Arc::new(Float64Array::from(ages))),
        ("class", Arc::new(Float64Array::from(classes))),
        ("port", Arc::new(StringArray::from(ports))),
        ("name", Arc::new(StringArray::from(names))),
        ("face", faces.finish()),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    (batch.unwrap(), answers)
}

fn reference() -> Arc<Reference> {
    let (batch, answers) = traffic(&USUAL, 5_000, 1);
    Arc::new(Reference::new(&schema(), &batch, &answers).unwrap())
}

fn report(reference: &Arc<Reference>, world: &World, rows: usize, seed: u64) -> DriftReport {
    let monitor = Monitor::new(Arc::clone(reference), MonitorSettings::default());
    let (batch, answers) = traffic(world, rows, seed);
    monitor.observe(&batch, &answers).unwrap();
    drift(reference, &monitor.take(), &MonitorSettings::default()).unwrap()
}

fn names(report: &DriftReport) -> Vec<String> {
    report.drifted().map(|found| format!("{} {}", found.column, found.statistic)).collect()
}

#[test]
fn the_same_distribution_raises_no_alarm_at_any_size() {
    let reference = reference();
    for (size, seeds) in [(100, 60), (300, 40), (1_000, 20), (20_000, 2)] {
        for seed in 0..seeds {
            let report = report(&reference, &USUAL, size, 1_000 + seed);
            assert_eq!(names(&report), Vec::<String>::new(), "{size} rows, seed {seed}");
            assert_eq!(report.rows, size as u64);
            // Said, not left open; only age, a tenth of which is missing, has fewer than 100 values of 100 rows.
            let open = report.columns.iter().chain(&report.predictions).filter(|found| found.drifted.is_none());
            assert!(open.into_iter().all(|found| size == 100 && found.column == "age"));
        }
    }
}

#[test]
fn each_change_is_found_and_named_alone() {
    let reference = reference();
    let cases: [(World, &[&str]); 8] = [
        (World { age_shift: 9.0, ..USUAL }, &["age ks", "age psi"]),
        (World { age_missing: 0.5, ..USUAL }, &["age psi_missing"]),
        (World { age_nan: 0.15, ..USUAL }, &["age psi_missing"]),
        (World { class_first: 0.7, ..USUAL }, &["class ks", "class psi"]),
        (World { ports: &["S", "C", "C", "C", "Q"], ..USUAL }, &["port psi"]),
        (World { ports: &["S", "S", "S", "C", "Q", "Atlantis"], ..USUAL }, &["port psi"]),
        (World { survivors: 0.8, ..USUAL }, &["label psi"]),
        (World { sure: 0.55, ..USUAL }, &["probability ks", "probability psi"]),
    ];
    for (index, (world, expected)) in cases.iter().enumerate() {
        for (rows, seed) in [(400, 7), (400, 8), (3_000, 9)] {
            assert_eq!(names(&report(&reference, world, rows, seed)), *expected, "case {index}, {rows} rows");
        }
    }
    let brighter = names(&report(&reference, &World { brightness: 130.0, ..USUAL }, 400, 7));
    assert!(
        brighter.contains(&"face.brightness ks".to_owned()) && brighter.iter().all(|name| name.starts_with("face.")),
        "{brighter:?}"
    );
    // A change between the values that the reference knows, in a column of few values.
    let mut half = report(&reference, &USUAL, 400, 7);
    half.columns.retain(|found| found.column == "class" && found.statistic == Statistic::Psi);
    assert!(half.columns[0].p_value.unwrap() > 0.001);
}

#[test]
fn too_few_rows_say_nothing() {
    let reference = reference();
    let report = report(&reference, &World { age_shift: 50.0, survivors: 1.0, ..USUAL }, 99, 3);
    for found in report.columns.iter().chain(&report.predictions) {
        assert_eq!((found.value, found.p_value, found.drifted), (None, None, None), "{}", found.column);
    }
    assert_eq!(report.drifted().count(), 0);
    let nothing = drift(&reference, &Observation::empty(&reference), &MonitorSettings::default()).unwrap();
    assert!(nothing.columns.iter().all(|found| found.drifted.is_none()) && !nothing.columns.is_empty());
}

#[test]
fn a_column_of_nothing_but_nan_is_drift_and_no_number_of_the_report_is_nan() {
    let reference = reference();
    let report = report(&reference, &World { age_nan: 1.0, age_missing: 0.0, ..USUAL }, 500, 3);
    assert_eq!(names(&report), ["age psi_missing"]);
    let age: Vec<_> = report.columns.iter().filter(|found| found.column == "age").collect();
    assert_eq!((age[0].drifted, age[1].drifted, age[2].drifted), (None, None, Some(true)));
    for found in report.columns.iter().chain(&report.predictions) {
        assert!(found.value.is_none_or(f64::is_finite) && found.threshold.is_finite());
    }
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<DriftReport>(&text).unwrap(), report);
    assert!(text.contains(r#""statistic":"psi_missing""#));
}

#[test]
fn each_comparison_has_a_name_of_its_own() {
    let report = report(&reference(), &USUAL, 200, 3);
    let mut all: Vec<_> =
        report.columns.iter().chain(&report.predictions).map(|found| (&found.column, found.statistic)).collect();
    assert_eq!(all.len(), 3 + 3 + 1 + 3 + 9 + 3);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 22);
}

#[test]
fn threads_lose_no_row_and_windows_join() {
    let reference = reference();
    let monitor = Arc::new(Monitor::new(Arc::clone(&reference), MonitorSettings::default()));
    let taken = std::thread::scope(|scope| {
        for thread in 0..4 {
            let monitor = Arc::clone(&monitor);
            scope.spawn(move || {
                for request in 0..50 {
                    let (batch, answers) = traffic(&USUAL, 3, thread * 100 + request);
                    monitor.observe(&batch, &answers).unwrap();
                }
            });
        }
        (0..20).map(|_| monitor.take()).collect::<Vec<_>>()
    });
    let mut all = monitor.take();
    assert_eq!(monitor.snapshot(), Observation::empty(&reference));
    for window in &taken {
        let text = serde_json::to_string(window).unwrap();
        all.merge(&serde_json::from_str(&text).unwrap()).unwrap();
    }
    assert_eq!((all.rows, all.inputs.rows(), all.predictions.rows()), (600, 600, 600));
    assert_eq!(drift(&reference, &all, &MonitorSettings::default()).unwrap().drifted().count(), 0);
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let reference = reference();
    let monitor = Monitor::new(Arc::clone(&reference), MonitorSettings::default());
    let (batch, answers) = traffic(&USUAL, 3, 1);
    let code = |outcome: lepton_core::Result<()>| outcome.err().map(|error| error.code());
    assert_eq!(code(monitor.observe(&batch.project(&[0, 1]).unwrap(), &answers)), Some(ErrorCode::BadData));
    assert_eq!(code(monitor.observe(&batch, &answers[..2])), Some(ErrorCode::Internal));
    assert_eq!(monitor.snapshot().rows, 0);

    let other_schema = Schema { columns: schema().columns[..1].to_vec() };
    let other = Reference::new(&other_schema, &batch, &answers).unwrap();
    let foreign = Observation::empty(&other);
    assert_eq!(code(monitor.take().merge(&foreign)), Some(ErrorCode::BadData));
    assert_eq!(code(drift(&reference, &foreign, &MonitorSettings::default()).map(drop)), Some(ErrorCode::BadData));
    for settings in [
        MonitorSettings { psi: f64::NAN, ..MonitorSettings::default() },
        MonitorSettings { ks: 0.0, ..MonitorSettings::default() },
        MonitorSettings { significance: 1.0, ..MonitorSettings::default() },
        MonitorSettings { min_rows: 0, ..MonitorSettings::default() },
        MonitorSettings { bins: 1, ..MonitorSettings::default() },
        MonitorSettings { categories: 257, ..MonitorSettings::default() },
    ] {
        let error = drift(&reference, &monitor.snapshot(), &settings).unwrap_err();
        assert!(error.code() == ErrorCode::Config && error.place().key.as_ref().unwrap().starts_with("monitor."));
    }
}

#[test]
fn a_reference_reads_back_and_other_texts_are_refused() {
    let reference = reference();
    let bytes = reference.to_json().unwrap();
    assert_eq!(Reference::from_json(&bytes).unwrap(), *reference);
    assert!(bytes.len() < 200_000, "{} bytes", bytes.len());
    let newer = String::from_utf8(bytes).unwrap().replacen(r#""version":1"#, r#""version":2"#, 1);
    assert_eq!(Reference::from_json(newer.as_bytes()).unwrap_err().code(), ErrorCode::Unsupported);
    for text in ["", "{}", "[]", r#"{"version":1}"#, r#"{"version":1,"rows":1,"x":2}"#] {
        assert_eq!(Reference::from_json(text.as_bytes()).unwrap_err().code(), ErrorCode::BadData, "{text}");
    }
}

#[test]
fn a_model_without_a_decoder_has_no_drift_of_answers() {
    let (batch, _) = traffic(&USUAL, 500, 1);
    let raw = vec![Prediction::Raw { outputs: Default::default() }; 500];
    let reference = Arc::new(Reference::new(&schema(), &batch, &raw).unwrap());
    let monitor = Monitor::new(Arc::clone(&reference), MonitorSettings::default());
    monitor.observe(&batch, &raw).unwrap();
    let report = drift(&reference, &monitor.snapshot(), monitor.settings()).unwrap();
    assert!(report.predictions.is_empty() && report.drifted().count() == 0);
    assert_eq!(monitor.snapshot().predictions.raw, 500);
}
