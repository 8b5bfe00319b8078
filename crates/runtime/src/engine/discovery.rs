//! Which engines this process has, and why: the built-in one, and ONNX Runtime and OpenVINO where their libraries are
//! found.
//!
//! The search order of ONNX Runtime is: the path that was handed in (and then nothing else: what a person names is used or
//! refused, never replaced), the engines folder of the data folder, the system's library folders. That of OpenVINO is the
//! same, without a path that is handed in. A library runs code as it is loaded and takes tens of megabytes, so each engine
//! is looked for when it is asked for, and then once.

use super::onnxruntime::OnnxRuntime;
use super::openvino::OpenVino;
use super::{Engine, RtenEngine};
use lepton_core::{Error, ErrorCode, Result, nearest};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

/// One line of `lepton engine list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EngineInfo {
    /// The engine's name.
    pub name: String,
    /// The version of its library; `None` when it was not loaded.
    pub version: Option<String>,
    /// Whether it can be used.
    pub available: bool,
    /// Whether it is what an unnamed engine means.
    pub default: bool,
    /// Why it is available, or why not, in a sentence.
    pub reason: String,
    /// The shared library; `None` for a built-in engine.
    pub library: Option<PathBuf>,
}

/// The engines of this process.
#[derive(Clone)]
pub struct Engines {
    /// The preferred one first.
    engines: [Arc<Known>; 3],
}

/// An engine that this build knows.
struct Known {
    name: &'static str,
    found: LazyLock<Found, Box<dyn FnOnce() -> Found + Send>>,
}

/// What looking for an engine gave.
struct Found {
    engine: Option<Arc<dyn Engine>>,
    reason: String,
    library: Option<PathBuf>,
}

const SYSTEM_FOLDERS: [&str; 8] = [
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/opt/onnxruntime/lib",
    "/opt/homebrew/lib",
];

impl Engines {
    /// Where to look for engines; nothing is loaded yet. `engines_dir` is the data folder's `engines`; `ort_dylib` is a path
    /// that a person named for ONNX Runtime. Never fails: what is wrong stands in [`EngineInfo::reason`].
    pub fn discover(engines_dir: &Path, ort_dylib: Option<&Path>) -> Engines {
        let (folder, named) = (engines_dir.to_path_buf(), ort_dylib.map(Path::to_path_buf));
        let ort = Known::new("onnxruntime", move || onnxruntime(&folder, named.as_deref()));
        let folder = engines_dir.to_path_buf();
        let openvino = Known::new("openvino", move || openvino(&folder));
        let rten = Known::new("rten", || Found {
            engine: Some(Arc::new(RtenEngine)),
            reason: "built in".to_owned(),
            library: None,
        });
        Engines { engines: [ort, openvino, rten].map(Arc::new) }
    }

    /// Every engine that this build knows, the preferred one first. Loads each library that is found.
    pub fn list(&self) -> Vec<EngineInfo> {
        let default = self.default().name;
        self.engines.iter().map(|known| known.info(known.name == default)).collect()
    }

    /// The engines that can be used, the preferred one first.
    pub fn available(&self) -> impl Iterator<Item = Arc<dyn Engine>> + '_ {
        self.engines.iter().filter_map(|known| known.found.engine.clone())
    }

    /// The engine of that name; `None` is `onnxruntime` when it was found, else `rten`. Loads no library of another one.
    ///
    /// # Errors
    /// [`ErrorCode::Unsupported`] for a name that no engine has, [`ErrorCode::NotFound`] for a known engine that
    /// is not available, with the reason.
    pub fn get(&self, name: Option<&str>) -> Result<Arc<dyn Engine>> {
        let Some(name) = name else { return self.default().get() };
        match self.engines.iter().find(|known| known.name == name) {
            Some(known) => known.get(),
            None => {
                let error = Error::new(ErrorCode::Unsupported, format!("there is no engine \"{name}\""));
                let names = self.engines.iter().map(|known| known.name);
                Err(match nearest(name, names.clone()) {
                    Some(near) => error.fix(format!("did you mean \"{near}\"?")),
                    None => error.fix(format!("the engines are: {}", names.collect::<Vec<_>>().join(", "))),
                })
            }
        }
    }

    fn default(&self) -> &Known {
        let [ort, _, rten] = &self.engines;
        if ort.found.engine.is_some() { ort } else { rten }
    }
}

impl Known {
    fn new(name: &'static str, find: impl FnOnce() -> Found + Send + 'static) -> Known {
        Known { name, found: LazyLock::new(Box::new(find)) }
    }

    fn get(&self) -> Result<Arc<dyn Engine>> {
        self.found.engine.clone().ok_or_else(|| {
            let text = format!("the engine {} is not available: {}", self.name, self.found.reason);
            let remedy = format!("`lepton engine install {}` fetches it; the engine rten is built in", self.name);
            Error::new(ErrorCode::NotFound, text).fix(remedy)
        })
    }

    fn info(&self, default: bool) -> EngineInfo {
        let Found { engine, reason, library } = &*self.found;
        EngineInfo {
            name: self.name.to_owned(),
            version: engine.as_ref().map(|engine| engine.version()),
            available: engine.is_some(),
            default,
            reason: reason.clone(),
            library: library.clone(),
        }
    }
}

fn onnxruntime(engines_dir: &Path, named: Option<&Path>) -> Found {
    let folder = engines_dir.join("onnxruntime");
    let candidates = match named {
        Some(path) => vec![(path.to_path_buf(), "the path that was given")],
        None => search(&folder, is_library),
    };
    first_that_loads(&folder, candidates, |path| {
        let engine = OnnxRuntime::open(path)?;
        Ok((engine.library().to_path_buf(), Arc::new(engine)))
    })
}

fn openvino(engines_dir: &Path) -> Found {
    let folder = engines_dir.join("openvino");
    first_that_loads(&folder, search(&folder, is_openvino_library), |path| {
        let engine = OpenVino::open(path)?;
        Ok((engine.library().to_path_buf(), Arc::new(engine)))
    })
}

/// The first library that `open` takes, with the place that it was loaded from; else why each was refused.
fn first_that_loads(
    folder: &Path,
    candidates: Vec<(PathBuf, &'static str)>,
    open: impl Fn(&Path) -> Result<(PathBuf, Arc<dyn Engine>)>,
) -> Found {
    let mut refusals = Vec::new();
    for (path, origin) in &candidates {
        match open(path) {
            Ok((library, engine)) => {
                return Found { engine: Some(engine), reason: format!("found in {origin}"), library: Some(library) };
            }
            Err(error) => refusals.push(error.headline()),
        }
    }
    let reason = if refusals.is_empty() {
        format!("no library in {} or the system's library folders", folder.display())
    } else {
        refusals.join("; ")
    };
    Found { engine: None, reason, library: candidates.into_iter().next().map(|(path, _)| path) }
}

/// Libraries of the engines folder, then of the system; in each folder the newest version first.
fn search(own: &Path, is_library: fn(&str) -> bool) -> Vec<(PathBuf, &'static str)> {
    let found =
        |folder: &Path, origin: &'static str| libraries(folder, is_library).into_iter().map(move |path| (path, origin));
    let system = SYSTEM_FOLDERS.iter().flat_map(|folder| found(Path::new(folder), "the system's library folders"));
    found(own, "the engines folder").chain(system).collect()
}

fn libraries(folder: &Path, is_library: fn(&str) -> bool) -> Vec<PathBuf> {
    // A folder that is not there or not readable has no libraries; the reason lists where we looked.
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<_> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_library(name))
        .map(|name| (version_of(&name), folder.join(name)))
        .collect();
    found.sort_by(|left, right| right.cmp(left));
    found.into_iter().map(|(_, path)| path).collect()
}

/// `libonnxruntime.so`, `libonnxruntime.so.1.32.0`, `libonnxruntime.1.32.0.dylib`, `onnxruntime.dll`.
pub(crate) fn is_library(name: &str) -> bool {
    is_library_of("onnxruntime", name)
}

/// The C interface: `libopenvino_c.so`, `libopenvino_c.so.2641`, `libopenvino_c.2641.dylib`, `openvino_c.dll`.
pub(crate) fn is_openvino_library(name: &str) -> bool {
    is_library_of("openvino_c", name)
}

fn is_library_of(stem: &str, name: &str) -> bool {
    let unix = name.strip_prefix("lib").and_then(|name| name.strip_prefix(stem)).is_some_and(|ending| {
        ending == ".so"
            || ending.strip_prefix(".so.").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            || (ending.starts_with('.') && ending.ends_with(".dylib"))
    });
    unix || name.strip_prefix(stem) == Some(".dll")
}

fn version_of(name: &str) -> Vec<u32> {
    name.split('.').filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_library_of_a_folder_comes_first_and_plugins_are_not_libraries() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("onnxruntime");
        std::fs::create_dir(&folder).unwrap();
        for name in [
            "libonnxruntime.so.1.9.0",
            "libonnxruntime.so.1.32.0",
            "libonnxruntime_providers_shared.so",
            "libonnxruntime.so.sha256",
            "notes.txt",
        ] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        let names: Vec<_> = libraries(&folder, is_library)
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["libonnxruntime.so.1.32.0", "libonnxruntime.so.1.9.0"]);
    }

    #[test]
    fn an_engine_that_nobody_has_is_named_with_the_nearest_one() {
        let engines = Engines::discover(Path::new("/nowhere"), Some(Path::new("/nowhere/libonnxruntime.so")));
        let error = engines.get(Some("rtem")).err().unwrap();
        assert_eq!(error.remedy(), Some("did you mean \"rten\"?"));
        let error = engines.get(Some("onnxruntime")).err().unwrap();
        assert_eq!(error.code(), ErrorCode::NotFound);
        assert!(error.message().contains("/nowhere/libonnxruntime.so"), "{error}");
        assert_eq!(engines.get(None).unwrap().name(), "rten");
    }
}
