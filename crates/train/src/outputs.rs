//! Runs a network, or whatever stands in for one, over a whole split.
//!
//! The same walk serves validation while training, evaluation afterwards, and the comparison of an exported
//! file with the network that it came from.

use lepton_core::{Cancel, Error, ErrorCode, Result, Tensor};
use lepton_data::Loader;

/// The outputs of `forward` and the targets over every row of `loader`, in the order of the rows.
///
/// `forward` takes one batch, float32 `[rows, ...]`, and gives float32 `[rows, outputs]`.
///
/// # Errors
/// [`ErrorCode::BadData`] for a split without rows, [`ErrorCode::Cancelled`], and what `loader` and
/// `forward` report.
pub fn outputs_over(
    loader: &Loader,
    cancel: &Cancel,
    forward: &mut dyn FnMut(&Tensor) -> Result<Tensor>,
) -> Result<(Tensor, Tensor)> {
    let (mut outputs, mut targets) = (Vec::new(), Vec::new());
    for batch in loader.epoch(0, 0, false) {
        cancel.check()?;
        let batch = batch?;
        let output = forward(&batch.input)?;
        if output.shape().is_empty() || output.rows() != batch.target.rows() {
            return Err(Error::internal(format!(
                "{} rows went in, outputs of shape {:?} came out",
                batch.target.rows(),
                output.shape()
            )));
        }
        outputs.push(output);
        targets.push(batch.target);
    }
    if outputs.is_empty() {
        return Err(Error::new(ErrorCode::BadData, "the split has no rows"));
    }
    let join = |parts: &[Tensor]| Tensor::concat_rows(&parts.iter().collect::<Vec<_>>());
    Ok((join(&outputs)?, join(&targets)?))
}
