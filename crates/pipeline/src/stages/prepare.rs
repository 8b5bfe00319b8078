//! Stage 2, prepare: holds the collected rows against the project's rules, splits, checks, removes exact duplicates from the training split, and fits the recipe
//! on the training split only.

use super::{Artifacts, Work, earlier, near_duplicates, parts};
use crate::Stage;
use crate::artifact::{Collected, Prepared};
use crate::cache;
use crate::check::check_dataset;
use crate::repair::RunRepair;
use crate::run::Context;
use crate::tasks::task;
use lepton_core::{Digest, Error, ErrorCode, Event, Result, Split, thousands};
use lepton_data::Dataset;
use lepton_doctor::rules::{CheckReport, Rule, RuleOutcome, RuleSettings, Verdict};
use lepton_recipe::Repairs;
use lepton_train::Target;
use std::collections::{BTreeMap, BTreeSet};

/// The work of this stage.
pub(crate) struct Prepare<'a> {
    collected: &'a Collected,
    rule_settings: Vec<RuleSettings>,
    rules: Vec<Rule>,
    repair: Option<RunRepair>,
}

impl<'a> Prepare<'a> {
    pub(crate) fn new(context: &Context<'_>, artifacts: &'a Artifacts) -> Result<Prepare<'a>> {
        let (rule_settings, rules) = context.project.rules()?;
        let collected = earlier(&artifacts.collected, Stage::Collect)?;
        Ok(Prepare { collected, rule_settings, rules, repair: RunRepair::of(context.project)? })
    }
}

impl Work for Prepare<'_> {
    type Output = Prepared;
    const STAGE: Stage = Stage::Prepare;

    fn key(&self, context: &Context<'_>) -> Result<Digest> {
        let settings = &context.project.settings;
        // What a repaired column is may be said in [collect], which is read as it looks.
        let plan = self.repair.as_ref().map(|repair| (repair.digest, &settings.collect.columns));
        cache::key(
            Self::STAGE,
            (
                (&settings.prepare, plan),
                &self.rule_settings,
                &settings.recipe,
                settings.project.task,
                settings.project.seed,
            ),
            (self.collected.digest, &self.collected.dataset, &self.collected.target, &self.collected.parts),
        )
    }

    /// What was fresh yesterday may be stale today.
    fn still_good(&self, _: &Context<'_>, _: &Prepared) -> bool {
        !self.rules.iter().any(Rule::needs_clock)
    }

    fn compute(&self, context: &Context<'_>, _: &Digest) -> Result<Prepared> {
        let (settings, collected) = (&context.project.settings, self.collected);
        let task = task(settings.project.task);
        if self.repair.is_none() {
            task.check(&settings.prepare.features(&collected.schema), &collected.target)?;
        }
        let (dataset, marks) = collected.load(context.store)?.without_marks()?;
        for column in marks {
            let text = format!("{} does not use the column \"{column}\"", settings.project.task);
            context.progress.event(Event::Note { text });
        }
        let checks = self.gate(context, &dataset)?;
        let (dataset, dropped) = match &self.repair {
            Some(repair) => repair.edit(dataset, &settings.collect)?,
            None => (dataset, BTreeSet::new()),
        };
        let (seed, progress) = (settings.project.seed, context.progress);
        let (prepared, mut report) =
            lepton_data::prepare_without(dataset, &dropped, &settings.prepare, seed, progress, context.cancel)?;
        if settings.prepare.near_duplicates {
            report.findings.extend(near_duplicates::find(context, &prepared)?);
        }
        for finding in &report.findings {
            context.progress.event(Event::Note { text: finding.message.clone() });
        }
        let repairs = match &self.repair {
            Some(repair) => repair.fit(&settings.collect, &prepared)?,
            None => Repairs::none(&prepared.schema),
        };
        if self.repair.is_some() {
            task.check(repairs.repaired(), &prepared.target)?;
            let text = format!(
                "{} repairs are done in training and in serving; {} rows are left out of training",
                repairs.names().count(),
                dropped.len()
            );
            context.progress.event(Event::Note { text });
        }
        let plan = task.recipe(repairs.repaired(), &prepared.target, &settings.recipe)?;
        let train =
            prepared.parts.get(&Split::Train).ok_or_else(|| Error::internal("prepare gave no training split"))?;
        let recipe = plan.fit_after(repairs, &prepared.schema, train)?;
        // A label of valid or test that training never saw is an error here, not a surprise after training.
        for batch in prepared.parts.values() {
            recipe.encode_target(batch)?;
        }
        Ok(Prepared {
            digest: prepared.digest()?,
            parts: parts::save(context.store, &prepared.parts, &prepared.schema)?,
            report,
            checks,
            recipe: context.store.blobs().put_bytes(&recipe.to_json()?)?,
            features: recipe.output(),
            labels: recipe.labels().to_vec(),
            target_scale: recipe.target_scale().map(|(mean, deviation)| [mean, deviation]),
            schema: prepared.schema,
            target: prepared.target,
        })
    }
}

impl Prepare<'_> {
    /// Refuses data that break a rule. What was found is kept with the run either way.
    fn gate(&self, context: &Context<'_>, dataset: &Dataset) -> Result<CheckReport> {
        if self.rules.is_empty() {
            return Ok(CheckReport::default());
        }
        let now = context.options.now.unwrap_or_else(crate::now);
        let report = check_dataset(context.store, dataset, &self.rules, now, context.progress, context.cancel)?;
        let bytes = serde_json::to_vec_pretty(&report)
            .map_err(|source| Error::internal(format!("the checks cannot be recorded: {source}")))?;
        let kept = context.store.save_report(&context.run, "checks.json", &bytes)?;
        for rule in report.rules.iter().filter(|rule| rule.verdict == Verdict::Warned) {
            context.progress.event(Event::Warning { text: sentence(rule) });
        }
        let broken: Vec<String> = report.failed().map(sentence).collect();
        if broken.is_empty() {
            return Ok(report);
        }
        let message = match broken.as_slice() {
            [one] => format!("1 rule is broken by the collected data: {one}"),
            more => format!("{} rules are broken by the collected data:\n  {}", more.len(), more.join("\n  ")),
        };
        Err(Error::new(ErrorCode::GateFailed, message)
            .at_key("check.rules")
            .fix(format!("repair the data, or change the rules; all verdicts are in {}", kept.display())))
    }
}

/// `age: from 0 to 120: 3 of 891 values (row 3: "150")`
fn sentence(rule: &RuleOutcome) -> String {
    let column = if rule.columns.is_empty() { String::new() } else { format!("{}: ", rule.column_text()) };
    match &rule.observed {
        Some(observed) => format!("{column}{}: {observed}", rule.expected),
        None => format!(
            "{column}{}: broken by {} of {} ({})",
            rule.expected,
            thousands(rule.failed),
            thousands(rule.checked),
            rule.evidence_text()
        ),
    }
}

impl Collected {
    /// The dataset with all its rows.
    pub(crate) fn load(&self, store: &lepton_store::Store) -> Result<Dataset> {
        let mut loaded = BTreeMap::new();
        for split in self.parts.keys() {
            loaded.insert(*split, parts::load(store, &self.parts, *split)?);
        }
        Ok(Dataset {
            name: self.dataset.clone(),
            schema: self.schema.clone(),
            target: self.target.clone(),
            parts: loaded,
            source: self.source.clone(),
            unreadable: self.unreadable.clone(),
        })
    }
}

impl Prepared {
    /// What is predicted.
    pub(crate) fn target_of(&self) -> Target<'_> {
        Target::new(&self.labels, self.target_scale)
    }

    /// The fitted recipe.
    pub(crate) fn load_recipe(&self, store: &lepton_store::Store) -> Result<lepton_recipe::Recipe> {
        lepton_recipe::Recipe::from_json(&store.blobs().get(&self.recipe)?)
    }
}
