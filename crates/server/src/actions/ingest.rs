//! `POST /v1/ingest/{dataset}`: JSON lines with a bearer token, kept before they are acknowledged.

use super::Call;
use crate::http::Answer;
use crate::refusal::Refusal;
use crate::state::State;
use hyper::header::{AUTHORIZATION, HeaderMap};
use lepton_core::{Cancel, Silent};
use lepton_pipeline::{StreamThreshold, append_rows, commit_rows, is_full};
use lepton_store::{Store, StreamReceipt};
use serde::Serialize;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Datasets of which a version is being made.
#[derive(Debug, Default)]
pub(crate) struct Committing(Mutex<HashSet<String>>);

impl Committing {
    /// Whether the caller is the one who makes it.
    fn begin(&self, dataset: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(dataset.to_owned())
    }

    fn end(&self, dataset: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(dataset);
    }
}

#[derive(Serialize)]
struct IngestAnswer<'a> {
    dataset: &'a str,
    #[serde(flatten)]
    receipt: StreamReceipt,
}

fn store_of(state: &State) -> Result<Store, Refusal> {
    match (&state.store, state.settings.ingest) {
        (Some(store), true) => Ok(store.clone()),
        _ => Err(Refusal::new(403, "this server takes no rows; start it with --ingest")),
    }
}

/// Decides before a byte of the body is read: 401 without a token that is known, 403 with one for another dataset.
pub(crate) async fn admit(state: &Arc<State>, dataset: &str, headers: &HeaderMap) -> Result<(), Refusal> {
    let store = store_of(state)?;
    let given = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim().to_owned());
    let Some(given) = given else {
        return Err(Refusal::unauthorized("a bearer token is needed; `lepton data token` makes one"));
    };
    let found = state.off_thread(move || store.find_data_token(&given).map_err(Refusal::from)).await?;
    match found {
        None => Err(Refusal::unauthorized("this token is not known, or was taken back")),
        Some(token) if token.dataset != dataset => Err(Refusal::new(403, "this token is for another dataset")),
        Some(_) => Ok(()),
    }
}

pub(super) async fn ingest(mut call: Call) -> Result<Answer, Refusal> {
    let body = call.take_body()?;
    let store = store_of(&call.state)?;
    let dataset = call.path.dataset.clone();
    check_media(call.header("content-type"))?;
    let key = call.header("idempotency-key").map(str::to_owned);
    if call.headers.contains_key("idempotency-key") && !key.as_deref().is_some_and(is_key) {
        return Err(Refusal::new(400, "an Idempotency-Key is 1 to 255 letters of visible ASCII"));
    }
    let new_columns = match call.header("lepton-new-columns") {
        None => false,
        Some("allow") => true,
        Some(_) => return Err(Refusal::new(400, "the header Lepton-New-Columns can only say \"allow\"")),
    };
    let limits = call.state.settings.limits.clone();
    let (kept, name) = (store.clone(), dataset.clone());
    let (receipt, full) = call
        .state
        .off_thread(move || {
            let receipt = append_rows(&kept, &name, &body.bytes, key.as_deref(), new_columns, &limits)?;
            Ok((receipt, is_full(&kept, &name, StreamThreshold::default())?))
        })
        .await?;
    if full && call.state.committing.begin(&dataset) {
        make_version(Arc::clone(&call.state), store, dataset.clone());
    }
    Ok(Answer::json(&IngestAnswer { dataset: &dataset, receipt }))
}

/// The rows are safe already: a version that cannot be made now is made by the next request, or by hand.
fn make_version(state: Arc<State>, store: Store, dataset: String) {
    tokio::task::spawn_blocking(move || {
        match commit_rows(&store, &dataset, &state.settings.limits, &Silent, &Cancel::default()) {
            Ok(version) => tracing::info!(%dataset, rows = version.rows, "version {}", version.version.short()),
            Err(error) => tracing::error!(%dataset, "no version could be made of arrived rows: {error:?}"),
        }
        state.committing.end(&dataset);
    });
}

fn is_key(key: &str) -> bool {
    (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}

fn check_media(content_type: Option<&str>) -> Result<(), Refusal> {
    let kind = content_type.unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match kind.as_str() {
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/json" => Ok(()),
        _ => Err(Refusal::new(415, "rows come as application/x-ndjson: one JSON object per line")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_as_json_lines_only() {
        assert!(check_media(Some("application/x-ndjson; charset=utf-8")).is_ok());
        for other in [None, Some(""), Some("text/csv"), Some("application/x-www-form-urlencoded")] {
            assert_eq!(check_media(other).unwrap_err().status, 415);
        }
    }

    #[test]
    fn a_key_is_visible_ascii() {
        assert!(is_key("order-1") && is_key(&"x".repeat(255)));
        assert!(!is_key("") && !is_key(&"x".repeat(256)) && !is_key("a b") && !is_key("é"));
    }
}
