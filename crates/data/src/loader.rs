//! Batches for training and evaluation, prepared ahead on worker threads in an order that depends on the seed
//! and the epoch alone.

use crate::augment::series::SeriesAugmenter;
use crate::augment::table::NumberNoise;
use crate::augment::text::TextAugmenter;
use crate::augment::{Augmenter, Domain, Sample, Step};
use crate::rows::take_rows;
use arrow_array::cast::AsArray;
use arrow_array::{RecordBatch, StringArray};
use lepton_core::image::{ImageBuilder, ImageColumn};
use lepton_core::{DType, Error, ErrorCode, Result, Seed, Tensor};
use lepton_recipe::{Recipe, raw};
use rayon::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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
    /// The recipe's output, float32 or the int64 codes of texts, first side the rows.
    pub input: Tensor,
    /// Class indices, int64 `[n]`; where rows are mixed the share of each class, float32 `[n, classes]`; numbers,
    /// float32 `[n, 1]`.
    pub target: Tensor,
    /// What each row counts in the loss, where rows have weights.
    pub weights: Option<Vec<f32>>,
}

/// One part of a dataset, ready to be walked in batches.
#[derive(Clone)]
pub struct Loader {
    inner: Arc<Inner>,
    overlay: Overlay,
    workers: usize,
}

/// What stands over the rows of a part.
#[derive(Clone, Default)]
struct Overlay {
    /// A weight for each row.
    weights: Option<Arc<Vec<f32>>>,
    /// In place of the recipe's output over the whole part.
    features: Option<Arc<Tensor>>,
}

struct Inner {
    part: RecordBatch,
    recipe: Arc<Recipe>,
    /// Whether the part is the one that the recipe was fitted on, so that the places of its rows matter.
    is_training: bool,
    change: Change,
    batch_size: usize,
    seed: Seed,
    targets: Targets,
    /// The recipe's output over the whole part, where it is kept.
    cached: Option<Tensor>,
}

/// What is predicted, row by row.
#[derive(Clone)]
enum Targets {
    Classes(Vec<i64>),
    Numbers(Tensor),
}

impl Targets {
    fn new(encoded: &Tensor) -> Result<Targets> {
        Ok(match encoded.dtype() {
            DType::Int64 => Targets::Classes(encoded.as_int64()?.to_vec()),
            _ => Targets::Numbers(encoded.clone()),
        })
    }

    fn of(&self, rows: &[usize]) -> Result<Tensor> {
        match self {
            Targets::Classes(classes) => {
                Tensor::int64(vec![rows.len()], rows.iter().map(|&row| classes[row]).collect())
            }
            Targets::Numbers(numbers) => numbers.take_rows(rows),
        }
    }
}

/// How rows are changed on their way into a batch.
enum Change {
    Nothing,
    Pictures(Augmenter),
    Numbers(Vec<NumberNoise>),
    /// Before the recipe: words are changed, not their codes.
    Texts(TextAugmenter),
    /// After the recipe: a series has then one length and no gaps.
    Series(SeriesAugmenter),
}

impl Change {
    fn new(part: &RecordBatch, recipe: &Recipe, augmenter: Option<Augmenter>) -> Result<Change> {
        let Some(augmenter) = augmenter.filter(|augmenter| !augmenter.is_off()) else { return Ok(Change::Nothing) };
        let domain = Domain::of(recipe.inputs(), "");
        augmenter.settings().check_domain(domain)?;
        match domain {
            Domain::Pictures => return Ok(Change::Pictures(augmenter)),
            Domain::Series => {
                return Ok(Change::Series(SeriesAugmenter::new(augmenter.settings(), augmenter.seed())?));
            }
            Domain::Texts => return Ok(Change::Texts(TextAugmenter::new(augmenter.settings(), augmenter.seed())?)),
            _ => {}
        }
        let mut noises = Vec::new();
        for (index, settings) in augmenter.settings().steps.iter().enumerate() {
            // New rows (SMOTE) are in the part already.
            if let Step::NumberNoise { amount } = settings.step {
                let (inputs, seed) = (recipe.inputs(), augmenter.seed());
                noises.push(NumberNoise::new(part, inputs, amount, settings.chance(), seed, index as u64)?);
            }
        }
        Ok(if noises.is_empty() { Change::Nothing } else { Change::Numbers(noises) })
    }
}

impl Loader {
    /// A loader over `part`. `workers` threads prepare batches ahead in each epoch; 0 prepares each batch when it
    /// is asked for. Augmentation that is off counts as none.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] for a batch size of 0; [`ErrorCode::Unsupported`] for augmentation that the rows cannot
    /// take; what the recipe says about a label or, where its output is kept, about a value.
    pub fn new(
        part: RecordBatch,
        recipe: Arc<Recipe>,
        augmenter: Option<Augmenter>,
        batch_size: usize,
        seed: Seed,
        workers: usize,
    ) -> Result<Loader> {
        Loader::over(part, recipe, false, augmenter, batch_size, seed, workers)
    }

    /// As [`Loader::new`], over the part that the recipe was fitted on: its rows are encoded by
    /// [`Recipe::apply_in_training`].
    ///
    /// # Errors
    /// Those of [`Loader::new`].
    pub fn for_training(
        part: RecordBatch,
        recipe: Arc<Recipe>,
        augmenter: Option<Augmenter>,
        batch_size: usize,
        seed: Seed,
        workers: usize,
    ) -> Result<Loader> {
        Loader::over(part, recipe, true, augmenter, batch_size, seed, workers)
    }

    fn over(
        part: RecordBatch,
        recipe: Arc<Recipe>,
        is_training: bool,
        augmenter: Option<Augmenter>,
        batch_size: usize,
        seed: Seed,
        workers: usize,
    ) -> Result<Loader> {
        if batch_size == 0 {
            return Err(Error::new(ErrorCode::Config, "the batch size must be at least 1").at_key("train.batch_size"));
        }
        let change = Change::new(&part, &recipe, augmenter)?;
        let targets = Targets::new(&recipe.encode_target(&part)?)?;
        let row_len: i64 = recipe.output().shape.iter().skip(1).product();
        let bytes = (row_len as usize).saturating_mul(recipe.output().dtype.size()).saturating_mul(part.num_rows());
        let keep = matches!(change, Change::Nothing | Change::Series(_)) && bytes <= CACHE_BYTES;
        let cached = if keep { Some(apply_all(&recipe, &part, is_training)?) } else { None };
        let inner = Inner { part, recipe, is_training, change, batch_size, seed, targets, cached };
        Ok(Loader { inner: Arc::new(inner), overlay: Overlay::default(), workers })
    }

    /// The same rows with a weight for each: what it counts in the loss beside the others of its batch.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`] where there is not one for each row; [`ErrorCode::BadData`] with the row for one that is
    /// negative or not finite, and where all are 0.
    pub fn with_weights(&self, weights: Vec<f32>) -> Result<Loader> {
        if weights.len() != self.rows() {
            let message = format!("{} weights for {} rows", weights.len(), self.rows());
            return Err(Error::new(ErrorCode::Shape, message));
        }
        if let Some(row) = weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
            let message = format!("the weight {} is no number from 0 up", weights[row]);
            return Err(Error::new(ErrorCode::BadData, message).at_row(row as u64 + 1));
        }
        if weights.iter().all(|weight| *weight == 0.0) {
            return Err(Error::new(ErrorCode::BadData, "all weights are 0, so there is nothing to learn from"));
        }
        Ok(Loader { overlay: Overlay { weights: Some(Arc::new(weights)), ..self.overlay.clone() }, ..self.clone() })
    }

    /// The weights of the rows, where they have some.
    pub fn weights(&self) -> Option<&[f32]> {
        self.overlay.weights.as_ref().map(|weights| weights.as_slice())
    }

    /// The same rows in the same order, but with `inputs` in place of what the recipe makes of them: one row for each of
    /// the part, as another computation gave it. Nothing is augmented any more.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`] where there are more or fewer rows.
    pub fn with_inputs(&self, inputs: Tensor) -> Result<Loader> {
        if inputs.rows() != self.rows() {
            let message = format!("{} rows of inputs for {} rows", inputs.rows(), self.rows());
            return Err(Error::new(ErrorCode::Shape, message));
        }
        Ok(Loader { overlay: Overlay { features: Some(Arc::new(inputs)), ..self.overlay.clone() }, ..self.clone() })
    }

    /// Whether a row gives the same input and target in every epoch: nothing is augmented.
    pub fn repeats_rows(&self) -> bool {
        self.overlay.features.is_some() || matches!(self.inner.change, Change::Nothing)
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.inner.part.num_rows()
    }

    /// How many batches an epoch has; the last one may be smaller than the others.
    pub fn steps(&self) -> usize {
        self.rows().div_ceil(self.inner.batch_size)
    }

    /// How many rows each class has, in the order of the recipe's labels; `None` where a number is predicted.
    pub fn class_counts(&self) -> Option<Vec<u64>> {
        let Targets::Classes(classes) = &self.inner.targets else { return None };
        let mut counts = vec![0; self.inner.recipe.labels().len()];
        for &class in classes {
            counts[class as usize] += 1;
        }
        Some(counts)
    }

    /// The recipe's output over all rows, float32, and their targets, in the rows' order and without augmentation.
    ///
    /// # Errors
    /// What the recipe says about a value.
    pub fn everything(&self) -> Result<(Tensor, Tensor)> {
        let inner = &self.inner;
        let input = match self.overlay.features.as_deref().or(inner.cached.as_ref()) {
            Some(all) => all.clone(),
            None => apply_all(&inner.recipe, &inner.part, inner.is_training)?,
        };
        Ok((input, self.targets()?))
    }

    /// The targets of all rows, in the rows' order.
    ///
    /// # Errors
    /// [`ErrorCode::Internal`] only.
    pub fn targets(&self) -> Result<Tensor> {
        self.inner.targets.of(&(0..self.rows()).collect::<Vec<_>>())
    }

    /// A loader over some of the rows, by their places, with their inputs and weights as this one gives them.
    ///
    /// # Errors
    /// [`ErrorCode::Unsupported`] where rows are augmented; [`ErrorCode::Shape`] for a place past the end; what the recipe
    /// says about a value.
    pub fn of_rows(&self, places: &[usize]) -> Result<Loader> {
        let inner = &self.inner;
        if !self.repeats_rows() {
            let message = "parts of the training rows cannot be taken while rows are augmented";
            return Err(Error::new(ErrorCode::Unsupported, message).at_key("augment.steps").fix("remove [augment]"));
        }
        if let Some(place) = places.iter().find(|place| **place >= self.rows()) {
            return Err(Error::new(ErrorCode::Shape, format!("row {place} of {}", self.rows())));
        }
        let part = take_rows(&inner.part, places)?;
        let cached = match self.overlay.features.as_deref().or(inner.cached.as_ref()) {
            Some(all) => all.take_rows(places)?,
            None => apply(&inner.recipe, &part, places, inner.is_training)
                .map_err(|error| at_part_row(error, |row| places[row]))?,
        };
        let some = Inner {
            part,
            recipe: Arc::clone(&inner.recipe),
            is_training: false,
            change: Change::Nothing,
            batch_size: inner.batch_size,
            seed: inner.seed,
            targets: Targets::new(&inner.targets.of(places)?)?,
            cached: Some(cached),
        };
        let loader = Loader { inner: Arc::new(some), overlay: Overlay::default(), workers: self.workers };
        match self.weights() {
            Some(weights) => loader.with_weights(places.iter().map(|&place| weights[place]).collect()),
            None => Ok(loader),
        }
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
        let prepared = Arc::new(AtomicUsize::new(0));
        let prefetch = (0..workers)
            .map(|worker| {
                let (inner, order, prepared) = (Arc::clone(&self.inner), Arc::clone(&order), Arc::clone(&prepared));
                let (sender, receiver) = sync_channel(AHEAD);
                let own_steps = (from_step + worker..steps).step_by(workers);
                let overlay = self.overlay.clone();
                let work = move || send_batches(&inner, &overlay, &order, epoch, own_steps, &sender, &prepared);
                Worker { receiver: Some(receiver), thread: Some(std::thread::spawn(work)) }
            })
            .collect();
        let inner = Arc::clone(&self.inner);
        let overlay = self.overlay.clone();
        Epoch { inner, overlay, order, epoch, first: from_step, next: from_step, steps, prefetch, prepared, waits: 0 }
    }
}

/// The error for features of rows that are other ones in every epoch.
/// Computes every `step`'s batch until nobody listens any more.
fn send_batches(
    inner: &Inner,
    overlay: &Overlay,
    order: &[usize],
    epoch: u64,
    steps: impl Iterator<Item = usize>,
    sender: &SyncSender<Result<Batch>>,
    prepared: &AtomicUsize,
) {
    for step in steps {
        let batch = inner.batch(overlay, order, step, epoch);
        if sender.send(batch).is_err() {
            return;
        }
        prepared.fetch_add(1, Ordering::Release);
    }
}

/// The recipe over a whole part, in pieces on all threads.
fn apply_all(recipe: &Recipe, part: &RecordBatch, is_training: bool) -> Result<Tensor> {
    const PIECE: usize = 4096;
    let rows = part.num_rows();
    let pieces: Vec<Tensor> = (0..rows.div_ceil(PIECE).max(1))
        .into_par_iter()
        .map(|piece| {
            let start = piece * PIECE;
            let slice = part.slice(start, PIECE.min(rows - start));
            let places: Vec<usize> = (start..start + slice.num_rows()).collect();
            apply(recipe, &slice, &places, is_training).map_err(|error| at_part_row(error, |row| start + row))
        })
        .collect::<Result<_>>()?;
    Tensor::concat_rows(&pieces.iter().collect::<Vec<_>>())
}

/// The recipe's output for rows with these places in the part.
fn apply(recipe: &Recipe, rows: &RecordBatch, places: &[usize], is_training: bool) -> Result<Tensor> {
    if is_training { recipe.apply_in_training(rows, places) } else { recipe.apply(rows) }
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
        let rows = self.part.num_rows();
        if shuffle { self.seed.permutation("shuffle", &[epoch], rows) } else { (0..rows).collect() }
    }

    fn batch(&self, overlay: &Overlay, order: &[usize], step: usize, epoch: u64) -> Result<Batch> {
        let start = step * self.batch_size;
        let rows = order[start..order.len().min(start + self.batch_size)].to_vec();
        let placed = |error: Error| at_part_row(error, |row| rows[row]);
        let weights = overlay.weights.as_ref().map(|weights| rows.iter().map(|&row| weights[row]).collect());
        if let Some(all) = overlay.features.as_deref() {
            return Ok(Batch { input: all.take_rows(&rows)?, target: self.targets.of(&rows)?, rows, weights });
        }
        if let Change::Pictures(augmenter) = &self.change {
            let (pictures, target) = self.changed_pictures(augmenter, &rows, epoch)?;
            let input = self.recipe.apply(&pictures).map_err(placed)?;
            return Ok(Batch { rows, input, target, weights });
        }
        let mut input = match (&self.cached, &self.change) {
            (Some(all), _) => all.take_rows(&rows)?,
            (None, Change::Numbers(noises)) => {
                let mut batch = take_rows(&self.part, &rows)?;
                for noise in noises {
                    batch = noise.apply(&batch, &rows, epoch)?;
                }
                apply(&self.recipe, &batch, &rows, self.is_training).map_err(placed)?
            }
            (None, Change::Texts(augmenter)) => {
                let batch = self.changed_texts(augmenter, &rows, epoch)?;
                apply(&self.recipe, &batch, &rows, self.is_training).map_err(placed)?
            }
            (None, _) => {
                apply(&self.recipe, &take_rows(&self.part, &rows)?, &rows, self.is_training).map_err(placed)?
            }
        };
        if let Change::Series(augmenter) = &self.change {
            input = changed_series(&input, augmenter, &rows, epoch)?;
        }
        let target = self.targets.of(&rows)?;
        Ok(Batch { rows, input, target, weights })
    }

    /// These rows with their one text changed; a missing one stays missing.
    fn changed_texts(&self, augmenter: &TextAugmenter, rows: &[usize], epoch: u64) -> Result<RecordBatch> {
        let batch = take_rows(&self.part, rows)?;
        let lost = || Error::internal("the text of a row is not in the table");
        let name = self.recipe.inputs().names().next().ok_or_else(lost)?;
        let place = batch.schema().index_of(name).map_err(|_| lost())?;
        let texts = batch.column(place).as_string_opt::<i32>().ok_or_else(lost)?;
        let changed = texts.iter().zip(rows).map(|(text, &row)| {
            let changed = text.map(|text| augmenter.text(text, row as u64, epoch)).transpose();
            changed.map_err(|error| error.at_row(row as u64 + 1).at_column(name))
        });
        let mut columns = batch.columns().to_vec();
        columns[place] = Arc::new(changed.collect::<Result<StringArray>>()?);
        RecordBatch::try_new(batch.schema(), columns)
            .map_err(|source| Error::internal(format!("changed texts do not fit their schema: {source}")))
    }

    /// The picture column of `rows`, changed, and their targets.
    fn changed_pictures(&self, augmenter: &Augmenter, rows: &[usize], epoch: u64) -> Result<(RecordBatch, Tensor)> {
        let schema = raw::arrow_schema(self.recipe.inputs());
        let name = schema.field(0).name();
        let missing = || Error::new(ErrorCode::BadData, "the picture is missing").at_column(name);
        let pictures = ImageColumn::new(self.part.column_by_name(name).ok_or_else(missing)?)?;
        let picture = |row: usize| pictures.get(row).ok_or_else(|| missing().at_row(row as u64 + 1));
        let mut builder = ImageBuilder::default();
        let target = if augmenter.mixes() {
            let Targets::Classes(truth) = &self.targets else {
                let message = "rows can only be mixed where classes are predicted";
                return Err(Error::new(ErrorCode::Unsupported, message).at_key("augment.steps"));
            };
            let classes = self.recipe.labels().len();
            let mut shares = vec![0.0; rows.len() * classes];
            for (shares, &row) in shares.chunks_exact_mut(classes.max(1)).zip(rows) {
                let of = |row: usize| Ok(Sample::of_picture(picture(row)?));
                let mixed =
                    augmenter.mixed(row, pictures.len(), epoch, &of).map_err(|error| error.at_row(row as u64 + 1))?;
                builder.push(Some(mixed.sample.picture.as_ref()));
                mixed.shares.iter().for_each(|&(row, share)| shares[truth[row] as usize] += share);
            }
            Tensor::float32(vec![rows.len(), classes], shares)?
        } else {
            for &row in rows {
                let changed = augmenter.picture(picture(row)?, row as u64, epoch);
                builder.push(Some(changed.map_err(|error| error.at_row(row as u64 + 1))?.as_ref()));
            }
            self.targets.of(rows)?
        };
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![builder.finish()])
            .map_err(|source| Error::internal(format!("augmented pictures do not fit their schema: {source}")))?;
        Ok((batch, target))
    }
}

/// `[n, time, dimensions]` with each row changed.
fn changed_series(input: &Tensor, augmenter: &SeriesAugmenter, rows: &[usize], epoch: u64) -> Result<Tensor> {
    let mut values = input.as_float32()?.to_vec();
    let dimensions = input.shape().last().copied().unwrap_or(1);
    for (series, &row) in values.chunks_exact_mut(input.row_len().max(1)).zip(rows) {
        augmenter.dimensions(series, dimensions, row as u64, epoch);
    }
    Tensor::float32(input.shape().to_vec(), values)
}

/// One walk over a part. Dropping it early stops and joins its threads.
pub struct Epoch {
    inner: Arc<Inner>,
    overlay: Overlay,
    order: Arc<Vec<usize>>,
    epoch: u64,
    first: usize,
    next: usize,
    steps: usize,
    prefetch: Vec<Worker>,
    /// Batches that the workers have handed over, taken or not.
    prepared: Arc<AtomicUsize>,
    waits: usize,
}

impl Epoch {
    /// How many batches the worker threads have handed over so far, taken or not; 0 where there are none.
    pub fn prepared(&self) -> usize {
        self.prepared.load(Ordering::Acquire)
    }

    /// How many batches were not ready when they were asked for.
    pub fn waits(&self) -> usize {
        self.waits
    }
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
            self.waits += 1;
            return Some(self.inner.batch(&self.overlay, &self.order, step, self.epoch));
        }
        let worker = &self.prefetch[(step - self.first) % self.prefetch.len()];
        let received = worker.receiver.as_ref().and_then(|receiver| {
            receiver.try_recv().ok().or_else(|| {
                self.waits += 1;
                receiver.recv().ok()
            })
        });
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
