//! Batches for training and evaluation, prepared ahead on worker threads in an order that depends on the seed
//! and the epoch alone.

use crate::augment::Augmenter;
use crate::rows::take_rows;
use arrow_array::RecordBatch;
use lepton_core::image::{ImageBuilder, ImageColumn};
use lepton_core::{ColumnKind, Error, ErrorCode, Result, Seed, Tensor};
use lepton_recipe::{Recipe, raw};
use rand_chacha::rand_core::Rng;
use rayon::prelude::*;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Without augmentation a part's recipe output is computed once and kept while it is at most this large: 1 GiB.
/// A larger part is computed batch by batch in every epoch.
pub const CACHE_BYTES: usize = 1 << 30;

/// Batches that each worker may have ready before it waits.
const AHEAD: usize = 2;

/// Rows of one batch.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Their places in the part, from 0.
    pub rows: Vec<usize>,
    /// The recipe's output, float32, first side the rows.
    pub input: Tensor,
    /// Class indices, int64 `[n]`.
    pub target: Tensor,
}

/// One part of a dataset, ready to be walked in batches.
pub struct Loader {
    inner: Arc<Inner>,
    workers: usize,
}

struct Inner {
    part: RecordBatch,
    recipe: Arc<Recipe>,
    augmenter: Option<Augmenter>,
    batch_size: usize,
    seed: Seed,
    targets: Vec<i64>,
    /// The recipe's output over the whole part, where it is kept.
    cached: Option<Tensor>,
}

impl Loader {
    /// A loader over `part`. `workers` threads prepare batches ahead in each epoch; 0 prepares each batch when it
    /// is asked for. Augmentation that is off counts as none.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] for a batch size of 0 or augmentation without pictures; what the recipe says about a
    /// label or, where its output is kept, about a value.
    pub fn new(
        part: RecordBatch,
        recipe: Arc<Recipe>,
        augmenter: Option<Augmenter>,
        batch_size: usize,
        seed: Seed,
        workers: usize,
    ) -> Result<Loader> {
        if batch_size == 0 {
            return Err(Error::new(ErrorCode::Config, "the batch size must be at least 1").at_key("train.batch_size"));
        }
        let augmenter = augmenter.filter(|augmenter| !augmenter.is_off());
        if augmenter.is_some() && recipe.inputs().of_kind(ColumnKind::Image).next().is_none() {
            return Err(Error::new(ErrorCode::Config, "only pictures can be rotated, shifted and scaled")
                .at_key("augment")
                .fix("remove the [augment] section"));
        }
        let targets = recipe.encode_target(&part)?.as_int64()?.to_vec();
        let row_len: i64 = recipe.output().shape.iter().skip(1).product();
        let bytes = (row_len as usize).saturating_mul(4).saturating_mul(part.num_rows());
        let cached = if augmenter.is_none() && bytes <= CACHE_BYTES { Some(apply_all(&recipe, &part)?) } else { None };
        let inner = Inner { part, recipe, augmenter, batch_size, seed, targets, cached };
        Ok(Loader { inner: Arc::new(inner), workers })
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.inner.part.num_rows()
    }

    /// How many batches an epoch has; the last one may be smaller than the others.
    pub fn steps(&self) -> usize {
        self.rows().div_ceil(self.inner.batch_size)
    }

    /// The raw rows.
    pub fn part(&self) -> &RecordBatch {
        &self.inner.part
    }

    /// Walks the rows once, from batch `from_step` on. With `shuffle` the order is drawn from the seed and `epoch`,
    /// so a resumed epoch sees what the unbroken one would have seen; else it is the part's own.
    pub fn epoch(&self, epoch: u64, from_step: usize, shuffle: bool) -> Epoch {
        let order: Arc<Vec<usize>> = Arc::new(self.inner.order(epoch, shuffle));
        let steps = self.steps();
        let workers = self.workers.min(steps.saturating_sub(from_step));
        let prefetch = (0..workers)
            .map(|worker| {
                let (inner, order) = (Arc::clone(&self.inner), Arc::clone(&order));
                let (sender, receiver) = sync_channel(AHEAD);
                let own_steps = (from_step + worker..steps).step_by(workers);
                let work = move || send_batches(&inner, &order, epoch, own_steps, &sender);
                Worker { receiver: Some(receiver), thread: Some(std::thread::spawn(work)) }
            })
            .collect();
        Epoch { inner: Arc::clone(&self.inner), order, epoch, first: from_step, next: from_step, steps, prefetch }
    }
}

/// Computes every `step`'s batch until nobody listens any more.
fn send_batches(
    inner: &Inner,
    order: &[usize],
    epoch: u64,
    steps: impl Iterator<Item = usize>,
    sender: &SyncSender<Result<Batch>>,
) {
    for step in steps {
        if sender.send(inner.batch(order, step, epoch)).is_err() {
            return;
        }
    }
}

/// The recipe over a whole part, in pieces on all threads.
fn apply_all(recipe: &Recipe, part: &RecordBatch) -> Result<Tensor> {
    const PIECE: usize = 4096;
    let rows = part.num_rows();
    let pieces: Vec<Tensor> = (0..rows.div_ceil(PIECE).max(1))
        .into_par_iter()
        .map(|piece| {
            let start = piece * PIECE;
            let slice = part.slice(start, PIECE.min(rows - start));
            recipe.apply(&slice).map_err(|error| at_part_row(error, |row| start + row))
        })
        .collect::<Result<_>>()?;
    Tensor::concat_rows(&pieces.iter().collect::<Vec<_>>())
}

/// Moves the row of an error from a batch to the part.
fn at_part_row(error: Error, place: impl Fn(usize) -> usize) -> Error {
    match error.place().row {
        Some(row) => error.at_row(place(row as usize - 1) as u64 + 1),
        None => error,
    }
}

impl Inner {
    fn order(&self, epoch: u64, shuffle: bool) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.part.num_rows()).collect();
        if shuffle {
            shuffle_rows(&mut order, &mut self.seed.rng("shuffle", &[epoch]));
        }
        order
    }

    fn batch(&self, order: &[usize], step: usize, epoch: u64) -> Result<Batch> {
        let start = step * self.batch_size;
        let rows = order[start..order.len().min(start + self.batch_size)].to_vec();
        let placed = |error: Error| at_part_row(error, |row| rows[row]);
        let input = match (&self.cached, &self.augmenter) {
            (Some(all), _) => gather(all, &rows)?,
            (None, Some(augmenter)) => self.recipe.apply(&self.augmented(augmenter, &rows, epoch)?).map_err(placed)?,
            (None, None) => self.recipe.apply(&take_rows(&self.part, &rows)?).map_err(placed)?,
        };
        let target = Tensor::int64(vec![rows.len()], rows.iter().map(|&row| self.targets[row]).collect())?;
        Ok(Batch { rows, input, target })
    }

    /// The picture column of `rows`, changed.
    fn augmented(&self, augmenter: &Augmenter, rows: &[usize], epoch: u64) -> Result<RecordBatch> {
        let schema = raw::arrow_schema(self.recipe.inputs());
        let name = schema.field(0).name();
        let missing = || Error::new(ErrorCode::BadData, "the picture is missing").at_column(name);
        let pictures = ImageColumn::new(self.part.column_by_name(name).ok_or_else(missing)?)?;
        let mut builder = ImageBuilder::default();
        for &row in rows {
            let picture = pictures.get(row).ok_or_else(|| missing().at_row(row as u64 + 1))?;
            builder.push(Some(augmenter.picture(picture, row as u64, epoch).as_ref()));
        }
        RecordBatch::try_new(Arc::clone(&schema), vec![builder.finish()])
            .map_err(|source| Error::internal(format!("augmented pictures do not fit their schema: {source}")))
    }
}

fn gather(all: &Tensor, rows: &[usize]) -> Result<Tensor> {
    let (values, width) = (all.as_float32()?, all.row_len());
    let mut picked = Vec::with_capacity(rows.len() * width);
    for &row in rows {
        picked.extend_from_slice(&values[row * width..(row + 1) * width]);
    }
    let mut shape = all.shape().to_vec();
    shape[0] = rows.len();
    Tensor::float32(shape, picked)
}

/// Fisher and Yates. Written out, so that an order never changes with a library's version; the multiplication maps
/// 64 random bits to a range with a bias below 2^-32 for any part that fits in memory.
pub(crate) fn shuffle_rows(rows: &mut [usize], rng: &mut impl Rng) {
    for last in (1..rows.len()).rev() {
        let pick = (u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64;
        rows.swap(last, pick as usize);
    }
}

/// One walk over a part. Dropping it early stops and joins its threads.
pub struct Epoch {
    inner: Arc<Inner>,
    order: Arc<Vec<usize>>,
    epoch: u64,
    first: usize,
    next: usize,
    steps: usize,
    prefetch: Vec<Worker>,
}

struct Worker {
    receiver: Option<Receiver<Result<Batch>>>,
    thread: Option<JoinHandle<()>>,
}

impl Iterator for Epoch {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        if self.next >= self.steps {
            return None;
        }
        let step = self.next;
        self.next += 1;
        if self.prefetch.is_empty() {
            return Some(self.inner.batch(&self.order, step, self.epoch));
        }
        let worker = &self.prefetch[(step - self.first) % self.prefetch.len()];
        let received = worker.receiver.as_ref().and_then(|receiver| receiver.recv().ok());
        Some(received.unwrap_or_else(|| Err(Error::internal(format!("the worker that prepares batch {step} died")))))
    }
}

impl Drop for Epoch {
    fn drop(&mut self) {
        // Closing every channel first lets all workers end at once.
        for worker in &mut self.prefetch {
            worker.receiver = None;
        }
        for thread in self.prefetch.iter_mut().filter_map(|worker| worker.thread.take()) {
            // A worker that panicked was reported as a batch that did not come.
            let _ = thread.join();
        }
    }
}
