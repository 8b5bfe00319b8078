//! Features of rows that are told apart by how alike they are: the Nyström method (C. Williams, M. Seeger, NIPS 2000).
//! With as many landmarks as rows, it is the kernel machine itself.

use super::matrix::{Cholesky, Whitener};
use super::ridge::Features;
use lepton_core::{Error, Result, Seed};
use rand_chacha::rand_core::Rng;
use rayon::prelude::*;

/// What is added to the likeness of a landmark with itself, so that equal landmarks do no harm.
const JITTER: f64 = 1e-4;

/// How alike rows and landmarks are: 1 for equal rows, and positive definite.
pub(super) trait Kernel: Sync {
    /// How many rows.
    fn rows(&self) -> usize;

    /// The landmarks.
    fn landmarks(&self) -> &[usize];

    /// Writes how alike these rows are to every landmark, each row `step` elements after the one before.
    fn fill(&self, rows: &[usize], output: &mut [f32], step: usize);
}

/// `count` rows of all, or all, drawn by the seed and ascending.
pub(super) fn draw(rows: usize, count: usize, seed: Seed, purpose: &str) -> Vec<usize> {
    if rows <= count {
        return (0..rows).collect();
    }
    let mut rng = seed.rng(purpose, &[]);
    let mut keyed: Vec<(u64, usize)> = (0..rows).map(|row| (rng.next_u64(), row)).collect();
    keyed.sort_unstable();
    let mut drawn: Vec<usize> = keyed.into_iter().take(count).map(|(_, row)| row).collect();
    drawn.sort_unstable();
    drawn
}

/// Features whose products are the kernel.
pub(super) struct Nystrom<'a> {
    kernel: &'a dyn Kernel,
    whitener: Whitener,
}

impl<'a> Nystrom<'a> {
    pub(super) fn new(kernel: &'a dyn Kernel) -> Result<Nystrom<'a>> {
        let landmarks = kernel.landmarks();
        let size = landmarks.len();
        let mut likeness = vec![0.0f32; size * size];
        likeness.par_chunks_mut(64 * size).zip(landmarks.par_chunks(64)).for_each(|(output, rows)| {
            kernel.fill(rows, output, size);
        });
        let mut matrix: Vec<f64> = likeness.into_iter().map(f64::from).collect();
        (0..size).for_each(|place| matrix[place * size + place] += JITTER);
        let cholesky = Cholesky::of(matrix, size)
            .ok_or_else(|| Error::internal("the kernel of the label check is not positive definite"))?;
        Ok(Nystrom { kernel, whitener: cholesky.whitener() })
    }
}

impl Features for Nystrom<'_> {
    fn rows(&self) -> usize {
        self.kernel.rows()
    }

    fn width(&self) -> usize {
        self.kernel.landmarks().len()
    }

    fn fill(&self, rows: &[usize], output: &mut [f32], step: usize) {
        self.kernel.fill(rows, output, step);
        self.whitener.apply(output, rows.len(), step);
    }
}

/// The mean of two kernels on the same rows and landmarks.
pub(super) struct Mean<'a>(pub(super) &'a dyn Kernel, pub(super) &'a dyn Kernel);

impl Kernel for Mean<'_> {
    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn landmarks(&self) -> &[usize] {
        self.0.landmarks()
    }

    fn fill(&self, rows: &[usize], output: &mut [f32], step: usize) {
        let width = self.landmarks().len();
        self.0.fill(rows, output, step);
        let mut second = vec![0.0; rows.len() * width];
        self.1.fill(rows, &mut second, width);
        for (to, from) in output.chunks_mut(step).zip(second.chunks_exact(width)) {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = (*to + from) / 2.0);
        }
    }
}
