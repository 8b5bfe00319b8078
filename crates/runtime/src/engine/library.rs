//! Looks at a shared library before anyone trusts it: is it ONNX Runtime, and is it new enough?
//!
//! `ort` panics on a library that lacks what it needs, so nothing is handed to it that did not pass
//! [`probe`]. Which library to look at is decided in `discovery`.

use lepton_core::{Error, ErrorCode, Result};
use std::ffi::CStr;
use std::path::Path;

/// The C interface that this build speaks: ONNX Runtime 1.`ONNXRUNTIME_API` and later have it.
pub const ONNXRUNTIME_API: u32 = ort::MINOR_VERSION;

/// The version of the ONNX Runtime library at `path`, for example `1.32.0`.
///
/// # Errors
/// [`ErrorCode::NotFound`] for no file, [`ErrorCode::Unsupported`] for a file that cannot be loaded, is not ONNX
/// Runtime or is too old.
#[allow(unsafe_code)]
pub(crate) fn probe(path: &Path) -> Result<String> {
    let refused = |text: String| Error::new(ErrorCode::Unsupported, text).in_file(path);
    let metadata = std::fs::metadata(path).map_err(|source| Error::io("open the library", path, source))?;
    if !metadata.is_file() {
        return Err(refused("not a file".to_owned()));
    }
    // SAFETY: loading runs the library's initialisers. The path comes from the user, from our engines folder or
    // from the system's library folders: code that the user installed.
    let library = unsafe { libloading::Library::new(path) }
        .map_err(|source| refused(format!("cannot be loaded as a shared library: {source}")))?;
    // It stays loaded: unloading a library that may have started threads is not safe.
    let library: &'static libloading::Library = Box::leak(Box::new(library));
    // SAFETY: the symbol's type is fixed by ONNX Runtime's C header since its first release.
    let base = unsafe { library.get::<unsafe extern "C" fn() -> *const ort::sys::OrtApiBase>(b"OrtGetApiBase") }
        .map_err(|_| refused("is not ONNX Runtime: it does not export OrtGetApiBase".to_owned()))?;
    // SAFETY: the function takes nothing and gives a pointer to a static table, or null.
    let Some(base) = (unsafe { base().as_ref() }) else {
        return Err(refused("OrtGetApiBase gave nothing".to_owned()));
    };
    // SAFETY: the table's two functions are always set; the version is a static C string.
    let version = unsafe { (base.GetVersionString)() };
    if version.is_null() {
        return Err(refused("it does not tell its version".to_owned()));
    }
    // SAFETY: checked for null above; see there.
    let version = unsafe { CStr::from_ptr(version.cast()) }.to_string_lossy().into_owned();
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
    let (major, minor) = (numbers.next().flatten(), numbers.next().flatten());
    if major != Some(1) || minor.is_none_or(|minor| minor < ONNXRUNTIME_API) {
        return Err(refused(format!("is ONNX Runtime {version}, but 1.{ONNXRUNTIME_API} or later is needed"))
            .fix("`lepton engine install onnxruntime` fetches a fitting one"));
    }
    // SAFETY: as above; an unknown version number gives null.
    if unsafe { (base.GetApi)(ONNXRUNTIME_API) }.is_null() {
        return Err(refused(format!("ONNX Runtime {version} refuses its interface number {ONNXRUNTIME_API}")));
    }
    Ok(version)
}
