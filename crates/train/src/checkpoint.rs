//! The bytes of a checkpoint: everything that a training needs to go on as if it had never stopped.
//!
//! Where checkpoints are kept is the caller's business ([`Checkpoints`]); this module neither opens files nor
//! knows that there are any. Layout, little-endian: the magic `LEPTCKP2`, then four blocks, each a 64-bit
//! length and that many bytes: the position as JSON, the trainer's state, what aligns domains (empty where
//! nothing does), the best weights (empty before the first epoch has ended).

use crate::early_stopping::BestSoFar;
use crate::history::EpochRecord;
use lepton_core::{Digest, Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 8] = b"LEPTCKP2";

/// Where checkpoints of one training are kept. Whole or not at all: after [`Checkpoints::save`] has returned,
/// a killed process finds these bytes again.
pub trait Checkpoints {
    /// Keeps the state after `step` steps.
    ///
    /// # Errors
    /// Whatever the place that keeps them reports; training stops.
    fn save(&mut self, step: u64, bytes: &[u8]) -> Result<()>;

    /// The newest whole checkpoint and its step.
    ///
    /// # Errors
    /// Whatever the place that keeps them reports.
    fn latest(&mut self) -> Result<Option<(u64, Vec<u8>)>>;
}

/// Keeps the newest checkpoint in memory: for tests and for trials that may be lost.
#[derive(Clone, Debug, Default)]
pub struct InMemory {
    newest: Option<(u64, Vec<u8>)>,
}

impl Checkpoints for InMemory {
    fn save(&mut self, step: u64, bytes: &[u8]) -> Result<()> {
        self.newest = Some((step, bytes.to_vec()));
        Ok(())
    }

    fn latest(&mut self) -> Result<Option<(u64, Vec<u8>)>> {
        Ok(self.newest.clone())
    }
}

/// Running sums over the steps of the current epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EpochSums {
    /// Sum of row losses.
    pub(crate) loss: f64,
    /// Rows that were right.
    pub(crate) correct: u64,
    /// Rows so far.
    pub(crate) rows: u64,
    /// Learning rate of the last step.
    pub(crate) learning_rate: f64,
    /// Wall seconds of the steps.
    pub(crate) seconds: f64,
    /// Seconds of them in which the step waited for its batch.
    pub(crate) data_wait_seconds: f64,
}

/// How far a training has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Position {
    /// Hash of everything that the result depends on but that is not in the checkpoint.
    pub(crate) fingerprint: Digest,
    /// The current epoch, from 1.
    pub(crate) epoch: usize,
    /// Steps of the current epoch that are done.
    pub(crate) steps_done: usize,
    /// Sums over those steps.
    pub(crate) sums: EpochSums,
    /// Records of the epochs before.
    pub(crate) history: Vec<EpochRecord>,
    /// The best epoch so far.
    pub(crate) best: BestSoFar,
    /// Training has ended: there is nothing left to do.
    pub(crate) finished: bool,
    /// Patience ran out.
    pub(crate) stopped_early: bool,
}

/// A checkpoint, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checkpoint {
    pub(crate) position: Position,
    pub(crate) trainer: Vec<u8>,
    pub(crate) alignment: Vec<u8>,
    pub(crate) best_weights: Vec<u8>,
}

impl Checkpoint {
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let position = serde_json::to_vec(&self.position)
            .map_err(|source| Error::internal(format!("a training position cannot be written: {source}")))?;
        let blocks = [position.as_slice(), &self.trainer, &self.alignment, &self.best_weights];
        Ok(write_blocks(MAGIC, blocks.into_iter()))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Checkpoint> {
        let [position, trainer, alignment, best_weights] = read_blocks(MAGIC, bytes)?[..] else {
            return Err(broken("it has other parts than it should"));
        };
        let (trainer, alignment, best_weights) = (trainer.to_vec(), alignment.to_vec(), best_weights.to_vec());
        let position = serde_json::from_slice(position)
            .map_err(|source| broken("its position is unreadable").caused_by(source))?;
        Ok(Checkpoint { position, trainer, alignment, best_weights })
    }
}

/// A magic word and blocks, each behind its length.
pub(crate) fn write_blocks<'a>(magic: &[u8; 8], blocks: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    for block in blocks {
        bytes.extend_from_slice(&(block.len() as u64).to_le_bytes());
        bytes.extend_from_slice(block);
    }
    bytes
}

/// The blocks that [`write_blocks`] wrote.
pub(crate) fn read_blocks<'a>(magic: &[u8; 8], bytes: &'a [u8]) -> Result<Vec<&'a [u8]>> {
    let mut rest = bytes.strip_prefix(magic).ok_or_else(|| broken("it does not start as one of this version"))?;
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<8>().ok_or_else(|| broken("it ends too early"))?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| broken("a length is too large"))?;
        let (block, after) = after.split_at_checked(length).ok_or_else(|| broken("it ends too early"))?;
        blocks.push(block);
        rest = after;
    }
    Ok(blocks)
}

/// The error for a checkpoint that cannot be read.
pub(crate) fn broken(why: &str) -> Error {
    Error::new(ErrorCode::Integrity, format!("the training checkpoint cannot be used: {why}"))
        .fix("run again with --from train to train this stage anew")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let mut best = BestSoFar::default();
        best.observe(1, lepton_core::Metric::LogLoss, 1.0 / 3.0, None);
        Checkpoint {
            position: Position {
                fingerprint: Digest::of("x"),
                epoch: 2,
                steps_done: 17,
                sums: EpochSums {
                    loss: 0.1 + 0.2,
                    correct: 5,
                    rows: 9,
                    learning_rate: 1e-3,
                    seconds: 0.7,
                    data_wait_seconds: 0.2,
                },
                history: vec![],
                best,
                finished: false,
                stopped_early: false,
            },
            trainer: vec![1, 2, 3],
            alignment: vec![5; 7],
            best_weights: vec![4; 40],
        }
    }

    #[test]
    fn what_is_written_reads_back_to_the_last_bit() {
        let whole = checkpoint();
        let bytes = whole.encode().unwrap();
        let read = Checkpoint::decode(&bytes).unwrap();
        assert_eq!(read, whole);
        assert_eq!(read.position.sums.loss.to_bits(), (0.1f64 + 0.2).to_bits());
    }

    #[test]
    fn every_truncation_and_every_wrong_header_is_refused() {
        let bytes = checkpoint().encode().unwrap();
        for end in 0..bytes.len() {
            assert_eq!(Checkpoint::decode(&bytes[..end]).unwrap_err().code(), ErrorCode::Integrity, "{end}");
        }
        for index in 0..16 {
            let mut flipped = bytes.clone();
            flipped[index] ^= 0x80;
            assert!(Checkpoint::decode(&flipped).is_err(), "{index}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(Checkpoint::decode(&longer).is_err());
    }
}
