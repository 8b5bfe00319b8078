//! Training once more on all rows that are no test: the validation rows chose the epoch, and then are learned from too.

use crate::fit::{Extras, Fit, FitJob, fit_with};
use crate::history::EpochRecord;
use crate::task::Learner;
use lepton_core::{Error, ErrorCode, Event, Result};

/// A training whose end is known: it has no validation.
pub(crate) struct Refit {
    epochs: usize,
    /// The validation losses of the first training, for schedules that read them.
    losses: Vec<f64>,
}

impl Refit {
    fn after(history: &[EpochRecord], epochs: usize) -> Refit {
        Refit { epochs, losses: history.iter().map(|record| record.valid_loss).collect() }
    }

    /// The epoch that it ends with, from 1.
    pub(crate) fn epochs(&self) -> usize {
        self.epochs
    }

    /// The validation losses that the first training knew in that epoch.
    pub(crate) fn losses_before(&self, epoch: usize) -> Vec<f64> {
        self.losses.iter().take(epoch - 1).copied().collect()
    }
}

/// The network of `first` trained anew, with the same seed and settings, on the rows of `job.train` for as many epochs as
/// were best in `first`. History and best epoch stay those of `first`. `job.valid` is not looked at.
///
/// # Errors
/// [`ErrorCode::Unsupported`] for boosting and ensembles, and those of [`crate::fit`].
pub fn refit(job: FitJob<'_>, first: Fit) -> Result<Fit> {
    check_refit(job.learner)?;
    let (rows, epochs) = (job.train.rows(), first.best_epoch);
    let text = format!("trained once more, on {rows} rows with those of validation, up to epoch {epochs}");
    job.progress.event(Event::Note { text });
    let extras = Extras { alignment: None, refit: Some(Refit::after(&first.history, epochs)) };
    let again = fit_with(job, extras)?;
    let resumed_from_step = first.resumed_from_step.or(again.resumed_from_step);
    Ok(Fit { network: again.network, refitted_rows: Some(rows), resumed_from_step, ..first })
}

/// Refuses what cannot be trained once more.
///
/// # Errors
/// [`ErrorCode::Unsupported`] for boosting and ensembles.
pub fn check_refit(learner: &Learner) -> Result<()> {
    let what = match learner {
        Learner::Network(_) | Learner::Trained(_) => return Ok(()),
        Learner::Boosting(_) => "boosting",
        Learner::Ensemble(_) => "an ensemble",
    };
    Err(Error::new(ErrorCode::Unsupported, format!("{what} is not trained once more on all rows"))
        .at_key("train.refit")
        .fix("remove train.refit, or choose a network"))
}
