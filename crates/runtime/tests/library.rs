//! Libraries that are not a usable ONNX Runtime: each is reported with a reason, none panics. A process of its
//! own, because the first good library that a process loads stays.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use lepton_runtime::{EngineInfo, Engines};
use std::path::{Path, PathBuf};
use std::process::Command;

fn info(path: &Path) -> EngineInfo {
    let engines = Engines::discover(Path::new("/nowhere"), Some(path));
    assert_eq!(engines.get(None).unwrap().name(), "rten", "an unnamed engine is still there");
    assert!(engines.get(Some("onnxruntime")).is_err());
    engines.list().into_iter().find(|info| info.name == "onnxruntime").unwrap()
}

/// A shared library that claims to be ONNX Runtime of some version.
fn pretender(folder: &Path, version: &str) -> PathBuf {
    let source = folder.join("pretender.rs");
    let text = format!(
        r#"
        #[repr(C)] pub struct Base {{ api: extern "C" fn(u32) -> *const u8, version: extern "C" fn() -> *const u8 }}
        extern "C" fn api(_: u32) -> *const u8 {{ std::ptr::null() }}
        extern "C" fn version() -> *const u8 {{ b"{version}\0".as_ptr() }}
        static BASE: Base = Base {{ api, version }};
        #[unsafe(no_mangle)] pub extern "C" fn OrtGetApiBase() -> *const Base {{ &BASE }}
        "#
    );
    std::fs::write(&source, text).unwrap();
    let library = folder.join(format!("libonnxruntime.so.{version}"));
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let built = Command::new(rustc)
        .args(["--edition", "2024", "--crate-type", "cdylib", "-o"])
        .arg(&library)
        .arg(&source)
        .output()
        .expect("rustc is there where tests are built");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    library
}

#[test]
fn broken_libraries_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("libonnxruntime.so");
    std::fs::write(&text, "not a library").unwrap();
    let cases = [
        (folder.path().join("missing.so"), "cannot open the library"),
        (folder.path().to_path_buf(), "not a file"),
        (text, "cannot be loaded as a shared library"),
        (pretender(folder.path(), "1.10.0"), "ONNX Runtime 1.10.0, but 1.22 or later is needed"),
        (pretender(folder.path(), "2.0.0"), "ONNX Runtime 2.0.0"),
        (pretender(folder.path(), "soon"), "ONNX Runtime soon"),
        (pretender(folder.path(), "1.99.0"), "refuses its interface number"),
    ];
    for (path, reason) in cases {
        let info = info(&path);
        assert!(!info.available && info.version.is_none());
        assert!(info.reason.contains(reason), "{}", info.reason);
        assert!(info.reason.contains(&path.display().to_string()), "{}", info.reason);
    }
}

#[test]
fn the_engines_folder_is_searched_and_a_bad_library_there_is_told() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("onnxruntime")).unwrap();
    let library = home.path().join("onnxruntime/libonnxruntime.so.1.32.0");
    std::fs::write(&library, "half a download").unwrap();
    let engines = Engines::discover(home.path(), None);
    let info = engines.list().into_iter().find(|info| info.name == "onnxruntime").unwrap();
    // A library of the system may be found after it.
    assert!(info.available || info.reason.contains(&library.display().to_string()), "{}", info.reason);
}
