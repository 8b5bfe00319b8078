//! The reference: `reference.json` of a package, the sketches of what the model was trained on.

use arrow_array::RecordBatch;
use lepton_core::{Error, ErrorCode, Prediction, Result, Schema};
use lepton_sketch::{DatasetSketch, PredictionSketch};
use serde::{Deserialize, Serialize};

/// The version of the written form.
const VERSION: u32 = 1;

/// What live traffic is compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    version: u32,
    /// Rows of training data in `inputs`.
    pub rows: u64,
    /// The training data, by column.
    pub inputs: DatasetSketch,
    /// The model's answers. Best on rows that it did not learn from: on training rows it is surer of itself
    /// than it will ever be again, and everything would look like drift.
    pub predictions: PredictionSketch,
}

impl Reference {
    /// The reference of training rows and of answers, which may be to other rows. `inputs` is the schema of a
    /// request: without the target.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`], naming the column, when `train` lacks one or holds it in another type.
    pub fn new(inputs: &Schema, train: &RecordBatch, predictions: &[Prediction]) -> Result<Reference> {
        let mut sketch = DatasetSketch::new(inputs);
        sketch.update(train)?;
        let predictions = PredictionSketch::of(predictions);
        Ok(Reference { version: VERSION, rows: sketch.rows(), inputs: sketch, predictions })
    }

    /// The bytes of `reference.json`.
    ///
    /// # Errors
    /// [`ErrorCode::Internal`].
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|source| Error::internal(format!("a reference cannot be written: {source}")))
    }

    /// Reads `reference.json`.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] when it is not one, [`ErrorCode::Unsupported`] when a newer Lepton wrote it.
    pub fn from_json(bytes: &[u8]) -> Result<Reference> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let wrong = |source: serde_json::Error| {
            Error::new(ErrorCode::BadData, format!("not a drift reference: {source}")).in_file("reference.json")
        };
        let Version { version } = serde_json::from_slice(bytes).map_err(wrong)?;
        if version != VERSION {
            let message = format!("a drift reference of version {version}; this build knows {VERSION}");
            return Err(Error::new(ErrorCode::Unsupported, message)
                .in_file("reference.json")
                .fix("use a newer Lepton"));
        }
        serde_json::from_slice(bytes).map_err(wrong)
    }
}
