//! What is counted about HTTP itself: requests by route and status, durations, connections.

use super::{Exposition, Histogram, add, get};
use crate::routes::ROUTES;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The statuses that this server answers with; any other is counted as the last.
const STATUSES: [u16; 17] = [200, 400, 403, 404, 405, 408, 409, 413, 415, 422, 429, 500, 502, 503, 504, 507, 0];

/// Counters of one server.
#[derive(Debug)]
pub(crate) struct HttpMetrics {
    /// By route; the last line is for requests that no route took.
    routes: Vec<RouteMetrics>,
    in_flight: AtomicU64,
    connections: AtomicU64,
    accepted: AtomicU64,
}

#[derive(Debug, Default)]
struct RouteMetrics {
    by_status: [AtomicU64; STATUSES.len()],
    durations: Histogram,
}

impl Default for HttpMetrics {
    fn default() -> HttpMetrics {
        HttpMetrics {
            routes: (0..=ROUTES.len()).map(|_| RouteMetrics::default()).collect(),
            in_flight: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
        }
    }
}

/// Takes one off a gauge when dropped, whatever ended the work.
pub(crate) struct Present<'a>(&'a AtomicU64);

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl HttpMetrics {
    /// A request is under way until the result is dropped.
    pub(crate) fn request_begins(&self) -> Present<'_> {
        add(&self.in_flight, 1);
        Present(&self.in_flight)
    }

    /// A connection is open until the result is dropped.
    pub(crate) fn connection_opens(&self) -> Present<'_> {
        add(&self.accepted, 1);
        add(&self.connections, 1);
        Present(&self.connections)
    }

    /// A request was answered. `route` is an index in [`ROUTES`].
    pub(crate) fn answered(&self, route: Option<usize>, status: u16, duration: Duration) {
        let line = &self.routes[route.unwrap_or(ROUTES.len())];
        let column = STATUSES.iter().position(|&known| known == status).unwrap_or(STATUSES.len() - 1);
        add(&line.by_status[column], 1);
        line.durations.observe(duration);
    }

    pub(crate) fn write(&self, out: &mut Exposition) {
        out.family("lepton_build_info", "gauge", "The version that runs.");
        out.sample("lepton_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        out.family("lepton_http_connections", "gauge", "Open connections.");
        out.sample("lepton_http_connections", &[], get(&self.connections));
        out.family("lepton_http_connections_total", "counter", "Connections accepted.");
        out.sample("lepton_http_connections_total", &[], get(&self.accepted));
        out.family("lepton_http_requests_in_flight", "gauge", "Requests under way.");
        out.sample("lepton_http_requests_in_flight", &[], get(&self.in_flight));
        out.family("lepton_http_requests_total", "counter", "Requests answered.");
        for (index, line) in self.routes.iter().enumerate() {
            let (method, pattern) = names(index);
            for (status, count) in STATUSES.iter().zip(&line.by_status) {
                if count.load(Ordering::Relaxed) > 0 {
                    let status = if *status == 0 { "other".to_owned() } else { status.to_string() };
                    let labels = [("method", method), ("route", pattern), ("status", status.as_str())];
                    out.sample("lepton_http_requests_total", &labels, get(count));
                }
            }
        }
        out.family("lepton_http_request_duration_seconds", "histogram", "From the whole header to the answer.");
        for (index, line) in self.routes.iter().enumerate() {
            if line.by_status.iter().any(|count| count.load(Ordering::Relaxed) > 0) {
                let (method, pattern) = names(index);
                let labels = [("method", method), ("route", pattern)];
                line.durations.write(out, "lepton_http_request_duration_seconds", &labels);
            }
        }
    }
}

fn names(index: usize) -> (&'static str, &'static str) {
    ROUTES.get(index).map_or(("other", "none"), |route| (route.method.as_str(), route.pattern))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_route_and_status() {
        let metrics = HttpMetrics::default();
        {
            let _request = metrics.request_begins();
            metrics.answered(Some(0), 200, Duration::from_millis(3));
            metrics.answered(None, 404, Duration::ZERO);
            metrics.answered(None, 418, Duration::ZERO);
        }
        let mut out = Exposition::default();
        metrics.write(&mut out);
        let text = out.into_text();
        for line in [
            "lepton_http_requests_total{method=\"GET\",route=\"/\",status=\"200\"} 1",
            "lepton_http_requests_total{method=\"other\",route=\"none\",status=\"404\"} 1",
            "lepton_http_requests_total{method=\"other\",route=\"none\",status=\"other\"} 1",
            "lepton_http_requests_in_flight 0",
            "lepton_http_request_duration_seconds_bucket{method=\"GET\",route=\"/\",le=\"0.0025\"} 0",
            "lepton_http_request_duration_seconds_bucket{method=\"GET\",route=\"/\",le=\"0.005\"} 1",
            "lepton_http_request_duration_seconds_sum{method=\"GET\",route=\"/\"} 0.003",
            "lepton_http_request_duration_seconds_count{method=\"GET\",route=\"/\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
