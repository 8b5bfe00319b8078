//! What each route does, given a request that was already let in, matched and read.

mod about;
mod infer;
mod ingest;
mod predict;

pub(crate) use ingest::{Committing, admit};

use crate::endpoint::Endpoint;
use crate::http::{Answer, HeldBody};
use crate::refusal::Refusal;
use crate::routes::{Action, PathValues};
use crate::state::State;
use hyper::header::HeaderMap;
use std::sync::Arc;

/// A request whose body was read.
pub(crate) struct Call {
    pub(crate) state: Arc<State>,
    pub(crate) path: PathValues,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<HeldBody>,
}

impl Call {
    fn endpoint(&self) -> Result<&Endpoint, Refusal> {
        self.state.endpoints.find(&self.path.model, self.path.version.as_deref())
    }

    /// A header that is one line of ASCII.
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn take_body(&mut self) -> Result<HeldBody, Refusal> {
        self.body.take().ok_or_else(|| Refusal::new(400, "the body is missing"))
    }
}

/// Does what the route says.
pub(crate) async fn perform(action: Action, call: Call) -> Result<Answer, Refusal> {
    match action {
        Action::Infer => infer::infer(call).await,
        Action::Predict => predict::predict(call).await,
        Action::Ingest => ingest::ingest(call).await,
        Action::Metrics => about::metrics(call).await,
        Action::Page => Ok(about::page(&call)),
        Action::OpenApi => Ok(about::openapi(&call)),
        Action::Live => Ok(about::live()),
        Action::Ready => about::ready(&call),
        Action::Models => Ok(about::models(&call)),
        Action::ModelSummary => about::model_summary(&call),
        Action::ServerMetadata => Ok(about::server_metadata()),
        Action::ProtocolLive => Ok(about::protocol_live()),
        Action::ProtocolReady => Ok(about::protocol_ready(&call)),
        Action::ModelMetadata => about::model_metadata(&call),
        Action::ModelReady => about::model_ready(&call),
    }
}
