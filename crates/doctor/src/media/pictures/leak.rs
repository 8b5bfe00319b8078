//! Pictures outside training that look nearly like a training picture: what a split that was cut by chance lets
//! through.

use super::facts::PictureFacts;
use super::near::{NearOptions, Seen, search};
use super::profile::PictureProfile;
use crate::media::survey::on_threads;
use lepton_core::{Result, Split};
use std::collections::BTreeMap;

/// Each item outside training with the first training item that it nearly looks like. Copies of the same content are
/// not among them: these are found without looking.
///
/// # Errors
/// [`lepton_core::ErrorCode::Internal`] when there are no threads.
pub fn near_training(profile: &PictureProfile, near: &NearOptions, threads: usize) -> Result<BTreeMap<usize, usize>> {
    let pictures: Vec<(usize, &PictureFacts)> = profile.survey.read().collect();
    let seen: Vec<Seen<'_>> =
        pictures.iter().map(|(_, facts)| Seen { hash: facts.hash, small: &facts.small }).collect();
    let is_train = |place: usize| profile.collection.items[pictures[place].0].part == Some(Split::Train);
    let mut found: BTreeMap<usize, usize> = BTreeMap::new();
    for pair in on_threads(threads, || search(&seen, near))? {
        let [first, second] = pair.pictures;
        let (train, other) = match (is_train(first), is_train(second)) {
            (true, false) => (first, second),
            (false, true) => (second, first),
            _ => continue,
        };
        if pictures[train].1.content != pictures[other].1.content {
            let known = found.entry(pictures[other].0).or_insert(pictures[train].0);
            *known = (*known).min(pictures[train].0);
        }
    }
    Ok(found)
}
