//! From what a person typed for MODEL to a model that answers.

use crate::engine::engines;
use lepton_core::{Digest, Error, ErrorCode, Limits, ModelName, ModelRef, Result};
use lepton_monitor::Reference;
use lepton_runtime::{Model, Package, SessionOptions};
use lepton_store::Store;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file of a package that holds the sketches of its training data.
pub(crate) const REFERENCE: &str = "reference.json";

/// A model that is ready to answer.
pub struct LoadedModel {
    /// Its name.
    pub name: String,
    /// Its version; 1 for a package or file that is not registered.
    pub version: u64,
    /// Runs it.
    pub model: Arc<Model>,
    /// Why another engine runs it than the package names, where that is so; a person should read it.
    pub engine_note: Option<String>,
    /// Sketches of its training data, where the package has them.
    pub reference: Option<Arc<Reference>>,
}

/// Opens and verifies a package without loading an engine. Gives name and version too.
///
/// # Errors
/// [`ErrorCode::NotFound`] for an unknown model, [`ErrorCode::Integrity`] for a changed file.
pub fn open_package(store: &Store, model: &ModelRef, limits: &Limits) -> Result<(String, u64, Package)> {
    match model {
        ModelRef::Registered { name, version } => {
            let record = store.model(name, *version)?;
            let package = Package::open(&record.dir, limits)?;
            let manifest = std::fs::read(record.dir.join("manifest.json"))
                .map_err(|source| Error::io("read the manifest", record.dir.join("manifest.json"), source))?;
            let found = Digest::of(manifest);
            if found != record.manifest {
                return Err(Error::new(
                    ErrorCode::Integrity,
                    format!("sha256 is {found}, and {} was registered", record.manifest),
                )
                .in_file(record.dir.join("manifest.json"))
                .fix("the package was changed after it was registered: run the project again"));
            }
            Ok((record.name.to_string(), record.version, package))
        }
        ModelRef::Path(path) if path.is_dir() => {
            let package = Package::open(path, limits)?;
            Ok((package.manifest.name.clone(), 1, package))
        }
        ModelRef::Path(path) => {
            let package = Package::from_onnx(path, limits)?;
            Ok((package.manifest.name.clone(), 1, package))
        }
    }
}

/// Loads a model on an engine; `None` takes the one that its package was measured fastest on, and the best of this machine
/// where that one is not here.
///
/// # Errors
/// Those of [`open_package`] and of the engine.
pub fn load_model(
    store: &Store,
    model: &ModelRef,
    engine: Option<&str>,
    onnxruntime: Option<&Path>,
    limits: &Limits,
) -> Result<LoadedModel> {
    let (name, version, package) = open_package(store, model, limits)?;
    let reference = match package.manifest.files.contains_key(REFERENCE) {
        true => Some(Arc::new(Reference::from_json(&package.read_listed(REFERENCE)?)?)),
        false => None,
    };
    let found = engines(store, onnxruntime);
    let chosen = package.manifest.engine.as_ref().map(|choice| choice.engine.as_str()).filter(|_| engine.is_none());
    let (engine, engine_note) = match chosen.map(|chosen| (chosen, found.get(Some(chosen)))) {
        None => (found.get(engine)?, None),
        Some((_, Ok(chosen))) => (chosen, None),
        Some((chosen, Err(_))) => {
            let other = found.get(None)?;
            let note = format!(
                "{name} was fastest on {chosen} where it was made; {chosen} is not available here, so {} runs it \
                 (`lepton engine list` says why)",
                other.name()
            );
            (other, Some(note))
        }
    };
    let model = Model::load(package, &*engine, &SessionOptions::default(), limits)?;
    Ok(LoadedModel { name, version, model: Arc::new(model), engine_note, reference })
}

/// [`load_model`] by name and version.
pub(crate) fn load_registered(
    store: &Store,
    name: &ModelName,
    version: Option<u64>,
    engine: Option<&str>,
    onnxruntime: Option<&Path>,
    limits: &Limits,
) -> Result<LoadedModel> {
    load_model(store, &ModelRef::Registered { name: name.clone(), version }, engine, onnxruntime, limits)
}

/// Copies a verified package to `target`, which must not exist yet; whole or not at all.
///
/// # Errors
/// [`ErrorCode::Usage`] when `target` exists; those of [`open_package`].
pub fn export(store: &Store, model: &ModelRef, target: &Path, limits: &Limits) -> Result<PathBuf> {
    let (_, _, package) = open_package(store, model, limits)?;
    if target.exists() {
        return Err(Error::new(ErrorCode::Usage, "there is something at that place already")
            .in_file(target)
            .fix("name a folder that does not exist yet"));
    }
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(|source| Error::io("make the folder", parent, source))?;
    let staged = parent.join(format!(".lepton-export-{}", std::process::id()));
    let copied = copy_folder(&package.dir, &staged).and_then(|()| {
        std::fs::rename(&staged, target).map_err(|source| Error::io("place the export", target, source))
    });
    if let Err(error) = copied {
        // The half copy is ours alone; a failure to remove it must not hide why the copy failed.
        let _removed = std::fs::remove_dir_all(&staged);
        return Err(error);
    }
    Ok(target.to_path_buf())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir(to).map_err(|source| Error::io("make the folder", to, source))?;
    let entries = std::fs::read_dir(from).map_err(|source| Error::io("list the package", from, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| Error::io("list the package", from, source))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let bytes = std::fs::read(&source).map_err(|error| Error::io("read", &source, error))?;
        std::fs::write(&target, bytes).map_err(|error| Error::io("write", &target, error))?;
    }
    Ok(())
}
