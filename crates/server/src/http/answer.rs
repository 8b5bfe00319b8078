//! An answer with its whole body in memory, so that head and body leave in one write.

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Status, headers and the whole body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Answer {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Answer {
        Answer { status, headers: vec![("content-type", content_type.to_owned())], body: body.into() }
    }

    /// 200 with JSON.
    pub(crate) fn json(value: &impl Serialize) -> Answer {
        Answer::json_with(200, value)
    }

    /// JSON with a status. The value is one of our own, without maps whose keys are not texts: it can be written.
    pub(crate) fn json_with(status: u16, value: &impl Serialize) -> Answer {
        match serde_json::to_vec(value) {
            Ok(bytes) => Answer::new(status, "application/json", bytes),
            Err(_) => Answer::new(500, "application/json", r#"{"error":"the answer could not be written as JSON"}"#),
        }
    }

    /// Adds a header; replaces one of that name.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn into_response(self) -> Response<Whole> {
        let mut response = Response::new(Whole(Some(self.body)));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in self.headers {
            // A value with bytes that no header may carry is dropped rather than sent: no header injection.
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

/// A body that is one piece.
pub(crate) struct Whole(Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, Bytes::len) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_cannot_be_injected() {
        let response = Answer::json(&1).header("x-request-id", "a\r\nset-cookie: b").into_response();
        assert!(response.headers().get("x-request-id").is_none());
        assert!(response.headers().get("set-cookie").is_none());
    }
}
