//! Looks at a shared library before anyone trusts it: is it ONNX Runtime or OpenVINO, and is it new enough?
//!
//! `ort` panics on a library that lacks what it needs, and `openvino` keeps the first library that it is handed for as long
//! as the process lives, so nothing is handed to them that did not pass here. Which library to look at is decided in
//! `discovery`.

use lepton_core::{Error, ErrorCode, Result};
use openvino_sys::{ov_core_t, ov_status_e, ov_version_t};
use std::ffi::{CStr, c_char};
use std::path::Path;

/// The C interface that this build speaks: ONNX Runtime 1.`ONNXRUNTIME_API` and later have it.
pub const ONNXRUNTIME_API: u32 = ort::MINOR_VERSION;

/// The first OpenVINO that numbers element types as the crate `openvino` does.
const OPENVINO_FROM: (u32, u32) = (2025, 1);

/// What `openvino` calls between reading a model and its answer, beside what [`probe_openvino`] calls itself.
const OPENVINO_FUNCTIONS: [&str; 20] = [
    "ov_compiled_model_create_infer_request",
    "ov_compiled_model_free",
    "ov_core_compile_model",
    "ov_core_read_model_from_memory_buffer",
    "ov_core_set_property",
    "ov_get_error_info",
    "ov_get_last_err_msg",
    "ov_infer_request_free",
    "ov_infer_request_get_tensor",
    "ov_infer_request_infer",
    "ov_infer_request_set_tensor",
    "ov_model_free",
    "ov_shape_create",
    "ov_shape_free",
    "ov_tensor_create",
    "ov_tensor_data",
    "ov_tensor_free",
    "ov_tensor_get_byte_size",
    "ov_tensor_get_element_type",
    "ov_tensor_get_shape",
];

/// The version of the ONNX Runtime library at `path`, for example `1.32.0`.
///
/// # Errors
/// [`ErrorCode::NotFound`] for no file, [`ErrorCode::Unsupported`] for a file that cannot be loaded, is not ONNX
/// Runtime or is too old.
#[allow(unsafe_code)]
pub(crate) fn probe(path: &Path) -> Result<String> {
    let refused = |text: String| Error::new(ErrorCode::Unsupported, text).in_file(path);
    let library = load(path)?;
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

/// The version of the OpenVINO library at `path`, its C interface, for example `2026.4.1`: it has every function that this
/// build calls, and finds its plugin for processors.
///
/// # Errors
/// Those of [`probe`], for OpenVINO.
#[allow(unsafe_code)]
pub(crate) fn probe_openvino(path: &Path) -> Result<String> {
    type Create = unsafe extern "C" fn(*mut *mut ov_core_t) -> ov_status_e;
    type Property =
        unsafe extern "C" fn(*const ov_core_t, *const c_char, *const c_char, *mut *mut c_char) -> ov_status_e;
    let refused = |text: String| Error::new(ErrorCode::Unsupported, text).in_file(path);
    let library = load(path)?;
    let lacks = |name: &str| refused(format!("is not a usable OpenVINO: it does not export {name}"));
    macro_rules! function {
        ($name:literal, $type:ty) => {
            // SAFETY: the symbol's type is that of OpenVINO's C header, as openvino-sys declares it.
            unsafe { library.get::<$type>($name.as_bytes()) }.map_err(|_| lacks($name))?
        };
    }
    let version_of = function!("ov_get_openvino_version", unsafe extern "C" fn(*mut ov_version_t) -> ov_status_e);
    let free_version = function!("ov_version_free", unsafe extern "C" fn(*mut ov_version_t));
    let mut told = ov_version_t { buildNumber: std::ptr::null(), description: std::ptr::null() };
    // SAFETY: the function fills the struct that it is handed.
    let status = unsafe { version_of(&raw mut told) };
    if status != ov_status_e::OK || told.buildNumber.is_null() {
        return Err(refused("it does not tell its version".to_owned()));
    }
    // SAFETY: checked for null above; a C string until it is freed.
    let build = unsafe { CStr::from_ptr(told.buildNumber) }.to_string_lossy().into_owned();
    // SAFETY: filled by this library and not used any more.
    unsafe { free_version(&raw mut told) };
    // `2026.4.1-22982-e213a147257-releases/2026/4`: what stands behind the first dash is the build.
    let version = build.split('-').next().unwrap_or_default().to_owned();
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
    let (year, minor) = (numbers.next().flatten(), numbers.next().flatten());
    let (from_year, from_minor) = OPENVINO_FROM;
    if year.zip(minor).is_none_or(|found| found < OPENVINO_FROM) {
        let text = format!("is OpenVINO {version}, but {from_year}.{from_minor} or later is needed");
        return Err(refused(text).fix("`lepton engine install openvino` fetches a fitting one"));
    }
    let create = function!("ov_core_create", Create);
    let free_core = function!("ov_core_free", unsafe extern "C" fn(*mut ov_core_t));
    let property = function!("ov_core_get_property", Property);
    let free_text = function!("ov_free", unsafe extern "C" fn(*const c_char));
    for name in OPENVINO_FUNCTIONS {
        // SAFETY: only whether the symbol is there is asked; it is not called.
        unsafe { library.get::<*const ()>(name.as_bytes()) }.map_err(|_| lacks(name))?;
    }
    let mut core = std::ptr::null_mut();
    // SAFETY: the function gives a core or an error.
    if unsafe { create(&raw mut core) } != ov_status_e::OK || core.is_null() {
        return Err(refused(format!("OpenVINO {version} does not start")));
    }
    let mut text = std::ptr::null_mut();
    // SAFETY: the core is alive, the names are C strings, and a text that is given is freed as the header asks.
    let plugin = unsafe {
        let status = property(core, c"CPU".as_ptr(), c"FULL_DEVICE_NAME".as_ptr(), &raw mut text);
        if !text.is_null() {
            free_text(text);
        }
        free_core(core);
        status
    };
    if plugin != ov_status_e::OK {
        return Err(refused(format!("OpenVINO {version} finds no plugin for processors beside itself")));
    }
    Ok(version)
}

#[allow(unsafe_code)]
fn load(path: &Path) -> Result<&'static libloading::Library> {
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
    Ok(Box::leak(Box::new(library)))
}
