//! A forward pass over many rows, in batches of like lengths where rows end at different times.

use crate::Network;
use crate::trim::length;
use lepton_core::{DType, Error, Result, Tensor};

impl Network {
    /// The outputs of many rows in inference mode, `[rows, ..input]` to `[rows, ..output]`, computed in batches of at most
    /// `batch_rows`. Where rows end at different times, rows of like lengths share a batch, which saves their padding.
    ///
    /// # Errors
    /// Those of [`Network::forward`].
    pub fn forward_in_batches(&self, input: &Tensor, batch_rows: usize) -> Result<Tensor> {
        let (rows, size) = (input.rows(), batch_rows.max(1));
        let padding = self.plan.trims.filter(|_| input.dtype() == DType::Int64 && input.shape().len() == 2);
        let Some(padding) = padding.filter(|_| rows > size) else {
            let starts = (0..rows.max(1)).step_by(size);
            let parts = starts.map(|start| self.forward(&input.slice_rows(start, rows.min(start + size))?));
            let parts = parts.collect::<Result<Vec<_>>>()?;
            return Tensor::concat_rows(&parts.iter().collect::<Vec<_>>());
        };
        let (codes, time) = (input.as_int64()?, input.row_len().max(1));
        let row = |place: usize| &codes[place * time..(place + 1) * time];
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_by_key(|&place| length(row(place), padding));
        let (mut width, mut outputs, mut shape) = (0, Vec::new(), Vec::new());
        for places in order.chunks(size) {
            let batch = places.iter().flat_map(|&place| row(place)).copied().collect();
            let output = self.forward(&Tensor::int64([places.len(), time], batch)?)?;
            if shape.is_empty() {
                (width, shape) = (output.row_len(), output.shape().to_vec());
                outputs = vec![0.0; rows * width];
            }
            for (&place, values) in places.iter().zip(output.as_float32()?.chunks_exact(width.max(1))) {
                outputs[place * width..(place + 1) * width].copy_from_slice(values);
            }
        }
        *shape.first_mut().ok_or_else(|| Error::internal("a pass over no rows"))? = rows;
        Tensor::float32(shape, outputs)
    }
}
