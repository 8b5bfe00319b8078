//! Answers of a network to many batches, by the kernels of the planned step where every layer has one, else by Burn.

use crate::planned::Planned;
use crate::{Network, StepKind};
use lepton_core::{ErrorCode, Result, Tensor};

/// A network that answers. It keeps the buffers of one batch for the next.
pub struct Answering<'a> {
    network: &'a Network,
    planned: Option<Planned>,
}

impl Network {
    /// This network, ready to answer batches in inference mode in the way that `kind` names.
    ///
    /// # Errors
    /// [`ErrorCode::Unsupported`] for [`StepKind::Planned`] where a layer has no kernel.
    pub fn answering(&self, kind: StepKind) -> Result<Answering<'_>> {
        // Only rows of numbers come out of the kernels.
        let planned = match (kind, self.plan.output_shape().len() == 1) {
            (StepKind::Burn, _) | (StepKind::Auto, false) => None,
            _ => match Planned::answering(self) {
                Err(error) if kind == StepKind::Auto && error.code() == ErrorCode::Unsupported => None,
                planned => Some(planned?),
            },
        };
        Ok(Answering { network: self, planned })
    }
}

impl Answering<'_> {
    /// As [`Network::forward`].
    ///
    /// # Errors
    /// Those of [`Network::forward`].
    pub fn forward(&mut self, input: &Tensor) -> Result<Tensor> {
        match &mut self.planned {
            Some(planned) => planned.answer(self.network, input),
            None => self.network.forward(input),
        }
    }
}
