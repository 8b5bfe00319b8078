//! A made-up run with every part of the page filled, for the tests of the report.

use super::{AgreementFacts, DatasetFacts, EpochFacts, FileFacts, FindingFacts, ReportInput, RowCounts, StageFacts};
use lepton_core::image::Image;
use lepton_core::{
    CaptionedPicture, Confidence, Digest, Environment, Figure, Int8Verdict, LabelledCell, Measurement, Metric, Metrics,
    PictureCell, Seed,
};
use std::collections::BTreeMap;

/// The ten digits as 3 by 5 dots, one row per octal digit.
const DOTS: [[u8; 5]; 10] = [
    [7, 5, 5, 5, 7],
    [2, 6, 2, 2, 7],
    [7, 1, 7, 4, 7],
    [7, 1, 7, 1, 7],
    [5, 5, 7, 1, 1],
    [7, 4, 7, 1, 7],
    [7, 4, 7, 5, 7],
    [7, 1, 2, 2, 2],
    [7, 5, 7, 5, 7],
    [7, 5, 7, 1, 7],
];

pub(super) fn run() -> ReportInput {
    let metrics = |accuracy: f64, log_loss: f64, macro_f1: f64| -> Metrics {
        [("accuracy", accuracy), ("log_loss", log_loss), ("macro_f1", macro_f1)]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    };
    let stage = |name: &str, seconds, cached, summary: &str| StageFacts {
        name: name.into(),
        seconds,
        cached,
        summary: summary.into(),
    };
    let measured = |bytes, one, eight, accuracy, loss| Measurement {
        bytes,
        seconds_batch_1: one,
        seconds_batch_8: eight,
        metrics: metrics(accuracy, loss, accuracy),
    };
    ReportInput {
        title: "mnist: image classification".into(),
        project: "examples/mnist".into(),
        run: "20261123-131415-7f3a".into(),
        status: "done".into(),
        started: "2026-11-23T13:14:15Z".into(),
        command: "lepton run examples/mnist --fetch".into(),
        seed: Seed(42),
        environment: Environment {
            lepton: "0.1.0".into(),
            system: "linux x86_64".into(),
            processor: "AMD EPYC 9R14".into(),
            threads: 2,
            backend: "burn 0.22.1 flex (cpu)".into(),
        },
        dataset: DatasetFacts { name: "mnist".into(), sha256: Some(Digest::of("mnist")) },
        stages: vec![
            stage("collect", 4.21, true, "mnist: 70,000 pictures in 2 splits from 4 idx files"),
            stage("prepare", 6.83, false, "6,000 rows cut for validation; recipe: image 28x28x1, scaled to 0..1"),
            stage("augment", 0.42, false, "rotate 10 degrees, shift 10 %, scale 10 %, on the training split only"),
            stage("train", 121.7, false, "5 epochs, best epoch 4, 2,310 samples/s"),
            stage("optimize", 9.6, false, "INT8 refused: slower at batch 8"),
            stage("deploy", 0.31, false, "mnist@1"),
            stage("monitor", 1.13, false, "reference sketches of 54,000 rows"),
        ],
        primary_metric: Metric::Accuracy,
        engine: "onnxruntime 1.22.0".into(),
        metrics: [
            ("train".to_owned(), metrics(0.99514, 0.0162, 0.99512)),
            ("valid".to_owned(), metrics(0.9887, 0.0391, 0.9886)),
            ("test".to_owned(), metrics(0.9899, 0.0344, 0.98981)),
        ]
        .into(),
        confidence: Some(Confidence {
            level: 0.95,
            resamples: 400,
            intervals: [("accuracy".to_owned(), [0.9878, 0.9917])].into(),
        }),
        history: [(0.3121, 0.9034, 0.0912, 0.9731), (0.0981, 0.9702, 0.0604, 0.9824), (0.0712, 0.9779, 0.0498, 0.9857), (0.0573, 0.9822, 0.0391, 0.9887), (0.0502, 0.9841, 0.0402, 0.9883)]
            .into_iter()
            .enumerate()
            .map(|(index, (train_loss, train_accuracy, valid_loss, valid_accuracy))| EpochFacts {
                epoch: index + 1,
                train_loss,
                train_score: Some(train_accuracy),
                valid_loss,
                valid_score: valid_accuracy,
                learning_rate: 1e-3 * 0.8f64.powi(index as i32),
                seconds: 23.1 + index as f64 * 0.4,
                data_wait_seconds: 0.002 * index as f64,
            })
            .collect(),
        best_epoch: Some(4),
        refitted_rows: None,
        figures: figures(),
        augmented: Some(Figure::Pictures {
            title: "Training pictures as augmented".into(),
            columns: 5,
            cells: (0..10)
                .map(|index| CaptionedPicture {
                    image: picture(index).image,
                    caption: if index % 5 == 0 { "original".into() } else { format!("epoch {}", index % 5) },
                })
                .collect(),
        }),
        drift: Some(Figure::Table {
            title: "Drift of the test split against the reference (10,000 rows)".into(),
            columns: ["column", "statistic", "value", "threshold", "verdict"].map(str::to_owned).into(),
            rows: vec![["brightness", "psi", "0.0021", "0.2000", "as in training"].map(|text| LabelledCell { text: text.into(), good: (text == "as in training").then_some(true) }).into()],
        }),
        findings: vec![
            finding("duplicate_rows", "info", 12, "12 training rows repeat an earlier one and were left out", &["train row 5,012 = row 17", "train row 9,921 = row 412"]),
            finding("duplicates_across_splits", "warning", 3, "3 test pictures also stand in the training split", &["test row 71 = train row 4,100"]),
        ],
        rules: Some(Figure::Table {
            title: "Rules".into(),
            columns: ["column", "expected", "checked", "broken by", "seen", "verdict"].map(str::to_owned).to_vec(),
            rows: vec![vec![
                LabelledCell { text: "label".into(), good: None },
                LabelledCell { text: "one of 0, 1, 2".into(), good: None },
                LabelledCell { text: "70,000".into(), good: None },
                LabelledCell { text: "0".into(), good: None },
                LabelledCell { text: String::new(), good: None },
                LabelledCell { text: "passed".into(), good: Some(true) },
            ]],
        }),
        crossing: [("test".to_owned(), 3)].into(),
        rows: [("train", 54_012, 54_000), ("valid", 6_000, 6_000), ("test", 10_000, 10_000)]
            .map(|(split, before, after)| (split.to_owned(), RowCounts { before, after }))
            .into(),
        classes: ["train", "valid", "test"]
            .iter()
            .zip([5400, 600, 1000])
            .map(|(split, rows)| ((*split).to_owned(), (0..10u64).map(|digit| (digit.to_string(), rows + digit * rows / 50)).collect()))
            .collect::<BTreeMap<_, _>>(),
        architecture: Some(
            "layer    kind         output        parameters       FLOPs\nconv     conv2d 3x3   32 x 26 x 26         320     389,376\nrelu     relu         32 x 26 x 26           0      21,632\npool     max_pool 2   32 x 13 x 13           0      21,632\ndense    linear       128              692,352   1,384,448\nout      linear       10                 1,290       2,560\ntotal                                  693,962   1,819,648"
                .into(),
        ),
        agreement: Some(AgreementFacts { rows: 10_000, max_abs_difference: 3.81e-6, identical_argmax: 10_000 }),
        int8: Some(Int8Verdict {
            kept: false,
            reason: "INT8 loses 0.02 points of accuracy (0.50 allowed) but takes 1.47x as long for 8 rows".into(),
            engine: "onnxruntime 1.22.0".into(),
            accuracy_budget: 0.005,
            float32: measured(2_776_904, 0.000_045, 0.000_212, 0.9887, 0.0391),
            int8: measured(702_144, 0.000_041, 0.000_312, 0.9885, 0.0396),
        }),
        files: ["architecture.json", "model.onnx", "recipe.json", "reference.json", "weights.safetensors"]
            .iter()
            .enumerate()
            .map(|(index, name)| FileFacts { name: (*name).into(), bytes: 1_210 + 691_000 * index as u64, sha256: Digest::of(name) })
            .collect(),
        lineage: ["dataset_sha256", "prepared_sha256", "recipe_sha256", "settings_sha256"].map(|name| (name.to_owned(), Digest::of(name).hex())).into(),
        model: Some("mnist@1".into()),
        package: Some("~/.local/share/lepton/models/mnist/1".into()),
    }
}

fn finding(kind: &str, severity: &str, count: u64, message: &str, evidence: &[&str]) -> FindingFacts {
    FindingFacts {
        kind: kind.into(),
        severity: severity.into(),
        count,
        message: message.into(),
        evidence: evidence.iter().map(|place| (*place).to_owned()).collect(),
    }
}

fn figures() -> Vec<Figure> {
    let labels: Vec<String> = (0..10).map(|digit| digit.to_string()).collect();
    let mut counts = vec![vec![0; 10]; 10];
    for (digit, row) in counts.iter_mut().enumerate() {
        row[digit] = 970 + 11 * (digit as u64 % 5);
        row[(digit * 3 + 1) % 10] += 1 + digit as u64;
        row[(digit + 5) % 10] += 2;
    }
    let cell = |text: String, good| LabelledCell { text, good };
    let rows = (0..10)
        .map(|digit| {
            let f1 = 0.999 - 0.002 * digit as f64;
            vec![
                cell(digit.to_string(), None),
                cell(format!("{:.2} %", 99.9 - 0.2 * digit as f64), None),
                cell(format!("{:.2} %", 99.8 - 0.1 * digit as f64), None),
                cell(format!("{:.2} %", f1 * 100.0), if digit == 9 { Some(false) } else { None }),
                cell(format!("{}", 980 + digit), None),
            ]
        })
        .collect();
    let columns = ["class", "precision", "recall", "F1", "rows"].map(str::to_owned).into();
    vec![
        Figure::ConfusionMatrix { title: "Confusion matrix".into(), labels, counts },
        Figure::Table { title: "By class".into(), columns, rows },
        Figure::PredictionGrid { title: "25 pictures of the test split".into(), cells: (0..25).map(picture).collect() },
    ]
}

fn picture(index: usize) -> PictureCell {
    let digit = index * 7 % 10;
    let predicted = if index == 8 || index == 19 { (digit + 5) % 10 } else { digit };
    let pixels = (0..64)
        .map(|at| {
            let (row, column) = (at / 8, at % 8);
            let lit =
                (1..6).contains(&row) && (2..5).contains(&column) && DOTS[digit][row - 1] >> (4 - column) & 1 == 1;
            let grain = (at * 31 + index * 17) % 40;
            (if lit { 255 - grain } else { grain / 2 }) as u8
        })
        .collect();
    PictureCell {
        image: Image { height: 8, width: 8, channels: 1, pixels },
        truth: digit.to_string(),
        predicted: predicted.to_string(),
        probability: if predicted == digit { 0.999 - index as f64 * 0.004 } else { 0.512 },
    }
}
