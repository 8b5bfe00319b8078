//! The profile of pictures: counts of classes, formats, sizes and modes, and the spread of what is measured.

use super::facts::{PictureFacts, PictureMode, look};
use crate::media::collection::Collection;
use crate::media::profile::{ClassCount, Numbers, class_counts, part_counts};
use crate::media::survey::{Survey, SurveyOptions, survey};
use lepton_core::{Result, Split};
use lepton_recipe::raw::PictureFormat;
use lepton_sketch::{CategorySketch, ColumnSketch, DatasetSketch, ImageSketch, NamedSketch, NumberSketch};
use serde::Serialize;
use std::collections::BTreeMap;

/// A collection of pictures that was looked at.
pub struct PictureProfile {
    /// The pictures, undecoded.
    pub collection: Collection,
    /// What is kept of each.
    pub survey: Survey<PictureFacts>,
    /// Size, brightness and contrast in the form that monitoring compares.
    pub sketch: ImageSketch,
    /// The variance of the Laplacian.
    pub sharpness: NumberSketch,
    /// Bytes of a file, or of a row's pixels.
    pub bytes: NumberSketch,
}

/// Looks at all pictures. The result does not depend on the number of threads.
///
/// # Errors
/// [`lepton_core::ErrorCode::Cancelled`]; [`lepton_core::ErrorCode::Io`] where an idx file cannot be read any more. A
/// file that cannot be read is no error but a fault of its reading.
pub fn profile_pictures(collection: Collection, options: &SurveyOptions<'_>) -> Result<PictureProfile> {
    let mut sketch = ImageSketch::default();
    let (mut sharpness, mut bytes) = (NumberSketch::default(), NumberSketch::default());
    let survey = survey(
        &collection,
        options,
        |item| look(&collection, item, &options.limits),
        |reading| {
            let facts = reading.seen.as_ref().ok();
            sketch.add_look(facts.map(|facts| facts.look));
            sharpness.add(facts.map(|facts| f64::from(facts.sharpness)));
        },
    )?;
    collection.items.iter().for_each(|item| bytes.add(Some(item.bytes as f64)));
    Ok(PictureProfile { collection, survey, sketch, sharpness, bytes })
}

/// A profile as JSON shows it.
#[derive(Clone, Debug, Serialize)]
pub struct PictureView {
    /// Pictures, the broken ones among them.
    pub count: u64,
    /// Those that could not be read.
    pub broken: u64,
    /// By label; empty where there are no classes.
    pub classes: Vec<ClassCount>,
    /// How many each part has.
    pub parts: BTreeMap<Split, u64>,
    /// How many of each format; none of rows.
    pub formats: BTreeMap<&'static str, u64>,
    /// How many of each mode.
    pub modes: BTreeMap<&'static str, u64>,
    /// The most frequent sizes, as height, width and count.
    pub sizes: Vec<[u64; 3]>,
    /// How many sizes there are.
    pub distinct_sizes: u64,
    /// Measures by name: `height`, `width`, `brightness`, `contrast`, `sharpness`, `bytes`.
    pub measures: BTreeMap<&'static str, Numbers>,
}

impl PictureProfile {
    /// What JSON and tables show.
    pub fn view(&self) -> PictureView {
        let mut formats: BTreeMap<&'static str, u64> = BTreeMap::new();
        let mut modes: BTreeMap<&'static str, u64> = BTreeMap::new();
        let mut sizes: BTreeMap<[u64; 2], u64> = BTreeMap::new();
        for (_, facts) in self.survey.read() {
            if let Some(format) = facts.format {
                *formats.entry(PictureFormat::name(format)).or_default() += 1;
            }
            *modes.entry(PictureMode::name(facts.mode)).or_default() += 1;
            *sizes.entry([u64::from(facts.height), u64::from(facts.width)]).or_default() += 1;
        }
        let distinct_sizes = sizes.len() as u64;
        let mut sizes: Vec<[u64; 3]> =
            sizes.into_iter().map(|([height, width], count)| [height, width, count]).collect();
        sizes.sort_by_key(|size| std::cmp::Reverse(size[2]));
        sizes.truncate(20);
        let sketches = self.sketch.parts().into_iter().chain([("sharpness", &self.sharpness), ("bytes", &self.bytes)]);
        PictureView {
            count: self.collection.items.len() as u64,
            broken: self.survey.faults().count() as u64,
            classes: class_counts(&self.collection),
            parts: part_counts(&self.collection),
            formats,
            modes,
            sizes,
            distinct_sizes,
            measures: sketches.filter_map(|(name, sketch)| Some((name, Numbers::of(sketch)?))).collect(),
        }
    }

    /// The summary that monitoring compares with live traffic: the columns `image` and `label`.
    pub fn sketches(&self) -> DatasetSketch {
        let mut labels = CategorySketch::default();
        self.collection.items.iter().for_each(|item| labels.add(item.label.as_deref()));
        let column = |column: &str, sketch| NamedSketch { column: column.to_owned(), sketch };
        let image = column("image", ColumnSketch::Image(Box::new(self.sketch.clone())));
        let label = column("label", ColumnSketch::Category(labels));
        DatasetSketch::of(self.collection.items.len() as u64, vec![image, label])
    }
}
