//! Dynamic batching: requests that wait for one model are joined along the batch axis, run once and split again.
//!
//! Submitters (any thread, any async task) put jobs into one bounded queue; the workers take them out in order.
//! Only a worker runs the model. A request whose rows make a joined run fail is found by running each alone, so
//! one request never spoils another. HTTP, retries of clients and metrics are not here.

use crate::Model;
use lepton_core::{Error, ErrorCode, NamedTensors, Result, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How requests are joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchSettings {
    /// Rows of one run at most. A single larger request runs alone.
    pub max_rows: usize,
    /// Microseconds that the first request of a run waits for others; 0 takes what is there.
    pub max_wait_us: u64,
    /// Requests that may wait; one more is answered with [`ErrorCode::Overloaded`].
    pub queue_requests: usize,
    /// Threads that run the model. One is right for engines that use every core inside a run.
    pub workers: usize,
}

impl Default for BatchSettings {
    fn default() -> BatchSettings {
        BatchSettings { max_rows: 32, max_wait_us: 0, queue_requests: 1_000, workers: 1 }
    }
}

/// What one request got.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The outputs for this request's rows.
    pub outputs: NamedTensors,
    /// From submission to the start of the run.
    pub queue_seconds: f64,
    /// The run that gave this answer.
    pub compute_seconds: f64,
    /// Rows of that run, this request's and others'.
    pub batch_rows: usize,
}

/// The queue of one model and its workers.
pub struct Batcher {
    shared: Arc<Shared>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    model: Arc<Model>,
    settings: BatchSettings,
    queue: Mutex<Queue>,
    arrived: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

struct Job {
    inputs: NamedTensors,
    rows: usize,
    submitted: Instant,
    reply: oneshot::Sender<Result<Answer>>,
}

impl Batcher {
    /// Starts the workers.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] for a setting of 0 that must be at least 1; [`ErrorCode::Internal`] when the system
    /// gives no thread.
    pub fn new(model: Arc<Model>, settings: BatchSettings) -> Result<Batcher> {
        let counts = [
            ("max_rows", settings.max_rows),
            ("queue_requests", settings.queue_requests),
            ("workers", settings.workers),
        ];
        if let Some((key, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(Error::new(ErrorCode::Config, "must be at least 1").at_key(format!("batch.{key}")));
        }
        let count = settings.workers;
        let shared = Arc::new(Shared { model, settings, queue: Mutex::default(), arrived: Condvar::new() });
        let batcher = Batcher { shared, workers: Mutex::default() };
        for _ in 0..count {
            let shared = Arc::clone(&batcher.shared);
            let worker = std::thread::Builder::new()
                .name("lepton-batch".to_owned())
                .spawn(move || shared.work())
                .map_err(|source| Error::internal(format!("cannot start a worker: {source}")))?;
            batcher.workers.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        }
        Ok(batcher)
    }

    /// Puts a request into the queue and gives where its answer will come. Dropping the receiver cancels it.
    ///
    /// # Errors
    /// At once, before anything is queued: those of the signature check, [`ErrorCode::TooLarge`] past
    /// `batch_rows` or `tensor_elements`, [`ErrorCode::Overloaded`] when the queue is full and
    /// [`ErrorCode::Unavailable`] after [`Batcher::drain`]. Later, through the receiver: those of
    /// [`Model::infer`], and [`ErrorCode::Timeout`] for a request that waited past `request_ms`.
    pub fn submit(&self, inputs: NamedTensors) -> Result<oneshot::Receiver<Result<Answer>>> {
        let Shared { model, settings, .. } = &*self.shared;
        model.check(&inputs)?;
        let rows = if model.free_batch() { inputs.first().map_or(0, |(_, tensor)| tensor.rows()) } else { 1 };
        let limit = model.limits().batch_rows;
        if rows > limit {
            let text = format!("the request has {rows} rows, past batch_rows = {limit}");
            return Err(Error::new(ErrorCode::TooLarge, text).fix("send fewer rows in one request"));
        }
        let (reply, receiver) = oneshot::channel();
        let mut queue = self.shared.lock();
        if queue.closed {
            return Err(Error::new(ErrorCode::Unavailable, "the model is being stopped"));
        }
        if queue.jobs.len() >= settings.queue_requests {
            // Those whose clients went away do not count.
            queue.jobs.retain(|job| !job.reply.is_closed());
        }
        if queue.jobs.len() >= settings.queue_requests {
            let text = format!("queue_requests = {} requests are waiting already", settings.queue_requests);
            return Err(Error::new(ErrorCode::Overloaded, text).fix("try again later"));
        }
        queue.jobs.push_back(Job { inputs, rows, submitted: Instant::now(), reply });
        drop(queue);
        self.shared.arrived.notify_one();
        Ok(receiver)
    }

    /// Requests that wait now.
    pub fn queue_len(&self) -> usize {
        self.shared.lock().jobs.len()
    }

    /// The model that runs.
    pub fn model(&self) -> &Arc<Model> {
        &self.shared.model
    }

    /// Takes no more requests, answers those that wait, and returns when the workers are done. Blocks.
    pub fn drain(&self) {
        self.shared.lock().closed = true;
        self.shared.arrived.notify_all();
        let workers = std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        for worker in workers {
            // A worker catches panics of its jobs, so its thread ends well.
            let _ = worker.join();
        }
    }
}

impl Drop for Batcher {
    fn drop(&mut self) {
        self.drain();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(jobs) = self.take() {
            // `run` answers each job itself; should it panic all the same, the dropped repliers tell the waiting
            // and this thread lives on.
            let _ = catch_unwind(AssertUnwindSafe(|| self.run(jobs)));
        }
    }

    /// The next jobs to run together; `None` when closed and empty.
    fn take(&self) -> Option<Vec<Job>> {
        let mut queue = self.lock();
        loop {
            while let Some(job) = queue.jobs.front() {
                if !job.reply.is_closed() {
                    break;
                }
                queue.jobs.pop_front();
            }
            let Some(first) = queue.jobs.front() else {
                if queue.closed {
                    return None;
                }
                queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let until = first.submitted + Duration::from_micros(self.settings.max_wait_us);
            let now = Instant::now();
            if queue.closed || now >= until || self.fitting(&queue.jobs).1 {
                let count = self.fitting(&queue.jobs).0;
                return Some(queue.jobs.drain(..count).collect());
            }
            queue = self.arrived.wait_timeout(queue, until - now).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How many jobs from the front run together, and whether waiting could not add one. Order is kept: a job
    /// that does not fit ends the batch.
    fn fitting(&self, jobs: &VecDeque<Job>) -> (usize, bool) {
        let Some(first) = jobs.front() else { return (0, false) };
        if !self.model.free_batch() {
            return (1, true);
        }
        let mut rows = first.rows;
        for (count, job) in jobs.iter().enumerate().skip(1) {
            if rows + job.rows > self.settings.max_rows || !joinable(&first.inputs, &job.inputs) {
                return (count, true);
            }
            rows += job.rows;
        }
        (jobs.len(), rows >= self.settings.max_rows)
    }

    fn run(&self, jobs: Vec<Job>) {
        let allowed = Duration::from_millis(self.model.limits().request_ms);
        let mut waiting = Vec::with_capacity(jobs.len());
        for job in jobs {
            if job.reply.is_closed() {
                continue;
            }
            if job.submitted.elapsed() > allowed {
                let text = format!("the request waited longer than request_ms = {}", allowed.as_millis());
                job.answer(Err(Error::new(ErrorCode::Timeout, text).fix("try again later")));
            } else {
                waiting.push(job);
            }
        }
        if waiting.len() > 1 {
            match self.run_joined(&waiting) {
                Ok(answers) => {
                    return waiting.into_iter().zip(answers).for_each(|(job, answer)| job.answer(Ok(answer)));
                }
                Err(error) if error.code() == ErrorCode::Timeout => {
                    // Running each alone would take as long again for everyone behind them.
                    return waiting.into_iter().for_each(|job| job.answer(Err(copy(&error))));
                }
                // Somebody's rows broke the run: below, each runs alone and only that one hears of it.
                Err(_) => {}
            }
        }
        for job in waiting {
            let started = Instant::now();
            let result = self.model.infer(&job.inputs).map(|outputs| job.answered(outputs, started, job.rows));
            job.answer(result);
        }
    }

    fn run_joined(&self, jobs: &[Job]) -> Result<Vec<Answer>> {
        let started = Instant::now();
        let [first, ..] = jobs else { return Ok(Vec::new()) };
        let joined: NamedTensors = first
            .inputs
            .iter()
            .map(|(name, _)| {
                let parts: Vec<&Tensor> = jobs.iter().filter_map(|job| named(&job.inputs, name)).collect();
                Ok((name.clone(), Tensor::concat_rows(&parts)?))
            })
            .collect::<Result<_>>()?;
        let outputs = self.model.infer(&joined)?;
        let rows: usize = jobs.iter().map(|job| job.rows).sum();
        if let Some((name, tensor)) = outputs.iter().find(|(_, tensor)| tensor.rows() != rows) {
            let text = format!("output \"{name}\" has {} rows for {rows} rows in", tensor.rows());
            return Err(Error::new(ErrorCode::Shape, text));
        }
        let mut start = 0;
        jobs.iter()
            .map(|job| {
                let end = start + job.rows;
                let own = outputs.iter().map(|(name, tensor)| Ok((name.clone(), tensor.slice_rows(start, end)?)));
                let own = own.collect::<Result<_>>()?;
                start = end;
                Ok(job.answered(own, started, rows))
            })
            .collect()
    }
}

impl Job {
    fn answered(&self, outputs: NamedTensors, started: Instant, batch_rows: usize) -> Answer {
        Answer {
            outputs,
            queue_seconds: started.saturating_duration_since(self.submitted).as_secs_f64(),
            compute_seconds: started.elapsed().as_secs_f64(),
            batch_rows,
        }
    }

    fn answer(self, result: Result<Answer>) {
        // The receiver may be gone: then nobody wants to know.
        let _ = self.reply.send(result);
    }
}

/// Whether two requests differ in rows only.
fn joinable(left: &NamedTensors, right: &NamedTensors) -> bool {
    left.len() == right.len()
        && left.iter().all(|(name, tensor)| {
            named(right, name).is_some_and(|other| {
                other.dtype() == tensor.dtype() && other.shape().get(1..) == tensor.shape().get(1..)
            })
        })
}

fn named<'a>(tensors: &'a NamedTensors, name: &str) -> Option<&'a Tensor> {
    tensors.iter().find(|(other, _)| other == name).map(|(_, tensor)| tensor)
}

/// The same error for another receiver.
fn copy(error: &Error) -> Error {
    let copied = Error::new(error.code(), error.message());
    match error.remedy() {
        Some(remedy) => copied.fix(remedy),
        None => copied,
    }
}
