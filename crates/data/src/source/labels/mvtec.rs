//! MVTec: `train/good`, `test/good` and `test/DEFECT`, and `ground_truth/DEFECT/NAME_mask.png` for each defective
//! picture. The class is `good` or `defect`; what kind of defect it is, is the label of the mask.

use super::super::image_folder::{Read, entries, read_picture};
use super::{Labelled, Layout, MASKS, Marks, build, pictures_in, stem};
use crate::dataset::Dataset;
use crate::settings::PartsPolicy;
use crate::source::Context;
use lepton_core::{Error, ErrorCode, Event, Mask, ObjectMask, Result, Split};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The folder and the class of pictures without a defect.
const GOOD: &str = "good";

/// Whether a folder looks like it.
pub(crate) fn is_layout(folder: &Path) -> bool {
    folder.join("train").join(GOOD).is_dir() && folder.join("test").is_dir() && folder.join("ground_truth").is_dir()
}

pub(crate) fn collect(context: &Context<'_>, name: &str, folder: &Path) -> Result<Dataset> {
    let mut parts: BTreeMap<Split, Vec<Labelled>> = BTreeMap::new();
    let pooled = context.settings.parts == PartsPolicy::Pooled;
    for (part, split) in [("train", Split::Train), ("test", Split::Test)] {
        let split = if pooled { Split::Train } else { split };
        for class in entries(&folder.join(part))?.into_iter().filter(|path| path.is_dir()) {
            let defect = class.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if part == "train" && defect != GOOD {
                return Err(Error::new(ErrorCode::BadData, "MVTec has good pictures only for training")
                    .in_file(class)
                    .fix("use a folder per class, without ground_truth, for other layouts"));
            }
            for picture in pictures_in(&class)? {
                let labelled = match defect == GOOD {
                    true => {
                        Labelled { picture, label: Some(GOOD.to_owned()), marks: Box::new(|_, _| Ok(Marks::default())) }
                    }
                    false => defective(context, folder, &defect, picture)?,
                };
                parts.entry(split).or_default().push(labelled);
            }
        }
    }
    if !pooled {
        let text = "the training part has good pictures only, as MVTec gives it; `parts = \"pooled\"` under [collect] \
                    puts all pictures together, to tell good ones from defective ones";
        context.progress.event(Event::Note { text: text.to_owned() });
    }
    build(context, name, Layout { parts, columns: vec![MASKS], has_labels: true, source: Vec::new() })
}

fn defective(context: &Context<'_>, folder: &Path, defect: &str, picture: PathBuf) -> Result<Labelled> {
    let file = folder.join("ground_truth").join(defect).join(format!("{}_mask.png", stem(&picture)));
    if !file.is_file() {
        return Err(
            Error::new(ErrorCode::NotFound, format!("the mask of {} is missing", picture.display())).in_file(file)
        );
    }
    let (defect, limits) = (defect.to_owned(), context.limits.clone());
    let marks = move |height: u32, width: u32| {
        let (read, source) = match read_picture(&file, &limits)? {
            Read::Picture(read, source) => (read, source),
            Read::Failed(unreadable) => {
                return Err(Error::new(ErrorCode::BadData, unreadable.reason).in_file(unreadable.path));
            }
        };
        if (read.height, read.width) != (height as usize, width as usize) {
            let message =
                format!("the mask has {} x {} pixels, its picture {width} x {height}", read.width, read.height);
            return Err(Error::new(ErrorCode::BadData, message).in_file(&file));
        }
        let values =
            read.pixels.chunks_exact(read.channels).map(|pixel| u8::from(pixel.iter().any(|value| *value > 0)));
        let mask = Mask::new(read.height, read.width, values.collect())?;
        let mask = ObjectMask::of_mask(defect, &mask, 1)?;
        if mask.area() == 0 {
            return Err(Error::new(ErrorCode::BadData, "the mask of a defect is empty").in_file(&file));
        }
        Ok(Marks { masks: vec![mask], source: vec![source], ..Marks::default() })
    };
    Ok(Labelled { picture, label: Some("defect".to_owned()), marks: Box::new(marks) })
}
