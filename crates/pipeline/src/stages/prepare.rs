//! Stage 2, prepare: holds the collected rows against the project's rules, splits, checks, removes exact duplicates from the training split, and fits the recipe
//! on the training split only.

use super::{Artifacts, Work, earlier, near_duplicates, parts};
use crate::Stage;
use crate::artifact::{Collected, Prepared, PreparedDomains};
use crate::cache;
use crate::check::check_dataset;
use crate::repair::RunRepair;
use crate::run::Context;
use crate::tokenizer_file::TokenizerFile;
use lepton_core::{Column, Digest, Error, ErrorCode, Event, Result, Schema, Split, thousands};
use lepton_data::{Dataset, PrepareReport, PrepareSettings};
use lepton_doctor::rules::{CheckReport, Rule, RuleOutcome, RuleSettings, Verdict};
use lepton_recipe::{Recipe, Repairs};
use lepton_train::{Cut, Target};
use std::collections::{BTreeMap, BTreeSet};

/// The work of this stage.
pub(crate) struct Prepare<'a> {
    collected: &'a Collected,
    rule_settings: Vec<RuleSettings>,
    rules: Vec<Rule>,
    repair: Option<RunRepair>,
    tokenizer: Option<TokenizerFile>,
}

impl<'a> Prepare<'a> {
    pub(crate) fn new(context: &Context<'_>, artifacts: &'a Artifacts) -> Result<Prepare<'a>> {
        let (rule_settings, rules) = context.project.rules()?;
        let collected = earlier(&artifacts.collected, Stage::Collect)?;
        Ok(Prepare {
            collected,
            rule_settings,
            rules,
            repair: RunRepair::of(context.project)?,
            tokenizer: TokenizerFile::of(context)?,
        })
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
                (&settings.recipe, &settings.forecast, self.tokenizer.as_ref().map(|file| file.digest)),
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
        let task = settings.task();
        if self.repair.is_none() {
            settings.prepare.check(&collected.schema, &collected.target)?;
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
        if let Some(cut) = task.cut(&dataset, &settings.forecast, &settings.recipe)? {
            return self.finish_cut(context, cut, checks);
        }
        let (seed, progress) = (settings.project.seed, context.progress);
        let (prepared, mut report, target) =
            lepton_data::prepare_domains(dataset, &dropped, &settings.prepare, seed, progress, context.cancel)?;
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
        let mut plan = task.recipe(repairs.repaired(), &prepared.target, &settings.recipe)?;
        if let Some(file) = &self.tokenizer {
            plan.read_tokenizers(|_| Ok(file.bytes.clone())).map_err(|error| error.in_file(&file.path))?;
        }
        let train =
            prepared.parts.get(&Split::Train).ok_or_else(|| Error::internal("prepare gave no training split"))?;
        let recipe = plan.fit_after(repairs, &prepared.schema, train)?;
        let domains = target.map(|target| -> Result<PreparedDomains> {
            let is_feature = |column: &&Column| column.name != prepared.target;
            let schema = Schema { columns: prepared.schema.columns.iter().filter(is_feature).cloned().collect() };
            Ok(PreparedDomains {
                target: parts::save_part(context.store, &target.rows, &schema)?,
                labelled: target.labelled,
            })
        });
        finish(context, prepared, &recipe, report, checks, domains.transpose()?)
    }
}

impl Prepare<'_> {
    /// Rows that the task cut itself. How other rows are split is not asked then, and nothing that says it is passed over.
    fn finish_cut(&self, context: &Context<'_>, cut: Cut, checks: CheckReport) -> Result<Prepared> {
        let settings = &context.project.settings;
        if settings.prepare != PrepareSettings::default() {
            let message = format!("{} cuts its parts by time, and [prepare] is not read", settings.project.task);
            return Err(Error::new(ErrorCode::Config, message)
                .at_key("prepare")
                .fix("remove the section; [forecast] says where the parts lie"));
        }
        for finding in &cut.report.findings {
            context.progress.event(Event::Note { text: finding.message.clone() });
        }
        let train = cut.dataset.parts.get(&Split::Train).ok_or_else(|| Error::internal("no training rows were cut"))?;
        let recipe = cut.plan.fit(&cut.dataset.schema, train)?;
        finish(context, cut.dataset, &recipe, cut.report, checks, None)
    }

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

/// What the stage keeps of the parts and their fitted recipe.
fn finish(
    context: &Context<'_>,
    prepared: Dataset,
    recipe: &Recipe,
    report: PrepareReport,
    checks: CheckReport,
    domains: Option<PreparedDomains>,
) -> Result<Prepared> {
    // A label of valid or test that training never saw is an error here, not a surprise after training.
    for batch in prepared.parts.values() {
        recipe.encode_target(batch)?;
    }
    Ok(Prepared {
        digest: prepared.digest()?,
        domains,
        parts: parts::save(context.store, &prepared.parts, &prepared.schema)?,
        report,
        checks,
        recipe: context.store.blobs().put_bytes(&recipe.to_json()?)?,
        features: recipe.output(),
        labels: recipe.labels().to_vec(),
        several_labels: recipe.has_several_labels(),
        target_scale: recipe.target_scale().map(|(mean, deviation)| [mean, deviation]),
        horizon: recipe.horizon().cloned(),
        schema: prepared.schema,
        target: prepared.target,
    })
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
        match (&self.horizon, self.target_scale) {
            (Some(horizon), _) => Target::Horizon(horizon),
            (None, Some([mean, deviation])) => Target::Number { mean, deviation },
            (None, None) if self.several_labels => Target::Labels(&self.labels),
            (None, None) => Target::Classes(&self.labels),
        }
    }

    /// The fitted recipe.
    pub(crate) fn load_recipe(&self, store: &lepton_store::Store) -> Result<lepton_recipe::Recipe> {
        lepton_recipe::Recipe::from_json(&store.blobs().get(&self.recipe)?)
    }
}
