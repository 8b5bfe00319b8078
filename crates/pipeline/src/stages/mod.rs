//! The seven stages, one file each, and the seam that the walk drives them through.

pub(crate) mod augment;
pub(crate) mod collect;
pub(crate) mod deploy;
pub(crate) mod evaluation_rows;
mod gather;
pub(crate) mod monitor;
mod near_duplicates;
pub(crate) mod optimize;
pub(crate) mod parts;
pub(crate) mod prepare;
mod report_input;
pub(crate) mod train;

pub(crate) use report_input::report_input;

use crate::Stage;
use crate::artifact::{Artifact, Augmented, Collected, Deployed, Monitored, Optimized, Prepared, Trained};
use crate::run::Context;
use lepton_core::{Digest, Error, Result};

/// One stage's work over the artifacts of the stages before it.
pub(crate) trait Work {
    /// What it gives.
    type Output: Artifact;
    /// Which stage it is.
    const STAGE: Stage;

    /// The hash of everything that the result depends on.
    fn key(&self, context: &Context<'_>) -> Result<Digest>;

    /// Whether a cached result still holds, for what a key cannot see (files that changed, a model that was removed).
    fn still_good(&self, _context: &Context<'_>, _output: &Self::Output) -> bool {
        true
    }

    /// Computes the result. `key` names the checkpoints of work that can be resumed.
    fn compute(&self, context: &Context<'_>, key: &Digest) -> Result<Self::Output>;

    /// Drops what only an unfinished [`Work::compute`] needs; called once the result is safely in the cache.
    fn clean_up(&self, _context: &Context<'_>, _key: &Digest) -> Result<()> {
        Ok(())
    }
}

/// The results so far.
#[derive(Default)]
pub(crate) struct Artifacts {
    pub(crate) collected: Option<Collected>,
    pub(crate) prepared: Option<Prepared>,
    pub(crate) augmented: Option<Augmented>,
    pub(crate) trained: Option<Trained>,
    pub(crate) optimized: Option<Optimized>,
    pub(crate) deployed: Option<Deployed>,
    pub(crate) monitored: Option<Monitored>,
}

/// The artifact of an earlier stage; the walk's order makes a missing one a bug.
fn earlier<T>(artifact: &Option<T>, stage: Stage) -> Result<&T> {
    artifact.as_ref().ok_or_else(|| Error::internal(format!("stage {stage} has not run yet")))
}
