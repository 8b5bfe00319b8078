//! Which inference engines this machine has, and getting one more.

use lepton_core::{Cancel, Error, Progress, Result};
use lepton_runtime::Engines;
use lepton_store::Store;
use std::fs::File;
use std::path::{Path, PathBuf};

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

/// Downloads onnxruntime through the package client and keeps its library in the store.
///
/// # Errors
/// [`lepton_core::ErrorCode::Fetch`] when the client or the download fails.
pub fn install_onnxruntime(store: &Store, progress: &dyn Progress, cancel: &Cancel) -> Result<PathBuf> {
    let scratch = store.scratch()?;
    let library = lepton_runtime::install::onnxruntime(scratch.path(), progress, cancel)?;
    let mut file = File::open(&library).map_err(|source| Error::io("read the library", &library, source))?;
    store.install_engine("onnxruntime", ONNXRUNTIME_LIBRARY, &mut file)
}
