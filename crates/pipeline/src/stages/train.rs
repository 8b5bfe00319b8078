//! Stage 4, train: builds the network, trains it, and keeps checkpoints from which a killed run goes on.

use super::{Artifacts, Work, earlier, parts};
use crate::adapt::{Adaptation, target_features};
use crate::artifact::{Augmented, Prepared, Trained};
use crate::cache;
use crate::run::Context;
use crate::transfer::{self, Source, TransferReport};
use crate::{Stage, environment, now_utc};
use arrow_array::RecordBatch;
use lepton_core::{Digest, Error, ErrorCode, Event, Progress, Result, Split};
use lepton_data::{Augmenter, Loader};
use lepton_nn::Network;
use lepton_recipe::Recipe;
use lepton_store::CheckpointFolder;
use lepton_train::{Checkpoints, FitJob, InMemory, Learner, Start, TrainSettings};
use std::sync::Arc;

/// The work of this stage.
pub(crate) struct Train<'a> {
    prepared: &'a Prepared,
    augmented: &'a Augmented,
    /// What the training goes on from, where it does.
    source: Option<Source>,
}

impl<'a> Train<'a> {
    pub(crate) fn new(context: &Context<'_>, artifacts: &'a Artifacts) -> Result<Train<'a>> {
        let from = context.project.settings.train.from.as_deref();
        Ok(Train {
            prepared: earlier(&artifacts.prepared, Stage::Prepare)?,
            augmented: earlier(&artifacts.augmented, Stage::Augment)?,
            source: from.map(|from| transfer::source(context, from)).transpose()?,
        })
    }

    fn learner(&self, context: &Context<'_>, recipe: &Recipe) -> Result<Learner> {
        let settings = &context.project.settings;
        let shape: Vec<usize> =
            self.prepared.features.shape.iter().skip(1).map(|side| usize::try_from(*side).unwrap_or(0)).collect();
        let outputs = self.prepared.target_of().outputs();
        if let Some(source) = &self.source {
            let (transfer, seed) = (&settings.train.transfer, settings.project.seed);
            if let Some(codes) = recipe.codes() {
                transfer::check_codes(&source.network, codes)?;
            }
            return Ok(Learner::Trained(Box::new(Start::new(&source.network, &shape, outputs, transfer, seed)?)));
        }
        let task = settings.task();
        match recipe.codes() {
            Some(codes) => lepton_train::learner_over_codes(task, &settings.train, codes, outputs),
            None => lepton_train::learner(task, &settings.train, &shape, outputs),
        }
    }
}

impl Train<'_> {
    /// Rows that were made up (SMOTE) are of no domain.
    fn refuse_new_rows(&self) -> Result<()> {
        match self.augmented.train {
            None => Ok(()),
            Some(_) => Err(Error::new(ErrorCode::Unsupported, "rows that SMOTE makes are of no domain")
                .at_key("augment.steps")
                .fix("remove that step or [adapt]")),
        }
    }

    /// The rows of training and validation, one after the other.
    fn all_rows(&self, context: &Context<'_>) -> Result<RecordBatch> {
        let train = match &self.augmented.train {
            Some(part) => parts::load_part(context.store, part)?,
            None => parts::load(context.store, &self.prepared.parts, Split::Train)?,
        };
        let valid = parts::load(context.store, &self.prepared.parts, Split::Valid)?;
        arrow_select::concat::concat_batches(&train.schema(), [&train, &valid])
            .map_err(|source| Error::internal(format!("parts cannot be joined: {source}")))
    }

    /// What transfer gained: the metric of the network on the test split and, where it is asked for, that of the same
    /// network trained from scratch.
    #[expect(clippy::too_many_arguments, reason = "one caller, and all of it is at hand there")]
    fn gain(
        &self,
        context: &Context<'_>,
        source: &Source,
        start: &Start,
        network: &Network,
        training: &Loader,
        validation: &Loader,
        loader: &dyn Fn(Split, Option<Augmenter>) -> Result<Loader>,
    ) -> Result<TransferReport> {
        let settings = &context.project.settings;
        let (task, target, test) = (settings.task(), self.prepared.target_of(), loader(Split::Test, None)?);
        let scratch = match settings.train.transfer.compare {
            false => None,
            true => {
                let text = "the same network is trained from scratch, to tell what transfer gained".to_owned();
                context.progress.event(Event::Note { text });
                let plain = Start::scratch(start.network().architecture());
                let fit = lepton_train::fit(FitJob {
                    task,
                    learner: &Learner::Network(plain),
                    target,
                    train: training,
                    valid: validation,
                    settings: &TrainSettings { threads: Some(threads(&settings.train)), ..settings.train.clone() },
                    seed: settings.project.seed,
                    checkpoints: &mut InMemory::default(),
                    progress: context.progress,
                    cancel: context.cancel,
                })?;
                Some(transfer::score(task, &fit.network, &test, target, context)?)
            }
        };
        let report = TransferReport {
            from: settings.train.from.clone().unwrap_or_default(),
            weights: source.weights,
            kept_layers: start.kept_layers(),
            fresh: start.fresh.clone(),
            metric: task.primary_metric(),
            transferred: transfer::score(task, network, &test, target, context)?,
            scratch,
        };
        context.progress.event(Event::Note { text: report.sentence() });
        Ok(report)
    }
}

/// Where the checkpoints of the training on all rows are kept.
fn refit_key(key: &Digest) -> Result<Digest> {
    Digest::of_json(&("refit", key))
}

/// Threads that compute: the setting, or one per core.
pub(crate) fn threads(settings: &TrainSettings) -> usize {
    settings.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

impl Work for Train<'_> {
    type Output = Trained;
    const STAGE: Stage = Stage::Train;

    fn key(&self, context: &Context<'_>) -> Result<Digest> {
        let settings = &context.project.settings;
        // How often checkpoints are written changes nothing in the result.
        let mut train = settings.train.clone();
        train.checkpoint_seconds = 0.0;
        train.checkpoint_steps = 0;
        train.threads = Some(threads(&settings.train));
        cache::key(
            Self::STAGE,
            (train, &settings.adapt, settings.project.task, settings.project.seed),
            (
                (self.prepared.recipe, &self.prepared.domains),
                &self.prepared.parts,
                (&self.prepared.labels, self.prepared.target_scale, &self.prepared.horizon),
                (&self.augmented.settings, &self.augmented.files),
                &self.augmented.train,
                self.source.as_ref().map(|source| source.weights),
            ),
        )
    }

    fn compute(&self, context: &Context<'_>, key: &Digest) -> Result<Trained> {
        let settings = &context.project.settings;
        let (seed, train) = (settings.project.seed, &settings.train);
        let threads = threads(train);
        let recipe = Arc::new(self.prepared.load_recipe(context.store)?);
        let learner = self.learner(context, &recipe)?;
        let augmenter =
            (!self.augmented.settings.is_off()).then(|| Augmenter::new(&self.augmented.settings, seed)).transpose()?;
        let loader = |split: Split, augmenter: Option<Augmenter>| {
            let part = match (&self.augmented.train, split) {
                (Some(part), Split::Train) => parts::load_part(context.store, part)?,
                _ => parts::load(context.store, &self.prepared.parts, split)?,
            };
            let over = if split == Split::Train { Loader::for_training } else { Loader::new };
            over(part, Arc::clone(&recipe), augmenter, train.batch_size, seed, threads)
        };
        if train.refit {
            lepton_train::check_refit(&learner)?;
            if recipe.is_out_of_fold() {
                let message =
                    "a category's target encoding is of the training rows alone, so validation rows cannot join them";
                return Err(Error::new(ErrorCode::Unsupported, message)
                    .at_key("train.refit")
                    .fix("remove train.refit, or encode categories in another way"));
            }
        }
        let (training, validation) = (loader(Split::Train, augmenter.clone())?, loader(Split::Valid, None)?);
        let mut checkpoints = StoredCheckpoints { folder: context.store.checkpoints(key)?, progress: context.progress };
        let on_threads = TrainSettings { threads: Some(threads), ..train.clone() };
        let job = FitJob {
            task: settings.task(),
            learner: &learner,
            target: self.prepared.target_of(),
            train: &training,
            valid: &validation,
            settings: &on_threads,
            seed,
            checkpoints: &mut checkpoints,
            progress: context.progress,
            cancel: context.cancel,
        };
        let (fit, adapt) = match (&settings.adapt, target_features(context, self.prepared)?) {
            (Some(adapt), Some((target, labelled))) => {
                self.refuse_new_rows()?;
                let test = loader(Split::Test, None)?;
                let adaptation = Adaptation {
                    context,
                    settings: adapt,
                    prepared: self.prepared,
                    learner: &learner,
                    target,
                    labelled,
                    training: &training,
                    validation: &validation,
                    test: &test,
                    train: &on_threads,
                };
                let (fit, report) = adaptation.run(job)?;
                (fit, Some(report))
            }
            _ => (lepton_train::fit(job)?, None),
        };
        let fit = match train.refit {
            false => fit,
            true => {
                let all = Loader::new(
                    self.all_rows(context)?,
                    Arc::clone(&recipe),
                    augmenter,
                    train.batch_size,
                    seed,
                    threads,
                )?;
                let folder = context.store.checkpoints(&refit_key(key)?)?;
                lepton_train::refit(
                    FitJob {
                        task: settings.task(),
                        learner: &learner,
                        target: self.prepared.target_of(),
                        train: &all,
                        valid: &validation,
                        settings: &on_threads,
                        seed,
                        checkpoints: &mut StoredCheckpoints { folder, progress: context.progress },
                        progress: context.progress,
                        cancel: context.cancel,
                    },
                    fit,
                )?
            }
        };
        let blobs = context.store.blobs();
        let architecture = fit.network.architecture();
        let transfer = match (&learner, &self.source) {
            (Learner::Trained(start), Some(source)) => {
                Some(self.gain(context, source, start, &fit.network, &training, &validation, &loader)?)
            }
            _ => None,
        };
        let trained = Trained {
            architecture: blobs.put_bytes(&architecture.to_json()?)?,
            weights: blobs.put_bytes(&fit.network.weights()?)?,
            summary: architecture.summary()?.to_string(),
            refitted_rows: fit.refitted_rows,
            best_epoch: fit.best_epoch,
            stopped_early: fit.stopped_early,
            samples_per_second: fit.samples_per_second,
            data_wait_seconds: fit.data_wait_seconds,
            history: fit.history,
            transfer,
            ensemble: fit.ensemble,
            adapt,
            environment: environment(threads, &fit.backend),
            run: context.run.clone(),
            command: context.options.command.join(" "),
            created: now_utc(),
        };
        Ok(trained)
    }

    /// A finished training needs its checkpoints no more, and `--from train` must not go on from them.
    fn clean_up(&self, context: &Context<'_>, key: &Digest) -> Result<()> {
        context.store.checkpoints(&refit_key(key)?)?.clear()?;
        context.store.checkpoints(key)?.clear()
    }
}

/// Checkpoints in the store, for the fit loop.
struct StoredCheckpoints<'a> {
    folder: CheckpointFolder,
    progress: &'a dyn Progress,
}

impl Checkpoints for StoredCheckpoints<'_> {
    fn save(&mut self, step: u64, bytes: &[u8]) -> Result<()> {
        self.folder.save(step, bytes)
    }

    fn latest(&mut self) -> Result<Option<(u64, Vec<u8>)>> {
        let Some(checkpoint) = self.folder.latest()? else { return Ok(None) };
        if let Some(text) = checkpoint.warning {
            self.progress.event(Event::Warning { text });
        }
        Ok(Some((checkpoint.step, checkpoint.bytes)))
    }
}
