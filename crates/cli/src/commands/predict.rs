//! `lepton predict` and `lepton evaluate`.

use super::Session;
use crate::interrupt::cancel_on_signal;
use crate::terminal::{Bars, Table};
use lepton_core::{ClassProbability, Limits, ModelRef, Prediction, Result};
use lepton_pipeline::PredictInput;
use serde_json::json;

pub(super) fn predict(session: &Session, model: &ModelRef, inputs: &[String], engine: Option<&str>) -> Result<u8> {
    let limits = Limits::default();
    let loaded = session.load(model, engine, &limits)?;
    let mut answers: Vec<(String, Prediction)> = Vec::new();
    for text in inputs {
        let input = match text.as_str() {
            "-" => PredictInput::from_reader("standard input", std::io::stdin().lock(), &limits)?,
            text => PredictInput::from_argument(text, &limits)?,
        };
        let predictions = lepton_pipeline::predict(&loaded.model, &input, &limits)?;
        let several = predictions.len() > 1;
        for (row, prediction) in predictions.into_iter().enumerate() {
            let origin = if several { format!("{}, row {}", input.origin, row + 1) } else { input.origin.clone() };
            answers.push((origin, prediction));
        }
    }
    let name = format!("{}@{}", loaded.name, loaded.version);
    let value = json!({
        "model": name,
        "engine": loaded.model.engine_name(),
        "predictions": answers.iter().map(|(origin, prediction)| {
            let mut object = json!(prediction);
            if let Some(fields) = object.as_object_mut() {
                fields.insert("input".to_owned(), json!(origin));
            }
            object
        }).collect::<Vec<_>>(),
    });
    session.show(&value, || table(&answers))?;
    Ok(0)
}

fn table(answers: &[(String, Prediction)]) -> String {
    let mut table = Table::new(&["input", "prediction", "probability", "next"]);
    for (origin, prediction) in answers {
        match prediction {
            Prediction::Classification { label, probability, probabilities } => {
                let next = probabilities
                    .iter()
                    .skip(1)
                    .take(2)
                    .map(|class| format!("{} {:.4}", class.label, class.probability));
                table.row([
                    origin.clone(),
                    label.clone(),
                    format!("{probability:.4}"),
                    next.collect::<Vec<_>>().join(", "),
                ]);
            }
            Prediction::Labels { labels, probabilities } => {
                let (holding, others) = probabilities.split_at(labels.len());
                let told = |classes: &[ClassProbability]| {
                    let told = classes.iter().take(3).map(|class| format!("{} {:.4}", class.label, class.probability));
                    told.collect::<Vec<_>>().join(", ")
                };
                let given = if labels.is_empty() { "(no label)".to_owned() } else { labels.join(", ") };
                table.row([origin.clone(), given, told(holding), told(others)]);
            }
            Prediction::Regression { value } => {
                table.row([origin.clone(), value.to_string(), String::new(), String::new()]);
            }
            Prediction::Forecast { forecast, quantiles } => {
                let listed =
                    |values: &[f64]| values.iter().map(|value| format!("{value:.4}")).collect::<Vec<_>>().join(" ");
                table.row([origin.clone(), listed(forecast), String::new(), String::new()]);
                for (level, values) in quantiles.iter().filter(|(level, _)| *level != "0.5") {
                    table.row([format!("quantile {level}"), listed(values), String::new(), String::new()]);
                }
            }
            Prediction::Raw { outputs } => {
                let text = serde_json::to_string(outputs).unwrap_or_default();
                table.row([origin.clone(), text, String::new(), String::new()]);
            }
        }
    }
    table.text()
}

pub(super) fn evaluate(session: &Session, model: &ModelRef, data: &str, engine: Option<&str>) -> Result<u8> {
    let limits = Limits::default();
    let loaded = session.load(model, engine, &limits)?;
    let result = lepton_pipeline::evaluate(&session.store, &loaded, data, &limits, &Bars::new(), &cancel_on_signal()?)?;
    session.show(&result, || {
        let mut table = Table::new(&["metric", "value", "95 % interval"]);
        for (name, value) in &result.metrics {
            let interval = result.confidence.as_ref().and_then(|confidence| confidence.intervals.get(name));
            let interval = interval.map_or_else(|| "-".to_owned(), |[low, high]| format!("{low:.4} to {high:.4}"));
            table.row([name.clone(), format!("{value:.4}"), interval]);
        }
        format!(
            "{} on {} ({}, {} rows, sha256:{}), engine {}\n\n{}",
            result.model,
            result.dataset,
            result.split,
            result.rows,
            result.dataset_sha256.short(),
            result.engine,
            table.text()
        )
    })?;
    Ok(0)
}
