//! Downloads from a server of this machine that behaves well, and from one that does not.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test ends where something is missing")]

use lepton_core::{Cancel, Digest, Error, ErrorCode, Limits, Result, Silent, Split};
use lepton_data::remote::{Access, Staging, stage};
use lepton_data::{CollectSettings, Dataset, collect};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const TABLE: &str = "a,y\n1,p\n2,q\n3,p\n";

/// Answers each request by its path; counts connections.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn new(answer: impl Fn(&str, SocketAddr) -> Vec<u8> + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                if let Some(path) = path_of(&mut stream) {
                    // A client that has gone away is what some of these tests are about.
                    let _ = stream.write_all(&answer(&path, address));
                }
            }
        });
        Server { address, connections }
    }

    /// Serves [`TABLE`] at every path.
    fn table() -> Server {
        Server::new(|_, _| ok(TABLE))
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn path_of(stream: &mut TcpStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(
        head.starts_with("GET /") && head.contains("host: 127.0.0.1:") && !head.contains("authorization"),
        "{head}"
    );
    head.split(' ').nth(1).map(str::to_owned)
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\netag: \"v1\"\r\n\r\n{body}", body.len()).into_bytes()
}

fn redirect(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

fn settings(url: &str) -> CollectSettings {
    CollectSettings {
        path: Some(url.into()),
        sha256: Some(Digest::of(TABLE)),
        target: Some("y".into()),
        ..CollectSettings::default()
    }
}

/// What a run with these settings gives; afterwards nothing half-written may lie in the scratch folder.
fn fetch_with(
    settings: &CollectSettings,
    access: &Access,
    limits: &Limits,
    kept: Option<PathBuf>,
) -> Result<(Dataset, usize)> {
    let (scratch, cancel) = (tempfile::tempdir().unwrap(), Cancel::default());
    let staging =
        Staging { folder: scratch.path(), kept: &|_| kept.clone(), access, limits, progress: &Silent, cancel: &cancel };
    let staged = match stage(settings, scratch.path(), &staging) {
        Ok(staged) => staged.expect("a URL needs staging"),
        Err(error) => {
            let whole = |file: std::fs::DirEntry| {
                let hash = Digest::of(std::fs::read(file.path()).unwrap());
                [settings.sha256, settings.test_sha256].contains(&Some(hash))
            };
            let left = std::fs::read_dir(scratch.path()).unwrap().map(|file| file.unwrap());
            // A mismatch is found when the file is whole; it is never handed on, and goes with the folder.
            assert!(error.code() == ErrorCode::Integrity || left.into_iter().all(whole), "{error}");
            return Err(error);
        }
    };
    let downloads = staged.downloads().count();
    let mut dataset = collect(&staged.settings, scratch.path(), None, limits, &Silent, &cancel)
        .map_err(|error| staged.placed(error))?;
    staged.describe(&mut dataset);
    Ok((dataset, downloads))
}

fn access(server: &Server) -> Access {
    Access { fetch: true, hosts: vec![server.address.to_string()], ..Access::default() }
}

fn fetch(server: &Server, settings: &CollectSettings) -> Result<(Dataset, usize)> {
    fetch_with(settings, &access(server), &Limits::default(), None)
}

fn refused(result: Result<(Dataset, usize)>, code: ErrorCode, says: &str) -> Error {
    let error = result.unwrap_err();
    assert!(error.code() == code && error.to_string().contains(says), "{says}: {error}");
    error
}

#[test]
fn a_download_with_its_hash_is_read_like_a_file() {
    let server = Server::table();
    let url = server.url("data/sold.csv");
    let parts = CollectSettings {
        test: Some(server.url("data/later.csv").into()),
        test_sha256: Some(Digest::of(TABLE)),
        ..settings(&url)
    };
    let (dataset, downloads) = fetch(&server, &parts).unwrap();
    assert_eq!((dataset.rows(Split::Train), dataset.rows(Split::Test), downloads), (3, 3, 2));
    assert_eq!(dataset.name, "sold");
    assert_eq!(dataset.source[0].path.to_str(), Some(url.as_str()));
    assert_eq!((dataset.source[0].bytes, dataset.source[0].sha256), (TABLE.len() as u64, Digest::of(TABLE)));
    // An error inside the file names the URL and not the scratch folder.
    let error = fetch(&server, &CollectSettings { target: Some("z".into()), ..settings(&url) }).unwrap_err();
    assert_eq!(error.place().file.as_ref().and_then(|file| file.to_str()), Some(url.as_str()));
}

#[test]
fn nothing_is_asked_without_permission_and_what_is_kept_is_not_asked_again() {
    let server = Server::table();
    let settings = settings(&server.url("sold.csv"));
    let without = Access { fetch: false, ..access(&server) };
    let error = refused(
        fetch_with(&settings, &without, &Limits::default(), None),
        ErrorCode::NotAllowed,
        "nothing is fetched without permission",
    );
    assert_eq!((error.place().key.as_deref(), error.remedy()), (Some("collect.path"), Some("allow it with --fetch")));
    let kept = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(kept.path(), TABLE).unwrap();
    let from_kept = fetch_with(&settings, &without, &Limits::default(), Some(kept.path().to_path_buf()));
    let (dataset, downloads) = from_kept.unwrap();
    assert_eq!((dataset.rows(Split::Train), downloads, server.connections()), (3, 0, 0));
}

#[test]
fn another_hash_is_refused() {
    let server = Server::table();
    let other = CollectSettings { sha256: Some(Digest::of("other")), ..settings(&server.url("sold.csv")) };
    let error = refused(fetch(&server, &other), ErrorCode::Integrity, &Digest::of(TABLE).hex());
    assert_eq!(error.code().exit_code(), 1);
}

#[test]
fn private_addresses_are_not_asked() {
    let server = Server::table();
    let port = server.address.port();
    let access = Access { fetch: true, ..Access::default() };
    for host in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "0.0.0.0",
    ] {
        let settings = settings(&format!("http://{host}:{port}/sold.csv"));
        let error = fetch_with(&settings, &access, &Limits::default(), None).unwrap_err();
        assert_eq!(error.code(), ErrorCode::NotAllowed, "{host}: {error}");
        assert!(error.remedy().is_some_and(|fix| fix.contains("--allow-host")), "{host}: {error}");
    }
    let metadata = settings("http://169.254.169.254/latest/meta.json");
    refused(fetch_with(&metadata, &access, &Limits::default(), None), ErrorCode::NotAllowed, "169.254.169.254");
    assert_eq!(server.connections(), 0, "somebody was asked");
}

#[test]
fn redirects_are_followed_only_to_where_they_may_go() {
    let inner = Server::table();
    let secret = inner.address;
    let server = Server::new(move |path, own| match path {
        "/hop.csv" => redirect("/sold.csv"),
        "/sold.csv" => ok(TABLE),
        "/loop.csv" => redirect("/loop.csv"),
        "/file.csv" => redirect("file:///etc/passwd"),
        "/ftp.csv" => redirect("ftp://example.org/x.csv"),
        "/user.csv" => redirect(&format!("http://ann:pw@{own}/sold.csv")),
        "/inside.csv" => redirect(&format!("http://{secret}/sold.csv")),
        _ => b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n".to_vec(),
    });
    let at = |path: &str| fetch(&server, &settings(&server.url(path)));
    assert_eq!(at("hop.csv").unwrap().0.rows(Split::Train), 3);
    refused(at("loop.csv"), ErrorCode::Fetch, "more than 5 times");
    refused(at("file.csv"), ErrorCode::NotAllowed, "\"file:\"");
    refused(at("ftp.csv"), ErrorCode::NotAllowed, "\"ftp:\"");
    refused(at("user.csv"), ErrorCode::NotAllowed, "not followed");
    refused(at("inside.csv"), ErrorCode::NotAllowed, "not a public one");
    refused(at("nowhere.csv"), ErrorCode::Fetch, "does not say where to");
    assert_eq!(inner.connections(), 0, "the server behind the redirect was asked");
}

#[test]
fn refusals_and_broken_answers_are_told_apart() {
    let server = Server::new(|path, _| match path {
        "/gone.csv" => b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(),
        "/login.csv" => b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".to_vec(),
        "/broken.csv" => b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n".to_vec(),
        "/part.csv" => b"HTTP/1.1 206 Partial Content\r\ncontent-length: 1\r\n\r\na".to_vec(),
        "/half.csv" => ok(TABLE)[..ok(TABLE).len() - 3].to_vec(),
        "/chunks.csv" => b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\na,y\n1\r\n".to_vec(),
        "/short.csv" => b"HTTP/1.1 200 OK\r\n\r\na,y\n1".to_vec(),
        "/noise.csv" => b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
        _ => Vec::new(),
    });
    for (path, code, says) in [
        ("gone.csv", ErrorCode::NotFound, "404"),
        ("login.csv", ErrorCode::NotAllowed, "401"),
        ("broken.csv", ErrorCode::Fetch, "500"),
        ("part.csv", ErrorCode::Fetch, "206"),
        ("half.csv", ErrorCode::Fetch, "breaks off after 13 of 16 bytes"),
        ("chunks.csv", ErrorCode::Fetch, "breaks off after 5 bytes"),
        ("short.csv", ErrorCode::Integrity, "sha256"),
        ("noise.csv", ErrorCode::Fetch, "cannot be reached"),
        ("silent.csv", ErrorCode::Fetch, "cannot be reached"),
    ] {
        let url = server.url(path);
        let error = refused(fetch(&server, &settings(&url)), code, says);
        assert_eq!(error.place().file.as_ref().and_then(|file| file.to_str()), Some(url.as_str()));
        assert!(error.remedy().is_some() || code == ErrorCode::Fetch, "{error}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let access = Access { fetch: true, hosts: vec!["127.0.0.1".into()], ..Access::default() };
    let nobody = settings(&format!("http://{closed}/x.csv"));
    refused(fetch_with(&nobody, &access, &Limits::default(), None), ErrorCode::Fetch, "cannot be reached");
}

#[test]
fn a_download_past_the_limit_is_refused_before_it_comes_or_as_it_comes() {
    let server = Server::new(|path, _| match path {
        "/declared.csv" => b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\na,y\n".to_vec(),
        _ => [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), b"a,y\n".repeat(1000)].concat(),
    });
    let limits = Limits { download_bytes: 1000, ..Limits::default() };
    for path in ["declared.csv", "streamed.csv"] {
        let result = fetch_with(&settings(&server.url(path)), &access(&server), &limits, None);
        refused(result, ErrorCode::TooLarge, "1000 bytes, the limit download_bytes");
    }
}

#[test]
fn a_download_that_stands_still_ends_when_it_is_asked_to() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let cancel = Cancel::default();
    let stopper = cancel.clone();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        path_of(&mut stream).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\na,y\n").unwrap();
        stopper.cancel();
        // Holds the connection until the other side lets go.
        let _ = stream.read(&mut [0]);
    });
    let scratch = tempfile::tempdir().unwrap();
    let (access, limits) =
        (Access { fetch: true, hosts: vec![address.to_string()], ..Access::default() }, Limits::default());
    let staging = Staging {
        folder: scratch.path(),
        kept: &|_| None,
        access: &access,
        limits: &limits,
        progress: &Silent,
        cancel: &cancel,
    };
    let stopped = stage(&settings(&format!("http://{address}/x.csv")), scratch.path(), &staging);
    assert_eq!(stopped.err().map(|error| error.code()), Some(ErrorCode::Cancelled));
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "something was left");
    thread.join().unwrap();
}
