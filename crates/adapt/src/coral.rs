//! Correlation alignment (Sun, Feng and Saenko 2016): source rows are whitened with their own covariance and coloured with
//! the target's, so that both domains have the same mean and covariance. The map is linear and needs no labels.

use crate::Rows;
use crate::linear_algebra::{Eigen, product};
use lepton_core::{Error, ErrorCode, Result};

/// Features of a row at most: the work grows with their cube.
pub const MOST_COLUMNS: usize = 2048;

/// A fitted map from source rows to rows that look like target rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Coral {
    source_mean: Vec<f64>,
    target_mean: Vec<f64>,
    /// `[width, width]`, row-major; a centred row is multiplied from the left.
    map: Vec<f64>,
}

impl Coral {
    /// Fits `(C_s + r I)^(-1/2) (C_t + r I)^(1/2)` with the unbiased covariances of both domains and `ridge` times the mean
    /// variance of the source as `r`. Means are aligned too, where the paper starts from standardised domains.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`] and [`ErrorCode::BadData`] for rows that cannot be compared, among them fewer than two of a
    /// domain or a source that never varies; [`ErrorCode::Config`] for a ridge that is no number above 0;
    /// [`ErrorCode::Unsupported`] for more than [`MOST_COLUMNS`] features.
    pub fn fit(source: &Rows<'_>, target: &Rows<'_>, ridge: f64) -> Result<Coral> {
        Rows::check_pair(source, target)?;
        let width = source.width();
        if width > MOST_COLUMNS {
            let message = format!("covariances of {width} features take too long (at most {MOST_COLUMNS})");
            return Err(Error::new(ErrorCode::Unsupported, message)
                .fix("use fewer features (recipe.text_features), or the method \"density-ratio\" or \"mmd\""));
        }
        if !(ridge > 0.0 && ridge.is_finite()) {
            return Err(Error::new(ErrorCode::Config, format!("{ridge} is no number above 0")));
        }
        if source.len() < 2 || target.len() < 2 {
            return Err(Error::new(ErrorCode::BadData, "a covariance needs two rows of each domain"));
        }
        let (source_mean, mut of_source) = covariance(source);
        let (target_mean, mut of_target) = covariance(target);
        let variance = (0..width).map(|place| of_source[place * width + place]).sum::<f64>() / width as f64;
        if variance.is_nan() || variance <= 0.0 {
            return Err(Error::new(ErrorCode::BadData, "the features of the source rows are all the same"));
        }
        let least = ridge * variance;
        for place in 0..width {
            of_source[place * width + place] += least;
            of_target[place * width + place] += least;
        }
        // Rounding can leave an eigenvalue a hair below the ridge.
        let whiten = Eigen::of(of_source, width)?.map(|value| 1.0 / value.max(least).sqrt());
        let colour = Eigen::of(of_target, width)?.map(|value| value.max(least).sqrt());
        Ok(Coral { source_mean, target_mean, map: product(&whiten, &colour, width) })
    }

    /// Source rows as they would look in the target domain, row-major.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`] for rows of another width.
    pub fn apply(&self, rows: &Rows<'_>) -> Result<Vec<f32>> {
        let width = self.source_mean.len();
        if rows.width() != width {
            let message = format!("the map takes rows of {width} features, not of {}", rows.width());
            return Err(Error::new(ErrorCode::Shape, message));
        }
        let mut moved = Vec::with_capacity(rows.values().len());
        let mut sums = vec![0.0; width];
        for row in rows.iter() {
            sums.copy_from_slice(&self.target_mean);
            for ((&value, mean), line) in row.iter().zip(&self.source_mean).zip(self.map.chunks_exact(width)) {
                let centred = f64::from(value) - mean;
                sums.iter_mut().zip(line).for_each(|(sum, part)| *sum += centred * part);
            }
            moved.extend(sums.iter().map(|&sum| sum as f32));
        }
        Ok(moved)
    }
}

/// Mean and unbiased covariance of rows.
fn covariance(rows: &Rows<'_>) -> (Vec<f64>, Vec<f64>) {
    let (width, count) = (rows.width(), rows.len() as f64);
    let mut mean = vec![0.0; width];
    for row in rows.iter() {
        mean.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value) / count);
    }
    let mut sums = vec![0.0; width * width];
    let mut centred = vec![0.0; width];
    for row in rows.iter() {
        centred.iter_mut().zip(row).zip(&mean).for_each(|((to, &value), mean)| *to = f64::from(value) - mean);
        for (place, line) in sums.chunks_exact_mut(width).enumerate() {
            let factor = centred[place] / (count - 1.0);
            line[..=place].iter_mut().zip(&centred).for_each(|(sum, value)| *sum += factor * value);
        }
    }
    for place in 0..width {
        for other in 0..place {
            sums[other * width + place] = sums[place * width + other];
        }
    }
    (mean, sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of two features, stretched and moved.
    fn rows(stretch: [f32; 2], shift: f32) -> Vec<f32> {
        (0..60)
            .flat_map(|row| {
                let (one, other) = (((row * 7) % 13) as f32 - 6.0, ((row * 11) % 17) as f32 - 8.0);
                [stretch[0] * one + shift, stretch[1] * other + 0.5 * one]
            })
            .collect()
    }

    #[test]
    fn aligned_rows_have_the_mean_and_covariance_of_the_target() {
        let (source, target) = (rows([1.0, 2.0], 0.0), rows([3.0, 0.5], 4.0));
        let (source, target) = (Rows::new(&source, 2).unwrap(), Rows::new(&target, 2).unwrap());
        let moved = Coral::fit(&source, &target, 1e-9).unwrap().apply(&source).unwrap();
        let ((mean, covariance_moved), (wanted, covariance_wanted)) =
            (covariance(&Rows::new(&moved, 2).unwrap()), covariance(&target));
        for (one, other) in mean.iter().chain(&covariance_moved).zip(wanted.iter().chain(&covariance_wanted)) {
            assert!((one - other).abs() < 1e-3, "{one} {other}");
        }
    }

    #[test]
    fn the_same_domain_twice_stays_as_it_is() {
        let values = rows([1.0, 2.0], 0.0);
        let same = Rows::new(&values, 2).unwrap();
        let moved = Coral::fit(&same, &same, 0.1).unwrap().apply(&same).unwrap();
        assert!(moved.iter().zip(&values).all(|(one, other)| (one - other).abs() < 1e-4));
    }

    #[test]
    fn what_has_no_covariance_is_refused() {
        let values = rows([1.0, 2.0], 0.0);
        let good = Rows::new(&values, 2).unwrap();
        let one = Rows::new(&values[..2], 2).unwrap();
        let flat = Rows::new(&[1.0; 8], 2).unwrap();
        let code = |source: &Rows<'_>, target: &Rows<'_>, ridge| Coral::fit(source, target, ridge).unwrap_err().code();
        assert_eq!(code(&good, &one, 1.0), ErrorCode::BadData);
        assert_eq!(code(&flat, &good, 1.0), ErrorCode::BadData);
        assert_eq!(code(&good, &good, 0.0), ErrorCode::Config);
        let wide = vec![0.0; 2 * (MOST_COLUMNS + 1)];
        let wide = Rows::new(&wide, MOST_COLUMNS + 1).unwrap();
        assert_eq!(code(&wide, &wide, 1.0), ErrorCode::Unsupported);
        assert!(Coral::fit(&good, &good, 1.0).unwrap().apply(&Rows::new(&values, 1).unwrap()).is_err());
    }
}
