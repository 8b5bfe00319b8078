//! The model: ridge regression on one-hot labels in closed form. Cross validation is nearly free, because the normal
//! equations of all folds but one are the sum of all less that one's.

use super::matrix::{Cholesky, View, multiply};
use lepton_core::{Cancel, Error, Result, Seed};
use rand_chacha::rand_core::Rng;
use rayon::prelude::*;

/// Numbers that say what a row is like.
pub(super) trait Features: Sync {
    /// How many rows.
    fn rows(&self) -> usize;

    /// How many numbers each row has.
    fn width(&self) -> usize;

    /// Writes the numbers of these rows, each row `step` elements after the one before. They depend on each row alone.
    fn fill(&self, rows: &[usize], output: &mut [f32], step: usize);
}

/// Rows whose features are computed at once by one thread.
const PIECE: usize = 64;

/// Rows whose products are summed at once in single precision.
const BLOCK: usize = 2048;

/// Columns of the normal equations that one task works on.
const PANEL: usize = 128;

/// Features that are kept for the second pass; more are computed again.
const KEPT_BYTES: usize = 256 << 20;

/// The fold of every row: stratified by label, drawn by the seed.
pub(super) fn folds(labels: &[u32], count: usize, seed: Seed) -> Vec<usize> {
    let mut order: Vec<(u32, u64, usize)> = {
        let mut rng = seed.rng("label folds", &[]);
        labels.iter().enumerate().map(|(row, label)| (*label, rng.next_u64(), row)).collect()
    };
    order.sort_unstable();
    let mut folds = vec![0; labels.len()];
    for (place, (_, _, row)) in order.into_iter().enumerate() {
        folds[row] = place % count;
    }
    folds
}

/// Scores of every row, one per class, by the model of the other folds, for each penalty (a share of the rows).
///
/// # Errors
/// [`lepton_core::ErrorCode::Cancelled`].
pub(super) fn out_of_fold(
    features: &dyn Features,
    labels: &[u32],
    classes: usize,
    folds: &[usize],
    ridges: &[f64],
    cancel: &Cancel,
) -> Result<Vec<Vec<f32>>> {
    let rows = features.rows();
    let count = folds.iter().max().map_or(1, |fold| fold + 1);
    // The last feature is the constant.
    let width = features.width() + 1;
    let mut order: Vec<usize> = (0..rows).collect();
    order.sort_by_key(|row| folds[*row]);
    let sizes: Vec<usize> = (0..count).map(|fold| folds.iter().filter(|of| **of == fold).count()).collect();
    let keep = rows * width * 4 <= KEPT_BYTES;
    let mut kept: Vec<f32> = vec![0.0; if keep { rows * width } else { 0 }];
    let mut parts = Vec::with_capacity(count);
    let mut block = vec![0.0; if keep { 0 } else { BLOCK.min(rows) * width }];
    let mut first = 0;
    for size in &sizes {
        let mut normal = Normal::new(width, classes);
        for start in (first..first + size).step_by(BLOCK) {
            cancel.check()?;
            let rows = &order[start..(start + BLOCK).min(first + size)];
            let block = match keep {
                true => &mut kept[start * width..(start + rows.len()) * width],
                false => &mut block[..rows.len() * width],
            };
            fill(features, rows, block, width);
            normal.add(block, rows.len(), &rows.iter().map(|row| labels[*row] as usize).collect::<Vec<_>>());
        }
        first += size;
        parts.push(normal);
    }
    let mut all = Normal::new(width, classes);
    parts.iter().for_each(|part| all.accumulate(part));
    let solved: Result<Vec<Vec<Vec<f32>>>> = parts
        .par_iter()
        .zip(&sizes)
        .map(|(part, size)| ridges.iter().map(|ridge| all.without(part, *ridge, rows - size, cancel)).collect())
        .collect();
    let weights = solved?;
    drop(parts);
    let mut scores = vec![vec![0.0; rows * classes]; ridges.len()];
    let mut first = 0;
    for (size, weights) in sizes.iter().zip(&weights) {
        for start in (first..first + size).step_by(BLOCK) {
            cancel.check()?;
            let rows = &order[start..(start + BLOCK).min(first + size)];
            let block = match keep {
                true => &kept[start * width..(start + rows.len()) * width],
                false => {
                    let block = &mut block[..rows.len() * width];
                    fill(features, rows, block, width);
                    &*block
                }
            };
            for (scores, weights) in scores.iter_mut().zip(weights) {
                let mut found = vec![0.0; rows.len() * classes];
                found.par_chunks_mut(PIECE * classes).zip(block.par_chunks(PIECE * width)).for_each(|(to, from)| {
                    let weights = View::rows(weights, width, classes, classes);
                    multiply(to, classes, View::rows(from, from.len() / width, width, width), weights);
                });
                for (row, found) in rows.iter().zip(found.chunks_exact(classes)) {
                    scores[row * classes..(row + 1) * classes].copy_from_slice(found);
                }
            }
        }
        first += size;
    }
    Ok(scores)
}

fn fill(features: &dyn Features, rows: &[usize], block: &mut [f32], width: usize) {
    block.par_chunks_mut(PIECE * width).zip(rows.par_chunks(PIECE)).for_each(|(block, rows)| {
        features.fill(rows, block, width);
        block.chunks_exact_mut(width).for_each(|row| row[width - 1] = 1.0);
    });
}

/// The normal equations of some rows.
struct Normal {
    width: usize,
    classes: usize,
    /// Products of features with each other; the lower triangle.
    gram: Vec<f64>,
    /// Products of features with one-hot labels.
    right: Vec<f64>,
}

impl Normal {
    fn new(width: usize, classes: usize) -> Normal {
        Normal { width, classes, gram: vec![0.0; width * width], right: vec![0.0; width * classes] }
    }

    /// Adds rows. Every task has some columns, and each sum is in the order of the rows.
    fn add(&mut self, block: &[f32], rows: usize, labels: &[usize]) {
        let (width, classes) = (self.width, self.classes);
        let gram = self.gram.par_chunks_mut(PANEL * width);
        let tasks = gram.zip(self.right.par_chunks_mut(PANEL * classes)).enumerate();
        tasks.for_each(|(panel, (gram, right))| {
            let start = panel * PANEL;
            let columns = PANEL.min(width - start);
            let until = start + columns;
            let mut products = vec![0.0f32; columns * until];
            let own = View::rows(&block[start..], rows, columns, width);
            multiply(&mut products, until, own.transposed(), View::rows(block, rows, until, width));
            for (to, from) in gram.chunks_exact_mut(width).zip(products.chunks_exact(until)) {
                to.iter_mut().zip(from).for_each(|(to, from)| *to += f64::from(*from));
            }
            for (row, label) in block.chunks_exact(width).zip(labels) {
                for (to, value) in right.chunks_exact_mut(classes).zip(&row[start..until]) {
                    to[*label] += f64::from(*value);
                }
            }
        });
    }

    fn accumulate(&mut self, part: &Normal) {
        self.gram.iter_mut().zip(&part.gram).for_each(|(to, from)| *to += from);
        self.right.iter_mut().zip(&part.right).for_each(|(to, from)| *to += from);
    }

    /// The weights from all rows but the part's, a row of classes for each feature. The constant is not penalised.
    fn without(&self, part: &Normal, ridge: f64, rows: usize, cancel: &Cancel) -> Result<Vec<f32>> {
        cancel.check()?;
        let mut gram: Vec<f64> = self.gram.iter().zip(&part.gram).map(|(all, part)| all - part).collect();
        for place in 0..self.width - 1 {
            gram[place * self.width + place] += ridge * rows as f64;
        }
        let cholesky = Cholesky::of(gram, self.width)
            .ok_or_else(|| Error::internal("the normal equations of the label check are not positive definite"))?;
        let mut right: Vec<f64> = self.right.iter().zip(&part.right).map(|(all, part)| all - part).collect();
        cholesky.solve(&mut right, self.classes);
        Ok(right.into_iter().map(|weight| weight as f32).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two features of each row, written down.
    pub(super) struct Given(pub(super) Vec<[f32; 2]>);

    impl Features for Given {
        fn rows(&self) -> usize {
            self.0.len()
        }

        fn width(&self) -> usize {
            2
        }

        fn fill(&self, rows: &[usize], output: &mut [f32], step: usize) {
            for (row, output) in rows.iter().zip(output.chunks_exact_mut(step)) {
                output[..2].copy_from_slice(&self.0[*row]);
            }
        }
    }

    /// Least squares with a penalty, by Gaussian elimination over the rows of the other folds.
    fn plain(data: &[[f32; 2]], labels: &[u32], folds: &[usize], row: usize, ridge: f64) -> Vec<f64> {
        let others: Vec<usize> = (0..data.len()).filter(|other| folds[*other] != folds[row]).collect();
        let value = |row: usize, place: usize| if place == 2 { 1.0 } else { f64::from(data[row][place]) };
        (0..2)
            .map(|class| {
                let mut system = [[0.0; 4]; 3];
                for (i, line) in system.iter_mut().enumerate() {
                    for &other in &others {
                        (0..3).for_each(|j| line[j] += value(other, i) * value(other, j));
                        line[3] += value(other, i) * f64::from(u8::from(labels[other] == class));
                    }
                    line[i] += if i < 2 { ridge * others.len() as f64 } else { 0.0 };
                }
                for i in 0..3 {
                    let line = system[i].map(|value| value / system[i][i]);
                    system[i] = line;
                    for other in (0..3).filter(|other| *other != i) {
                        let factor = system[other][i];
                        (0..4).for_each(|k| system[other][k] -= factor * line[k]);
                    }
                }
                (0..3).map(|place| system[place][3] * value(row, place)).sum()
            })
            .collect()
    }

    #[test]
    fn scores_are_those_of_models_that_never_saw_the_row() {
        let mut rng = Seed(1).rng("test", &[]);
        let mut draw = || f64::from(rng.next_u32()) as f32 / u32::MAX as f32 - 0.5;
        let data: Vec<[f32; 2]> = (0..90).map(|_| [draw(), 3.0 * draw()]).collect();
        let labels: Vec<u32> = data.iter().map(|row| u32::from(row[0] + 0.2 * row[1] > 0.0)).collect();
        let folds = folds(&labels, 5, Seed(2));
        assert!((0..5).all(|fold| folds.iter().filter(|of| **of == fold).count() == 18));
        let ridges = [1e-3, 1e-1];
        let scores = out_of_fold(&Given(data.clone()), &labels, 2, &folds, &ridges, &Cancel::default()).unwrap();
        for (scores, ridge) in scores.iter().zip(ridges) {
            for row in 0..90 {
                let wanted = plain(&data, &labels, &folds, row, ridge);
                for (have, want) in scores[row * 2..row * 2 + 2].iter().zip(wanted) {
                    assert!((f64::from(*have) - want).abs() < 1e-4, "{have} for {want}");
                }
            }
        }
    }
}
