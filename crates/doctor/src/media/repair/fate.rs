//! What becomes of each item by the steps of a plan: whether it stays, what it is called, what is done to its pixels.

use super::transform::Transform;
use crate::media::collection::{Collection, Form, MediaKind};
use crate::repair::{Action, Plan, Step};
use lepton_core::{Error, ErrorCode, Limits, Result, nearest};
use std::collections::{BTreeSet, HashMap};

/// What becomes of one item. Steps are named by their ids.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fate<'a> {
    /// The step that drops it.
    pub(super) dropped: Option<&'a str>,
    /// The step that gives it another label, and the label.
    pub(super) label: Option<(&'a str, &'a str)>,
    /// The step that gives it another plain name, and the name.
    pub(super) name: Option<(&'a str, &'a str)>,
    /// What is done to its pixels, in order.
    pub(super) transforms: Vec<(&'a str, Transform)>,
}

/// The fate of each item, in their order.
pub(super) fn fates<'a>(collection: &Collection, plan: &'a Plan, limits: &Limits) -> Result<Vec<Fate<'a>>> {
    let mut fates = vec![Fate::default(); collection.items.len()];
    let places: HashMap<&str, usize> =
        collection.items.iter().enumerate().map(|(place, item)| (item.name.as_str(), place)).collect();
    let labels: BTreeSet<&str> = collection.classes().into_keys().collect();
    for step in plan.steps.iter().filter(|step| step.enabled) {
        act(collection, step, &places, &labels, limits, &mut fates)
            .map_err(|error| error.at_key(format!("repair.{}", step.id)))?;
    }
    Ok(fates)
}

fn act<'a>(
    collection: &Collection,
    step: &'a Step,
    places: &HashMap<&str, usize>,
    labels: &BTreeSet<&str>,
    limits: &Limits,
    fates: &mut [Fate<'a>],
) -> Result<()> {
    let id = step.id.as_str();
    let place = |name: &str| {
        places.get(name).copied().ok_or_else(|| {
            let error =
                Error::new(ErrorCode::NotFound, format!("the collection has no {} \"{name}\"", collection.kind.one()));
            match nearest(name, places.keys().copied()) {
                Some(near) => error.fix(format!("did you mean \"{near}\"?")),
                None => error.fix("names are those of `lepton data doctor`: paths under the folder"),
            }
        })
    };
    let config = |message: String| Error::new(ErrorCode::Config, message).fix("change or delete this step of the plan");
    let mut transform = |transform: Transform| match collection.kind {
        MediaKind::Pictures => {
            fates.iter_mut().for_each(|fate| fate.transforms.push((id, transform)));
            Ok(())
        }
        MediaKind::Audio => Err(config(format!("{} is for pictures; these are sounds", step.action.name()))),
    };
    match &step.action {
        Action::DropFiles { files } => {
            for file in files {
                fates[place(file)?].dropped.get_or_insert(id);
            }
        }
        Action::RelabelFiles { labels: new } => {
            for (file, label) in new {
                let item = place(file)?;
                // Only a class that is there: no folder is made of a name that somebody typed.
                if !labels.contains(label.as_str()) {
                    let error = Error::new(ErrorCode::NotFound, format!("there is no class \"{label}\""));
                    return Err(match nearest(label, labels.iter().copied()) {
                        Some(near) => error.fix(format!("did you mean \"{near}\"?")),
                        None => error.fix("files go to classes that are there"),
                    });
                }
                if collection.items[item].label.is_none() {
                    return Err(config(format!("\"{file}\" lies in no class")));
                }
                if collection.items[item].label.as_deref() != Some(label.as_str()) {
                    fates[item].label = Some((id, label.as_str()));
                }
            }
        }
        Action::RenameFiles { names } => {
            if matches!(collection.form, Form::Idx(_)) {
                return Err(config("the pictures of idx files have no names".to_owned()));
            }
            for (file, name) in names {
                let item = place(file)?;
                let is_plain = !name.is_empty()
                    && name.len() <= 200
                    && !name.starts_with('.')
                    && !name.contains(['/', '\\'])
                    && !name.chars().any(char::is_control);
                if !is_plain {
                    return Err(config(format!("\"{name}\" is not a plain file name")));
                }
                fates[item].name = Some((id, name.as_str()));
            }
        }
        Action::ResizePictures { height, width } => {
            let pixels = u64::from(*height) * u64::from(*width);
            if pixels == 0 || pixels > limits.image_pixels {
                return Err(config(format!(
                    "{height}x{width} pixels, the limit image_pixels is {}",
                    limits.image_pixels
                )));
            }
            transform(Transform::Size { height: *height, width: *width })?;
        }
        Action::ConvertPictures { mode } => transform(Transform::Mode(*mode))?,
        other => return Err(config(format!("{} is for tables; this is none", other.name()))),
    }
    Ok(())
}
