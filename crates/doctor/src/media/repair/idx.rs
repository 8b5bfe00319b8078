//! Repaired idx files, of the names of the old ones.

use super::folder::sync_folder;
use super::transform::{Transform, transformed};
use super::{Fate, FileChange, FileChangeKind, Origin, RepairOptions, RepairedCollection, begun, dropped};
use crate::media::collection::{Collection, IdxPair, Item, Place};
use crate::media::survey::tree_digest;
use crate::repair::TargetMode;
use lepton_core::image::Image;
use lepton_core::{Digest, Error, ErrorCode, Event, Result};
use lepton_data::{IdxPictures, hash_file, idx_header};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Writes the pairs.
pub(super) fn write(
    collection: &Collection,
    pairs: &[IdxPair],
    fates: &[Fate<'_>],
    originals: Vec<Origin>,
    folder: &Path,
    options: &RepairOptions<'_>,
) -> Result<RepairedCollection> {
    let left = fates.iter().filter(|fate| fate.dropped.is_none()).count();
    let mut repaired = begun(originals, left);
    let mut written = Vec::new();
    for (place, pair) in pairs.iter().enumerate() {
        let of_pair = |item: &Item| matches!(item.place, Place::Idx { pair, .. } if pair == place);
        let rows: Vec<(&Item, &Fate<'_>)> =
            collection.items.iter().zip(fates).filter(|(item, _)| of_pair(item)).collect();
        write_pair(pair, &rows, folder, options, &mut repaired.log)?;
        for name in &pair.names {
            written.push((name.as_str(), Some(hash_file(&folder.join(name))?.sha256)));
        }
        options.progress.event(Event::Advanced {
            what: format!("repairing {}", collection.name),
            done: place as u64 + 1,
            total: Some(pairs.len() as u64),
            unit: "files",
        });
    }
    sync_folder(folder)?;
    repaired.sha256 = tree_digest(written);
    Ok(repaired)
}

fn write_pair(
    pair: &IdxPair,
    rows: &[(&Item, &Fate<'_>)],
    folder: &Path,
    options: &RepairOptions<'_>,
    log: &mut Vec<FileChange>,
) -> Result<()> {
    let left = rows.iter().filter(|(_, fate)| fate.dropped.is_none()).count();
    if left == 0 {
        let message = format!("the plan would leave nothing of the {} part", pair.part);
        return Err(Error::new(ErrorCode::Config, message).fix("disable some of its steps"));
    }
    let IdxPictures { height, width, channels, .. } = pair.pictures;
    let transforms = rows.first().map_or(&[][..], |(_, fate)| &fate.transforms);
    let [mut new_height, mut new_width, mut new_channels] = [height, width, channels];
    for (_, transform) in transforms {
        match transform {
            Transform::Size { height, width } => (new_height, new_width) = (*height as usize, *width as usize),
            Transform::Mode(TargetMode::Grey) => new_channels = 1,
            Transform::Mode(TargetMode::Rgb) => new_channels = 3,
        }
    }
    let [image_path, label_path] = [0, 1].map(|place| folder.join(&pair.names[place]));
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| Error::io("write the new file", &path, source)
    };
    let images = File::create_new(&image_path).map_err(failed(&image_path))?;
    let mut images = BufWriter::with_capacity(1 << 20, images);
    let sides = if new_channels == 1 {
        vec![left, new_height, new_width]
    } else {
        vec![left, new_height, new_width, new_channels]
    };
    images.write_all(&idx_header(&sides)).map_err(failed(&image_path))?;
    let mut labels = idx_header(&[left]);
    for (item, fate) in rows {
        options.cancel.check()?;
        let Place::Idx { row, .. } = item.place else { return Err(Error::internal("a row that is no row")) };
        let picture = Image { height, width, channels, pixels: pair.pictures.read(row)? };
        let old = Digest::of(&picture.pixels);
        if let Some(change) = dropped(&item.name, fate, old) {
            log.push(change);
            continue;
        }
        let mut push = |step: &str, what, to: Option<String>, new| {
            let (repair, file, reason) = (step.to_owned(), item.name.clone(), String::new());
            log.push(FileChange { repair, file, what, to, old, new: Some(new), reason });
        };
        let changed = transformed(picture.as_ref(), channels as u8, &fate.transforms)?;
        let new = match &changed {
            Some((picture, steps)) => {
                let new = Digest::of(&picture.pixels);
                steps.iter().for_each(|step| push(step, FileChangeKind::Changed, None, new));
                new
            }
            None => old,
        };
        let picture = changed.map_or(picture, |(picture, _)| picture);
        images.write_all(&picture.pixels).map_err(failed(&image_path))?;
        let label = match fate.label {
            Some((step, label)) => {
                push(step, FileChangeKind::Relabelled, Some(label.to_owned()), new);
                label
            }
            None => item.label.as_deref().unwrap_or(""),
        };
        labels.push(label.parse().map_err(|_| Error::internal(format!("\"{label}\" is no label of an idx file")))?);
    }
    let images = images.into_inner().map_err(|error| failed(&image_path)(error.into_error()))?;
    images.sync_all().map_err(failed(&image_path))?;
    super::folder::put(&label_path, &labels)
}
