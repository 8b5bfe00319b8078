//! The table of tasks: a new task is one folder in `crates/tasks` and one line here.

use lepton_core::TaskKind;
use lepton_train::Task;

/// Every task of this build.
pub fn tasks() -> [&'static dyn Task; TaskKind::ALL.len()] {
    TaskKind::ALL.map(task)
}

/// The task of that kind.
pub fn task(kind: TaskKind) -> &'static dyn Task {
    match kind {
        TaskKind::Forecasting => &lepton_series::Forecasting,
        TaskKind::ImageClassification => &lepton_vision::ImageClassification,
        TaskKind::SeriesClassification => &lepton_series::SeriesClassification,
        TaskKind::TabularClassification => &lepton_tabular::TabularClassification,
        TaskKind::TabularRegression => &lepton_tabular::TabularRegression,
        TaskKind::TextClassification => &lepton_text::TextClassification,
    }
}
