//! From `[collect]` to rows: the files of a catalogue dataset from the blob store, sources that lie elsewhere by way of a
//! scratch folder, files of this machine as they are.

use super::collect::{allow_fetch, catalogue_state, fetch_dataset, files_of};
use lepton_core::{Cancel, Digest, Limits, Progress, Result};
use lepton_data::remote::{self, Access, Origin, Staging};
use lepton_data::{CollectSettings, Dataset, catalogue};
use lepton_store::Store;
use std::path::{Path, PathBuf};

/// The dataset that `[collect]` names, and where its parts came from if not from files of this machine.
///
/// # Errors
/// Those of [`lepton_data::collect`] and [`remote::stage`]; [`lepton_core::ErrorCode::NotAllowed`] where something must
/// be fetched without permission.
pub(crate) fn gather(
    store: &Store,
    collect: &CollectSettings,
    limits: &Limits,
    folder: &Path,
    access: &Access,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(Dataset, Vec<Origin>)> {
    let entry = collect.dataset.as_deref().map(catalogue::find).transpose()?;
    let files = match entry {
        Some(entry) => {
            if !catalogue_state(store, entry)? {
                allow_fetch(entry, access.fetch)?;
                fetch_dataset(store, entry, limits, progress, cancel)?;
            }
            Some(files_of(store, entry)?)
        }
        None => None,
    };
    let scratch = store.scratch()?;
    let kept = |digest: &Digest| -> Option<PathBuf> {
        // Read once, so that a damaged blob is fetched again and not taken for data.
        store.blobs().verify(digest).ok().and_then(|()| store.blobs().path(digest))
    };
    let staging = Staging { folder: scratch.path(), kept: &kept, access, limits, progress, cancel };
    let Some(staged) = remote::stage(collect, folder, &staging)? else {
        let dataset = lepton_data::collect(collect, folder, files.as_ref(), limits, progress, cancel)?;
        return Ok((dataset, Vec::new()));
    };
    for file in staged.downloads() {
        store.blobs().put_file(file)?;
    }
    let collected = lepton_data::collect(&staged.settings, folder, None, limits, progress, cancel);
    let mut dataset = collected.map_err(|error| staged.placed(error))?;
    staged.describe(&mut dataset);
    Ok((dataset, staged.origins))
}
