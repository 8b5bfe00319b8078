//! Names for requests: the client's own `x-request-id` where it is harmless, else a fresh one; and the W3C
//! `traceparent`, handed back where it is well-formed.

use hyper::header::HeaderMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Hands out request ids: unique in one process, unlikely to repeat in another.
#[derive(Debug, Default)]
pub(crate) struct RequestIds {
    keys: RandomState,
    count: AtomicU64,
}

impl RequestIds {
    /// The id of a request with these headers.
    pub(crate) fn of(&self, headers: &HeaderMap) -> String {
        let harmless = |id: &&str| {
            (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        match headers.get("x-request-id").and_then(|id| id.to_str().ok()).filter(harmless) {
            Some(id) => id.to_owned(),
            None => format!("{:016x}", self.keys.hash_one(self.count.fetch_add(1, Ordering::Relaxed))),
        }
    }
}

/// The client's `traceparent`, if it is one (`version-traceid-parentid-flags`, lower-case hex, ids not all zero).
pub(crate) fn traceparent(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let mut parts = text.split('-');
    let mut part = |length: usize, may_be_zero: bool| {
        let part = parts.next().unwrap_or("");
        let hex = part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        part.len() == length && hex && (may_be_zero || part.bytes().any(|b| b != b'0'))
    };
    let well_formed = part(2, true) && part(32, false) && part(16, false) && part(2, true);
    (well_formed && parts.next().is_none() && !text.starts_with("ff")).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn a_harmless_id_is_kept_and_others_are_replaced() {
        let ids = RequestIds::default();
        assert_eq!(ids.of(&with("x-request-id", "abc-1.2_3")), "abc-1.2_3");
        for bad in ["", "<script>", "a b", &"x".repeat(65)] {
            let fresh = ids.of(&with("x-request-id", bad));
            assert!(fresh.len() == 16 && fresh != bad);
        }
        assert_ne!(ids.of(&HeaderMap::new()), ids.of(&HeaderMap::new()));
    }

    #[test]
    fn only_a_well_formed_traceparent_is_handed_back() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(traceparent(&with("traceparent", good)), Some(good));
        for bad in [
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf9-00f067aa0ba902b7-01",
            "",
        ] {
            assert_eq!(traceparent(&with("traceparent", bad)), None, "{bad}");
        }
    }
}
