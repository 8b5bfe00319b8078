//! How files look: a module doc first, a bounded length, names that say something, no leftovers, no paths of
//! one machine. The tree is walked as it lies on disk, without build outputs.

use lepton_tests::workspace_root;
use std::path::{Path, PathBuf};

/// Lines that a source file may have. Fixtures and generated files are data, not source.
const MOST_LINES: usize = 600;

/// Words that say nothing about what a file holds.
const EMPTY_WORDS: [&str; 8] = ["util", "utils", "helper", "helpers", "manager", "common", "misc", "stuff"];

/// Only the binary reads the environment; tests and benchmarks may.
const MAY_READ_ENVIRONMENT: [&str; 3] = ["crates/cli/", "tests/", "bench/"];

/// Foreign crates that a crate names in few places only, by the beginnings of the paths where it may.
const KEPT_TO: [(&str, &str, &[&str]); 4] = [
    ("rusqlite::", "crates/data/src/", &["crates/data/src/remote/database/sqlite.rs", "crates/data/src/sql/"]),
    ("hyper::", "crates/data/src/", &["crates/data/src/remote/"]),
    ("object_store::", "crates/data/src/", &["crates/data/src/remote/object.rs"]),
    ("rustls::", "crates/data/src/", &["crates/data/src/remote/tls.rs"]),
];

#[test]
fn every_source_file_is_tidy() {
    let mut complaints = Vec::new();
    for (path, text) in tree() {
        if path.ends_with(".rs") {
            complaints.extend(check_rust(&path, &text));
        }
        complaints.extend(check_text(&path, &text));
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn each_kind_of_untidiness_is_found() {
    let long = format!("//! Doc.\n{}", "\n".repeat(MOST_LINES));
    let left = concat!("//! Doc.\n// TO", "DO: later\n");
    for (path, text, word) in [
        ("crates/a/src/lib.rs", "use std::fs;\n", "module doc"),
        ("crates/a/src/lib.rs", long.as_str(), "lines"),
        ("crates/a/src/lib.rs", left, "leftover"),
        ("crates/a/src/string_utils.rs", "//! Doc.\n", "says nothing"),
        ("crates/a/src/common/mod.rs", "//! Doc.\n", "says nothing"),
        ("crates/a/src/lib.rs", "//! Doc.\npub struct SessionManager;\n", "says nothing"),
        ("crates/a/src/lib.rs", "//! Doc.\nfn f() { std::env::var(\"X\"); }\n", "environment"),
        ("crates/data/src/scan/csv.rs", "//! Doc.\nuse rusqlite::Connection;\n", "kept to"),
        ("crates/data/src/remote/database/mod.rs", "//! Doc.\nuse rusqlite::Connection;\n", "kept to"),
        ("crates/data/src/collect.rs", "//! Doc.\nuse hyper::Uri;\n", "kept to"),
    ] {
        let complaints = check_rust(path, text);
        assert!(complaints.len() == 1 && complaints[0].contains(word), "{path}: {complaints:?}");
    }
    for (path, text, word) in [
        ("docs/guide.md", concat!("see /ho", "me/ada/model.onnx\n"), "one machine"),
        ("tests/run", concat!("curl https://py", "pi.org/simple\n"), "registry"),
    ] {
        let complaints = check_text(path, text);
        assert!(complaints.len() == 1 && complaints[0].contains(word), "{path}: {complaints:?}");
    }
    let tested = "//! Doc.\n#[cfg(test)]\nmod tests { fn f() { std::env::var(\"X\"); } }\n";
    assert_eq!(check_rust("crates/a/src/lib.rs", tested), Vec::<String>::new());
    assert_eq!(
        check_rust("crates/cli/src/main.rs", "//! Doc.\nfn f() { std::env::var(\"X\"); }\n"),
        Vec::<String>::new()
    );
}

#[test]
fn the_walk_sees_the_whole_tree() {
    let paths: Vec<String> = tree().into_iter().map(|(path, _)| path).collect();
    for path in ["README.md", "crates/core/src/lib.rs", "tests/tests/tidy/source.rs", "tests/run", ".ci/run"] {
        assert!(paths.iter().any(|seen| seen == path), "{path} was not seen");
    }
    assert!(!paths.iter().any(|path| path.starts_with("target/")));
}

fn check_rust(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut complain = |line: usize, what: String| complaints.push(format!("{path}:{line}: {what}"));
    if !text.starts_with("//! ") {
        complain(1, "a file starts with its module doc: two to six lines of //! that say what lives here".to_owned());
    }
    let lines = text.lines().count();
    if lines > MOST_LINES && !path.contains("/fixtures/") && !path.contains("/generated/") {
        complain(lines, format!("{lines} lines where {MOST_LINES} are allowed: split the file by subject"));
    }
    let stems = path.trim_end_matches(".rs").split('/').flat_map(|part| part.split('_'));
    for word in stems.filter(|word| EMPTY_WORDS.contains(word)) {
        complain(1, format!("the name \"{word}\" says nothing: name what the file holds"));
    }
    let product = text.split("#[cfg(test)]").next().unwrap_or(text);
    let reads_environment =
        MAY_READ_ENVIRONMENT.iter().any(|prefix| path.starts_with(prefix)) || path.contains("/tests/");
    for (index, line) in text.lines().enumerate() {
        if ["TODO", "FIXME", "XXX", "HACK"].iter().any(|mark| has_word(line, mark)) {
            complain(index + 1, "a leftover mark: do it, or write an issue".to_owned());
        }
        for keyword in ["struct ", "enum ", "trait ", "mod "] {
            let Some(name) =
                line.split_once(keyword).filter(|(before, _)| is_declaration(before)).map(|(_, rest)| rest)
            else {
                continue;
            };
            let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if let Some(word) = words(&name).into_iter().find(|word| EMPTY_WORDS.contains(&word.as_str())) {
                complain(index + 1, format!("the name \"{name}\" says nothing ({word}): name what it holds"));
            }
        }
    }
    for (index, line) in product.lines().enumerate() {
        for (name, crate_folder, places) in KEPT_TO {
            if line.contains(name)
                && path.starts_with(crate_folder)
                && !places.iter().any(|place| path.starts_with(place))
            {
                complain(index + 1, format!("{name} is kept to {}", places.join(", ")));
            }
        }
        if line.contains("env::var") && !reads_environment {
            complain(index + 1, "only the binary reads the environment; take the value as an argument".to_owned());
        }
    }
    complaints
}

fn check_text(path: &str, text: &str) -> Vec<String> {
    // Written in two pieces each, so that this file does not find itself.
    let machine = [
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
        concat!("/ro", "ot/"),
        concat!("/wo", "rk/"),
        concat!("C:", "\\Users"),
    ];
    let registries =
        [concat!("crates", ".io"), concat!("py", "pi."), concat!("npm", "js."), concat!("python", "hosted")];
    let mut complaints = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(prefix) = machine.iter().find(|prefix| line.contains(**prefix)) {
            complaints.push(format!("{path}:{}: a path of one machine ({prefix})", index + 1));
        }
        if let Some(host) = registries.iter().find(|host| line.contains(**host)) {
            complaints.push(format!(
                "{path}:{}: the host of a package registry ({host}): name the package client",
                index + 1
            ));
        }
    }
    complaints
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let outside = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '"');
        outside(line[..at].chars().next_back()) && outside(line[at + word.len()..].chars().next())
    })
}

/// Whether what stands before a keyword makes it a declaration (`pub(crate) struct`) and not prose.
fn is_declaration(before: &str) -> bool {
    let before = before.trim();
    before.is_empty() || before == "pub" || (before.starts_with("pub(") && before.ends_with(')'))
}

/// `HttpManager` or `http_manager` as `["http", "manager"]`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for letter in name.chars() {
        if letter == '_' || letter.is_uppercase() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut()
            && letter != '_'
        {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Every text file of the tree with its path relative to the root, `/` between parts.
fn tree() -> Vec<(String, String)> {
    let root = workspace_root();
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the tree can be read").flatten() {
            let path = entry.path();
            if path.is_symlink() || is_output(&root, &path) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                let relative = path.strip_prefix(&root).expect("inside the root").to_string_lossy().replace('\\', "/");
                files.push((relative, text));
            }
        }
    }
    files.sort();
    files
}

/// What git ignores, and Cargo.lock, which names the registry because Cargo writes it so.
fn is_output(root: &Path, path: &Path) -> bool {
    let outputs: [PathBuf; 6] =
        ["target", ".git", "bench/.env", "tests/.env", "Cargo.lock", "lepton-run.log"].map(|name| root.join(name));
    outputs.iter().any(|output| output == path)
        || path.file_name().is_some_and(|name| name == "__pycache__" || name == "node_modules")
}
