//! One request from its header to its answer: guard, route, body, action, and what is counted and logged.

use crate::actions::{Call, admit, perform};
use crate::http::{Answer, BodyRules, Whole, discard, read_body, traceparent};
use crate::refusal::Refusal;
use crate::routes::{Action, Found, PathValues, ROUTES, find};
use crate::state::State;
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, HeaderMap, TRANSFER_ENCODING};
use hyper::{Method, Request, Response};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How much of a refused body is thrown away before the connection is closed, and for how long.
const DISCARD_BYTES: u64 = 64 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// Answers one request.
pub(crate) async fn respond(state: Arc<State>, request: Request<Incoming>) -> Response<Whole> {
    let started = Instant::now();
    let _under_way = state.metrics.request_begins();
    let (head, mut body) = request.into_parts();
    let id = state.request_ids.of(&head.headers);
    let trace = traceparent(&head.headers).map(str::to_owned);
    let expects = head.headers.contains_key(EXPECT);

    let admitted = state
        .guard
        .check(&head.method, &head.uri, head.version, &head.headers)
        .and_then(|()| check_framing(&head.headers))
        .and_then(|()| route(&head.method, head.uri.path()));
    let (index, outcome) = match admitted {
        Err(refusal) => (None, Err(refusal)),
        Ok((index, path)) => (Some(index), handle(&state, index, path, head.headers, &mut body).await),
    };
    let answer = match outcome {
        Ok(answer) => answer,
        Err(refusal) => {
            match &refusal.detail {
                Some(detail) => tracing::error!(request = %id, status = refusal.status, "{detail}"),
                None => tracing::debug!(request = %id, status = refusal.status, "{}", refusal.message),
            }
            // A client that asked for permission to send has not sent; any other is still writing.
            if !expects {
                discard(&mut body, DISCARD_BYTES, DISCARD_TIME).await;
            }
            refusal.answer()
        }
    };
    state.metrics.answered(index, answer.status, started.elapsed());
    finish(answer, id, trace, state.is_ready()).into_response()
}

fn route(method: &Method, path: &str) -> Result<(usize, PathValues), Refusal> {
    match find(method, path) {
        Found::Route(index, values) => Ok((index, values)),
        Found::OtherMethod(allow) => Err(Refusal::method_not_allowed(allow)),
        Found::Nothing => Err(Refusal::new(404, "there is no such path; /openapi.json lists them")),
    }
}

/// Two lengths for one body are how a second request is smuggled in.
fn check_framing(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH) {
        return Err(Refusal::new(400, "the request has both Content-Length and Transfer-Encoding").closing());
    }
    Ok(())
}

async fn handle(
    state: &Arc<State>,
    index: usize,
    path: PathValues,
    headers: HeaderMap,
    body: &mut Incoming,
) -> Result<Answer, Refusal> {
    let route = &ROUTES[index];
    let on_model = matches!(route.action, Action::Infer | Action::Predict);
    if route.action == Action::Ingest {
        admit(state, &path.dataset, &headers).await?;
    }
    let body = if route.method == Method::POST {
        if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(Refusal::new(415, "compressed bodies are not taken; send it without Content-Encoding"));
        }
        let rules = BodyRules { limit: state.settings.limits.body_bytes, stall: state.settings.body_stall() };
        Some(read_body(body, rules, &state.budget).await?)
    } else {
        None
    };
    let started = Instant::now();
    let (model, version) = (path.model.clone(), path.version.clone());
    let call = Call { state: Arc::clone(state), path, headers, body };
    let outcome = timeout(state.settings.request_timeout(), perform(route.action, call)).await.unwrap_or_else(|_| {
        Err(Refusal::new(
            504,
            format!("the request took longer than the limit: limits.request_ms = {}", state.settings.limits.request_ms),
        ))
    });
    if on_model && let Ok(endpoint) = state.endpoints.find(&model, version.as_deref()) {
        endpoint.metrics.request_ended(outcome.is_ok(), started.elapsed());
    }
    outcome
}

fn finish(answer: Answer, id: String, trace: Option<String>, ready: bool) -> Answer {
    let answer = answer.header("x-request-id", id).header("x-content-type-options", "nosniff");
    let answer = match trace {
        Some(trace) => answer.header("traceparent", trace),
        None => answer,
    };
    // While the server stops, each answer tells its client to come back elsewhere.
    if ready { answer } else { answer.header("connection", "close") }
}
