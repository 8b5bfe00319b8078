//! A run that downloads: with permission only, once, and never from an address inside.

use super::{nothing_is_left, project, run};
use lepton_core::Digest;
use lepton_tests::{Lepton, setting};
use serde_json::json;
use std::process::{Child, Command, Stdio};

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_run_downloads_once_and_with_permission_only() {
    let folder = tempfile::tempdir().unwrap();
    let table: String =
        (0..200).map(|row| format!("{},{}\n", row, if row % 2 == 0 { "even" } else { "odd" })).collect();
    let table = format!("size,label\n{table}");
    std::fs::write(folder.path().join("sold.csv"), &table).unwrap();
    let port = lepton_tests::free_port();
    let mut command = Command::new(setting("LEPTON_TEST_PYTHON"));
    command.args(["-m", "http.server", &port.to_string(), "--bind", "127.0.0.1"]).current_dir(folder.path());
    let server = Server(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let url = format!("http://127.0.0.1:{port}/sold.csv");
    let lepton = Lepton::new();
    let project = project(&format!("path = \"{url}\"\nsha256 = \"{}\"", Digest::of(&table)));
    let host = format!("127.0.0.1:{port}");
    let answer = run(&lepton, &project, &[], &[]);
    assert!(answer.code == Some(2) && answer.err.contains("--fetch"), "{answer:?}");
    let answer = run(&lepton, &project, &[], &["--fetch"]);
    assert!(answer.code == Some(2) && answer.err.contains(&format!("--allow-host {host}")), "{answer:?}");
    let other = format!("collect.sha256={}", Digest::of("other"));
    let answer = run(&lepton, &project, &[], &["--fetch", "--allow-host", &host, "--set", &other]);
    assert!(answer.code == Some(1) && answer.err.contains("nothing of it was kept"), "{answer:?}");
    nothing_is_left(&lepton);
    let answer = run(&lepton, &project, &[], &["--fetch", "--allow-host", &host]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let shown = lepton.json(&["data", "show", "sold"]);
    assert_eq!(shown["manifest"]["origin"][0]["kind"], "http");
    assert_eq!(
        shown["manifest"]["source"][0],
        json!({ "path": url, "bytes": table.len(), "sha256": Digest::of(&table) })
    );
    // The bytes are kept under their hash: they are read again without the server and without permission.
    drop(server);
    assert_eq!(run(&lepton, &project, &[], &[]).json()["stages"][0]["cached"], true);
    let again = run(&lepton, &project, &[], &["--from", "collect"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(again.json()["stages"][0]["cached"], false);
}
