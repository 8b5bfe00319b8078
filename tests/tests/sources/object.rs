//! Objects of servers that speak the protocols of S3 and of Azure Blob Storage.

use super::{nothing_is_left, project, run};
use lepton_core::Digest;
use lepton_tests::{Azurite, Lepton, Moto};
use serde_json::json;

#[test]
fn objects_of_s3() {
    let table: String =
        (0..200).map(|row| format!("{},{}\n", row, if row % 2 == 0 { "even" } else { "odd" })).collect();
    let table = format!("size,label\n{table}");
    let packed = format!("{table}0,\"broken\n");
    let server = Moto::start(&[("data/sold items.csv", table.as_bytes()), ("bad.csv", packed.as_bytes())]);
    let endpoint = server.endpoint();
    let keys = [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "aSecretThatNobodyMaySee"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
    ];
    let url = "s3://shop/data/sold%20items.csv";
    let lepton = Lepton::new();
    let project = project(&format!("path = \"{url}\""));
    for (variables, more, code, says) in [
        (&keys[..], &[][..], 2, "--fetch"),
        (&keys[1..], &["--fetch"][..], 2, "AWS_ACCESS_KEY_ID"),
        (&keys[..], &["--fetch", "--set", "collect.path=s3://shop/absent.csv"][..], 2, "s3://shop/absent.csv"),
        (&keys[..], &["--fetch", "--set", "collect.path=s3://nobody/absent.csv"][..], 2, "s3://nobody/absent.csv"),
        (&keys[..], &["--fetch", "--set", "collect.path=s3://shop/bad.csv"][..], 2, "s3://shop/bad.csv"),
        (&keys[..], &["--fetch", "--set", "limits.download_bytes=100"][..], 2, "the limit download_bytes"),
        (&keys[..3], &["--fetch", "--set", "collect.path=s3://shop/x"][..], 2, "set `format`"),
    ] {
        let answer = run(&lepton, &project, variables, more);
        assert!(answer.code == Some(code) && answer.err.contains(says), "{says}: {answer:?}");
        assert!(!answer.err.contains("panicked"), "{answer:?}");
    }
    let wrong = format!("collect.sha256={}", Digest::of("other"));
    let answer = run(&lepton, &project, &keys, &["--fetch", "--set", &wrong]);
    assert!(answer.code == Some(1) && answer.err.contains("sha256"), "{answer:?}");
    nothing_is_left(&lepton);
    // An endpoint where nobody is.
    let nowhere = format!("http://127.0.0.1:{}", lepton_tests::free_port());
    let away = [keys[0], keys[1], keys[2], ("AWS_ENDPOINT_URL", nowhere.as_str())];
    let answer = run(&lepton, &project, &away, &["--fetch"]);
    assert!(answer.code == Some(3) && answer.err.contains("cannot be reached"), "{answer:?}");

    let done = run(&lepton, &project, &keys, &["--fetch"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let shown = lepton.json(&["data", "show", "sold items"]);
    let (source, origin) = (&shown["manifest"]["source"][0], &shown["manifest"]["origin"][0]);
    assert_eq!(source, &json!({ "path": url, "bytes": table.len(), "sha256": Digest::of(&table) }));
    assert_eq!((&origin["kind"], &origin["bytes"]), (&json!("s3"), &json!(table.len())));
    assert!(origin["etag"].as_str().is_some_and(|etag| etag.len() > 30), "{origin}");
    assert_eq!(run(&lepton, &project, &[], &[]).json()["stages"][0]["cached"], true, "the snapshot stands");
    super::never_stored(lepton.home(), "aSecretThatNobodyMaySee");
}

#[test]
fn a_pattern_means_all_objects_of_a_folder_that_fit() {
    let rows = |from: usize| -> String {
        let row = |row: usize| format!("{row},{}\n", if row.is_multiple_of(2) { "even" } else { "odd" });
        format!("size,label\n{}", (from..from + 100).map(row).collect::<String>())
    };
    let (one, two) = (rows(0), rows(100));
    let server = Moto::start(&[
        ("daily/part-2.csv", two.as_bytes()),
        ("daily/part-1.csv", one.as_bytes()),
        ("daily/part-1.txt", b"no table"),
        ("daily/old/part-0.csv", b"not,read\n1,2\n"),
        ("other/part-1.csv", one.as_bytes()),
        ("other/part-2.csv", b"size,label,more\n1,even,x\n"),
    ]);
    let endpoint = server.endpoint();
    let keys = [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
    ];
    let lepton = Lepton::new();
    let project = project("path = \"s3://shop/daily/part-*.csv\"");
    let done = run(&lepton, &project, &keys, &["--fetch"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let shown = lepton.json(&["data", "show", "part"]);
    let source = |place: usize, name: &str, text: &str| {
        let expected =
            json!({ "path": format!("s3://shop/daily/{name}"), "bytes": text.len(), "sha256": Digest::of(text) });
        assert_eq!(shown["manifest"]["source"][place], expected, "{shown}");
        assert_eq!(shown["manifest"]["origin"][place]["location"], expected["path"]);
    };
    source(0, "part-1.csv", &one);
    source(1, "part-2.csv", &two);
    assert_eq!(shown["manifest"]["parts"]["train"]["rows"], 200, "{shown}");
    let other = Lepton::new();
    for (path, code, says) in [
        ("s3://shop/daily/part-*.parquet", 2, "no object fits"),
        ("s3://shop/other/part-*.csv", 2, "s3://shop/other/part-2.csv"),
        ("s3://shop/nowhere/*.csv", 2, "no object fits"),
    ] {
        let answer = run(&other, &project, &keys, &["--fetch", "--set", &format!("collect.path={path}")]);
        assert!(answer.code == Some(code) && answer.err.contains(says), "{path}: {answer:?}");
    }
    let limited = run(&other, &project, &keys, &["--fetch", "--set", "limits.download_bytes=1500"]);
    assert!(limited.code == Some(2) && limited.err.contains("the limit download_bytes"), "{limited:?}");
    nothing_is_left(&other);
}

#[test]
fn blobs_of_azure() {
    let rows = |label: &str| format!("size,label\n{}", format!("1,{label}\n2,{label}\n").repeat(50));
    let (even, odd) = (rows("even"), rows("odd"));
    let server = Azurite::start(&[("daily/a 1.csv", even.as_bytes()), ("daily/b.csv", odd.as_bytes())]);
    let endpoint = server.endpoint();
    let keys = [
        ("AZURE_STORAGE_ACCOUNT_NAME", "ann"),
        ("AZURE_STORAGE_ACCOUNT_KEY", Azurite::key()),
        ("AZURE_STORAGE_ENDPOINT", endpoint.as_str()),
    ];
    let (lepton, project) = (Lepton::new(), project("path = \"az://shop/daily/*.csv\""));
    let wrong = [keys[0], ("AZURE_STORAGE_ACCOUNT_KEY", "bm90IHRoZSBrZXk="), keys[2]];
    for (variables, path, says) in [
        (&keys[..1], "az://shop/daily/b.csv", "AZURE_STORAGE_ACCOUNT_KEY"),
        (&wrong[..], "az://shop/daily/b.csv", "see whether the keys in the environment are right"),
        (&keys[..], "az://shop/daily/c.csv", "az://shop/daily/c.csv"),
    ] {
        let answer = run(&lepton, &project, variables, &["--fetch", "--set", &format!("collect.path={path}")]);
        assert!(answer.code == Some(2) && answer.err.contains(says), "{says}: {answer:?}");
    }
    nothing_is_left(&lepton);
    let done = run(&lepton, &project, &keys, &["--fetch"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let shown = lepton.json(&["data", "show", "data"]);
    assert_eq!(shown["manifest"]["source"][0]["path"], "az://shop/daily/a%201.csv", "{shown}");
    assert_eq!(shown["manifest"]["source"][1]["sha256"], Digest::of(&odd).to_string());
    assert_eq!(shown["manifest"]["origin"][0]["kind"], "az");
    super::never_stored(lepton.home(), Azurite::key());
}
