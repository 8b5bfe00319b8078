//! Under which licences the dependencies come: everything that is compiled for this machine must be usable
//! under a licence of the list. deny.toml says the same for those who have cargo-deny.

use std::collections::BTreeSet;

/// Licences that ask for no more than a notice, and MPL-2.0, which asks for its own files back. CDLA-Permissive-2.0 is
/// for data: Mozilla's list of certificate authorities comes under it.
const ALLOWED: [&str; 12] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Zlib",
];

#[test]
fn every_dependency_comes_under_an_allowed_licence() {
    let complaints: Vec<String> = dependencies()
        .into_iter()
        .filter(|(_, licence)| !is_allowed(licence))
        .map(|(package, licence)| format!("{package}: licence \"{licence}\" is not allowed"))
        .collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn choices_and_sums_of_licences_are_understood() {
    for licence in [
        "MIT",
        "MIT OR GPL-3.0",
        "GPL-3.0/MIT",
        "(MIT OR GPL-3.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception",
        "MIT / Apache-2.0",
    ] {
        assert!(is_allowed(licence), "{licence}");
    }
    for licence in
        ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT AND GPL-3.0) OR AGPL-3.0", "Apache-2.0 WITH other", "MIT OR", "(MIT"]
    {
        assert!(!is_allowed(licence), "{licence}");
    }
}

#[test]
fn deny_toml_has_the_same_list() {
    let text = std::fs::read_to_string(lepton_tests::workspace_root().join("deny.toml")).expect("deny.toml");
    let list = text.split_once("allow = [").and_then(|(_, rest)| rest.split_once(']')).expect("allow = [...]").0;
    let listed: BTreeSet<&str> = list.split('"').skip(1).step_by(2).collect();
    assert_eq!(listed, ALLOWED.into_iter().collect::<BTreeSet<_>>());
}

/// `(name version, licence)` of everything compiled for this machine: product, build scripts and tests.
fn dependencies() -> BTreeSet<(String, String)> {
    let arguments =
        ["tree", "--locked", "--workspace", "--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}|{l}"];
    let rows: BTreeSet<(String, String)> = lepton_tests::cargo(&arguments)
        .lines()
        .filter_map(|line| line.split_once('|'))
        .map(|(package, licence)| (package.to_owned(), licence.trim_end_matches("(*)").trim().to_owned()))
        .filter(|(package, _)| !package.is_empty())
        .collect();
    assert!(rows.len() > 100, "cargo tree named only {} packages", rows.len());
    rows
}

/// Whether an SPDX expression (with the old `/` for OR) can be met with allowed licences.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any_of(&mut rest).unwrap_or(false) && rest.is_empty()
}

fn any_of(words: &mut &[&str]) -> Option<bool> {
    let mut allowed = all_of(words)?;
    while take(words, "OR") {
        allowed |= all_of(words)?;
    }
    Some(allowed)
}

fn all_of(words: &mut &[&str]) -> Option<bool> {
    let mut allowed = one(words)?;
    while take(words, "AND") {
        allowed &= one(words)?;
    }
    Some(allowed)
}

fn one(words: &mut &[&str]) -> Option<bool> {
    if take(words, "(") {
        let allowed = any_of(words)?;
        return take(words, ")").then_some(allowed);
    }
    let (name, rest) = words.split_first()?;
    *words = rest;
    if take(words, "WITH") {
        let (exception, rest) = words.split_first()?;
        *words = rest;
        return Some(ALLOWED.contains(&format!("{name} WITH {exception}").as_str()));
    }
    Some(ALLOWED.contains(name))
}

fn take(words: &mut &[&str], word: &str) -> bool {
    match words.split_first() {
        Some((first, rest)) if *first == word => {
            *words = rest;
            true
        }
        _ => false,
    }
}
