//! Which inference engines this machine has, which of them runs a model fastest, and getting one more.

use crate::model::open_package;
use lepton_core::{Cancel, EngineChoice, Error, ErrorCode, Limits, ModelRef, NamedTensors, Progress, Result, nearest};
use lepton_optimize::{Loaded, OptimizeSettings, fastest_engine};
use lepton_runtime::{Engine, Engines, SessionOptions, zeros};
use lepton_store::Store;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file name under which the store keeps an installed onnxruntime.
const ONNXRUNTIME_LIBRARY: &str = if cfg!(target_os = "macos") {
    "libonnxruntime.dylib"
} else if cfg!(target_os = "windows") {
    "onnxruntime.dll"
} else {
    "libonnxruntime.so"
};

/// The engines of this machine. `onnxruntime` names a library to prefer over the installed one.
pub fn engines(store: &Store, onnxruntime: Option<&Path>) -> Engines {
    Engines::discover(&store.engines_dir(), onnxruntime)
}

/// What a free side of an input is taken as where no data says more: steps of a series, words of a text.
const FREE_SIDE: usize = 32;

/// A model on the engine that runs it fastest.
pub(crate) struct Picked {
    pub(crate) choice: EngineChoice,
    pub(crate) loaded: Loaded,
}

/// Loads a model on each of some engines, of which the first is preferred, and keeps the fastest. Engines that cannot load
/// it are named in the reason.
///
/// # Errors
/// What the first engine says where none loads it; those of the sessions.
pub(crate) fn pick(
    engines: &[Arc<dyn Engine>],
    onnx: &[u8],
    options: &SessionOptions,
    repeats: usize,
    (one, eight): (&NamedTensors, &NamedTensors),
) -> Result<Picked> {
    let processor = crate::environment(0, "").processor;
    let (mut loaded, mut refusals) = (Vec::new(), Vec::new());
    for engine in engines {
        match engine.load(onnx, options) {
            Ok(session) => loaded.push(Loaded { engine: Arc::clone(engine), session }),
            Err(error) => refusals.push(error),
        }
    }
    if loaded.is_empty() {
        return Err(refusals.into_iter().next().unwrap_or_else(|| Error::internal("no engine was asked for")));
    }
    let mut choice = fastest_engine(repeats, &loaded, one, eight, &processor)?;
    for refusal in refusals {
        choice.reason = format!("{}; {}", choice.reason, refusal.headline());
    }
    let place = loaded.iter().position(|one| one.engine.name() == choice.engine);
    let loaded = loaded.swap_remove(place.ok_or_else(|| Error::internal("an engine was lost"))?);
    Ok(Picked { choice, loaded })
}

/// Times a model on every engine of this machine, on zeros; free sides other than the batch are taken as 32.
///
/// # Errors
/// Those of [`open_package`] and of the engines; [`ErrorCode::Unsupported`] for a model whose batch is not free;
/// [`ErrorCode::TooLarge`] for one whose inputs have more elements than `limits.tensor_elements` at eight rows.
pub fn measure_engines(
    store: &Store,
    model: &ModelRef,
    onnxruntime: Option<&Path>,
    limits: &Limits,
) -> Result<EngineChoice> {
    let (_, _, package) = open_package(store, model, limits)?;
    let inputs = &package.manifest.signature.inputs;
    if inputs.iter().any(|spec| spec.shape.first() != Some(&-1)) {
        let message = "only a model whose inputs have a free first side can be timed at one row and at eight";
        return Err(Error::new(ErrorCode::Unsupported, message));
    }
    let rows = |count: usize| zeros(inputs, count, FREE_SIDE, limits);
    let found: Vec<_> = engines(store, onnxruntime).available().collect();
    let repeats = OptimizeSettings::default().repeats;
    let (one, eight) = (rows(1)?, rows(8)?);
    let picked = pick(&found, &package.served_bytes()?, &SessionOptions::default(), repeats, (&one, &eight))?;
    Ok(picked.choice)
}

/// The engines that [`install_engine`] knows.
const INSTALLABLE: [&str; 2] = ["onnxruntime", "openvino"];

/// Downloads an engine through the package client and keeps its libraries in the store. Gives the one that is loaded.
///
/// # Errors
/// [`ErrorCode::Usage`] for an engine that cannot be installed, [`ErrorCode::Fetch`] when the client or the
/// download fails, [`ErrorCode::Unsupported`] for a library that does not load here.
pub fn install_engine(store: &Store, engine: &str, progress: &dyn Progress, cancel: &Cancel) -> Result<PathBuf> {
    let scratch = store.scratch()?;
    let keep = |library: &Path, name: &str| {
        let mut file = File::open(library).map_err(|source| Error::io("read the library", library, source))?;
        store.install_engine(engine, name, &mut file)
    };
    match engine {
        "onnxruntime" => {
            let library = lepton_runtime::install::onnxruntime(scratch.path(), progress, cancel)?;
            keep(&library, ONNXRUNTIME_LIBRARY)
        }
        "openvino" => {
            let mut kept = None;
            // The last one is the one that is looked for: it appears when all others lie beside it.
            for library in lepton_runtime::install::openvino(scratch.path(), progress, cancel)? {
                let name = library.file_name().and_then(|name| name.to_str());
                kept = Some(keep(&library, name.ok_or_else(|| Error::internal("a library without a name"))?)?);
            }
            Engines::discover(&store.engines_dir(), None).get(Some(engine))?;
            kept.ok_or_else(|| Error::internal("a wheel without libraries was unpacked"))
        }
        _ => {
            let error = Error::new(ErrorCode::Usage, format!("there is no engine \"{engine}\" to install"));
            Err(match nearest(engine, INSTALLABLE) {
                Some(near) => error.fix(format!("did you mean \"{near}\"?")),
                None => error.fix(format!("to install are: {}; rten is built in", INSTALLABLE.join(", "))),
            })
        }
    }
}
