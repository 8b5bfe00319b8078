//! Keeps other web pages away from a server on the same machine: the `Host` header must name it (DNS rebinding),
//! and a request that changes or computes something must not come from another origin.

use crate::refusal::Refusal;
use hyper::header::{HOST, HeaderMap, ORIGIN};
use hyper::{Method, Uri, Version};
use std::net::IpAddr;

/// The names under which this server may be spoken to.
#[derive(Debug)]
pub(crate) struct Guard {
    names: Vec<String>,
}

impl Guard {
    /// Localhost in its spellings, the bound address, and what the settings add.
    pub(crate) fn new(bound: IpAddr, allowed: &[String]) -> Guard {
        let bound = match bound {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let mut names: Vec<String> = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).to_vec();
        names.push(bound);
        names.extend(allowed.iter().map(|name| name.to_ascii_lowercase()));
        Guard { names }
    }

    /// Refuses a request that does not name this server, or that a page of another origin sent.
    pub(crate) fn check(
        &self,
        method: &Method,
        uri: &Uri,
        version: Version,
        headers: &HeaderMap,
    ) -> Result<(), Refusal> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().map_err(|_| Refusal::new(400, "the Host header is not ASCII"))?,
            // Only HTTP/1.0 may leave it out, and no browser speaks that.
            (None, _) if version == Version::HTTP_10 => return self.check_origin(method, headers, None),
            (None, _) => return Err(Refusal::new(400, "the Host header is missing")),
            (Some(_), Some(_)) => return Err(Refusal::new(400, "there are two Host headers")),
        };
        if !self.allows(host) || uri.authority().is_some_and(|authority| !self.allows(authority.as_str())) {
            return Err(Refusal::new(
                403,
                "the Host header does not name this server; behind a proxy, list the name in allowed_hosts",
            ));
        }
        self.check_origin(method, headers, Some(host))
    }

    fn check_origin(&self, method: &Method, headers: &HeaderMap, host: Option<&str>) -> Result<(), Refusal> {
        if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
            return Ok(());
        }
        for origin in headers.get_all(ORIGIN) {
            let authority = origin
                .to_str()
                .ok()
                .and_then(|origin| origin.split_once("://"))
                .and_then(|(scheme, rest)| matches!(scheme, "http" | "https").then_some(rest));
            if !authority.zip(host).is_some_and(|(from, to)| from.eq_ignore_ascii_case(to)) {
                return Err(Refusal::new(403, "the request comes from a page of another origin"));
            }
        }
        Ok(())
    }

    fn allows(&self, authority: &str) -> bool {
        let name = match authority.find(']') {
            Some(end) if authority.starts_with('[') => &authority[..=end],
            _ => authority.rsplit_once(':').map_or(authority, |(name, _)| name),
        };
        let name = name.to_ascii_lowercase();
        let port = &authority[name.len()..];
        let port_is_fine = port.is_empty()
            || (port.len() > 1 && port.starts_with(':') && port[1..].bytes().all(|b| b.is_ascii_digit()));
        port_is_fine && self.names.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn guard() -> Guard {
        Guard::new("127.0.0.1".parse().unwrap(), &["Models.Example".to_owned()])
    }

    fn status(method: Method, pairs: &[(&'static str, &str)]) -> Option<u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        guard().check(&method, &Uri::from_static("/v2"), Version::HTTP_11, &headers).err().map(|refusal| refusal.status)
    }

    #[test]
    fn only_names_of_this_server_pass() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080", "[::1]", "models.example"] {
            assert_eq!(status(Method::GET, &[("host", host)]), None, "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "localhost:80@evil.example",
            "127.0.0.1.evil",
            "localhost:",
            "localhost:8o",
            "",
            "[::1",
            "[::1].evil",
            "::1",
            "2130706433",
            "0.0.0.0",
        ] {
            assert_eq!(status(Method::GET, &[("host", host)]), Some(403), "{host}");
        }
        assert_eq!(status(Method::GET, &[]), Some(400));
        assert_eq!(status(Method::GET, &[("host", "localhost"), ("host", "evil.example")]), Some(400));
    }

    #[test]
    fn an_absolute_target_must_name_this_server_too() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("localhost"));
        let check = |uri| guard().check(&Method::GET, &Uri::from_static(uri), Version::HTTP_11, &headers);
        assert!(check("http://localhost:8080/v2").is_ok());
        assert_eq!(check("http://evil.example/v2").unwrap_err().status, 403);
    }

    #[test]
    fn another_origin_may_not_post() {
        let host = ("host", "localhost:8080");
        for origin in ["http://localhost:8080", "https://LOCALHOST:8080"] {
            assert_eq!(status(Method::POST, &[host, ("origin", origin)]), None, "{origin}");
        }
        for origin in
            ["http://evil.example", "null", "http://localhost:3000", "file://localhost:8080", "localhost:8080", ""]
        {
            assert_eq!(status(Method::POST, &[host, ("origin", origin)]), Some(403), "{origin}");
            assert_eq!(status(Method::DELETE, &[host, ("origin", origin)]), Some(403), "{origin}");
            assert_eq!(status(Method::GET, &[host, ("origin", origin)]), None, "{origin}");
        }
    }
}
