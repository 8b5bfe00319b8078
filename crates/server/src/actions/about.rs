//! Routes that tell about the server and its models: health, metadata, metrics, description, page.

use super::Call;
use crate::endpoint::Endpoint;
use crate::http::Answer;
use crate::metrics::{Exposition, write_models};
use crate::page::{self, Listed};
use crate::protocol;
use crate::refusal::Refusal;
use crate::{observe, utc};
use serde_json::{Value, json};

pub(super) fn live() -> Answer {
    Answer::json(&json!({"status": "alive"}))
}

pub(super) fn ready(call: &Call) -> Result<Answer, Refusal> {
    if call.state.is_ready() { Ok(Answer::json(&json!({"status": "ready"}))) } else { Err(stopping()) }
}

pub(super) fn stopping() -> Refusal {
    Refusal::new(503, "the server is stopping")
}

pub(super) fn protocol_live() -> Answer {
    Answer::json(&json!({"live": true}))
}

pub(super) fn protocol_ready(call: &Call) -> Answer {
    let ready = call.state.is_ready();
    Answer::json_with(if ready { 200 } else { 503 }, &json!({"ready": ready}))
}

pub(super) fn server_metadata() -> Answer {
    Answer::json(&protocol::server_metadata())
}

pub(super) fn model_metadata(call: &Call) -> Result<Answer, Refusal> {
    let endpoint = call.endpoint()?;
    let versions = match call.path.version {
        Some(_) => vec![endpoint.version],
        None => call.state.endpoints.versions(&endpoint.name),
    };
    let model = &endpoint.model;
    let signature = &model.manifest().signature;
    Ok(Answer::json(&protocol::model_metadata(&endpoint.name, &versions, model.engine_name(), signature)))
}

pub(super) fn model_ready(call: &Call) -> Result<Answer, Refusal> {
    let (endpoint, ready) = (call.endpoint()?, call.state.is_ready());
    Ok(Answer::json_with(if ready { 200 } else { 503 }, &json!({"name": endpoint.name, "ready": ready})))
}

pub(super) fn models(call: &Call) -> Answer {
    let data: Vec<Value> = call.state.endpoints.iter().map(summary).collect();
    Answer::json(&json!({"object": "list", "data": data}))
}

pub(super) fn model_summary(call: &Call) -> Result<Answer, Refusal> {
    Ok(Answer::json(&summary(call.endpoint()?)))
}

fn summary(endpoint: &Endpoint) -> Value {
    let manifest = endpoint.model.manifest();
    let created = manifest.lineage.as_ref().and_then(|lineage| utc::parse_seconds(&lineage.created)).unwrap_or(0);
    json!({
        "id": endpoint.name,
        "object": "model",
        "created": created,
        "owned_by": "lepton",
        "version": endpoint.version,
        "task": manifest.task,
    })
}

pub(super) fn openapi(call: &Call) -> Answer {
    Answer::new(200, "application/json", call.state.openapi.clone())
}

pub(super) fn page(call: &Call) -> Answer {
    let models: Vec<Listed<'_>> = call
        .state
        .endpoints
        .iter()
        .map(|endpoint| Listed {
            name: &endpoint.name,
            version: endpoint.version,
            engine: endpoint.model.engine_name(),
            manifest: endpoint.model.manifest(),
        })
        .collect();
    page::page(&call.state.authority, &models)
}

pub(super) async fn metrics(call: Call) -> Result<Answer, Refusal> {
    let state = std::sync::Arc::clone(&call.state);
    // Drift compares sketches: milliseconds, so not on a connection's thread.
    let text = call
        .state
        .off_thread(move || {
            let mut out = Exposition::default();
            state.metrics.write(&mut out);
            write_models(&mut out, state.endpoints.iter().map(|endpoint| &endpoint.metrics));
            out.family("lepton_model_queue_requests", "gauge", "Requests that wait for a run.");
            for endpoint in state.endpoints.iter() {
                let version = endpoint.version.to_string();
                let labels = [("model", endpoint.name.as_str()), ("version", version.as_str())];
                out.sample("lepton_model_queue_requests", &labels, endpoint.queue_len() as f64);
            }
            observe::write_drift(&mut out, &state.endpoints);
            Ok(out.into_text())
        })
        .await?;
    Ok(Answer::new(200, "text/plain; version=0.0.4; charset=utf-8", text))
}
