//! A served model version: its queue, its counters, its monitor, and how requests pass through it.

use crate::metrics::ModelMetrics;
use crate::observe::Watch;
use crate::refusal::Refusal;
use lepton_core::{Decoder, Error, ErrorCode, NamedTensors, Prediction, Result, nearest};
use lepton_monitor::Monitor;
use lepton_runtime::{BatchSettings, Batcher, Model};
use std::sync::Arc;
use std::time::Duration;

/// A loaded model and the name under which it is served.
pub struct ServedModel {
    /// The name in paths and answers.
    pub name: String,
    /// The version in paths and answers.
    pub version: u64,
    /// The model.
    pub model: Arc<Model>,
    /// What watches its inputs and predictions; `None` for a model without a reference.
    pub monitor: Option<Arc<Monitor>>,
}

pub(crate) struct Endpoint {
    pub(crate) name: String,
    pub(crate) version: u64,
    pub(crate) model: Arc<Model>,
    pub(crate) watch: Option<Watch>,
    pub(crate) metrics: ModelMetrics,
    batcher: Batcher,
}

impl Endpoint {
    fn new(served: ServedModel, batch: &BatchSettings) -> Result<Endpoint> {
        let ServedModel { name, version, model, monitor } = served;
        let labels = match &model.manifest().decoder {
            Decoder::Classification { labels, .. } | Decoder::Labels { labels, .. } => labels.as_slice(),
            Decoder::Regression { .. } | Decoder::Forecast { .. } | Decoder::Raw => &[],
        };
        let metrics = ModelMetrics::new(&name, version, labels);
        let batcher = Batcher::new(Arc::clone(&model), batch.clone())?;
        Ok(Endpoint { name, version, model, watch: monitor.map(Watch::new), metrics, batcher })
    }

    /// Runs tensors through the queue. What is wrong with them is said before they wait.
    pub(crate) async fn run(&self, inputs: NamedTensors) -> Result<NamedTensors, Refusal> {
        let limits = self.model.limits();
        let rows = if self.model.free_batch() { inputs.first().map_or(1, |(_, tensor)| tensor.rows()) } else { 1 };
        if rows > limits.batch_rows {
            return Err(Refusal::too_large(
                &format!("{rows} rows in one request"),
                "limits.batch_rows",
                limits.batch_rows as u64,
            ));
        }
        let stopped = || Error::new(ErrorCode::Unavailable, "the server is stopping");
        let answer = self.batcher.submit(inputs)?.await.map_err(|_| stopped())??;
        let (queue, compute) = (seconds(answer.queue_seconds), seconds(answer.compute_seconds));
        self.metrics.computed(rows, answer.batch_rows, queue, compute);
        Ok(answer.outputs)
    }

    /// Counts the predictions that raw outputs amount to: the largest score of each row, or every one that reaches the
    /// threshold.
    pub(crate) fn count_outputs(&self, outputs: &NamedTensors) {
        let (output, labels, threshold) = match &self.model.manifest().decoder {
            Decoder::Classification { output, labels, .. } => (output, labels, None),
            Decoder::Labels { output, labels, threshold } => (output, labels, Some(*threshold)),
            Decoder::Regression { .. } | Decoder::Forecast { .. } | Decoder::Raw => return,
        };
        let scores = outputs.iter().find(|(name, _)| name == output).and_then(|(_, tensor)| tensor.as_float32().ok());
        for row in scores.unwrap_or(&[]).chunks_exact(labels.len().max(1)) {
            if let Some(threshold) = threshold {
                // The logistic function rises, so the score may be held against its inverse.
                let least = (threshold / (1.0 - threshold)).ln();
                let holds = |score: &f32| f64::from(*score) >= least;
                row.iter().enumerate().filter(|(_, score)| holds(score)).for_each(|(index, _)| {
                    self.metrics.predicted_index(index);
                });
                continue;
            }
            let best = row.iter().enumerate().fold(None, |best: Option<(usize, f32)>, (index, &score)| match best {
                Some((_, highest)) if score <= highest || score.is_nan() => best,
                _ => Some((index, score)),
            });
            if let Some((index, _)) = best {
                self.metrics.predicted_index(index);
            }
        }
    }

    /// Counts predictions by label.
    pub(crate) fn count_predictions(&self, predictions: &[Prediction]) {
        for prediction in predictions {
            match prediction {
                Prediction::Classification { label, .. } => self.metrics.predicted(label),
                Prediction::Labels { labels, .. } => labels.iter().for_each(|label| self.metrics.predicted(label)),
                Prediction::Regression { .. } | Prediction::Forecast { .. } | Prediction::Raw { .. } => {}
            }
        }
    }

    /// Requests that wait for a run.
    pub(crate) fn queue_len(&self) -> usize {
        self.batcher.queue_len()
    }

    /// Finishes what waits and takes nothing more.
    pub(crate) fn drain(&self) {
        self.batcher.drain();
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// All endpoints, sorted by name and version.
pub(crate) struct Endpoints {
    sorted: Vec<Endpoint>,
}

impl Endpoints {
    pub(crate) fn new(mut models: Vec<ServedModel>, batch: &BatchSettings) -> Result<Endpoints> {
        models.sort_by(|left, right| (&left.name, left.version).cmp(&(&right.name, right.version)));
        if let Some(pair) =
            models.windows(2).find(|pair| (&pair[0].name, pair[0].version) == (&pair[1].name, pair[1].version))
        {
            return Err(Error::new(ErrorCode::Usage, format!("{}@{} is given twice", pair[0].name, pair[0].version)));
        }
        let sorted = models.into_iter().map(|served| Endpoint::new(served, batch)).collect::<Result<_>>()?;
        Ok(Endpoints { sorted })
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Endpoint> {
        self.sorted.iter()
    }

    /// The versions of a model, rising.
    pub(crate) fn versions(&self, name: &str) -> Vec<u64> {
        self.sorted.iter().filter(|endpoint| endpoint.name == name).map(|endpoint| endpoint.version).collect()
    }

    /// The endpoint of that name and version; without a version the newest.
    pub(crate) fn find(&self, name: &str, version: Option<&str>) -> Result<&Endpoint, Refusal> {
        let mut of_name = self.sorted.iter().filter(|endpoint| endpoint.name == name).peekable();
        if of_name.peek().is_none() {
            let names = self.sorted.iter().map(|endpoint| endpoint.name.as_str());
            let near = nearest(name, names).map_or(String::new(), |near| format!("; did you mean \"{near}\"?"));
            let shown: String = name.chars().take(64).collect();
            return Err(Refusal::new(404, format!("no model \"{shown}\" is served{near}")));
        }
        let found = match version {
            None => of_name.last(),
            Some(version) => of_name.find(|endpoint| version.parse() == Ok(endpoint.version)),
        };
        found.ok_or_else(|| {
            let versions: Vec<String> = self.versions(name).iter().map(u64::to_string).collect();
            Refusal::new(404, format!("no such version of \"{name}\" is served; there is {}", versions.join(", ")))
        })
    }
}
