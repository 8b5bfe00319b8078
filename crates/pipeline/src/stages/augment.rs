//! Stage 3, augment: fixes how training rows are varied, makes new rows where that is asked for, and shows a few. The
//! variants themselves are made while training, on worker threads, from the seed, the row and the epoch.

use super::{Artifacts, Work, earlier, parts};
use crate::Stage;
use crate::artifact::{Augmented, Prepared};
use crate::cache;
use crate::preview::{TrainRows, figures};
use crate::run::Context;
use lepton_core::{Digest, Result, Split};
use lepton_data::augment::Domain;
use lepton_data::augment::table::oversample;
use lepton_data::{AugmentSettings, Step, hash_file};
use std::collections::BTreeMap;

/// The work of this stage.
pub(crate) struct Augment<'a> {
    prepared: &'a Prepared,
    /// The files that steps read, by their content.
    files: Vec<Digest>,
}

impl<'a> Augment<'a> {
    pub(crate) fn new(context: &Context<'_>, artifacts: &'a Artifacts) -> Result<Augment<'a>> {
        let files = context.project.settings.augment.iter().flat_map(AugmentSettings::files);
        let files =
            files.map(|path| hash_file(path).map(|file| file.sha256).map_err(|error| error.at_key("augment.steps")));
        Ok(Augment { prepared: earlier(&artifacts.prepared, Stage::Prepare)?, files: files.collect::<Result<_>>()? })
    }
}

impl Work for Augment<'_> {
    type Output = Augmented;
    const STAGE: Stage = Stage::Augment;

    fn key(&self, context: &Context<'_>) -> Result<Digest> {
        let settings = &context.project.settings;
        cache::key(
            Self::STAGE,
            (&settings.augment, &self.files, settings.project.task, settings.project.seed),
            (self.prepared.digest, &self.prepared.parts),
        )
    }

    fn compute(&self, context: &Context<'_>, _: &Digest) -> Result<Augmented> {
        let settings = &context.project.settings;
        let chosen = settings.augment.clone().unwrap_or_else(|| settings.task().default_augment());
        chosen.check()?;
        let prepared = self.prepared;
        let about = chosen.describe();
        if chosen.is_off() {
            return Ok(Augmented {
                settings: chosen,
                about,
                train: None,
                added: BTreeMap::new(),
                preview: None,
                files: Vec::new(),
            });
        }
        chosen.check_domain(Domain::of(&prepared.schema, &prepared.target))?;
        let seed = settings.project.seed;
        let part = parts::load(context.store, &prepared.parts, Split::Train)?;
        let rows = TrainRows { part: &part, schema: &prepared.schema, target: &prepared.target };
        let preview = figures(&rows, &chosen, seed)?.into_iter().next();
        let mut grown = None;
        let mut added = BTreeMap::new();
        for (index, step) in chosen.steps.iter().enumerate() {
            if let Step::Smote { neighbours } = step.step {
                let before = grown.as_ref().unwrap_or(&part);
                let after = oversample(before, &prepared.schema, &prepared.target, neighbours, seed)
                    .map_err(|error| error.at_key(format!("augment.steps[{index}]")))?;
                after.added.into_iter().for_each(|(class, rows)| *added.entry(class).or_default() += rows);
                grown = Some(after.part);
            }
        }
        let train = grown.as_ref().map(|part| parts::save_part(context.store, part, &prepared.schema)).transpose()?;
        Ok(Augmented { settings: chosen, about, train, added, preview, files: self.files.clone() })
    }
}
