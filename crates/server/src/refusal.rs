//! A request that is not answered as asked: status, sentence, and the headers that some statuses need.
//!
//! Every error of the workspace becomes a [`Refusal`] here and only here, so that no internal path or
//! detail can reach a client: what is our fault is logged with the request's id and answered without detail.

use crate::http::Answer;
use lepton_core::{Error, ErrorCode, Place};
use serde_json::json;

/// Seconds that a client is told to wait when the server is full or stopping.
const RETRY_AFTER_SECONDS: u64 = 1;

/// Why a request was refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) message: String,
    /// The methods that a 405 must name.
    allow: Option<&'static str>,
    /// Whether a token would help.
    authenticate: bool,
    /// Whether the connection cannot be used again (its body was not read to the end).
    pub(crate) close: bool,
    /// What only the log may say.
    pub(crate) detail: Option<String>,
}

impl Refusal {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Refusal {
        Refusal { status, message: message.into(), allow: None, authenticate: false, close: false, detail: None }
    }

    pub(crate) fn method_not_allowed(allow: &'static str) -> Refusal {
        Refusal { allow: Some(allow), ..Refusal::new(405, format!("this path takes {allow}")) }
    }

    /// A request without a token that is known.
    pub(crate) fn unauthorized(message: &str) -> Refusal {
        Refusal { authenticate: true, ..Refusal::new(401, message) }
    }

    /// A limit that was passed, quoted by its setting's name.
    pub(crate) fn too_large(what: &str, limit: &str, value: u64) -> Refusal {
        Refusal::new(413, format!("{what} is past the limit: {limit} = {value}"))
    }

    pub(crate) fn closing(mut self) -> Refusal {
        self.close = true;
        self
    }

    /// The answer that carries it: `{"error": "..."}`.
    pub(crate) fn answer(&self) -> Answer {
        let mut answer = Answer::json_with(self.status, &json!({"error": self.message}));
        if matches!(self.status, 429 | 503) {
            answer = answer.header("retry-after", RETRY_AFTER_SECONDS.to_string());
        }
        if let Some(allow) = self.allow {
            answer = answer.header("allow", allow);
        }
        if self.authenticate {
            answer = answer.header("www-authenticate", "Bearer realm=\"lepton\"");
        }
        if self.close {
            answer = answer.header("connection", "close");
        }
        answer
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        let status = error.code().http_status();
        let ours = matches!(
            error.code(),
            ErrorCode::Config
                | ErrorCode::NotAllowed
                | ErrorCode::Integrity
                | ErrorCode::Diverged
                | ErrorCode::Locked
                | ErrorCode::StorageFull
                | ErrorCode::Fetch
                | ErrorCode::Io
                | ErrorCode::Internal
        );
        if ours {
            let mut refusal =
                Refusal::new(status.max(500), "the server failed; its log has the details under this request's id");
            refusal.detail = Some(format!("{error:?}"));
            return refusal;
        }
        Refusal::new(status, sentence(&error))
    }
}

/// Place (without the file), sentence and remedy on one line.
fn sentence(error: &Error) -> String {
    let place = Place { file: None, ..error.place().clone() }.to_string();
    let mut text = if place.is_empty() { String::new() } else { format!("{place}: ") };
    text.push_str(error.message());
    if let Some(remedy) = error.remedy() {
        text.push_str(" (");
        text.push_str(remedy);
        text.push(')');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_mistake_is_explained_without_our_paths() {
        let error = Error::new(ErrorCode::BadData, "not a number")
            .in_file("/srv/secret/model/recipe.json")
            .at_row(3)
            .at_column("age")
            .fix("write 34");
        let refusal = Refusal::from(error);
        assert_eq!(refusal.status, 400);
        assert_eq!(refusal.message, "row 3, column \"age\": not a number (write 34)");
    }

    #[test]
    fn our_own_failures_say_nothing_outside_and_everything_in_the_log() {
        for code in ErrorCode::ALL {
            let error = Error::new(code, "cannot read /srv/secret/blob").in_file("/srv/secret/blob");
            let refusal = Refusal::from(error);
            if refusal.status == 500 || refusal.status == 507 || refusal.status == 502 {
                assert!(!refusal.message.contains("secret"), "{code:?}");
                assert!(refusal.detail.unwrap().contains("/srv/secret/blob"));
            }
        }
        assert_eq!(Refusal::from(Error::internal("x")).status, 500);
        assert_eq!(Refusal::from(Error::new(ErrorCode::Overloaded, "full")).status, 429);
        assert_eq!(Refusal::from(Error::new(ErrorCode::Timeout, "late")).status, 504);
    }
}
