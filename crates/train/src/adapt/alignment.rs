//! Alignment of both domains at the last hidden layer, step by step: the maximum mean discrepancy of a batch, or a head
//! that tries to tell the domains apart and whose gradient is reversed.

use super::{AdaptMethod, AdaptSettings};
use lepton_adapt::{DomainHead, Rows, discrepancy_penalty, reversal_strength};
use lepton_core::{Error, ErrorCode, Result, Seed, Tensor};
use lepton_data::Batch;
use lepton_nn::HiddenLoss;

/// What aligns the domains during a training.
pub(crate) struct Alignment<'a> {
    method: AdaptMethod,
    most: f64,
    /// Features of target rows without labels.
    target: &'a Tensor,
    /// Training rows from this one on are of the target domain.
    sources: usize,
    seed: Seed,
    head: Option<DomainHead>,
    /// The head after the step that is being taken.
    next: Option<DomainHead>,
    /// For the rows of the batch with labels whether they are of the target domain.
    is_target: Vec<bool>,
    strength: f64,
    learning_rate: f64,
}

impl<'a> Alignment<'a> {
    pub(crate) fn new(settings: &AdaptSettings, target: &'a Tensor, sources: usize, seed: Seed) -> Alignment<'a> {
        Alignment {
            method: settings.method,
            most: settings.strength(),
            target,
            sources,
            seed,
            head: None,
            next: None,
            is_target: Vec::new(),
            strength: 0.0,
            learning_rate: 0.0,
        }
    }

    /// What a training with this alignment depends on besides its data.
    pub(crate) fn identity(&self) -> (&'static str, f64, usize, usize) {
        (self.method.name(), self.most, self.target.rows(), self.sources)
    }

    /// Gets ready for a step, `step` of `steps` in all, and gives the target rows that go with the batch: as many as it
    /// has, from the whole domain in an order that changes with every pass.
    pub(crate) fn begin(
        &mut self,
        batch: &Batch,
        step: u64,
        steps: u64,
        batch_size: usize,
        rate: f64,
    ) -> Result<Tensor> {
        self.is_target = batch.rows.iter().map(|&row| row >= self.sources).collect();
        self.strength = reversal_strength(step as f64 / steps.max(1) as f64, self.most);
        self.learning_rate = rate;
        let count = self.target.rows();
        let first = step as usize * batch_size;
        let (mut pass, mut order) = (usize::MAX, Vec::new());
        let (values, width) = (self.target.as_float32()?, self.target.row_len());
        let mut drawn = Vec::with_capacity(batch.rows.len() * width);
        for place in first..first + batch.rows.len() {
            if place / count != pass {
                pass = place / count;
                order = self.seed.permutation("target rows of steps", &[pass as u64], count);
            }
            let row = order[place % count];
            drawn.extend_from_slice(&values[row * width..(row + 1) * width]);
        }
        let mut shape = self.target.shape().to_vec();
        shape[0] = batch.rows.len();
        Tensor::float32(shape, drawn)
    }

    /// The step was taken.
    pub(crate) fn commit(&mut self) {
        if let Some(next) = self.next.take() {
            self.head = Some(next);
        }
    }

    /// What the next step depends on, for a checkpoint.
    pub(crate) fn state(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(&self.head).map_err(|source| Error::internal(format!("a domain head: {source}")))
    }

    pub(crate) fn restore(&mut self, state: &[u8]) -> Result<()> {
        self.head = serde_json::from_slice(state).map_err(|source| {
            Error::new(ErrorCode::Integrity, "the training checkpoint cannot be used: its domain head is unreadable")
                .caused_by(source)
                .fix("run again with --from train to train this stage anew")
        })?;
        Ok(())
    }
}

impl HiddenLoss for Alignment<'_> {
    fn evaluate(&mut self, rows: &Tensor, labelled: usize) -> Result<(f64, Vec<f32>)> {
        let domains: Vec<bool> =
            (0..rows.rows()).map(|row| row >= labelled || self.is_target.get(row).copied().unwrap_or(false)).collect();
        let values = rows.as_float32()?;
        if !values.iter().all(|value| value.is_finite()) {
            // Said as the trainer says it of the outputs.
            return Ok((f64::NAN, Vec::new()));
        }
        let hidden = Rows::new(values, rows.row_len())?;
        let (value, mut gradient) = if self.method == AdaptMethod::Mmd {
            discrepancy_penalty(&hidden, &domains)?
        } else {
            let head = self.head.clone();
            let mut head = head.unwrap_or_else(|| DomainHead::new(hidden.width(), self.seed));
            let stepped = head.step(&hidden, &domains, self.learning_rate)?;
            self.next = Some(head);
            stepped
        };
        let strength = self.strength as f32;
        gradient.iter_mut().for_each(|slope| *slope *= strength);
        Ok((value, gradient))
    }
}
