//! Confident learning against cleanlab's numbers; reference/make.py wrote them.

use lepton_doctor::labels::{ConfidentJoint, normalised_margin, thresholds};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Reference {
    cases: BTreeMap<String, Case>,
}

#[derive(Deserialize)]
struct Case {
    classes: usize,
    labels: Vec<u32>,
    probabilities: Vec<Vec<f32>>,
    thresholds: Vec<f64>,
    joint: Vec<Vec<u64>>,
    calibrated: Vec<Vec<f64>>,
    off_diagonal: Vec<usize>,
    issues: Vec<usize>,
    normalized_margin: Vec<f64>,
}

#[test]
fn confident_learning_counts_what_cleanlab_counts() {
    let reference: Reference = serde_json::from_str(include_str!("reference/reference.json")).unwrap();
    assert_eq!(reference.cases.len(), 3);
    for (name, case) in reference.cases {
        let probabilities = case.probabilities.concat();
        let found = thresholds(&probabilities, &case.labels, case.classes);
        assert!(found.iter().zip(&case.thresholds).all(|(have, want)| (have - want).abs() < 1e-6), "{name}: {found:?}");
        let joint = ConfidentJoint::of(&probabilities, &case.labels, case.classes);
        let calibrated = joint.calibrated();
        for (given, line) in case.joint.iter().enumerate() {
            for (class, count) in line.iter().enumerate() {
                assert_eq!(joint.count(given, class), *count, "{name}: {given} {class}");
                // cleanlab rounds to whole rows.
                let have = calibrated[given * case.classes + class];
                assert!((have - case.calibrated[given][class]).abs() < 1.0, "{name}: {given} {class}: {have}");
            }
        }
        let label = |row: &usize| case.labels[*row];
        let off: Vec<usize> =
            (0..case.labels.len()).filter(|row| joint.off_diagonal(*row, label(row)).is_some()).collect();
        assert_eq!(off, case.off_diagonal, "{name}");
        // What cleanlab reports besides is that the class is not the likeliest one.
        let likeliest = |row: &usize| {
            let row = &case.probabilities[*row];
            row.iter().enumerate().fold(0, |best, (place, value)| if *value > row[best] { place } else { best }) as u32
        };
        let issues: Vec<usize> = off.into_iter().filter(|row| likeliest(row) != label(row)).collect();
        assert_eq!(issues, case.issues, "{name}");
        for (row, wanted) in case.normalized_margin.iter().enumerate() {
            assert!((normalised_margin(&case.probabilities[row], label(&row)) - wanted).abs() < 1e-6, "{name}: {row}");
        }
    }
}
