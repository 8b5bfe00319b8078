//! Stage 7, monitor: holds the test split against the package's reference the way a server holds live
//! requests, so that a reference which cannot tell is found before anything is served.

use super::{Artifacts, Work, earlier, parts};
use crate::Stage;
use crate::artifact::{Deployed, Monitored, Prepared};
use crate::cache;
use crate::model::load_registered;
use crate::run::Context;
use lepton_core::{Digest, Error, Result, Split};
use std::sync::Arc;

/// The work of this stage.
pub(crate) struct Monitor<'a> {
    prepared: &'a Prepared,
    deployed: &'a Deployed,
}

impl<'a> Monitor<'a> {
    pub(crate) fn new(_: &Context<'_>, artifacts: &'a Artifacts) -> Result<Monitor<'a>> {
        Ok(Monitor {
            prepared: earlier(&artifacts.prepared, Stage::Prepare)?,
            deployed: earlier(&artifacts.deployed, Stage::Deploy)?,
        })
    }
}

impl Work for Monitor<'_> {
    type Output = Monitored;
    const STAGE: Stage = Stage::Monitor;

    fn key(&self, context: &Context<'_>) -> Result<Digest> {
        cache::key(Self::STAGE, &context.project.settings.monitor, (self.deployed.manifest, &self.prepared.parts))
    }

    fn compute(&self, context: &Context<'_>, _: &Digest) -> Result<Monitored> {
        let settings = &context.project.settings;
        let loaded = load_registered(
            context.store,
            &self.deployed.model,
            Some(self.deployed.version),
            settings.optimize.engine.as_deref(),
            context.options.onnxruntime.as_deref(),
            &settings.limits,
        )?;
        let reference = loaded.reference.ok_or_else(|| Error::internal("the package has no reference"))?;
        let test = parts::load(context.store, &self.prepared.parts, Split::Test)?;
        let answers = loaded.model.predict(&test)?;
        let monitor = lepton_monitor::Monitor::new(Arc::clone(&reference), settings.monitor.clone());
        monitor.observe(&test, &answers)?;
        let drift = lepton_monitor::drift(&reference, &monitor.snapshot(), &settings.monitor)?;
        Ok(Monitored { reference_rows: reference.rows, drift })
    }
}
