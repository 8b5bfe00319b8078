//! The kinds of problem that a project can name in `[project] task`.

use crate::{Error, ErrorCode, Result, nearest};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A kind of problem. The code for each lives in one folder of `crates/tasks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// The next steps of a series, with quantiles.
    Forecasting,
    /// One label per picture.
    ImageClassification,
    /// One label per series.
    SeriesClassification,
    /// One label per table row.
    TabularClassification,
    /// One number per table row.
    TabularRegression,
    /// One label per text.
    TextClassification,
}

impl TaskKind {
    /// All tasks of this build.
    pub const ALL: [TaskKind; 6] = [
        TaskKind::Forecasting,
        TaskKind::ImageClassification,
        TaskKind::SeriesClassification,
        TaskKind::TabularClassification,
        TaskKind::TabularRegression,
        TaskKind::TextClassification,
    ];

    /// The name in `lepton.toml`, `image-classification`.
    pub fn name(self) -> &'static str {
        match self {
            TaskKind::Forecasting => "forecasting",
            TaskKind::ImageClassification => "image-classification",
            TaskKind::SeriesClassification => "series-classification",
            TaskKind::TabularClassification => "tabular-classification",
            TaskKind::TabularRegression => "tabular-regression",
            TaskKind::TextClassification => "text-classification",
        }
    }
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TaskKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<TaskKind> {
        TaskKind::ALL.into_iter().find(|task| task.name() == text).ok_or_else(|| {
            let names = TaskKind::ALL.map(TaskKind::name);
            let error = Error::new(ErrorCode::Usage, format!("unknown task \"{text}\""));
            match nearest(text, names) {
                Some(near) => error.fix(format!("did you mean \"{near}\"?")),
                None => error.fix(format!("the tasks are: {}", names.join(", "))),
            }
        })
    }
}
