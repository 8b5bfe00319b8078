//! Files and folders that appear whole or not at all, in places that the user names.

use lepton_core::{Digest, Error, ErrorCode, Result};
use std::io::{BufWriter, Write};
use std::path::Path;

/// The old file stays: its bytes are what undo gives back.
pub(crate) fn refuse_same(file: &Path, to: &Path) -> Result<()> {
    match (file.canonicalize(), to.canonicalize()) {
        (Ok(from), Ok(to)) if from == to => Err(Error::new(ErrorCode::Usage, "the new file would replace the old one")
            .in_file(to)
            .fix("name another file with --to")),
        _ => Ok(()),
    }
}

/// Temporary file, fsync, rename, fsync of the folder.
pub(crate) fn place(to: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<Digest> {
    place_then(to, fill, |_| Ok(()))
}

/// As [`place`]; `known` is told the hash before the file is there.
pub(super) fn place_then(
    to: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<()>,
    known: impl FnOnce(&Digest) -> Result<()>,
) -> Result<Digest> {
    let failed = |source| Error::io("write the new file", to, source);
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    let mut writer = BufWriter::with_capacity(1 << 20, file.as_file_mut());
    fill(&mut writer)?;
    writer.flush().map_err(failed)?;
    drop(writer);
    file.as_file().sync_all().map_err(failed)?;
    let sha256 = lepton_data::hash_file(file.path())?.sha256;
    known(&sha256)?;
    file.persist(to).map_err(|error| failed(error.error))?;
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(sha256)
}

/// A folder that `fill` writes into; it gets its name when everything in it is on the disk.
pub(super) fn place_folder<T>(to: &Path, fill: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let failed = |source| Error::io("write the new folder", to, source);
    if to.symlink_metadata().is_ok() {
        return Err(Error::new(ErrorCode::Usage, "this is there already, and nothing is written over it")
            .in_file(to)
            .fix("name another folder with --to"));
    }
    let above = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let scratch = tempfile::Builder::new().prefix(".lepton-").tempdir_in(above).map_err(failed)?;
    // A folder inside, so that it has the permissions of any new folder.
    let folder = scratch.path().join("new");
    std::fs::create_dir(&folder).map_err(failed)?;
    let made = fill(&folder)?;
    let sync = |folder: &Path| std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    sync(&folder).map_err(failed)?;
    std::fs::rename(&folder, to).map_err(failed)?;
    sync(above).map_err(failed)?;
    Ok(made)
}

/// A new folder inside of the one that it is made from would change it.
pub(super) fn refuse_inside(from: &Path, to: &Path) -> Result<()> {
    let above = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (from.canonicalize(), above.canonicalize()) {
        (Ok(from), Ok(above)) if above.starts_with(&from) => {
            Err(Error::new(ErrorCode::Usage, format!("the new folder would lie inside of {}", from.display()))
                .in_file(to)
                .fix("name a folder beside it with --to"))
        }
        _ => Ok(()),
    }
}
