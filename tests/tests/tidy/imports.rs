//! Who may import whom. One table of allowed edges; `cargo metadata` says which exist. A crate that is not in
//! the table, an edge that is not in it, and a foreign crate outside its owner are refused.

use serde_json::Value;
use std::collections::BTreeMap;

/// What each crate may import, without the `lepton-` prefix. `core` may be imported by all.
const MAY_IMPORT: [(&str, &[&str]); 25] = [
    ("core", &[]),
    ("adapt", &["core"]),
    ("boost", &["core"]),
    ("forecast", &["core"]),
    ("store", &["core"]),
    ("recipe", &["core"]),
    ("sketch", &["core"]),
    ("onnx", &["core"]),
    ("tune", &["core"]),
    ("kernels", &["core"]),
    ("nn", &["core", "kernels", "onnx"]),
    ("data", &["core", "recipe", "sketch"]),
    ("doctor", &["core", "data", "recipe", "sketch"]),
    ("train", &["adapt", "boost", "core", "data", "forecast", "nn", "recipe"]),
    ("runtime", &["core", "onnx", "recipe"]),
    ("optimize", &["core", "onnx", "runtime", "train"]),
    ("monitor", &["core", "sketch"]),
    ("series", &["core", "data", "forecast", "nn", "recipe", "train"]),
    ("tabular", &["core", "data", "nn", "recipe", "train"]),
    ("text", &["core", "data", "nn", "recipe", "train"]),
    ("vision", &["core", "data", "nn", "recipe", "train"]),
    (
        "pipeline",
        &[
            "adapt", "core", "data", "doctor", "forecast", "monitor", "nn", "onnx", "optimize", "recipe", "runtime",
            "series", "sketch", "store", "tabular", "text", "train", "tune", "vision",
        ],
    ),
    ("server", &["core", "monitor", "pipeline", "recipe", "runtime", "store"]),
    ("cli", &["core", "data", "doctor", "kernels", "monitor", "pipeline", "runtime", "server", "store"]),
    ("tests", &["core", "data", "nn", "pipeline", "recipe", "runtime", "train"]),
];

/// What a crate's own tests may import besides: to build inputs that the product gets from elsewhere.
const TESTS_MAY_IMPORT: [(&str, &[&str]); 1] = [("server", &["onnx"])];

/// Foreign crates that one crate alone may name: the invariants of ARCHITECTURE.md.
const OWNED: [(&str, &[&str]); 15] = [
    ("rusqlite", &["data", "store"]),
    ("mysql_async", &["data"]),
    ("object_store", &["data"]),
    ("rustls", &["data"]),
    ("tokenizers", &["recipe"]),
    ("tokio-postgres", &["data"]),
    ("burn", &["nn"]),
    ("prost", &["onnx"]),
    ("openvino", &["runtime"]),
    ("ort", &["runtime"]),
    ("rten", &["runtime"]),
    ("axum", &["server"]),
    ("hyper", &["data", "server"]),
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
    let product = |from, to| (from, to, false);
    for (edge, words) in [
        (product("nn", "lepton-data"), "nn may not import data"),
        (product("vision", "lepton-tabular"), "vision may not import tabular"),
        (product("core", "lepton-core-extra"), "core may not import core-extra"),
        (product("voice", "lepton-core"), "voice is not in the table"),
        (product("cli", "rusqlite"), "cli may not name rusqlite"),
        (product("train", "burn"), "train may not name burn"),
        (product("server", "lepton-onnx"), "server may not import onnx"),
        (("store", "lepton-onnx", true), "store may not import onnx"),
    ] {
        let complaints = check(&[Edge::new(edge.0, edge.1, edge.2)]);
        assert!(complaints.len() == 1 && complaints[0].contains(words), "{words}: {complaints:?}");
    }
    let good =
        [("nn", "lepton-onnx", false), ("nn", "burn", false), ("nn", "serde", false), ("server", "lepton-onnx", true)];
    assert_eq!(check(&good.map(|edge| Edge::new(edge.0, edge.1, edge.2))), Vec::<String>::new());
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

/// One crate names another.
struct Edge {
    from: String,
    to: String,
    /// Whether only its tests do.
    tests_only: bool,
}

impl Edge {
    fn new(from: &str, to: &str, tests_only: bool) -> Edge {
        Edge { from: from.to_owned(), to: to.to_owned(), tests_only }
    }
}

/// Direct dependencies of every workspace crate, of every kind.
fn edges(metadata: &Value) -> Vec<Edge> {
    let mut edges = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let from = short(package["name"].as_str().expect("a name"));
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let to = dependency["name"].as_str().expect("a name");
            edges.push(Edge::new(from, to, dependency["kind"].as_str() == Some("dev")));
        }
    }
    assert!(edges.len() > MAY_IMPORT.len(), "cargo metadata names only {} edges", edges.len());
    edges
}

fn check(edges: &[Edge]) -> Vec<String> {
    let mut complaints = Vec::new();
    for Edge { from, to, tests_only } in edges {
        let row = |table: &[(&str, &'static [&'static str])]| table.iter().find(|row| row.0 == from).map(|row| row.1);
        let Some(allowed) = row(&MAY_IMPORT) else {
            complaints.push(format!("{from} is not in the table: add a row, and a paragraph in ARCHITECTURE.md"));
            continue;
        };
        let besides = if *tests_only { row(&TESTS_MAY_IMPORT).unwrap_or_default() } else { &[] };
        if let Some(inner) = to.strip_prefix("lepton-") {
            if !allowed.contains(&inner) && !besides.contains(&inner) {
                complaints.push(format!("{from} may not import {inner}; it may import {allowed:?}"));
            }
        } else if let Some((_, owners)) = OWNED.iter().find(|row| row.0 == to)
            && !owners.contains(&from.as_str())
        {
            complaints.push(format!("{from} may not name {to}: that belongs to {owners:?}"));
        }
    }
    complaints
}

/// The crate's name in the table: `lepton-core` is `core`, and the binary `lepton` is `cli`.
fn short(name: &str) -> &str {
    if name == "lepton" { "cli" } else { name.strip_prefix("lepton-").unwrap_or(name) }
}
