//! Rows of numbers and categories, told apart by their distance: a Gaussian kernel of standardised numbers and one-hot
//! categories, as wide as rows typically lie apart.

use super::kernel::Kernel;
use super::matrix::{View, multiply};

/// Standard deviations from the mean behind which numbers are all the same.
const FARTHEST: f64 = 4.0;

/// Values of a category that have a place of their own; others share one.
const MOST_VALUES: usize = 50;

/// Rows by which it is measured how far rows lie apart.
const WIDTH_ROWS: usize = 512;

/// A column of a table.
pub(super) enum TableColumn {
    /// Numbers.
    Numbers(Vec<Option<f64>>),
    /// Values by number, the most frequent having the lowest.
    Categories(Vec<Option<u32>>),
}

/// Rows and landmarks as vectors.
pub(super) struct Rows {
    rows: usize,
    width: usize,
    /// A vector for each row.
    vectors: Vec<f32>,
    /// The squared length of each vector.
    lengths: Vec<f32>,
    landmarks: Vec<usize>,
    /// The landmarks' vectors.
    near: Vec<f32>,
    /// What squared distances are multiplied with.
    scale: f32,
}

impl Rows {
    /// `None` where no column says anything.
    pub(super) fn new(columns: &[TableColumn], rows: usize, landmarks: Vec<usize>) -> Option<Rows> {
        let features: Vec<Vec<f32>> = columns.iter().flat_map(|column| encoded(column, rows)).collect();
        let width = features.len();
        if width == 0 {
            return None;
        }
        let mut vectors = vec![0.0; rows * width];
        for (place, feature) in features.into_iter().enumerate() {
            feature.into_iter().enumerate().for_each(|(row, value)| vectors[row * width + place] = value);
        }
        let length = |vector: &[f32]| vector.iter().map(|value| value * value).sum();
        let lengths: Vec<f32> = vectors.chunks_exact(width).map(length).collect();
        let near = landmarks.iter().flat_map(|row| vectors[row * width..][..width].iter().copied()).collect();
        let mut made = Rows { rows, width, vectors, lengths, landmarks, near, scale: 0.0 };
        let some: Vec<usize> = made.landmarks.iter().copied().take(WIDTH_ROWS).collect();
        let mut distances = vec![0.0; some.len() * made.landmarks.len()];
        made.distances(&some, &mut distances, made.landmarks.len());
        let mut apart: Vec<f32> = distances.into_iter().filter(|distance| *distance > 1e-6).collect();
        let middle = apart.len() / 2;
        if apart.is_empty() {
            return None;
        }
        let (_, median, _) = apart.select_nth_unstable_by(middle, f32::total_cmp);
        made.scale = -1.0 / *median;
        Some(made)
    }

    /// Squared distances to every landmark.
    fn distances(&self, rows: &[usize], output: &mut [f32], step: usize) {
        let (width, count) = (self.width, self.landmarks.len());
        let vectors: Vec<f32> =
            rows.iter().flat_map(|row| self.vectors[row * width..][..width].iter().copied()).collect();
        let near = View::rows(&self.near, count, width, width);
        multiply(output, step, View::rows(&vectors, rows.len(), width, width), near.transposed());
        for (row, output) in rows.iter().zip(output.chunks_mut(step)) {
            for (value, landmark) in output.iter_mut().zip(&self.landmarks) {
                *value = (self.lengths[*row] + self.lengths[*landmark] - 2.0 * *value).max(0.0);
            }
        }
    }
}

impl Kernel for Rows {
    fn rows(&self) -> usize {
        self.rows
    }

    fn landmarks(&self) -> &[usize] {
        &self.landmarks
    }

    fn fill(&self, rows: &[usize], output: &mut [f32], step: usize) {
        self.distances(rows, output, step);
        for output in output.chunks_mut(step) {
            output.iter_mut().take(self.landmarks.len()).for_each(|value| *value = (*value * self.scale).exp());
        }
    }
}

/// The features of a column.
fn encoded(column: &TableColumn, rows: usize) -> Vec<Vec<f32>> {
    let indicator = |wanted: &dyn Fn(usize) -> bool| -> Option<Vec<f32>> {
        let feature: Vec<f32> = (0..rows).map(|row| f32::from(u8::from(wanted(row)))).collect();
        feature.iter().any(|value| *value != feature[0]).then_some(feature)
    };
    match column {
        TableColumn::Numbers(numbers) => {
            let present = || numbers.iter().flatten();
            let count = present().count().max(1) as f64;
            let mean = present().sum::<f64>() / count;
            let deviation = (present().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
            let mut features = Vec::new();
            if deviation.is_finite() && deviation > 0.0 {
                let standard = |value: f64| ((value - mean) / deviation).clamp(-FARTHEST, FARTHEST) as f32;
                features.push(numbers.iter().map(|value| value.map_or(0.0, standard)).collect());
            }
            features.extend(indicator(&|row| numbers[row].is_none()));
            features
        }
        TableColumn::Categories(values) => {
            let most = values.iter().flatten().max().map_or(0, |value| *value as usize + 1);
            let mut features: Vec<Vec<f32>> = Vec::new();
            for value in 0..most.min(MOST_VALUES) {
                features.extend(indicator(&|row| values[row].is_some_and(|own| own as usize == value)));
            }
            features.extend(indicator(&|row| values[row].is_some_and(|own| own as usize >= MOST_VALUES)));
            features.extend(indicator(&|row| values[row].is_none()));
            features
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rows_are_alike_and_far_rows_are_not() {
        let numbers = TableColumn::Numbers(vec![Some(1.0), Some(1.0), Some(9.0), None]);
        let values = TableColumn::Categories(vec![Some(0), Some(0), Some(1), Some(0)]);
        let constant = TableColumn::Categories(vec![Some(0); 4]);
        let rows = Rows::new(&[numbers, values, constant], 4, vec![0, 1, 2, 3]).unwrap();
        assert_eq!(rows.width, 4, "a number, whether it is missing, two values");
        let mut likeness = vec![0.0; 16];
        rows.fill(&[0, 1, 2, 3], &mut likeness, 4);
        assert!((likeness[1] - 1.0).abs() < 1e-5 && likeness[2] < likeness[3]);
        assert!(Rows::new(&[TableColumn::Numbers(vec![Some(2.0); 4])], 4, vec![0]).is_none());
    }
}
