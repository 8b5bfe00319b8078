//! `[tune]` of `lepton.toml`: what is searched for, where, and for how long. The space, the samplers and the pruners
//! are lepton-tune's; how trials are run is in `study.rs`.

use lepton_core::{Error, ErrorCode, Metric, Result, nearest};
use lepton_train::Task;
use lepton_tune::{Direction, Pruner, Sampler, Space};
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The most trials of a study.
const MOST_TRIALS: u64 = 100_000;

/// `[tune]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TuneSettings {
    /// How many trials the study has in all, those of earlier calls included.
    pub trials: u64,
    /// How the next point is chosen.
    pub sampler: Sampler,
    /// Which trials end early.
    pub pruner: Pruning,
    /// What is wanted, the most important first; the task's metric where nothing is named.
    pub objectives: Vec<Objective>,
    /// Trials that run at the same time, each in a process of its own.
    pub parallel: usize,
    /// No trial is started after so long (`"10m"`); those that run then are finished.
    pub time: Option<TimeLimit>,
    /// Threads of each trial. Where nothing is set: `train.threads`, else the cores shared out evenly.
    pub threads: Option<usize>,
    /// What may vary, by dotted key.
    pub space: Space,
}

impl Default for TuneSettings {
    fn default() -> TuneSettings {
        TuneSettings {
            trials: 50,
            sampler: Sampler::default(),
            pruner: Pruning::default(),
            objectives: Vec::new(),
            parallel: 1,
            time: None,
            threads: None,
            space: Space::default(),
        }
    }
}

/// Something to make large or small. Written as `{ metric = "accuracy" }` or `{ measure = "size" }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// A metric of the validation split.
    Metric(Metric),
    /// A property of the exported network.
    Measure(Measure),
}

/// What is measured of the exported network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Seconds that one row takes on this machine, the median of several runs.
    Latency,
    /// Bytes of the ONNX file.
    Size,
}

impl Objective {
    /// The name in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Objective::Metric(metric) => metric.name(),
            Objective::Measure(Measure::Latency) => "latency",
            Objective::Measure(Measure::Size) => "size",
        }
    }

    /// Which way is better.
    pub fn direction(self) -> Direction {
        match self {
            Objective::Metric(metric) if metric.higher_is_better() => Direction::Maximize,
            Objective::Metric(_) | Objective::Measure(_) => Direction::Minimize,
        }
    }
}

/// Which trials end early: the median rule unless something is said, none for `false`, or a pruner of lepton-tune.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Pruning {
    /// The median rule where one metric is the objective; none otherwise.
    #[default]
    Usual,
    /// None.
    Off,
    /// This one.
    By(Pruner),
}

impl Serialize for Pruning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Pruning::Usual => serializer.serialize_bool(true),
            Pruning::Off => serializer.serialize_bool(false),
            Pruning::By(pruner) => pruner.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Pruning {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pruning, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Pruning;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("false, or a pruner such as { kind = \"median\" }")
            }

            fn visit_bool<E>(self, on: bool) -> Result<Pruning, E> {
                Ok(if on { Pruning::Usual } else { Pruning::Off })
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Pruning, A::Error> {
                Pruner::deserialize(MapAccessDeserializer::new(map)).map(Pruning::By)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// A time as people write it: `90s`, `10m`, `1.5h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeLimit(pub Duration);

impl FromStr for TimeLimit {
    type Err = Error;

    fn from_str(text: &str) -> Result<TimeLimit> {
        let units = [("s", 1.0), ("min", 60.0), ("m", 60.0), ("h", 3600.0)];
        let seconds = units.into_iter().find_map(|(unit, factor)| {
            let number: f64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
            Some(number * factor)
        });
        match seconds {
            Some(seconds) if seconds > 0.0 && seconds < 1e9 => Ok(TimeLimit(Duration::from_secs_f64(seconds))),
            _ => Err(Error::new(ErrorCode::Usage, format!("\"{text}\" is not a time"))
                .fix("write a number above 0 with its unit: 90s, 10m or 2h")),
        }
    }
}

impl TryFrom<String> for TimeLimit {
    type Error = String;

    fn try_from(text: String) -> Result<TimeLimit, String> {
        text.parse().map_err(|error: Error| [error.message(), error.remedy().unwrap_or_default()].join(": "))
    }
}

impl From<TimeLimit> for String {
    fn from(limit: TimeLimit) -> String {
        format!("{}s", limit.0.as_secs_f64())
    }
}

impl TuneSettings {
    /// Checks the values against what `task` has. A space may be empty here: a project need not be tuned.
    ///
    /// # Errors
    /// [`ErrorCode::Config`], naming the key.
    pub fn validate(&self, task: &dyn Task) -> Result<()> {
        let wrong =
            |key: &str, message: &str| Err(Error::new(ErrorCode::Config, message).at_key(format!("tune.{key}")));
        if !(1..=MOST_TRIALS).contains(&self.trials) {
            return wrong("trials", &format!("must be between 1 and {MOST_TRIALS}"));
        }
        if self.parallel == 0 {
            return wrong("parallel", "must be at least 1");
        }
        if self.threads == Some(0) {
            return wrong("threads", "must be at least 1");
        }
        self.sampler.validate()?;
        for (index, objective) in self.objectives.iter().enumerate() {
            if self.objectives[..index].contains(objective) {
                return wrong("objectives", &format!("\"{}\" is named twice", objective.name()));
            }
            if let Objective::Metric(metric) = objective {
                has_metric(task, *metric)?;
            }
        }
        if let Pruning::By(pruner) = &self.pruner {
            pruner.validate()?;
            if !matches!(self.objectives(task)[..], [Objective::Metric(_)]) {
                return Err(Error::new(ErrorCode::Config, "trials are pruned by one metric, epoch by epoch")
                    .at_key("tune.pruner")
                    .fix("name one metric in tune.objectives, or leave the pruner out"));
            }
        }
        if self.space.dimensions.is_empty() { Ok(()) } else { self.space.validate() }
    }

    /// What is wanted, the most important first.
    pub fn objectives(&self, task: &dyn Task) -> Vec<Objective> {
        match self.objectives.is_empty() {
            true => vec![Objective::Metric(task.primary_metric())],
            false => self.objectives.clone(),
        }
    }

    /// What ends trials early, where anything does.
    pub fn pruner(&self, objectives: &[Objective]) -> Option<Pruner> {
        match (&self.pruner, objectives) {
            (Pruning::By(pruner), _) => Some(pruner.clone()),
            (Pruning::Usual, [Objective::Metric(_)]) => {
                Some(Pruner::Median { startup_trials: 5, warmup_steps: 0, interval: 1 })
            }
            (Pruning::Usual | Pruning::Off, _) => None,
        }
    }
}

fn has_metric(task: &dyn Task, metric: Metric) -> Result<()> {
    let known = task.metrics();
    if known.contains(&metric) {
        return Ok(());
    }
    let names: Vec<&str> = known.iter().map(|metric| metric.name()).collect();
    let error =
        Error::new(ErrorCode::Config, format!("{} has no metric \"{metric}\"", task.kind())).at_key("tune.objectives");
    Err(match nearest(metric.name(), names.iter().copied()) {
        Some(near) => error.fix(format!("did you mean \"{near}\"? Its metrics are: {}", names.join(", "))),
        None => error.fix(format!("its metrics are: {}", names.join(", "))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::task;
    use lepton_core::TaskKind;

    fn checked(text: &str) -> Result<TuneSettings> {
        let settings: TuneSettings =
            toml::from_str(text).map_err(|error| Error::new(ErrorCode::Config, error.message()))?;
        settings.validate(task(TaskKind::TabularClassification)).map(|()| settings)
    }

    #[test]
    fn settings_are_read_as_people_write_them() {
        let task = task(TaskKind::TabularClassification);
        let read = checked("").unwrap();
        assert_eq!(read, TuneSettings::default());
        assert_eq!(read.objectives(task), [Objective::Metric(Metric::Accuracy)]);
        assert!(read.pruner(&read.objectives(task)).is_some());
        let read =
            checked("pruner = false\ntime = \"1.5h\"\n[space]\n\"train.l1\" = { low = 0.0, high = 1.0 }").unwrap();
        assert_eq!(read.time, Some(TimeLimit(Duration::from_secs(5400))));
        assert_eq!(read.pruner(&read.objectives(task)), None);
        let read = checked("objectives = [{ metric = \"log_loss\" }, { measure = \"size\" }]").unwrap();
        let names: Vec<_> = read.objectives(task).into_iter().map(|one| (one.name(), one.direction())).collect();
        assert_eq!(names, [("log_loss", Direction::Minimize), ("size", Direction::Minimize)]);
        assert_eq!(read.pruner(&read.objectives(task)), None, "nothing ends early for a trade-off");
        let read = checked("pruner = { kind = \"asha\", max_resource = 9 }").unwrap();
        assert!(matches!(read.pruner, Pruning::By(Pruner::Asha { max_resource: 9, .. })));
        let again: TuneSettings = serde_json::from_value(serde_json::to_value(&read).unwrap()).unwrap();
        assert_eq!(again, read);
    }

    #[test]
    fn each_wrong_value_is_named() {
        for (text, key) in [
            ("trials = 0", "tune.trials"),
            ("parallel = 0", "tune.parallel"),
            ("threads = 0", "tune.threads"),
            ("objectives = [{ metric = \"rmse\" }]", "tune.objectives"),
            ("objectives = [{ measure = \"size\" }, { measure = \"size\" }]", "tune.objectives"),
            ("pruner = { kind = \"median\", interval = 0 }", "tune.pruner.interval"),
            ("pruner = { kind = \"median\" }\nobjectives = [{ measure = \"size\" }]", "tune.pruner"),
            ("[space]\n\"train.l1\" = { low = 1.0, high = 0.5 }", "tune.space.train.l1"),
        ] {
            let error = checked(text).unwrap_err();
            assert_eq!(error.place().key.as_deref(), Some(key), "{text}: {error}");
        }
        for text in ["time = \"ten minutes\"", "time = \"-3s\"", "pruner = \"median\"", "trial = 3"] {
            assert!(checked(text).is_err(), "{text}");
        }
    }
}
