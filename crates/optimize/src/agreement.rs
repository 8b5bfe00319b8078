//! The exported file against the trained network: the same rows through both.

use lepton_core::{Error, ErrorCode, Result, Tensor};
use serde::{Deserialize, Serialize};

/// Difference that another order of summation may make, relative to the largest output (at least 1).
const TOLERANCE: f64 = 1e-3;
/// Share of rows that must have the same most probable class; ties may fall either way.
const SAME_CLASS: f64 = 0.99;

/// How far two sets of outputs agree.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// Rows compared.
    pub rows: usize,
    /// The largest absolute difference of any output.
    pub max_abs_difference: f64,
    /// Rows whose largest output stands in the same place.
    pub identical_argmax: usize,
    /// The largest absolute output of the trained network, which the difference is held against.
    pub largest_output: f64,
}

/// Compares outputs of the trained network with those of the exported file; both `[rows, outputs]`, float32.
///
/// # Errors
/// [`ErrorCode::Shape`] or [`ErrorCode::Dtype`] when they cannot be compared, [`ErrorCode::Diverged`] when an
/// output is not finite.
pub fn agreement(trained: &Tensor, exported: &Tensor) -> Result<Agreement> {
    let (left, right) = (trained.as_float32()?, exported.as_float32()?);
    if trained.shape() != exported.shape() || trained.row_len() == 0 {
        let text =
            format!("the exported file gives {:?}, the trained network gave {:?}", exported.shape(), trained.shape());
        return Err(Error::new(ErrorCode::Shape, text));
    }
    if let Some(index) = left.iter().zip(right).position(|(a, b)| !a.is_finite() || !b.is_finite()) {
        let text = "an output of the network is NaN or infinite";
        return Err(Error::new(ErrorCode::Diverged, text).at_row((index / trained.row_len()) as u64 + 1));
    }
    let difference = left.iter().zip(right).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs());
    let rows = left.chunks_exact(trained.row_len()).zip(right.chunks_exact(trained.row_len()));
    Ok(Agreement {
        rows: trained.rows(),
        max_abs_difference: difference.fold(0.0, f64::max),
        identical_argmax: rows.filter(|(a, b)| largest(a) == largest(b)).count(),
        largest_output: left.iter().map(|value| f64::from(value.abs())).fold(0.0, f64::max),
    })
}

impl Agreement {
    /// Refuses an exported file that is not the trained network.
    ///
    /// # Errors
    /// [`ErrorCode::GateFailed`] with the figures.
    pub fn check(&self) -> Result<()> {
        let allowed = self.allowed();
        let same = self.identical_argmax as f64 >= SAME_CLASS * self.rows as f64;
        if self.max_abs_difference <= allowed && same {
            return Ok(());
        }
        let text = format!(
            "the exported ONNX does not answer as the trained network: outputs differ by up to {:.2e} ({allowed:.2e} is \
             allowed) and {} of {} rows have the same class",
            self.max_abs_difference, self.identical_argmax, self.rows
        );
        Err(Error::new(ErrorCode::GateFailed, text)
            .fix("try another engine with optimize.engine; if it stays, report it"))
    }
}

impl Agreement {
    /// As [`Agreement::check`], for outputs that are several numbers, of which the largest is nothing special.
    ///
    /// # Errors
    /// [`ErrorCode::GateFailed`] with the figures.
    pub fn check_values(&self) -> Result<()> {
        let (far, allowed) = (self.max_abs_difference, self.allowed());
        if far <= allowed {
            return Ok(());
        }
        let text = format!(
            "the exported ONNX does not answer as the trained network: outputs differ by up to {far:.2e} ({allowed:.2e} is \
             allowed)"
        );
        Err(Error::new(ErrorCode::GateFailed, text)
            .fix("try another engine with optimize.engine; if it stays, report it"))
    }

    /// The largest difference that another order of summation may make.
    fn allowed(&self) -> f64 {
        TOLERANCE * self.largest_output.max(1.0)
    }
}

/// The first place of the largest value.
fn largest(values: &[f32]) -> usize {
    let better = |best: usize, at: usize| if values[at] > values[best] { at } else { best };
    (0..values.len()).reduce(better).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::float32([values.len() / 2, 2], values.to_vec()).unwrap()
    }

    #[test]
    fn differences_and_classes_are_counted() {
        let found = agreement(&tensor(&[1.0, 2.0, 3.0, -4.0]), &tensor(&[1.0, 2.5, 3.0, 3.5])).unwrap();
        assert_eq!(found, Agreement { rows: 2, max_abs_difference: 7.5, identical_argmax: 1, largest_output: 4.0 });
    }

    #[test]
    fn another_network_is_refused_and_rounding_is_not() {
        let trained = tensor(&[100.0, 50.0, 30.0, 60.0]);
        agreement(&trained, &tensor(&[100.05, 50.0, 30.0, 60.0])).unwrap().check().unwrap();
        let far = agreement(&trained, &tensor(&[100.2, 50.0, 30.0, 60.0])).unwrap().check().unwrap_err();
        assert_eq!(far.code(), ErrorCode::GateFailed);
        let near = tensor(&[1.0, 1.0001]);
        let swapped = agreement(&near, &tensor(&[1.0002, 1.0001])).unwrap();
        assert_eq!(swapped.check().unwrap_err().code(), ErrorCode::GateFailed);
        swapped.check_values().unwrap();
        let far = agreement(&trained, &tensor(&[100.2, 50.0, 30.0, 60.0])).unwrap();
        assert_eq!(far.check_values().unwrap_err().code(), ErrorCode::GateFailed);
    }

    #[test]
    fn what_cannot_be_compared_is_an_error() {
        let good = tensor(&[1.0, 2.0]);
        assert_eq!(agreement(&good, &tensor(&[1.0, 2.0, 3.0, 4.0])).unwrap_err().code(), ErrorCode::Shape);
        let error = agreement(&tensor(&[0.0; 4]), &tensor(&[0.0, 0.0, f32::NAN, 0.0])).unwrap_err();
        assert_eq!((error.code(), error.place().row), (ErrorCode::Diverged, Some(2)));
    }
}
