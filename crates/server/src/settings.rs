//! What a person can set about a server, with defaults, and the check of the address that it binds.
//!
//! Limits on outside input come from [`lepton_core::Limits`]; batching from [`lepton_runtime::BatchSettings`].

use lepton_core::{Error, ErrorCode, Limits, Result};
use lepton_runtime::BatchSettings;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Settings of one server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServeSettings {
    /// The address to listen on: `localhost` or an IP address. Only loopback addresses are allowed so far.
    pub host: String,
    /// The port to listen on; 0 lets the system pick a free one.
    pub port: u16,
    /// Further names that the `Host` header may carry, for a reverse proxy that passes its own on.
    pub allowed_hosts: Vec<String>,
    /// Limits on outside input.
    pub limits: Limits,
    /// How waiting requests share one run of the model.
    pub batch: BatchSettings,
    /// Connections that may be open at once; further ones wait in the system's queue.
    pub connections: usize,
    /// Bytes of request bodies that may be held in memory at once, over all connections.
    pub body_memory_bytes: u64,
    /// Seconds in which a client must have sent its whole header; also how long an idle connection is kept.
    pub header_seconds: u64,
    /// Seconds that a request body may stand still.
    pub body_stall_seconds: u64,
    /// Seconds that a client may leave an answer unread.
    pub write_stall_seconds: u64,
    /// Milliseconds between "not ready" and closing the door, so that clients and balancers can turn away.
    pub grace_ms: u64,
    /// Seconds that requests in flight get to finish after that.
    pub drain_seconds: u64,
    /// Whether rows for datasets are taken, from who has a token for them.
    pub ingest: bool,
    /// Seconds between two flushes of what was observed to the store.
    pub observation_seconds: u64,
}

impl Default for ServeSettings {
    fn default() -> ServeSettings {
        ServeSettings {
            host: "127.0.0.1".to_owned(),
            port: 8080,
            allowed_hosts: Vec::new(),
            limits: Limits::default(),
            batch: BatchSettings::default(),
            connections: 1024,
            body_memory_bytes: 256 << 20,
            header_seconds: 10,
            body_stall_seconds: 30,
            write_stall_seconds: 30,
            grace_ms: 250,
            drain_seconds: 30,
            ingest: false,
            observation_seconds: 60,
        }
    }
}

impl ServeSettings {
    /// The address to bind.
    ///
    /// # Errors
    /// [`ErrorCode::Usage`] when `host` is neither `localhost` nor an IP address, [`ErrorCode::NotAllowed`] when
    /// it can be reached from other machines, [`ErrorCode::Config`] when a limit is zero.
    pub fn address(&self) -> Result<SocketAddr> {
        self.check_positive()?;
        let bare = self.host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&self.host);
        let ip = if bare.eq_ignore_ascii_case("localhost") {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        } else {
            bare.parse().map_err(|_| {
                Error::new(ErrorCode::Usage, format!("\"{}\" is not an address to listen on", self.host))
                    .at_key("host")
                    .fix("use 127.0.0.1, ::1 or localhost")
            })?
        };
        if !ip.is_loopback() {
            return Err(Error::new(
                ErrorCode::NotAllowed,
                format!("{ip} can be reached from other machines, and this server has no authentication yet"),
            )
            .at_key("host")
            .fix("use a loopback address (127.0.0.1 or ::1), and a reverse proxy with authentication in front of it"));
        }
        Ok(SocketAddr::new(ip, self.port))
    }

    fn check_positive(&self) -> Result<()> {
        let positive = [
            ("connections", self.connections as u64),
            ("body_memory_bytes", self.body_memory_bytes),
            ("header_seconds", self.header_seconds),
            ("body_stall_seconds", self.body_stall_seconds),
            ("write_stall_seconds", self.write_stall_seconds),
            ("observation_seconds", self.observation_seconds),
            ("limits.body_bytes", self.limits.body_bytes),
            ("limits.batch_rows", self.limits.batch_rows as u64),
            ("limits.request_ms", self.limits.request_ms),
        ];
        match positive.into_iter().find(|(_, value)| *value == 0) {
            Some((key, _)) => {
                Err(Error::new(ErrorCode::Config, "must be at least 1").at_key(key).fix("leave it out for the default"))
            }
            None => Ok(()),
        }
    }

    pub(crate) fn header_timeout(&self) -> Duration {
        Duration::from_secs(self.header_seconds)
    }

    pub(crate) fn body_stall(&self) -> Duration {
        Duration::from_secs(self.body_stall_seconds)
    }

    pub(crate) fn write_stall(&self) -> Duration {
        Duration::from_secs(self.write_stall_seconds)
    }

    pub(crate) fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }

    pub(crate) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.limits.request_ms)
    }

    pub(crate) fn observation_period(&self) -> Duration {
        Duration::from_secs(self.observation_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address_of(host: &str) -> Result<SocketAddr> {
        ServeSettings { host: host.to_owned(), ..ServeSettings::default() }.address()
    }

    #[test]
    fn only_loopback_addresses_may_be_bound() {
        for host in ["127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.9"] {
            assert!(address_of(host).unwrap().ip().is_loopback(), "{host}");
        }
        for host in ["0.0.0.0", "::", "192.168.1.4", "[::]", "::ffff:10.0.0.1"] {
            let error = address_of(host).unwrap_err();
            assert_eq!(error.code(), ErrorCode::NotAllowed, "{host}");
            assert!(error.remedy().unwrap().contains("loopback"), "{host}");
        }
        assert_eq!(address_of("example.com").unwrap_err().code(), ErrorCode::Usage);
    }

    #[test]
    fn a_limit_of_zero_is_refused_by_name() {
        let mut settings = ServeSettings::default();
        settings.limits.batch_rows = 0;
        assert_eq!(settings.address().unwrap_err().place().key.as_deref(), Some("limits.batch_rows"));
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(serde_json::from_str::<ServeSettings>(r#"{"prot": 1}"#).is_err());
        assert_eq!(serde_json::from_str::<ServeSettings>("{}").unwrap(), ServeSettings::default());
    }
}
