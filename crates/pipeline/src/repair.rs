//! `[prepare] repair`: the plan of a doctor in a run. The plan is read and held against the file that it was made for;
//! what it does is written in lepton-doctor and, for cells, in lepton-recipe.

use crate::Project;
use lepton_core::{Digest, Error, ErrorCode, Result, Split};
use lepton_data::{CollectSettings, Dataset};
use lepton_doctor::repair::{Plan, edit_rows, for_recipe, repair_target};
use lepton_recipe::{RepairPlan, Repairs};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The plan of a project.
pub(crate) struct RunRepair {
    path: PathBuf,
    plan: Plan,
    /// The hash of the plan's file.
    pub(crate) digest: Digest,
}

impl RunRepair {
    /// The plan that the project names, where it names one.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] without the file; [`ErrorCode::Config`] with the line of what is wrong in it;
    /// [`ErrorCode::Unsupported`] for a step that no run does.
    pub(crate) fn of(project: &Project) -> Result<Option<RunRepair>> {
        let Some(path) = &project.settings.prepare.repair else { return Ok(None) };
        let path = project.folder.join(path);
        let text = std::fs::read_to_string(&path).map_err(|source| {
            Error::io("read the plan", &path, source)
                .at_key("prepare.repair")
                .fix("make one with `lepton data doctor FILE --plan PLAN`")
        })?;
        let plan = Plan::from_toml(&text).map_err(|error| error.in_file(&path))?;
        for_recipe(&plan).map_err(|error| error.in_file(&path))?;
        Ok(Some(RunRepair { path, plan, digest: Digest::of(text) }))
    }

    /// How the source is read: columns under repair as what they look like, because what a person calls them is what
    /// they are once they are repaired.
    pub(crate) fn collect_settings(repair: Option<&RunRepair>, settings: &CollectSettings) -> Result<CollectSettings> {
        let mut settings = settings.clone();
        if let Some(repair) = repair {
            let touched: BTreeSet<String> = repair.on_cells()?.into_iter().map(|repair| repair.column).collect();
            settings.columns.retain(|name, _| !touched.contains(name));
        }
        Ok(settings)
    }

    /// The dataset with repaired labels and merged rows, and the rows that the training part leaves out.
    ///
    /// # Errors
    /// [`ErrorCode::Integrity`] for a training file that is not the plan's; those of [`edit_rows`].
    pub(crate) fn edit(&self, mut dataset: Dataset, collect: &CollectSettings) -> Result<(Dataset, BTreeSet<usize>)> {
        let file = dataset.source.first().ok_or_else(|| Error::internal("a dataset without a file"))?;
        if file.sha256 != self.plan.sha256 {
            let message =
                format!("the plan was made for a file of sha256 {}, this is {}", self.plan.sha256, file.sha256);
            return Err(Error::new(ErrorCode::Integrity, message)
                .in_file(&file.path)
                .at_key("prepare.repair")
                .fix("make a new plan with `lepton data doctor FILE --plan PLAN`"));
        }
        let placed = |error: Error| match error.place().file {
            Some(_) => error,
            None => error.in_file(&self.path),
        };
        for repair in self.on_cells()?.iter().filter(|repair| !collect.ignore.contains(&repair.column)) {
            let known = dataset.schema.column(&repair.column);
            known.map_err(|error| placed(error.at_key(format!("repair.{}", repair.id))))?;
        }
        let mut dropped = BTreeSet::new();
        for (split, rows) in &mut dataset.parts {
            if *split == Split::Train {
                let edited = edit_rows(&self.plan, &dataset.schema, &dataset.target, rows).map_err(placed)?;
                (*rows, dropped) = (edited.rows, edited.dropped);
            }
            *rows = repair_target(&self.plan, &dataset.schema, &dataset.target, rows).map_err(placed)?;
        }
        Ok((dataset, dropped))
    }

    /// The repairs of cells, fitted on the training rows.
    ///
    /// # Errors
    /// Those of [`Repairs::fit`].
    pub(crate) fn fit(&self, collect: &CollectSettings, prepared: &Dataset) -> Result<Repairs> {
        let train =
            prepared.parts.get(&Split::Train).ok_or_else(|| Error::internal("prepare gave no training split"))?;
        // What a run ignores, or splits by, is in no row that the recipe sees.
        let mut repairs = self.on_cells()?;
        repairs.retain(|repair| prepared.schema.names().any(|name| name == repair.column));
        Repairs::fit(&repairs, &prepared.schema, &prepared.target, &collect.columns, train).map_err(|error| match error
            .place()
            .file
        {
            Some(_) => error,
            None => error.in_file(&self.path),
        })
    }

    fn on_cells(&self) -> Result<Vec<RepairPlan>> {
        for_recipe(&self.plan)
    }
}
