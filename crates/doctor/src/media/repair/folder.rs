//! A repaired folder: files that stay are copied byte by byte and held to their hashes, others are written anew.

use super::transform::{encode, transformed};
use super::{Fate, FileChange, FileChangeKind, Origin, RepairOptions, RepairedCollection, begun, dropped};
use crate::media::collection::{Collection, Item};
use crate::media::pictures::decode;
use crate::media::survey::{on_threads, tree_digest};
use lepton_core::{Cancel, Digest, Error, ErrorCode, Event, Hasher, Result};
use rayon::prelude::*;
use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

/// Files that are decoded before they are written.
const PIECE: usize = 64;

/// A picture that was changed: its new bytes, and the steps that did it.
type Changed<'a> = Option<(Vec<u8>, Vec<&'a str>)>;

/// Writes the folder.
pub(super) fn write(
    collection: &Collection,
    fates: &[Fate<'_>],
    originals: Vec<Origin>,
    folder: &Path,
    options: &RepairOptions<'_>,
) -> Result<RepairedCollection> {
    let names = new_names(collection, fates);
    let left = names.iter().filter(|name| name.is_some()).count();
    let mut repaired = begun(originals, left);
    let mut written: Vec<(String, Digest)> = Vec::new();
    let mut folders = BTreeSet::new();
    let places: Vec<usize> = (0..collection.items.len()).collect();
    for piece in places.chunks(PIECE) {
        options.cancel.check()?;
        let changed: Vec<Result<Changed<'_>>> = on_threads(options.threads, || {
            piece.par_iter().map(|place| change(&repaired.originals[*place], &fates[*place], options)).collect()
        })?;
        for (place, changed) in piece.iter().zip(changed) {
            let (item, fate, old) = (&collection.items[*place], &fates[*place], repaired.originals[*place].sha256);
            let Some(name) = &names[*place] else {
                repaired.log.extend(dropped(&item.name, fate, old));
                continue;
            };
            let to = folder.join(name);
            make_folder(folder, name, &mut folders)?;
            let new = match changed? {
                Some((bytes, steps)) => {
                    put(&to, &bytes)?;
                    let new = Digest::of(&bytes);
                    let change = |step: &&str| log_entry(step, item, FileChangeKind::Changed, None, old, new);
                    repaired.log.extend(steps.iter().map(change));
                    new
                }
                None => {
                    copy(&repaired.originals[*place], &to)?;
                    repaired.originals[*place].kept = Some(name.clone());
                    old
                }
            };
            let moved = [
                (fate.label.map(|(step, _)| step), FileChangeKind::Relabelled),
                (fate.name.map(|(step, _)| step), FileChangeKind::Renamed),
            ];
            for (step, what) in moved {
                repaired.log.extend(step.map(|step| log_entry(step, item, what, Some(name.clone()), old, new)));
            }
            written.push((name.clone(), new));
        }
        options.progress.event(Event::Advanced {
            what: format!("repairing {}", collection.name),
            done: piece.last().map_or(0, |place| *place as u64 + 1),
            total: Some(collection.items.len() as u64),
            unit: "rows",
        });
    }
    for place in collection.items.len()..repaired.originals.len() {
        options.cancel.check()?;
        let name = repaired.originals[place].name.clone();
        make_folder(folder, &name, &mut folders)?;
        copy(&repaired.originals[place], &folder.join(&name))?;
        written.push((name.clone(), repaired.originals[place].sha256));
        repaired.originals[place].kept = Some(name);
    }
    for inner in &folders {
        sync_folder(inner)?;
    }
    repaired.sha256 = tree_digest(written.iter().map(|(name, digest)| (name.as_str(), Some(*digest))).collect());
    Ok(repaired)
}

/// Copies files under their names.
pub(super) fn write_all(originals: &[Origin], folder: &Path, cancel: &Cancel) -> Result<()> {
    let mut folders = BTreeSet::new();
    for origin in originals {
        cancel.check()?;
        make_folder(folder, &origin.name, &mut folders)?;
        copy(origin, &folder.join(&origin.name))?;
    }
    folders.iter().try_for_each(|inner| sync_folder(inner))
}

fn log_entry(
    step: &str,
    item: &Item,
    what: FileChangeKind,
    to: Option<String>,
    old: Digest,
    new: Digest,
) -> FileChange {
    let (repair, file, reason) = (step.to_owned(), item.name.clone(), String::new());
    FileChange { repair, file, what, to, old, new: Some(new), reason }
}

/// What an item becomes where its pixels change.
fn change<'a>(origin: &Origin, fate: &Fate<'a>, options: &RepairOptions<'_>) -> Result<Changed<'a>> {
    if fate.dropped.is_some() || fate.transforms.is_empty() {
        return Ok(None);
    }
    let bytes = fs::read(&origin.path).map_err(|source| Error::io("read the picture", &origin.path, source))?;
    if Digest::of(&bytes) != origin.sha256 {
        return Err(changed_meanwhile(origin));
    }
    let (header, picture) = decode(&bytes, &options.limits).map_err(|error| {
        let step = fate.transforms.first().map_or("", |(step, _)| step);
        error.in_file(&origin.path).at_key(format!("repair.{step}")).fix("drop broken files in the same plan")
    })?;
    match transformed(picture.as_ref(), header.channels, &fate.transforms)? {
        Some((picture, steps)) => Ok(Some((encode(picture.as_ref(), header.format)?, steps))),
        None => Ok(None),
    }
}

/// What each item is called in the new folder; `None` of what is dropped. Where two would have one name, the one that
/// moved says where it comes from.
fn new_names(collection: &Collection, fates: &[Fate<'_>]) -> Vec<Option<String>> {
    let mut taken: HashSet<String> = HashSet::new();
    let stays = |fate: &Fate<'_>| fate.dropped.is_none() && fate.label.is_none() && fate.name.is_none();
    for (item, _) in collection.items.iter().zip(fates).filter(|(_, fate)| stays(fate)) {
        taken.insert(item.name.clone());
    }
    taken.extend(collection.others.iter().map(|other| other.name.clone()));
    let name = |(item, fate): (&Item, &Fate<'_>)| {
        if fate.dropped.is_some() {
            return None;
        }
        if stays(fate) {
            return Some(item.name.clone());
        }
        let mut parts: Vec<&str> = item.name.split('/').collect();
        // The folder of the class stands under that of the part.
        let class = usize::from(item.part.is_some());
        if let (Some((_, label)), Some(part)) = (fate.label, parts.get_mut(class)) {
            *part = label;
        }
        let plain = parts.pop().unwrap_or("");
        let plain = fate.name.map_or(plain, |(_, name)| name);
        let (stem, ending) =
            plain.rsplit_once('.').map_or((plain, String::new()), |(stem, end)| (stem, format!(".{end}")));
        let from = item.label.as_deref().unwrap_or("moved");
        let candidates = [plain.to_owned(), format!("{stem}-from-{from}{ending}")].into_iter();
        let numbered = (2..).map(|number| format!("{stem}-from-{from}-{number}{ending}"));
        let folder: String = parts.iter().flat_map(|part| [*part, "/"]).collect();
        let mut free = candidates.chain(numbered).map(|plain| format!("{folder}{plain}"));
        let name = free.find(|name| !taken.contains(name))?;
        taken.insert(name.clone());
        Some(name)
    };
    collection.items.iter().zip(fates).map(name).collect()
}

fn make_folder(root: &Path, name: &str, made: &mut BTreeSet<std::path::PathBuf>) -> Result<()> {
    let folder = root.join(name).parent().map(Path::to_path_buf).unwrap_or_else(|| root.to_path_buf());
    if made.contains(&folder) {
        return Ok(());
    }
    fs::create_dir_all(&folder).map_err(|source| Error::io("make a folder", &folder, source))?;
    let above = folder.ancestors().take_while(|above| above.starts_with(root)).map(Path::to_path_buf);
    made.extend(above.collect::<Vec<_>>());
    Ok(())
}

/// Writes a file that survives a power cut once its folder is synced.
pub(super) fn put(to: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |source| Error::io("write the new file", to, source);
    let mut file = File::create_new(to).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)
}

/// Copies a file and holds what was copied to its hash.
pub(super) fn copy(origin: &Origin, to: &Path) -> Result<()> {
    let read = |source| Error::io("read the file", &origin.path, source);
    let failed = |source| Error::io("write the new file", to, source);
    let (mut from, mut file) = (File::open(&origin.path).map_err(read)?, File::create_new(to).map_err(failed)?);
    let (mut hasher, mut buffer) = (Hasher::default(), vec![0; 1 << 17]);
    loop {
        match from.read(&mut buffer).map_err(read)? {
            0 => break,
            count => {
                hasher.update(&buffer[..count]);
                file.write_all(&buffer[..count]).map_err(failed)?;
            }
        }
    }
    file.sync_all().map_err(failed)?;
    if hasher.finish() == origin.sha256 { Ok(()) } else { Err(changed_meanwhile(origin)) }
}

fn changed_meanwhile(origin: &Origin) -> Error {
    Error::new(ErrorCode::Integrity, "the file was changed while it was read").in_file(&origin.path)
}

pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| Error::io("write the new folder", folder, source))
}
