//! The table of tasks: a new task is one folder in `crates/tasks` and one line here.

use lepton_core::{ColumnKind, TaskKind};
use lepton_train::{MultiLabel, Task};
use std::sync::LazyLock;

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

/// The task of that kind, for rows that may have several labels each where it is asked for; `None` where the task has no
/// classes.
pub(crate) fn task_over(kind: TaskKind, several_labels: bool) -> Option<&'static dyn Task> {
    static SEVERAL: LazyLock<Vec<MultiLabel>> = LazyLock::new(|| {
        let of_classes = tasks().into_iter().filter(|task| has_classes(*task));
        of_classes.map(MultiLabel::over).collect()
    });
    if !several_labels {
        return Some(task(kind));
    }
    SEVERAL.iter().find(|task| task.kind() == kind).map(|task| task as &dyn Task)
}

/// Whether one of several classes is predicted.
fn has_classes(task: &dyn Task) -> bool {
    task.target_kind() == ColumnKind::Category
}
