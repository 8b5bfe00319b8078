//! What is counted about each model: requests, rows, runs, waiting, computing, and predictions by label.

use super::{Exposition, Histogram, add, get};
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Counters of one model version.
#[derive(Debug)]
pub(crate) struct ModelMetrics {
    name: String,
    version: String,
    success: AtomicU64,
    failure: AtomicU64,
    rows: AtomicU64,
    /// Runs of the model, in millionths: a run that `n` requests share is counted by each of them in part.
    run_millionths: AtomicU64,
    request: Histogram,
    queue: Histogram,
    compute: Histogram,
    request_us: AtomicU64,
    queue_us: AtomicU64,
    compute_us: AtomicU64,
    labels: Vec<String>,
    by_label: Vec<AtomicU64>,
    label_index: HashMap<String, usize>,
}

impl ModelMetrics {
    pub(crate) fn new(name: &str, version: u64, labels: &[String]) -> ModelMetrics {
        ModelMetrics {
            name: name.to_owned(),
            version: version.to_string(),
            success: AtomicU64::new(0),
            failure: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            run_millionths: AtomicU64::new(0),
            request: Histogram::default(),
            queue: Histogram::default(),
            compute: Histogram::default(),
            request_us: AtomicU64::new(0),
            queue_us: AtomicU64::new(0),
            compute_us: AtomicU64::new(0),
            labels: labels.to_vec(),
            by_label: labels.iter().map(|_| AtomicU64::new(0)).collect(),
            label_index: labels.iter().cloned().enumerate().map(|(index, label)| (label, index)).collect(),
        }
    }

    /// A request for this model was answered, well or not.
    pub(crate) fn request_ended(&self, success: bool, duration: Duration) {
        add(if success { &self.success } else { &self.failure }, 1);
        self.request.observe(duration);
        add(&self.request_us, microseconds(duration));
    }

    /// `rows` rows of a request were computed in a run of `batch_rows` rows.
    pub(crate) fn computed(&self, rows: usize, batch_rows: usize, queue: Duration, compute: Duration) {
        add(&self.rows, rows as u64);
        add(&self.run_millionths, (1_000_000.0 * rows as f64 / batch_rows.max(1) as f64).round() as u64);
        self.queue.observe(queue);
        self.compute.observe(compute);
        add(&self.queue_us, microseconds(queue));
        add(&self.compute_us, microseconds(compute));
    }

    /// One row was given this label.
    pub(crate) fn predicted(&self, label: &str) {
        if let Some(&index) = self.label_index.get(label) {
            self.predicted_index(index);
        }
    }

    /// One row was given the label of this index.
    pub(crate) fn predicted_index(&self, index: usize) {
        if let Some(count) = self.by_label.get(index) {
            add(count, 1);
        }
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Writes every family for every model.
pub(crate) fn write_models<'a>(out: &mut Exposition, models: impl Iterator<Item = &'a ModelMetrics> + Clone) {
    type Read = fn(&ModelMetrics) -> f64;
    let counters: [(&str, &str, Read); 9] = [
        ("lepton_model_rows_total", "Rows that were computed.", |m| get(&m.rows)),
        ("lepton_model_runs_total", "Runs of the model; several requests may share one.", runs),
        ("nv_inference_request_success", "Requests that were answered.", |m| get(&m.success)),
        ("nv_inference_request_failure", "Requests that failed.", |m| get(&m.failure)),
        ("nv_inference_count", "Rows that were computed.", |m| get(&m.rows)),
        ("nv_inference_exec_count", "Runs of the model.", runs),
        ("nv_inference_request_duration_us", "Request time, summed.", |m| get(&m.request_us)),
        ("nv_inference_queue_duration_us", "Waiting time, summed.", |m| get(&m.queue_us)),
        ("nv_inference_compute_infer_duration_us", "Computing time, summed.", |m| get(&m.compute_us)),
    ];
    for (name, help, read) in counters {
        out.family(name, "counter", help);
        for model in models.clone() {
            out.sample(name, &model.labels_of(), read(model));
        }
    }
    out.family("lepton_model_requests_total", "counter", "Requests for a model, by outcome.");
    for model in models.clone() {
        for (outcome, count) in [("success", &model.success), ("failure", &model.failure)] {
            let [name, version] = model.labels_of();
            out.sample("lepton_model_requests_total", &[name, version, ("outcome", outcome)], get(count));
        }
    }
    type Pick = fn(&ModelMetrics) -> &Histogram;
    let histograms: [(&str, &str, Pick); 3] = [
        ("lepton_model_request_duration_seconds", "From the whole request to its answer.", |m| &m.request),
        ("lepton_model_queue_duration_seconds", "Waiting for a run.", |m| &m.queue),
        ("lepton_model_compute_duration_seconds", "Inside the engine.", |m| &m.compute),
    ];
    for (name, help, pick) in histograms {
        out.family(name, "histogram", help);
        for model in models.clone() {
            pick(model).write(out, name, &model.labels_of());
        }
    }
    out.family("lepton_model_predictions_total", "counter", "Rows by the label that they were given.");
    for model in models {
        for (label, count) in model.labels.iter().zip(&model.by_label) {
            let [name, version] = model.labels_of();
            out.sample("lepton_model_predictions_total", &[name, version, ("label", label)], get(count));
        }
    }
}

fn runs(model: &ModelMetrics) -> f64 {
    (get(&model.run_millionths) / 1e6).round()
}

impl ModelMetrics {
    fn labels_of(&self) -> [(&str, &str); 2] {
        [("model", &self.name), ("version", &self.version)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_runs_are_counted_once_and_labels_by_name() {
        let model = ModelMetrics::new("m", 2, &["cat".into(), "dog".into()]);
        let (wait, work) = (Duration::from_micros(10), Duration::from_micros(30));
        for rows in [1, 1, 1] {
            model.computed(rows, 3, wait, work);
            model.request_ended(true, wait + work);
        }
        model.request_ended(false, wait);
        model.predicted("dog");
        model.predicted_index(1);
        model.predicted("bird");
        let mut out = Exposition::default();
        write_models(&mut out, [&model].into_iter());
        let text = out.into_text();
        for line in [
            "nv_inference_count{model=\"m\",version=\"2\"} 3",
            "nv_inference_exec_count{model=\"m\",version=\"2\"} 1",
            "nv_inference_request_success{model=\"m\",version=\"2\"} 3",
            "nv_inference_request_failure{model=\"m\",version=\"2\"} 1",
            "nv_inference_request_duration_us{model=\"m\",version=\"2\"} 130",
            "nv_inference_queue_duration_us{model=\"m\",version=\"2\"} 30",
            "nv_inference_compute_infer_duration_us{model=\"m\",version=\"2\"} 90",
            "lepton_model_predictions_total{model=\"m\",version=\"2\",label=\"dog\"} 2",
            "lepton_model_predictions_total{model=\"m\",version=\"2\",label=\"cat\"} 0",
            "lepton_model_requests_total{model=\"m\",version=\"2\",outcome=\"failure\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
