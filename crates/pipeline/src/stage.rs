//! The seven stages and their order.

use lepton_core::{Error, ErrorCode, Result, nearest};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One of the seven stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Reads the source into a dataset version named by its content.
    Collect,
    /// Splits, validates, removes duplicates, fits the recipe.
    Prepare,
    /// Fixes what training pictures are varied by.
    Augment,
    /// Trains the network.
    Train,
    /// Exports to ONNX, makes INT8, measures, decides.
    Optimize,
    /// Writes the model package and registers it.
    Deploy,
    /// Checks that the package's reference sees what it should.
    Monitor,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Stage; 7] =
        [Stage::Collect, Stage::Prepare, Stage::Augment, Stage::Train, Stage::Optimize, Stage::Deploy, Stage::Monitor];

    /// The name in commands and reports.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Collect => "collect",
            Stage::Prepare => "prepare",
            Stage::Augment => "augment",
            Stage::Train => "train",
            Stage::Optimize => "optimize",
            Stage::Deploy => "deploy",
            Stage::Monitor => "monitor",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Stage {
    type Err = Error;

    fn from_str(text: &str) -> Result<Stage> {
        Stage::ALL.into_iter().find(|stage| stage.name() == text).ok_or_else(|| {
            let names = Stage::ALL.map(Stage::name);
            let error = Error::new(ErrorCode::Usage, format!("there is no stage \"{text}\""));
            match nearest(text, names) {
                Some(near) => error.fix(format!("did you mean \"{near}\"?")),
                None => error.fix(format!("the stages are: {}", names.join(", "))),
            }
        })
    }
}
