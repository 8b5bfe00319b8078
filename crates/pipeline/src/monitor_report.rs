//! `lepton monitor report`: what servers saw of a model, over all windows that they wrote down, held against
//! the model's training data.

use crate::model::{REFERENCE, open_package};
use lepton_core::{Error, ErrorCode, Limits, ModelRef, Result};
use lepton_monitor::{DriftReport, MonitorSettings, Observation, Reference};
use lepton_store::Store;
use serde::Serialize;

/// Drift of a model's inputs and answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MonitorReport {
    /// `name@version`.
    pub model: String,
    /// Windows that were merged.
    pub windows: usize,
    /// Start of the first window, RFC 3339 in UTC.
    pub started: String,
    /// End of the last window.
    pub ended: String,
    /// The verdict by column.
    pub drift: DriftReport,
}

/// Merges every recorded window of `model` and compares it with the reference of its package.
///
/// # Errors
/// [`ErrorCode::Unsupported`] for a package without a reference, [`ErrorCode::NotFound`] when no server has
/// recorded anything yet.
pub fn monitor_report(store: &Store, model: &ModelRef, limits: &Limits) -> Result<MonitorReport> {
    let (name, version, package) = open_package(store, model, limits)?;
    if !package.manifest.files.contains_key(REFERENCE) {
        return Err(Error::new(ErrorCode::Unsupported, "this package has no reference to compare with")
            .fix("only packages that lepton run wrote have one"));
    }
    let reference = Reference::from_json(&package.read_listed(REFERENCE)?)?;
    let records = store.observations(&name, version)?;
    let (Some(first), Some(last)) = (records.first(), records.last()) else {
        return Err(Error::new(ErrorCode::NotFound, format!("no server has recorded anything for {name}@{version}"))
            .fix(format!(
                "serve it with: lepton serve {name}@{version}; windows are written each minute and when it stops"
            )));
    };
    let mut merged: Option<Observation> = None;
    for record in &records {
        let window: Observation = serde_json::from_value(record.body.clone())
            .map_err(|source| Error::internal(format!("a recorded window cannot be read back: {source}")))?;
        match &mut merged {
            Some(all) => all.merge(&window)?,
            None => merged = Some(window),
        }
    }
    let observed = merged.ok_or_else(|| Error::internal("no window was merged"))?;
    Ok(MonitorReport {
        model: format!("{name}@{version}"),
        windows: records.len(),
        started: first.started.clone(),
        ended: last.ended.clone(),
        drift: lepton_monitor::drift(&reference, &observed, &MonitorSettings::default())?,
    })
}
