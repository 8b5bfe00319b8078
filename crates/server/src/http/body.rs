//! Reads request bodies: whole, within a byte limit, a memory budget over all connections, and a pace.

use crate::refusal::Refusal;
use hyper::body::{Body, Bytes, Incoming};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// After the first stall allowance, a body must have come at this pace, or a drip-feeding client could hold
/// its connection for days without ever standing still.
const LEAST_BYTES_PER_SECOND: u64 = 4 * 1024;

/// The bytes of request bodies that are held at once, over all connections.
#[derive(Clone, Debug)]
pub(crate) struct BodyBudget {
    used: Arc<AtomicU64>,
    limit: u64,
}

impl BodyBudget {
    pub(crate) fn new(limit: u64) -> BodyBudget {
        BodyBudget { used: Arc::default(), limit }
    }

    fn reserve(&self, held: &mut Reservation, bytes: u64) -> Result<(), Refusal> {
        let grown = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|&after| after <= self.limit)
        });
        if grown.is_err() {
            return Err(Refusal::new(
                503,
                format!("request bodies fill the memory set aside: body_memory_bytes = {}", self.limit),
            ));
        }
        held.bytes += bytes;
        Ok(())
    }
}

/// Gives its bytes back to the budget when dropped.
#[derive(Debug)]
struct Reservation {
    used: Arc<AtomicU64>,
    bytes: u64,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A body in memory, counted in the budget while it lives.
#[derive(Debug)]
pub(crate) struct HeldBody {
    pub(crate) bytes: Vec<u8>,
    _reservation: Reservation,
}

/// What bounds a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyRules {
    /// `limits.body_bytes`.
    pub(crate) limit: u64,
    pub(crate) stall: Duration,
}

impl BodyRules {
    fn too_large(&self) -> Refusal {
        Refusal::too_large("the body", "limits.body_bytes", self.limit).closing()
    }
}

/// Reads a body to its end. A declared length past the limit is refused before a byte is read.
pub(crate) async fn read_body(body: &mut Incoming, rules: BodyRules, budget: &BodyBudget) -> Result<HeldBody, Refusal> {
    let mut reservation = Reservation { used: Arc::clone(&budget.used), bytes: 0 };
    let declared = body.size_hint().exact();
    if declared.is_some_and(|length| length > rules.limit) {
        return Err(rules.too_large());
    }
    // A client may declare much and send little: memory is reserved as bytes arrive, but for small bodies.
    let mut bytes = Vec::with_capacity(declared.unwrap_or(0).min(64 * 1024) as usize);
    let started = Instant::now();
    loop {
        let piece = match timeout(rules.stall, next_piece(body)).await {
            Ok(Some(Ok(piece))) => piece,
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(Refusal::new(400, "the body ended before its declared length").closing()),
            Err(_) => return Err(too_slow(rules)),
        };
        if bytes.len() as u64 + piece.len() as u64 > rules.limit {
            return Err(rules.too_large());
        }
        budget.reserve(&mut reservation, piece.len() as u64).map_err(Refusal::closing)?;
        bytes.extend_from_slice(&piece);
        let allowed = rules.stall + Duration::from_secs(bytes.len() as u64 / LEAST_BYTES_PER_SECOND);
        if started.elapsed() > allowed {
            return Err(too_slow(rules));
        }
    }
    Ok(HeldBody { bytes, _reservation: reservation })
}

fn too_slow(rules: BodyRules) -> Refusal {
    Refusal::new(408, format!("the body came too slowly: body_stall_seconds = {}", rules.stall.as_secs())).closing()
}

/// The next bytes; trailers are skipped.
async fn next_piece(body: &mut Incoming) -> Option<Result<Bytes, hyper::Error>> {
    loop {
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await? {
            Ok(frame) => {
                if let Ok(piece) = frame.into_data() {
                    return Some(Ok(piece));
                }
            }
            Err(error) => return Some(Err(error)),
        }
    }
}

/// Throws away what a refused client is still sending, for a moment: one that only reads after it has written
/// would otherwise see a reset connection and not the refusal.
pub(crate) async fn discard(body: &mut Incoming, limit: u64, at_most: Duration) {
    let mut seen = 0;
    let all = async {
        while let Some(Ok(piece)) = next_piece(body).await {
            seen += piece.len() as u64;
            if seen > limit {
                break;
            }
        }
    };
    let _ = timeout(at_most, all).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_shared_and_given_back() {
        let budget = BodyBudget::new(10);
        let hold = || Reservation { used: Arc::clone(&budget.used), bytes: 0 };
        let (mut first, mut second) = (hold(), hold());
        budget.reserve(&mut first, 7).unwrap();
        let refusal = budget.reserve(&mut second, 4).unwrap_err();
        assert_eq!(refusal.status, 503);
        assert!(refusal.message.contains("body_memory_bytes = 10"));
        budget.reserve(&mut second, 3).unwrap();
        drop(first);
        budget.reserve(&mut second, 7).unwrap();
    }
}
