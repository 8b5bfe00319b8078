//! Writes a package into a folder that the store handed out: files, model card, `MLmodel`, and the manifest last.

use super::files::check_name;
use super::{MANIFEST, card, check_decoder, mlmodel};
use lepton_core::{Digest, Error, ErrorCode, FileEntry, Manifest, Result};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// Writes `files` with their manifest into the empty folder `dir`.
///
/// `README.md` (the model card) and `MLmodel` are made here from the manifest, and `manifest.files` is filled
/// in. Gives the finished manifest and the SHA-256 of `manifest.json`, which names the package.
///
/// # Errors
/// [`ErrorCode::Usage`] when `manifest.served` is not among the files, a name is not bare or is one that is made
/// here; [`ErrorCode::BadData`] when the decoder does not fit the signature; [`ErrorCode::Io`] when `dir` holds
/// one of the files already, or cannot be written; [`ErrorCode::StorageFull`].
pub fn write_package(
    dir: &Path,
    mut manifest: Manifest,
    mut files: BTreeMap<String, Vec<u8>>,
) -> Result<(Manifest, Digest)> {
    if !manifest.served.ends_with(".onnx") || !files.contains_key(&manifest.served) {
        let text = format!("the served file \"{}\" is not an .onnx file of the package", manifest.served);
        return Err(Error::new(ErrorCode::Usage, text));
    }
    for (name, made) in [("README.md", card::model_card(&manifest)), ("MLmodel", mlmodel::mlmodel(&manifest)?)] {
        if files.insert(name.to_owned(), made.into_bytes()).is_some() {
            return Err(Error::new(ErrorCode::Usage, format!("{name} is written from the manifest")));
        }
    }
    for name in files.keys() {
        check_name(name).map_err(|error| Error::new(ErrorCode::Usage, error.message()))?;
    }
    check_decoder(&manifest)?;
    manifest.files = files
        .iter()
        .map(|(name, bytes)| (name.clone(), FileEntry { bytes: bytes.len() as u64, sha256: Digest::of(bytes) }))
        .collect();
    let mut text = serde_json::to_vec_pretty(&manifest)
        .map_err(|source| Error::internal(format!("the manifest cannot be written: {source}")))?;
    text.push(b'\n');
    for (name, bytes) in &files {
        write_new(&dir.join(name), bytes)?;
    }
    // Last: a folder without a manifest is no package.
    write_new(&dir.join(MANIFEST), &text)?;
    File::open(dir).and_then(|folder| folder.sync_all()).map_err(|source| Error::io("sync", dir, source))?;
    Ok((manifest, Digest::of(&text)))
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| Error::io("write", path, source))
}
