//! Libraries that are not a usable ONNX Runtime or OpenVINO: each is reported with a reason, none panics, none stands in
//! the way of a good one, and none is loaded before its engine is wanted. A process of its own, because the first good
//! library that a process loads stays.
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
    let text = format!(
        r#"
        #[repr(C)] pub struct Base {{ api: extern "C" fn(u32) -> *const u8, version: extern "C" fn() -> *const u8 }}
        extern "C" fn api(_: u32) -> *const u8 {{ std::ptr::null() }}
        extern "C" fn version() -> *const u8 {{ b"{version}\0".as_ptr() }}
        static BASE: Base = Base {{ api, version }};
        #[unsafe(no_mangle)] pub extern "C" fn OrtGetApiBase() -> *const Base {{ &BASE }}
        "#
    );
    build(&text, folder.join(format!("libonnxruntime.so.{version}")))
}

/// A shared library of this source.
fn build(text: &str, library: PathBuf) -> PathBuf {
    let source = library.with_extension("rs");
    std::fs::write(&source, text).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let built = Command::new(rustc)
        .args(["--edition", "2024", "--crate-type", "cdylib", "--crate-name", "pretender", "-o"])
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

#[test]
fn a_library_is_loaded_when_its_engine_is_wanted() {
    let home = tempfile::tempdir().unwrap();
    let traces = ["onnxruntime", "openvino_c"].map(|stem| {
        let folder = home.path().join(stem.trim_end_matches("_c"));
        std::fs::create_dir(&folder).unwrap();
        let trace = home.path().join(format!("{stem}-was-loaded"));
        let text = format!(
            r#"
            extern "C" fn begin() {{ std::fs::write({trace:?}, "").unwrap() }}
            #[used]
            #[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__mod_init_func"))]
            #[cfg_attr(not(target_os = "macos"), unsafe(link_section = ".init_array"))]
            static BEGIN: extern "C" fn() = begin;
            "#
        );
        build(&text, folder.join(format!("lib{stem}.so.9999")));
        trace
    });
    let loaded = || traces.each_ref().map(|trace| trace.exists());
    let engines = Engines::discover(home.path(), None);
    engines.get(Some("rten")).unwrap();
    engines.get(Some("rtem")).err().unwrap();
    assert_eq!(loaded(), [false, false]);
    // A library of the system may be found after the one here.
    engines.get(Some("onnxruntime")).ok();
    engines.get(None).unwrap();
    assert_eq!(loaded(), [true, false]);
    assert_eq!(engines.list().len(), 3);
    assert_eq!(loaded(), [true, true]);
}

#[test]
fn a_broken_openvino_does_not_hide_the_one_behind_it() {
    let good = std::env::var_os("LEPTON_TEST_OPENVINO").expect(
        "set LEPTON_TEST_OPENVINO to the folder of libopenvino_c.so (tests/run does; `pip download openvino` has one)",
    );
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("openvino");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("libopenvino_c.so.9999"), "half a download").unwrap();
    build("#[unsafe(no_mangle)] pub extern \"C\" fn something_else() {}", folder.join("libopenvino_c.so.9998"));
    let old = r#"
        #[repr(C)] pub struct Version { build: *const u8, description: *const u8 }
        #[unsafe(no_mangle)] pub extern "C" fn ov_get_openvino_version(version: &mut Version) -> i32 {
            version.build = b"2024.6.0-1\0".as_ptr();
            0
        }
        #[unsafe(no_mangle)] pub extern "C" fn ov_version_free(_: *mut Version) {}
    "#;
    build(old, folder.join("libopenvino_c.so.9997"));
    let info = |engines: &Engines| engines.list().into_iter().find(|info| info.name == "openvino").unwrap();
    let found = info(&Engines::discover(home.path(), None));
    if !found.available {
        let reasons = ["cannot be loaded", "does not export ov_get_openvino_version", "2024.6.0, but 2025.1 or later"];
        assert!(reasons.iter().all(|reason| found.reason.contains(reason)), "{}", found.reason);
    }
    for entry in std::fs::read_dir(good).unwrap() {
        let entry = entry.unwrap();
        std::os::unix::fs::symlink(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    let found = info(&Engines::discover(home.path(), None));
    assert!(found.available, "{}", found.reason);
    assert!(found.version.is_some_and(|version| version.starts_with("20")));
}
