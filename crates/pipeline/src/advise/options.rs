//! What a person may ask of an advice: limits as they write them, the metric, and how pilots are started.

use crate::TimeLimit;
use lepton_core::{Error, ErrorCode, Metric, Result, nearest};
use lepton_data::remote::Access;
use lepton_train::Task;
use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

/// How an advice is made.
#[derive(Clone, Debug)]
pub struct AdviseOptions {
    /// The program and the arguments that run one pilot; it is told its job on standard input.
    pub launch: Vec<OsString>,
    /// Permission to fetch what the project names.
    pub access: Access,
    /// The time of all pilots together.
    pub time: TimeLimit,
    /// The most memory that training may take.
    pub memory: Option<MemoryLimit>,
    /// The longest that one row may take when the model is served.
    pub latency: Option<LatencyLimit>,
    /// What decides; the task's primary metric where nothing is named.
    pub metric: Option<String>,
    /// The command as typed, for lineage.
    pub command: Vec<String>,
    /// A `libonnxruntime` to prefer over the installed one.
    pub onnxruntime: Option<PathBuf>,
}

/// An amount of memory as people write it: `512M`, `2G`, `1.5 GiB`. Powers of 1,000, with an `i` powers of 1,024.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimit(pub u64);

impl FromStr for MemoryLimit {
    type Err = Error;

    fn from_str(text: &str) -> Result<MemoryLimit> {
        let plain = text.trim().trim_end_matches(['B', 'b']);
        let units = [("Ki", 1024_u64), ("Mi", 1 << 20), ("Gi", 1 << 30), ("k", 1_000), ("K", 1_000)];
        let units = units.into_iter().chain([("M", 1_000_000), ("G", 1_000_000_000)]);
        let bytes = units.into_iter().find_map(|(unit, factor)| {
            let number: f64 = plain.strip_suffix(unit)?.trim_end().parse().ok()?;
            Some(number * factor as f64)
        });
        match bytes {
            Some(bytes) if (1.0..1e18).contains(&bytes) => Ok(MemoryLimit(bytes as u64)),
            _ => Err(Error::new(ErrorCode::Usage, format!("\"{text}\" is not an amount of memory"))
                .fix("write a number with its unit: 512M or 2G")),
        }
    }
}

/// A time of one row as people write it: `5ms`, `200us`, `1s`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatencyLimit(pub f64);

impl FromStr for LatencyLimit {
    type Err = Error;

    fn from_str(text: &str) -> Result<LatencyLimit> {
        let units = [("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("s", 1.0)];
        let seconds = units.into_iter().find_map(|(unit, factor)| {
            let number: f64 = text.trim().strip_suffix(unit)?.trim_end().parse().ok()?;
            Some(number * factor)
        });
        match seconds {
            Some(seconds) if seconds > 0.0 && seconds < 1e6 => Ok(LatencyLimit(seconds)),
            _ => Err(Error::new(ErrorCode::Usage, format!("\"{text}\" is not a time of one row"))
                .fix("write a number above 0 with its unit: 5ms or 200us")),
        }
    }
}

/// The metric that decides.
///
/// # Errors
/// [`ErrorCode::Usage`] for one that the task does not compute, with the nearest.
pub(super) fn metric(task: &dyn Task, name: Option<&str>) -> Result<Metric> {
    let Some(name) = name else { return Ok(task.primary_metric()) };
    task.metrics().iter().copied().find(|metric| metric.name() == name).ok_or_else(|| {
        let names: Vec<&str> = task.metrics().iter().map(|metric| metric.name()).collect();
        let error =
            Error::new(ErrorCode::Usage, format!("{} has no metric \"{name}\"", task.kind())).at_key("--metric");
        match nearest(name, names.iter().copied()) {
            Some(near) => error.fix(format!("did you mean \"{near}\"? Its metrics are: {}", names.join(", "))),
            None => error.fix(format!("its metrics are: {}", names.join(", "))),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::task;
    use lepton_core::TaskKind;

    #[test]
    fn limits_are_read_as_people_write_them() {
        let memory = |text: &str| text.parse::<MemoryLimit>().map(|limit| limit.0);
        for (text, bytes) in
            [("512M", 512_000_000), ("2G", 2_000_000_000), ("1.5 GiB", 1_610_612_736), ("64kB", 64_000)]
        {
            assert_eq!(memory(text).unwrap(), bytes, "{text}");
        }
        let latency = |text: &str| text.parse::<LatencyLimit>().map(|limit| limit.0);
        for (text, seconds) in [("5ms", 0.005), ("200us", 0.0002), ("1s", 1.0), ("0.5 ms", 0.0005)] {
            assert!((latency(text).unwrap() - seconds).abs() < 1e-12, "{text}");
        }
        for text in ["2", "G", "-1G", "0M", "much"] {
            assert_eq!(memory(text).unwrap_err().code(), ErrorCode::Usage, "{text}");
        }
        for text in ["5", "ms", "-1ms", "0s", "5m"] {
            assert_eq!(latency(text).unwrap_err().code(), ErrorCode::Usage, "{text}");
        }
    }

    #[test]
    fn the_metric_is_one_of_the_task() {
        let task = task(TaskKind::TabularClassification);
        assert_eq!(metric(task, None).unwrap(), Metric::Accuracy);
        assert_eq!(metric(task, Some("roc_auc")).unwrap(), Metric::RocAuc);
        let error = metric(task, Some("acuracy")).unwrap_err();
        assert!(error.remedy().unwrap().starts_with("did you mean \"accuracy\"?"));
        assert!(metric(task, Some("rmse")).is_err());
    }
}
