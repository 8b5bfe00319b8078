//! The files under a folder: which may be pictures or sounds by name or first bytes, and what else lies there.
//! Names that start with a dot are not looked at; links to folders and special files are not followed or opened.

use super::MediaKind;
use lepton_core::{Error, Result};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Folders inside folders that are looked into.
const DEPTH: usize = 16;

/// By the end of the name: what is read, then what this build does not read but a person would expect to count.
const PICTURES: [&str; 14] =
    ["png", "jpg", "jpeg", "jpe", "gif", "bmp", "webp", "tif", "tiff", "ppm", "pgm", "heic", "avif", "ico"];
const AUDIO: [&str; 12] = ["wav", "wave", "flac", "ogg", "oga", "mp3", "m4a", "aac", "opus", "aif", "aiff", "wma"];

/// A file under a folder.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    /// Path under the folder, `/` between names.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// What it seems to be; `None` for a plain file of another kind.
    pub(super) kind: Option<MediaKind>,
}

/// Something under a folder that is no item of the collection.
#[derive(Clone, Debug, PartialEq)]
pub struct Other {
    /// Path under the folder, `/` between names.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// What it is.
    pub kind: OtherKind,
}

/// What something is that is no item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OtherKind {
    /// A plain file: a table, a text, a sound among pictures. Repairs carry it over as it is.
    File,
    /// A link to a folder, or a file that is none: a socket, a pipe, a device.
    Special,
    /// What cannot be looked into, and why.
    Unreadable(String),
    /// A name that is not UTF-8.
    Name,
    /// Deeper than this many folders.
    TooDeep,
}

/// Everything under `root`, by name.
pub(super) fn walk(root: &Path) -> Result<(Vec<Found>, Vec<Other>)> {
    let (mut found, mut others) = (Vec::new(), Vec::new());
    let mut open = vec![(root.to_path_buf(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = open.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(source) if depth == 0 => return Err(Error::io("look into the folder", &folder, source)),
            Err(source) => {
                let kind = OtherKind::Unreadable(source.to_string());
                others.push(Other { name: prefix.trim_end_matches('/').to_owned(), path: folder, kind });
                continue;
            }
        };
        for entry in entries {
            let entry = entry.map_err(|source| Error::io("look into the folder", &folder, source))?;
            let path = entry.path();
            let Some(plain) = entry.file_name().to_str().map(str::to_owned) else {
                let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                others.push(Other { name, path, kind: OtherKind::Name });
                continue;
            };
            if plain.starts_with('.') {
                continue;
            }
            let name = format!("{prefix}{plain}");
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            match fs::metadata(&path) {
                Err(source) => others.push(Other { name, path, kind: OtherKind::Unreadable(source.to_string()) }),
                Ok(data) if data.is_dir() && !is_link && depth < DEPTH => {
                    open.push((path, format!("{name}/"), depth + 1));
                }
                Ok(data) if data.is_dir() => {
                    let kind = if is_link { OtherKind::Special } else { OtherKind::TooDeep };
                    others.push(Other { name, path, kind });
                }
                Ok(data) if data.is_file() => {
                    let kind = kind_of(&path);
                    found.push(Found { name, path, bytes: data.len(), kind });
                }
                Ok(_) => others.push(Other { name, path, kind: OtherKind::Special }),
            }
        }
    }
    found.sort_by(|left, right| left.name.cmp(&right.name));
    others.sort_by(|left, right| left.name.cmp(&right.name));
    Ok((found, others))
}

/// What a file seems to be, by the end of its name, else by its first bytes.
pub(super) fn kind_of(path: &Path) -> Option<MediaKind> {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let extension = extension.as_deref().unwrap_or("");
    if PICTURES.contains(&extension) {
        return Some(MediaKind::Pictures);
    }
    if AUDIO.contains(&extension) {
        return Some(MediaKind::Audio);
    }
    let mut start = [0; 12];
    let length = File::open(path).and_then(|mut file| file.read(&mut start)).unwrap_or(0);
    match &start[..length] {
        [0x89, b'P', b'N', b'G', ..] | [0xff, 0xd8, 0xff, ..] => Some(MediaKind::Pictures),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E'] => Some(MediaKind::Audio),
        [b'f', b'L', b'a', b'C', ..] | [b'O', b'g', b'g', b'S', ..] | [b'I', b'D', b'3', ..] => Some(MediaKind::Audio),
        _ => None,
    }
}
