//! Who may import whom. One table of allowed edges; `cargo metadata` says which exist. A crate that is not in
//! the table, an edge that is not in it, and a foreign crate outside its owner are refused.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What each crate may import, without the `lepton-` prefix. `core` may be imported by all.
const MAY_IMPORT: [(&str, &[&str]); 17] = [
    ("core", &[]),
    ("store", &["core"]),
    ("recipe", &["core"]),
    ("sketch", &["core"]),
    ("onnx", &["core"]),
    ("nn", &["core", "onnx"]),
    ("data", &["core", "recipe", "sketch"]),
    ("train", &["core", "data", "nn", "recipe"]),
    ("runtime", &["core", "onnx", "recipe"]),
    ("optimize", &["core", "onnx", "runtime", "train"]),
    ("monitor", &["core", "sketch"]),
    ("tabular", &["core", "data", "nn", "recipe", "train"]),
    ("vision", &["core", "data", "nn", "recipe", "train"]),
    (
        "pipeline",
        &[
            "core", "data", "monitor", "nn", "onnx", "optimize", "recipe", "runtime", "sketch", "store", "tabular",
            "train", "vision",
        ],
    ),
    ("server", &["core", "monitor", "pipeline", "recipe", "runtime", "store"]),
    ("cli", &["core", "pipeline", "runtime", "server", "store"]),
    ("tests", &["core", "data", "pipeline", "recipe"]),
];

/// Foreign crates that one crate alone may name: the invariants of ARCHITECTURE.md.
const OWNED: [(&str, &[&str]); 9] = [
    ("rusqlite", &["store"]),
    ("burn", &["nn"]),
    ("prost", &["onnx"]),
    ("ort", &["runtime"]),
    ("rten", &["runtime"]),
    ("axum", &["server"]),
    ("hyper", &["server"]),
    ("maud", &["pipeline"]),
    ("clap", &["cli"]),
];

#[test]
fn every_edge_is_allowed() {
    let complaints = check(&edges(&lepton_tests::cargo_metadata()));
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn a_bad_edge_a_new_crate_and_a_stolen_dependency_are_refused() {
    let edge = |from: &str, to: &[&str]| (from.to_owned(), to.iter().map(|name| (*name).to_owned()).collect());
    for (edges, words) in [
        (vec![edge("nn", &["lepton-core", "lepton-data"])], "nn may not import data"),
        (vec![edge("vision", &["lepton-tabular"])], "vision may not import tabular"),
        (vec![edge("core", &["lepton-core-extra"])], "core may not import core-extra"),
        (vec![edge("voice", &["lepton-core"])], "voice is not in the table"),
        (vec![edge("cli", &["lepton-core", "rusqlite"])], "cli may not name rusqlite"),
        (vec![edge("train", &["burn"])], "train may not name burn"),
    ] {
        let complaints = check(&edges.into_iter().collect());
        assert!(complaints.len() == 1 && complaints[0].contains(words), "{words}: {complaints:?}");
    }
    assert!(check(&[edge("nn", &["lepton-core", "lepton-onnx", "burn", "serde"])].into_iter().collect()).is_empty());
}

#[test]
fn the_table_has_no_cycle() {
    let table: BTreeMap<&str, &[&str]> = MAY_IMPORT.into_iter().collect();
    for (index, (name, imports)) in MAY_IMPORT.iter().enumerate() {
        for import in *imports {
            assert!(table.contains_key(import), "{name} may import {import}, which is not in the table");
            let position = MAY_IMPORT.iter().position(|row| row.0 == *import).expect("in the table");
            assert!(position < index, "{import} must stand above {name} in the table");
        }
    }
}

/// Direct dependencies of every workspace crate, of every kind, by the crate's short name.
fn edges(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let members: BTreeSet<&str> =
        metadata["workspace_members"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let packages = metadata["packages"].as_array().expect("packages").iter();
    packages
        .filter(|package| package["id"].as_str().is_some_and(|id| members.contains(id)))
        .map(|package| {
            let names = package["dependencies"].as_array().into_iter().flatten().filter_map(|row| row["name"].as_str());
            (short(package["name"].as_str().expect("a name")).to_owned(), names.map(str::to_owned).collect())
        })
        .collect()
}

fn check(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, imports) in edges {
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|row| row.0 == name) else {
            complaints.push(format!("{name} is not in the table: add a row, and a paragraph in ARCHITECTURE.md"));
            continue;
        };
        for import in imports {
            if let Some(inner) = import.strip_prefix("lepton-") {
                if !allowed.contains(&inner) {
                    complaints.push(format!("{name} may not import {inner}; it may import {allowed:?}"));
                }
            } else if let Some((_, owners)) = OWNED.iter().find(|row| row.0 == import)
                && !owners.contains(&name.as_str())
            {
                complaints.push(format!("{name} may not name {import}: that belongs to {owners:?}"));
            }
        }
    }
    complaints
}

/// The crate's name in the table: `lepton-core` is `core`, and the binary `lepton` is `cli`.
fn short(name: &str) -> &str {
    if name == "lepton" { "cli" } else { name.strip_prefix("lepton-").unwrap_or(name) }
}
