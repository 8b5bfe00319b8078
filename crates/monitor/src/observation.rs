//! What a server sees: sketches of the requests' rows and of the answers, taken window by window.

use crate::{MonitorSettings, Reference};
use arrow_array::RecordBatch;
use lepton_core::{Error, Prediction, Result};
use lepton_sketch::{DatasetSketch, PredictionSketch};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One window of traffic. Windows of the same model merge into longer ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    /// Rows seen.
    pub rows: u64,
    /// The rows, by column.
    pub inputs: DatasetSketch,
    /// The answers.
    pub predictions: PredictionSketch,
}

impl Observation {
    /// A window without traffic, of the columns of `reference`.
    pub fn empty(reference: &Reference) -> Observation {
        Observation { rows: 0, inputs: reference.inputs.emptied(), predictions: PredictionSketch::default() }
    }

    /// Adds another window.
    ///
    /// # Errors
    /// [`lepton_core::ErrorCode::BadData`] when it is of a model with other columns; then nothing is added.
    pub fn merge(&mut self, other: &Observation) -> Result<()> {
        self.inputs.merge(&other.inputs)?;
        self.rows += other.rows;
        self.predictions.merge(&other.predictions);
        Ok(())
    }
}

/// Collects observations from many threads. Memory is bounded however much traffic there is.
pub struct Monitor {
    reference: Arc<Reference>,
    settings: MonitorSettings,
    window: Mutex<Observation>,
}

impl Monitor {
    /// A monitor with an empty window.
    pub fn new(reference: Arc<Reference>, settings: MonitorSettings) -> Monitor {
        let window = Mutex::new(Observation::empty(&reference));
        Monitor { reference, settings, window }
    }

    /// Adds the rows of a request and their answers, one per row.
    ///
    /// # Errors
    /// [`lepton_core::ErrorCode::BadData`], naming the column, when the rows are not of the reference's
    /// columns; [`lepton_core::ErrorCode::Internal`] when there are more or fewer answers than rows. Then
    /// nothing is added.
    pub fn observe(&self, rows: &RecordBatch, predictions: &[Prediction]) -> Result<()> {
        if predictions.len() != rows.num_rows() {
            return Err(Error::internal(format!("{} answers to {} rows", predictions.len(), rows.num_rows())));
        }
        // Checking columns and looking at pixels is the slow part, and needs no lock.
        let read = self.reference.inputs.read(rows)?;
        let mut window = self.lock();
        window.rows += rows.num_rows() as u64;
        window.inputs.absorb(&read);
        predictions.iter().for_each(|prediction| window.predictions.add(prediction));
        Ok(())
    }

    /// The open window as it is now.
    pub fn snapshot(&self) -> Observation {
        self.lock().clone()
    }

    /// Closes the open window and begins an empty one. Nothing is lost between the two.
    pub fn take(&self) -> Observation {
        std::mem::replace(&mut *self.lock(), Observation::empty(&self.reference))
    }

    /// What traffic is compared with.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// From where on a difference counts as drift.
    pub fn settings(&self) -> &MonitorSettings {
        &self.settings
    }

    fn lock(&self) -> MutexGuard<'_, Observation> {
        // Sketches hold no invariant that a panic between two columns could break for later readers.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
