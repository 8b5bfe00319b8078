//! The next steps of a series, with quantiles: what a table must be, its windows, networks and figures.

mod figures;
mod times;
mod windows;
mod zoo;

use lepton_core::{ColumnKind, Error, ErrorCode, Figure, Metric, Result, Schema, TaskKind};
use lepton_data::{AugmentSettings, Dataset};
use lepton_forecast::ForecastSettings;
use lepton_nn::{Architecture, Loss};
use lepton_recipe::RecipePlan;
use lepton_train::{Cut, EvaluationInput, RecipeSettings, Task, ZooEntry};

/// Forecasting: values along time in, quantiles of the next values out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forecasting;

impl Task for Forecasting {
    fn kind(&self) -> TaskKind {
        TaskKind::Forecasting
    }

    fn target_kind(&self) -> ColumnKind {
        ColumnKind::Number
    }

    fn check(&self, schema: &Schema, target: &str) -> Result<()> {
        match schema.column(target)?.kind {
            ColumnKind::Number => Ok(()),
            _ => Err(Error::new(ErrorCode::BadData, "a forecast is made of numbers along time")
                .at_column(target)
                .fix("name the column of the values as collect.target")),
        }
    }

    /// The plan depends on the windows, so it comes with them: see [`Task::cut`].
    fn recipe(&self, _: &Schema, _: &str, _: &RecipeSettings) -> Result<RecipePlan> {
        Err(Error::internal("the recipe of a forecast comes with its windows"))
    }

    fn cut(&self, dataset: &Dataset, forecast: &ForecastSettings, recipe: &RecipeSettings) -> Result<Option<Cut>> {
        if *recipe != RecipeSettings::default() {
            return Err(Error::new(ErrorCode::Config, "a forecast has no other preprocessing than [forecast] says")
                .at_key("recipe")
                .fix("remove the section; forecast.transform takes logarithms or roots"));
        }
        windows::cut(dataset, forecast).map(Some)
    }

    /// None: windows overlap, and what leaves the future of a series as it is depends on the series.
    fn default_augment(&self) -> AugmentSettings {
        AugmentSettings::default()
    }

    fn zoo(&self) -> &'static [ZooEntry] {
        zoo::ENTRIES
    }

    fn architecture(&self, name: Option<&str>, input_shape: &[usize], outputs: usize) -> Result<Architecture> {
        zoo::architecture(name, input_shape, outputs)
    }

    fn ensemble(&self) -> &'static [&'static str] {
        zoo::MEMBERS
    }

    fn has_folds(&self) -> bool {
        false
    }

    fn default_loss(&self) -> Loss {
        Loss::Quantile { levels: ForecastSettings::default().quantiles }
    }

    fn metrics(&self) -> &'static [Metric] {
        &Metric::OF_FORECASTS
    }

    fn primary_metric(&self) -> Metric {
        Metric::Mase
    }

    fn watched_metric(&self) -> Metric {
        Metric::Pinball
    }

    fn figures(&self, input: &EvaluationInput<'_>) -> Result<Vec<Figure>> {
        figures::figures(input)
    }
}

#[cfg(test)]
mod tests;
