//! The loss of a batch and where the way back begins: cross entropy of classes in the layout of the kernels, all other losses
//! on the host, row by row.

use super::Planned;
use super::memory::claim;
use crate::{Loss, StepRows};
use lepton_core::{Result, Tensor};
use lepton_kernels::{self as kernels, CrossEntropy, LANES, blocks};

impl Planned {
    /// The loss of the batch, whose outputs are `outputs` too; leaves their gradient for the way back.
    pub(super) fn evaluate(&mut self, loss: &Loss, rows: &StepRows<'_>, outputs: &Tensor) -> Result<f64> {
        if let Loss::CrossEntropy { label_smoothing, class_weights } = loss
            && let Some(classes) = Classes::new(class_weights, rows, outputs)
        {
            return self.cross_entropy(*label_smoothing, &classes, outputs.row_len());
        }
        let evaluated = loss.evaluate(outputs, rows.target, rows.weights)?;
        let (workers, to) = self.gradient_of_outputs(outputs.rows())?;
        kernels::from_rows(workers, &evaluated.gradient, outputs.row_len(), to);
        Ok(evaluated.loss)
    }

    fn cross_entropy(&mut self, smoothing: f64, rows: &Classes, classes: usize) -> Result<f64> {
        let output = self.program()?.output;
        let sizes = CrossEntropy { classes, smoothing: smoothing as f32 };
        let mut parts = vec![0.0; 2 * rows.targets.len()];
        let x = std::mem::take(&mut self.buffers.values[output]);
        let (workers, dx) = self.gradient_of_outputs(rows.count)?;
        let count = dx.len();
        sizes.evaluate(workers, &x[..count], &rows.targets, &rows.weights, &mut parts, dx);
        self.buffers.values[output] = x;
        let losses = parts.as_chunks::<{ 2 * LANES }>().0.iter().flat_map(|part| {
            let (sums, rests) = part.split_at(LANES);
            sums.iter().zip(rests).map(|(sum, rest)| f64::from(*sum).ln() + f64::from(*rest))
        });
        Ok(losses.zip(&rows.weights).take(rows.count).map(|(loss, weight)| f64::from(*weight) * loss).sum())
    }

    /// The gradient of the outputs of so many rows, and who writes it.
    fn gradient_of_outputs(&mut self, rows: usize) -> Result<(&kernels::Workers, &mut [f32])> {
        let program = self.program()?;
        let (output, size) = (program.output, program.values[program.output].size());
        let buffers = &mut self.buffers;
        buffers.slopes[output] = claim(&mut buffers.free, blocks(rows) * size * LANES);
        Ok((&self.workers, &mut buffers.slopes[output]))
    }
}

/// The class of each row and what it weighs, a share of all weights: `[blocks, 16]`, 0 behind the last one.
struct Classes {
    count: usize,
    targets: Vec<f32>,
    weights: Vec<f32>,
}

impl Classes {
    /// Nothing for shares of classes, and for what is to be refused with words.
    fn new(class_weights: &[f64], rows: &StepRows<'_>, outputs: &Tensor) -> Option<Classes> {
        let (count, classes) = (outputs.rows(), outputs.row_len());
        let has_weights = rows.weights.is_none_or(|weights| {
            weights.len() == count && weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0)
        });
        let fits = rows.target.shape() == [count] && has_weights;
        if !fits || !(class_weights.is_empty() || class_weights.len() == classes) {
            return None;
        }
        let (mut targets, mut weights) = (vec![0.0; blocks(count) * LANES], vec![0.0; blocks(count) * LANES]);
        for (row, class) in rows.target.as_int64().ok()?.iter().enumerate() {
            let class = usize::try_from(*class).ok().filter(|class| *class < classes)?;
            targets[row] = class as f32;
            let of_row = rows.weights.map_or(1.0, |weights| f64::from(weights[row]));
            weights[row] = of_row * class_weights.get(class).copied().unwrap_or(1.0);
        }
        let whole: f64 = weights.iter().sum();
        let weights = weights.iter().map(|weight| (weight / whole) as f32).collect();
        (whole > 0.0).then_some(Classes { count, targets, weights })
    }
}
