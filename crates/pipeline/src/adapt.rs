//! What adaptation to another domain gained: the same learner without it, the distances between the domains, and a table
//! and a sentence that do not hide a loss.

use crate::artifact::Prepared;
use crate::run::Context;
use crate::stages::parts;
use crate::tasks::task;
use crate::transfer::score;
use lepton_adapt::{Rows, discrepancy, effective_sample_size};
use lepton_core::{Event, Figure, LabelledCell, Metric, Result, Tensor};
use lepton_data::Loader;
use lepton_nn::Network;
use lepton_train::{
    AdaptMethod, AdaptSettings, Adapted, Fit, FitJob, InMemory, Learner, TargetRows, TrainSettings, fit, fit_adapted,
};
use serde::{Deserialize, Serialize};

/// Shuffles behind a p-value.
const PERMUTATIONS: usize = 199;

/// Which rows a training of the table learned from, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainedOn {
    /// The source rows as they are.
    Source,
    /// The labelled target rows alone.
    Target,
    /// Both as they are.
    Both,
    /// All of these, adapted.
    Adapted,
}

/// One training of the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdaptRow {
    /// What it learned from.
    pub trained_on: TrainedOn,
    /// The metric on the test part, which is of the target domain.
    pub score: f64,
    /// Rows that it learned from.
    pub rows: usize,
    /// Rows of equal weight that tell as much.
    pub effective_rows: f64,
    /// The squared maximum mean discrepancy between its source rows, as it saw them, and target rows.
    pub discrepancy: Option<f64>,
    /// The share of shuffled domains that are at least as far apart.
    pub p_value: Option<f64>,
}

/// What adaptation gained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdaptReport {
    /// How.
    pub method: AdaptMethod,
    /// The target domain.
    pub target: String,
    /// Training rows of source domains.
    pub source_rows: usize,
    /// Target rows that trained with their labels.
    pub labelled_rows: usize,
    /// Target rows that were known by their features.
    pub target_rows: usize,
    /// Validation rows, whose labels chose between epochs and versions.
    pub valid_rows: usize,
    /// Whether those are of the target domain.
    pub valid_is_target: bool,
    /// Test rows, all of the target domain.
    pub test_rows: usize,
    /// How well a classifier that has not seen a row tells its domain, where there was one: 0.5 is not at all.
    pub domain_accuracy: Option<f64>,
    /// The metric that is compared.
    pub metric: Metric,
    /// Where discrepancies are measured: `features` or `hidden layer`.
    pub measured_at: String,
    /// The trainings, the adapted one last.
    pub trainings: Vec<AdaptRow>,
}

impl AdaptReport {
    fn better(&self, one: f64, other: f64) -> bool {
        if self.metric.higher_is_better() { one > other } else { one < other }
    }

    fn adapted(&self) -> Option<&AdaptRow> {
        self.trainings.iter().find(|row| row.trained_on == TrainedOn::Adapted)
    }

    /// The best training without adaptation.
    fn best_plain(&self) -> Option<&AdaptRow> {
        let plain = self.trainings.iter().filter(|row| row.trained_on != TrainedOn::Adapted);
        plain.reduce(|best, row| if self.better(row.score, best.score) { row } else { best })
    }

    fn name(&self, row: &AdaptRow) -> String {
        let (source, labelled) = (self.source_rows, self.labelled_rows);
        match row.trained_on {
            TrainedOn::Source => format!("{source} source rows, no adaptation"),
            TrainedOn::Target => format!("{labelled} labelled rows of {} alone", self.target),
            TrainedOn::Both => format!("{source} source rows and {labelled} of {}, no adaptation", self.target),
            TrainedOn::Adapted => format!("adapted by {}", self.method),
        }
    }

    /// One sentence, which does not hide a loss.
    pub fn sentence(&self) -> String {
        let (metric, method, target) = (self.metric, self.method, &self.target);
        let Some(adapted) = self.adapted() else { return format!("{method} to {target}: nothing was measured") };
        let score = adapted.score;
        let Some(best) = self.best_plain() else {
            return format!("{method} to {target}: test {metric} {score:.4}; without it nothing was trained");
        };
        let gain = if metric.higher_is_better() { score - best.score } else { best.score - score };
        let verdict = match gain {
            gain if gain > 0.0 => format!("better by {gain:.4}"),
            gain if gain < 0.0 => format!("worse by {:.4}: adaptation did not help", -gain),
            _ => "no difference: adaptation did not help".to_owned(),
        };
        let name = self.name(best);
        format!("{method} to {target}: test {metric} {score:.4}, best without it {:.4} ({name}), {verdict}", best.score)
    }

    /// The table of the report.
    pub fn figure(&self) -> Figure {
        let cell = |text: String, good| LabelledCell { text, good };
        let number = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.digits$}"))
        };
        let best = self.best_plain().map(|row| row.score);
        let rows = self.trainings.iter().map(|row| {
            let good = match (row.trained_on, best) {
                (TrainedOn::Adapted, Some(best)) if row.score != best => Some(self.better(row.score, best)),
                (TrainedOn::Adapted, Some(_)) => Some(false),
                _ => None,
            };
            vec![
                cell(self.name(row), None),
                cell(format!("{:.4}", row.score), good),
                cell(format!("{:.0} of {}", row.effective_rows, row.rows), None),
                cell(number(row.discrepancy, 4), None),
                cell(number(row.p_value, 3), None),
            ]
        });
        let domains = self.domain_accuracy.map_or_else(String::new, |accuracy| {
            format!("; a classifier tells the domains apart with balanced accuracy {accuracy:.2}")
        });
        let choosing = if self.valid_is_target { self.target.as_str() } else { "the source" };
        Figure::Table {
            title: format!(
                "What adaptation to {} gained, on {} test rows of it ({} validation rows of {choosing}; {} rows of {} known \
                 by their features{domains})",
                self.target, self.test_rows, self.valid_rows, self.target_rows, self.target
            ),
            columns: vec![
                "training".to_owned(),
                format!("test {}", self.metric),
                "effective rows".to_owned(),
                format!("MMD² to {} ({})", self.target, self.measured_at),
                "p".to_owned(),
            ],
            rows: rows.collect(),
        }
    }
}

/// A training stage of a project with `[adapt]`.
pub(crate) struct Adaptation<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) settings: &'a AdaptSettings,
    pub(crate) prepared: &'a Prepared,
    pub(crate) learner: &'a Learner,
    /// Features of target rows without labels.
    pub(crate) target: Tensor,
    pub(crate) labelled: usize,
    pub(crate) training: &'a Loader,
    pub(crate) validation: &'a Loader,
    pub(crate) test: &'a Loader,
    pub(crate) train: &'a TrainSettings,
}

impl Adaptation<'_> {
    /// Trains, then trains without adaptation where that is asked for.
    pub(crate) fn run(&self, job: FitJob<'_>) -> Result<(Fit, AdaptReport)> {
        let rows = TargetRows { features: &self.target, labelled: self.labelled };
        let adapted = fit_adapted(job, &rows, self.settings)?;
        let mut trainings = Vec::new();
        if self.settings.compare {
            let sources = self.training.rows() - self.labelled;
            let all = self.training.rows();
            let mut plain = vec![(TrainedOn::Source, 0..sources)];
            if self.labelled > 0 {
                plain.push((TrainedOn::Target, sources..all));
                plain.push((TrainedOn::Both, 0..all));
            }
            for (trained_on, range) in plain {
                let words = match trained_on {
                    TrainedOn::Source => "source rows alone are",
                    TrainedOn::Target => "labelled target rows alone are",
                    _ => "source and labelled target rows as they are, are",
                };
                let text = format!("{words} trained on, to tell what adaptation gained");
                self.context.progress.event(Event::Note { text });
                trainings.push(self.plain(trained_on, range)?);
            }
        }
        let score = self.score(&adapted.fit.network)?;
        let mut last = AdaptRow {
            trained_on: TrainedOn::Adapted,
            score,
            rows: self.training.rows(),
            effective_rows: adapted.weights.as_deref().map_or(self.training.rows() as f64, effective_sample_size),
            discrepancy: None,
            p_value: None,
        };
        (last.discrepancy, last.p_value) = self.distance(&adapted)?;
        trainings.push(last);
        let report = AdaptReport {
            method: self.settings.method,
            target: self.settings.target.clone(),
            source_rows: self.training.rows() - self.labelled,
            labelled_rows: self.labelled,
            target_rows: self.target.rows(),
            valid_rows: self.validation.rows(),
            valid_is_target: self.settings.labels > 0,
            test_rows: self.test.rows(),
            domain_accuracy: adapted.domain_accuracy,
            metric: self.context.project.settings.task().primary_metric(),
            measured_at: if self.settings.method.is_hidden() { "hidden layer" } else { "features" }.to_owned(),
            trainings,
        };
        self.context.progress.event(Event::Note { text: report.sentence() });
        Ok((adapted.fit, report))
    }

    /// The same learner on some of the training rows as they are.
    fn plain(&self, trained_on: TrainedOn, range: std::ops::Range<usize>) -> Result<AdaptRow> {
        let (context, project) = (self.context, &self.context.project.settings.project);
        // All rows as they are keep what varies them.
        let train = if range.len() == self.training.rows() {
            self.training.clone()
        } else {
            self.training.of_rows(&range.clone().collect::<Vec<_>>())?
        };
        let fitted = fit(FitJob {
            task: task(project.task),
            learner: self.learner,
            target: self.prepared.target_of(),
            train: &train,
            valid: self.validation,
            settings: self.train,
            seed: project.seed,
            checkpoints: &mut InMemory::default(),
            progress: context.progress,
            cancel: context.cancel,
        })?;
        let measured = match trained_on {
            TrainedOn::Source => {
                let (features, _) = train.everything()?;
                self.between(&features, None, &fitted.network)?
            }
            _ => (None, None),
        };
        Ok(AdaptRow {
            trained_on,
            score: self.score(&fitted.network)?,
            rows: range.len(),
            effective_rows: range.len() as f64,
            discrepancy: measured.0,
            p_value: measured.1,
        })
    }

    fn score(&self, network: &Network) -> Result<f64> {
        let task = self.context.project.settings.task();
        score(task, network, self.test, self.prepared.target_of(), self.context)
    }

    /// How far source rows are from the target after adaptation.
    fn distance(&self, adapted: &Adapted) -> Result<(Option<f64>, Option<f64>)> {
        let sources = self.training.rows() - self.labelled;
        let features = match &adapted.features {
            Some(moved) => moved.clone(),
            None => self.training.everything()?.0,
        };
        let weights = adapted.weights.as_ref().map(|weights| &weights[..sources]);
        self.between(&features.slice_rows(0, sources)?, weights, &adapted.fit.network)
    }

    fn between(
        &self,
        source: &Tensor,
        weights: Option<&[f32]>,
        network: &Network,
    ) -> Result<(Option<f64>, Option<f64>)> {
        let (source, target) = match self.settings.method.is_hidden() {
            true => (network.represent(source)?, network.represent(&self.target)?),
            false => (source.clone(), self.target.clone()),
        };
        let rows = Rows::new(source.as_float32()?, source.row_len())?;
        let target = Rows::new(target.as_float32()?, target.row_len())?;
        let seed = self.context.project.settings.project.seed;
        // Shuffling rows that have weights says nothing: those were made to fit.
        let permutations = if weights.is_some() { 0 } else { PERMUTATIONS };
        let found = discrepancy(&rows, weights, &target, permutations, seed)?;
        Ok((Some(found.value), weights.is_none().then_some(found.p_value)))
    }
}

/// The recipe's output over the target rows that are known by their features.
pub(crate) fn target_features(context: &Context<'_>, prepared: &Prepared) -> Result<Option<(Tensor, usize)>> {
    let Some(domains) = &prepared.domains else { return Ok(None) };
    let rows = parts::load_part(context.store, &domains.target)?;
    let recipe = prepared.load_recipe(context.store)?;
    Ok(Some((recipe.apply(&rows)?, domains.labelled)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(source: f64, adapted: f64, metric: Metric) -> AdaptReport {
        let row = |trained_on, score, effective_rows| AdaptRow {
            trained_on,
            score,
            rows: 900,
            effective_rows,
            discrepancy: Some(0.0123),
            p_value: None,
        };
        AdaptReport {
            method: AdaptMethod::DensityRatio,
            target: "imdb".to_owned(),
            source_rows: 900,
            labelled_rows: 0,
            target_rows: 800,
            valid_rows: 100,
            valid_is_target: false,
            test_rows: 200,
            domain_accuracy: Some(0.931),
            metric,
            measured_at: "features".to_owned(),
            trainings: vec![row(TrainedOn::Source, source, 900.0), row(TrainedOn::Adapted, adapted, 412.3)],
        }
    }

    #[test]
    fn a_gain_a_loss_and_no_difference_are_said_as_they_are() {
        let said = |source, adapted, metric| report(source, adapted, metric).sentence();
        let gained = said(0.70, 0.72, Metric::Accuracy);
        assert!(gained.ends_with("better by 0.0200") && gained.contains("900 source rows"), "{gained}");
        assert!(said(0.72, 0.70, Metric::Accuracy).ends_with("worse by 0.0200: adaptation did not help"));
        assert!(said(0.7, 0.7, Metric::Accuracy).ends_with("no difference: adaptation did not help"));
        assert!(said(3.0, 2.0, Metric::Rmse).ends_with("better by 1.0000"));
        let mut alone = report(0.7, 0.7, Metric::Accuracy);
        alone.trainings.remove(0);
        assert!(alone.sentence().contains("without it nothing was trained"));
    }

    #[test]
    fn the_table_colours_a_loss_and_counts_effective_rows() {
        let cells = |report: AdaptReport| match report.figure() {
            Figure::Table { rows, title, .. } => (rows, title),
            _ => panic!("a table"),
        };
        let (rows, title) = cells(report(0.72, 0.70, Metric::Accuracy));
        assert_eq!(rows[1][1], LabelledCell { text: "0.7000".to_owned(), good: Some(false) });
        assert_eq!(rows[1][2].text, "412 of 900");
        assert_eq!((rows[1][3].text.as_str(), rows[1][4].text.as_str()), ("0.0123", "not measured"));
        assert!(
            title.contains("200 test rows") && title.contains("0.93") && title.contains("of the source"),
            "{title}"
        );
        assert_eq!(cells(report(0.70, 0.72, Metric::Accuracy)).0[1][1].good, Some(true));
        assert_eq!(cells(report(0.70, 0.70, Metric::Accuracy)).0[1][1].good, Some(false));
    }
}
