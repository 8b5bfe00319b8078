//! The profile of sounds: counts of formats, rates and channels, and the spread of what is measured.

use super::decode::look;
use super::facts::{AudioFacts, decibels};
use crate::media::collection::Collection;
use crate::media::profile::{ClassCount, Numbers, class_counts, part_counts};
use crate::media::survey::{Survey, SurveyOptions, survey};
use lepton_core::{Result, Split};
use lepton_sketch::{CategorySketch, ColumnSketch, DatasetSketch, NamedSketch, NumberSketch};
use serde::Serialize;
use std::collections::BTreeMap;

/// A collection of sounds that was looked at.
pub struct AudioProfile {
    /// The sounds, undecoded.
    pub collection: Collection,
    /// What is kept of each.
    pub survey: Survey<AudioFacts>,
    /// Measures by name, over the sounds that could be read.
    pub measures: BTreeMap<&'static str, NumberSketch>,
}

/// Looks at all sounds. The result does not depend on the number of threads.
///
/// # Errors
/// [`lepton_core::ErrorCode::Cancelled`]. A file that cannot be read is no error but a fault of its reading.
pub fn profile_audio(collection: Collection, options: &SurveyOptions<'_>) -> Result<AudioProfile> {
    let mut measures: BTreeMap<&'static str, NumberSketch> = BTreeMap::new();
    let survey = survey(
        &collection,
        options,
        |item| look(&collection, item, options.cancel),
        |reading| {
            let Ok(facts) = &reading.seen else { return };
            let measured = [
                ("seconds", facts.seconds()),
                ("level_db", decibels(facts.rms)),
                ("peak_db", decibels(facts.peak)),
                ("clipped_share", facts.clipped),
                ("silent_share", facts.silent),
                ("offset", facts.offset),
            ];
            for (name, value) in measured {
                measures.entry(name).or_default().add(Some(value));
            }
        },
    )?;
    Ok(AudioProfile { collection, survey, measures })
}

/// A profile as JSON shows it.
#[derive(Clone, Debug, Serialize)]
pub struct AudioView {
    /// Sounds, the broken ones among them.
    pub count: u64,
    /// Those that could not be read.
    pub broken: u64,
    /// Length of all.
    pub seconds: f64,
    /// By label; empty where there are no classes.
    pub classes: Vec<ClassCount>,
    /// How many each part has.
    pub parts: BTreeMap<Split, u64>,
    /// How many of each container.
    pub formats: BTreeMap<&'static str, u64>,
    /// How many of each codec.
    pub codecs: BTreeMap<&'static str, u64>,
    /// How many of each rate, in Hz.
    pub rates: BTreeMap<u32, u64>,
    /// How many of each number of channels.
    pub channels: BTreeMap<u32, u64>,
    /// How many of each number of bits; of what has none, no entry.
    pub bits: BTreeMap<u32, u64>,
    /// Measures by name: `seconds`, `level_db`, `peak_db`, `clipped_share`, `silent_share`, `offset`.
    pub measures: BTreeMap<&'static str, Numbers>,
}

impl AudioProfile {
    /// What JSON and tables show.
    pub fn view(&self) -> AudioView {
        let facts = || self.survey.read().map(|(_, facts)| facts);
        AudioView {
            count: self.collection.items.len() as u64,
            broken: self.survey.faults().count() as u64,
            seconds: facts().map(AudioFacts::seconds).sum(),
            classes: class_counts(&self.collection),
            parts: part_counts(&self.collection),
            formats: tally(facts().map(|facts| facts.format)),
            codecs: tally(facts().map(|facts| facts.codec)),
            rates: tally(facts().map(|facts| facts.rate)),
            channels: tally(facts().map(|facts| facts.channels)),
            bits: tally(facts().filter_map(|facts| facts.bits)),
            measures: self.measures.iter().filter_map(|(name, sketch)| Some((*name, Numbers::of(sketch)?))).collect(),
        }
    }

    /// The summary that monitoring compares with live traffic: a column for each measure, and `label`.
    pub fn sketches(&self) -> DatasetSketch {
        let mut labels = CategorySketch::default();
        self.collection.items.iter().for_each(|item| labels.add(item.label.as_deref()));
        let column = |column: &str, sketch| NamedSketch { column: column.to_owned(), sketch };
        let measures = self.measures.iter().map(|(name, sketch)| column(name, ColumnSketch::Number(sketch.clone())));
        let label = column("label", ColumnSketch::Category(labels));
        DatasetSketch::of(self.collection.items.len() as u64, measures.chain([label]).collect())
    }
}

pub(super) fn tally<T: Ord>(values: impl Iterator<Item = T>) -> BTreeMap<T, u64> {
    let mut counts = BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_default() += 1);
    counts
}
