//! Stage 2, prepare: splits, checks, removes exact duplicates from the training split, and fits the recipe
//! on the training split only.

use super::{Artifacts, Work, earlier, parts};
use crate::Stage;
use crate::artifact::{Collected, Prepared};
use crate::cache;
use crate::run::Context;
use crate::tasks::task;
use lepton_core::{Digest, Error, Event, Result, Split};
use lepton_data::Dataset;
use std::collections::BTreeMap;

/// The work of this stage.
pub(crate) struct Prepare<'a> {
    collected: &'a Collected,
}

impl<'a> Prepare<'a> {
    pub(crate) fn new(artifacts: &'a Artifacts) -> Result<Prepare<'a>> {
        Ok(Prepare { collected: earlier(&artifacts.collected, Stage::Collect)? })
    }
}

impl Work for Prepare<'_> {
    type Output = Prepared;
    const STAGE: Stage = Stage::Prepare;

    fn key(&self, context: &Context<'_>) -> Result<Digest> {
        let settings = &context.project.settings;
        cache::key(
            Self::STAGE,
            (&settings.prepare, &settings.recipe, settings.project.task, settings.project.seed),
            (self.collected.digest, &self.collected.dataset, &self.collected.target, &self.collected.parts),
        )
    }

    fn compute(&self, context: &Context<'_>, _: &Digest) -> Result<Prepared> {
        let (settings, collected) = (&context.project.settings, self.collected);
        let task = task(settings.project.task);
        task.check(&collected.schema, &collected.target)?;
        let mut loaded = BTreeMap::new();
        for split in collected.parts.keys() {
            loaded.insert(*split, parts::load(context.store, &collected.parts, *split)?);
        }
        let dataset = Dataset {
            name: collected.dataset.clone(),
            schema: collected.schema.clone(),
            target: collected.target.clone(),
            parts: loaded,
            source: collected.source.clone(),
            unreadable: collected.unreadable.clone(),
        };
        let (prepared, report) =
            lepton_data::prepare(dataset, &settings.prepare, settings.project.seed, context.progress, context.cancel)?;
        for finding in &report.findings {
            context.progress.event(Event::Note { text: finding.message.clone() });
        }
        let plan = task.recipe(&prepared.schema, &prepared.target, &settings.recipe)?;
        let train =
            prepared.parts.get(&Split::Train).ok_or_else(|| Error::internal("prepare gave no training split"))?;
        let recipe = plan.fit(&prepared.schema, train)?;
        // A label of valid or test that training never saw is an error here, not a surprise after training.
        for batch in prepared.parts.values() {
            recipe.encode_target(batch)?;
        }
        Ok(Prepared {
            digest: prepared.digest()?,
            parts: parts::save(context.store, &prepared.parts)?,
            report,
            recipe: context.store.blobs().put_bytes(&recipe.to_json()?)?,
            features: recipe.output(),
            labels: recipe.labels().to_vec(),
            schema: prepared.schema,
            target: prepared.target,
        })
    }
}

impl Prepared {
    /// The fitted recipe.
    pub(crate) fn load_recipe(&self, store: &lepton_store::Store) -> Result<lepton_recipe::Recipe> {
        lepton_recipe::Recipe::from_json(&store.blobs().get(&self.recipe)?)
    }
}
