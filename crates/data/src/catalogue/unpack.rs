//! Taking named members out of a downloaded package, with their size and hashes checked on the way. Nothing else
//! in the archive is written. An archive that is built to do harm is refused as a whole: members outside of its folder,
//! links and devices, too many members, or far more bytes than it has when packed.

use super::{Client, Download, FetchedFile, File};
use lepton_core::{Digest, Error, ErrorCode, Hasher, Limits, Result};
use md5::Digest as _;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The bits of a Unix mode that tell what a member is, and the value of a link.
const MODE_OF_KIND: u32 = 0o170_000;
const MODE_OF_LINK: u32 = 0o120_000;

/// Bytes that even a small archive may have when it is unpacked: a tar is padded to blocks of 10 kB.
const FREE: u64 = 1 << 20;

/// Writes the entry's members from the one archive in `package` into `output`, each under its role's name.
pub(super) fn unpack(entry: &Download, package: &Path, output: &Path, limits: &Limits) -> Result<Vec<FetchedFile>> {
    let archive = archive_in(entry, package)?;
    let packed = fs::metadata(&archive).map_err(|source| Error::io("look at the package", &archive, source))?.len();
    let reader = fs::File::open(&archive).map_err(|source| Error::io("open the package", &archive, source))?;
    let caps = Caps::new(packed, limits);
    let mut found: Vec<Option<FetchedFile>> = vec![None; entry.files.len()];
    let unpacked = match entry.client {
        Client::Npm => from_tar(entry, reader, &caps, output, &mut found),
        Client::Pip => from_zip(entry, reader, &caps, output, &mut found),
    };
    unpacked.map_err(|error| match error.code() {
        ErrorCode::Integrity | ErrorCode::TooLarge => error.in_file(file_name(&archive)),
        _ => error,
    })?;
    let missing = |file: &File| corrupt(entry, format!("the package has no {}", file.path_in_package));
    entry.files.iter().zip(found).map(|(file, found)| found.ok_or_else(|| missing(file))).collect()
}

fn from_tar(
    entry: &Download,
    reader: fs::File,
    caps: &Caps,
    output: &Path,
    found: &mut [Option<FetchedFile>],
) -> Result<()> {
    let broken = |source: io::Error| match source.get_ref().and_then(|inner| inner.downcast_ref::<Exceeded>()) {
        Some(exceeded) => exceeded.error(entry),
        None => corrupt(entry, format!("the package cannot be unpacked: {source}")),
    };
    let unpacked = Counted { inner: flate2::read::GzDecoder::new(reader), read: 0, caps };
    let mut tar = tar::Archive::new(unpacked);
    for (index, member) in tar.entries().map_err(broken)?.enumerate() {
        let mut member = member.map_err(broken)?;
        caps.check_members(index as u64 + 1).map_err(|exceeded| exceeded.error(entry))?;
        let path = String::from_utf8_lossy(&member.path_bytes()).into_owned();
        let kind = member.header().entry_type();
        if kind.is_pax_global_extensions() {
            continue;
        }
        if !kind.is_file() && !kind.is_dir() {
            return Err(corrupt(entry, format!("its member \"{path}\" is neither a file nor a folder")));
        }
        check_path(entry, &path)?;
        if let Some(place) = entry.files.iter().position(|file| file.path_in_package == path)
            && kind.is_file()
        {
            let file = &entry.files[place];
            if found[place].is_some() {
                return Err(corrupt(entry, format!("the package has {path} twice")));
            }
            found[place] = Some(write_member(entry, file, &mut member, output)?);
        }
    }
    Ok(())
}

fn from_zip(
    entry: &Download,
    reader: fs::File,
    caps: &Caps,
    output: &Path,
    found: &mut [Option<FetchedFile>],
) -> Result<()> {
    let broken = |source: zip::result::ZipError| corrupt(entry, format!("the package cannot be unpacked: {source}"));
    let mut zip = zip::ZipArchive::new(reader).map_err(broken)?;
    caps.check_members(zip.len() as u64).map_err(|exceeded| exceeded.error(entry))?;
    let mut unpacked = 0_u64;
    for index in 0..zip.len() {
        let member = zip.by_index_raw(index).map_err(broken)?;
        let path = member.name().map_err(broken)?.into_owned();
        if member.unix_mode().is_some_and(|mode| mode & MODE_OF_KIND == MODE_OF_LINK) {
            return Err(corrupt(entry, format!("its member \"{path}\" is neither a file nor a folder")));
        }
        check_path(entry, &path)?;
        // What a member says of its size is held to when it is read: no more is taken than the catalogue expects.
        unpacked = unpacked.saturating_add(member.size());
        caps.check_bytes(unpacked).map_err(|exceeded| exceeded.error(entry))?;
    }
    for (place, file) in entry.files.iter().enumerate() {
        if zip.index_for_name(file.path_in_package).is_some() {
            let mut member = zip.by_name(file.path_in_package).map_err(broken)?;
            found[place] = Some(write_member(entry, file, &mut member, output)?);
        }
    }
    Ok(())
}

/// A member must lie in the archive's own folder, on every system.
fn check_path(entry: &Download, path: &str) -> Result<()> {
    let escapes = path.starts_with(['/', '\\'])
        || path.contains(['\0', '\\'])
        || path.as_bytes().get(1) == Some(&b':')
        || path.split('/').any(|part| part == "..");
    if !escapes {
        return Ok(());
    }
    Err(corrupt(entry, format!("its member {path:?} would lie outside of its folder")))
}

/// How much an archive may hold.
struct Caps {
    members: u64,
    bytes: u64,
    ratio: u64,
    /// What the ratio allows.
    by_ratio: u64,
}

/// A limit that an archive goes past.
#[derive(Debug)]
struct Exceeded {
    name: &'static str,
    most: u64,
}

impl std::fmt::Display for Exceeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the limit {} is {}", self.name, self.most)
    }
}

impl std::error::Error for Exceeded {}

impl Exceeded {
    fn error(&self, entry: &Download) -> Error {
        let message = format!("{} \"{}\": the package holds too much, {self}", entry.what, entry.name);
        Error::new(ErrorCode::TooLarge, message).fix("nothing of it was kept; do not trust this package")
    }
}

impl Caps {
    fn new(packed: u64, limits: &Limits) -> Caps {
        let (members, bytes, ratio) = (limits.archive_members, limits.archive_bytes, limits.archive_ratio);
        Caps { members, bytes, ratio, by_ratio: packed.saturating_mul(ratio).max(FREE) }
    }

    fn check_members(&self, members: u64) -> Result<(), Exceeded> {
        let exceeded = Exceeded { name: "archive_members", most: self.members };
        if members <= self.members { Ok(()) } else { Err(exceeded) }
    }

    fn check_bytes(&self, bytes: u64) -> Result<(), Exceeded> {
        if bytes > self.bytes {
            return Err(Exceeded { name: "archive_bytes", most: self.bytes });
        }
        if bytes > self.by_ratio {
            return Err(Exceeded { name: "archive_ratio", most: self.ratio });
        }
        Ok(())
    }
}

/// Counts what comes out of the decompressor, and ends it past a limit.
struct Counted<'a, R> {
    inner: R,
    read: u64,
    caps: &'a Caps,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read += count as u64;
        self.caps.check_bytes(self.read).map_err(io::Error::other)?;
        Ok(count)
    }
}

/// The one archive that the client left.
fn archive_in(entry: &Download, package: &Path) -> Result<PathBuf> {
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

fn write_member(entry: &Download, file: &File, member: &mut dyn Read, output: &Path) -> Result<FetchedFile> {
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
            let exceeded = source.get_ref().and_then(|inner| inner.downcast_ref::<Exceeded>());
            exceeded.map(|exceeded| exceeded.error(entry)).unwrap_or_else(|| {
                let message =
                    format!("{} breaks off after {bytes} of {} bytes: {source}", file.path_in_package, file.bytes);
                corrupt(entry, message)
            })
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

fn corrupt(entry: &Download, message: String) -> Error {
    Error::new(ErrorCode::Integrity, format!("{} \"{}\": {message}", entry.what, entry.name))
        .fix("nothing of it was kept; fetch it again")
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
