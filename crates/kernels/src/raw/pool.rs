//! Threads that stay: work is handed out as one part for each, and the call returns when all parts are done. A thread takes
//! its own part first, so that the same data meets the same core, and then what others have not begun: where the machine is
//! busy, nobody waits for a thread that does not run. A part is the same work whoever does it. A thread that waits spins for a
//! while, gives way for a while, and then sleeps.

use super::{Level, Task};
use crate::Precision;
use lepton_core::{Error, ErrorCode, Result};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, Thread};

/// Looks at the other side before a waiting thread gives its core away: a fraction of a millisecond, which Miri would take
/// seconds for.
const SPINS: usize = if cfg!(miri) { 1 << 2 } else { 1 << 13 };

/// How often it gives its core away before it sleeps.
const YIELDS: usize = 16;

/// The threads of a training step; the one that hands out the work is the first of them.
pub struct Workers {
    level: Level,
    precision: Precision,
    /// Memory of kernels while it is not needed.
    free: Mutex<Vec<Vec<f32>>>,
    shared: Arc<Shared>,
    others: Vec<Other>,
    /// One caller at a time.
    turn: Mutex<()>,
}

/// One thread besides the caller.
struct Other {
    thread: Thread,
    handle: Option<JoinHandle<()>>,
}

/// What the threads look at.
struct Shared {
    /// Counts the rounds of work that were handed out.
    round: AtomicUsize,
    /// The work of the round, while it may be begun.
    job: Mutex<Option<Job>>,
    /// Threads besides the caller that are at work on it.
    busy: AtomicUsize,
    /// Whether a part of the round panicked.
    failed: AtomicBool,
    stop: AtomicBool,
}

impl Shared {
    fn job(&self) -> MutexGuard<'_, Option<Job>> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The work of a round: what thread `index` does is `call(data, index)`.
#[derive(Clone, Copy)]
struct Job {
    data: *const (),
    call: unsafe fn(*const (), usize),
}

// SAFETY: the pointer is to a closure that is `Sync` and outlives the round, which `Workers::each` sees to.
unsafe impl Send for Job {}

impl Workers {
    /// `threads` threads, the caller included, that use `level`'s instructions.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] for no thread, [`ErrorCode::Io`] when a thread cannot be started.
    pub fn new(threads: usize, level: Level) -> Result<Workers> {
        if threads == 0 {
            return Err(Error::new(ErrorCode::Config, "a training step needs at least one thread").at_key("threads"));
        }
        let shared = Arc::new(Shared {
            round: AtomicUsize::new(0),
            job: Mutex::new(None),
            busy: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let mut workers = Workers {
            level,
            precision: Precision::Float32,
            free: Mutex::new(Vec::new()),
            shared,
            others: Vec::new(),
            turn: Mutex::new(()),
        };
        for index in 1..threads {
            let shared = Arc::clone(&workers.shared);
            let handle = std::thread::Builder::new()
                .name(format!("step-{index}"))
                .spawn(move || work(&shared, index))
                .map_err(|source| Error::new(ErrorCode::Io, format!("cannot start {threads} threads: {source}")))?;
            workers.others.push(Other { thread: handle.thread().clone(), handle: Some(handle) });
        }
        Ok(workers)
    }

    /// The same threads, whose products are of that precision.
    pub fn with_precision(mut self, precision: Precision) -> Workers {
        (self.level, self.precision) = (self.level.of(precision), precision);
        self
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.others.len() + 1
    }

    /// The instructions that they use.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The precision of their products.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Memory for so many numbers, whatever they are.
    pub(crate) fn memory(&self, count: usize) -> Memory<'_> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let best =
            free.iter().enumerate().min_by_key(|(_, buffer)| (buffer.len() < count, buffer.len().abs_diff(count)));
        let mut buffer = best.map(|(at, _)| at).map_or_else(Vec::new, |at| free.swap_remove(at));
        if buffer.len() < count {
            buffer = vec![0.0; count];
        }
        Memory { workers: self, buffer, count }
    }

    /// Runs all parts, part `i` on thread `i` where that thread comes to it first.
    pub(crate) fn run<T: Task>(&self, parts: Vec<T>) {
        self.hand_out(parts, |part| self.level.run(part));
    }

    /// As [`Workers::run`], with products of the workers' precision.
    pub(crate) fn multiply<T: Task>(&self, parts: Vec<T>) {
        self.multiply_in(self.precision, parts);
    }

    /// As [`Workers::run`], with products of that precision, which the level knows best.
    pub(crate) fn multiply_in<T: Task>(&self, precision: Precision, parts: Vec<T>) {
        self.hand_out(parts, |part| self.level.multiply(precision, part));
    }

    fn hand_out<T: Task>(&self, parts: Vec<T>, of: impl Fn(T) + Sync) {
        if parts.len() <= 1 || self.others.is_empty() {
            parts.into_iter().for_each(of);
            return;
        }
        let parts: Vec<Mutex<Option<T>>> = parts.into_iter().map(|part| Mutex::new(Some(part))).collect();
        self.each(&|index| {
            let (before, own) = parts.split_at(index.min(parts.len()));
            for part in own.iter().chain(before) {
                let part = part.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(part) = part {
                    of(part);
                }
            }
        });
    }

    /// Calls `of(0)` on this thread and, meanwhile, `of(i)` on those of the others `i` that come in time.
    fn each<F: Fn(usize) + Sync>(&self, of: &F) {
        unsafe fn call<F: Fn(usize) + Sync>(data: *const (), index: usize) {
            // SAFETY: `data` is the `of` of a call of `each` that has not returned.
            unsafe { (*data.cast::<F>())(index) };
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = &*self.shared;
        *shared.job() = Some(Job { data: std::ptr::from_ref(of).cast(), call: call::<F> });
        shared.round.fetch_add(1, Ordering::Release);
        self.others.iter().for_each(|other| other.thread.unpark());
        // The borrow ends when no thread is at work, also where this one panics: the guard sees to it.
        let ending = End(shared);
        of(0);
        drop(ending);
        if shared.failed.swap(false, Ordering::Relaxed) {
            std::panic::resume_unwind(Box::new("a part of a training step panicked"));
        }
    }
}

/// Memory that goes back to the workers.
pub(crate) struct Memory<'a> {
    workers: &'a Workers,
    buffer: Vec<f32>,
    count: usize,
}

impl Deref for Memory<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.buffer[..self.count]
    }
}

impl DerefMut for Memory<'_> {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.buffer[..self.count]
    }
}

impl Drop for Memory<'_> {
    fn drop(&mut self) {
        let mut free = self.workers.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(std::mem::take(&mut self.buffer));
    }
}

/// When it is dropped, nobody can begin the work any more, and it waits for those that have.
struct End<'a>(&'a Shared);

impl Drop for End<'_> {
    fn drop(&mut self) {
        *self.0.job() = None;
        let mut looks = 0;
        while self.0.busy.load(Ordering::Acquire) > 0 {
            if looks < SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
            looks += 1;
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        for other in &mut self.others {
            other.thread.unpark();
            if let Some(handle) = other.handle.take() {
                // A thread never ends by a panic: its parts are caught.
                drop(handle.join());
            }
        }
    }
}

/// The life of one thread.
fn work(shared: &Shared, index: usize) {
    let mut seen = 0;
    loop {
        let mut looks = 0;
        while shared.round.load(Ordering::Acquire) == seen {
            if shared.stop.load(Ordering::Acquire) {
                return;
            }
            match looks {
                looks if looks < SPINS => std::hint::spin_loop(),
                looks if looks < SPINS + YIELDS => std::thread::yield_now(),
                _ => std::thread::park(),
            }
            looks += 1;
        }
        seen = shared.round.load(Ordering::Acquire);
        let job = {
            let job = shared.job();
            // Counted under the lock: whoever takes the work away under it knows who is at work.
            if job.is_some() {
                shared.busy.fetch_add(1, Ordering::Relaxed);
            }
            *job
        };
        let Some(job) = job else { continue };
        // SAFETY: `each` does not return, and so the borrow does not end, before `busy` has come down to 0.
        let part = std::panic::AssertUnwindSafe(|| unsafe { (job.call)(job.data, index) });
        if std::panic::catch_unwind(part).is_err() {
            shared.failed.store(true, Ordering::Relaxed);
        }
        shared.busy.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::Simd;

    struct Fill<'a>(&'a mut [f32], f32);

    impl Task for Fill<'_> {
        #[inline(always)]
        fn run<S: Simd>(self, _: S) {
            assert!(self.1 >= 0.0, "a part that fails");
            self.0.fill(self.1);
        }
    }

    #[test]
    fn each_part_runs_once_and_a_failure_reaches_the_caller() {
        for threads in 1..5 {
            let workers = Workers::new(threads, Level::detect()).unwrap();
            let mut numbers = vec![0.0; threads * 3];
            for round in 1..50 {
                let parts = numbers.chunks_mut(3).enumerate().map(|(at, part)| Fill(part, (round * at) as f32));
                workers.run(parts.collect());
                assert!(numbers.iter().enumerate().all(|(at, value)| *value == (round * (at / 3)) as f32));
            }
            let mut last = [0.0; 1];
            let mut parts: Vec<Fill<'_>> =
                numbers.chunks_mut(3).take(threads - 1).map(|part| Fill(part, 1.0)).collect();
            parts.push(Fill(&mut last, -1.0));
            let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| workers.run(parts)));
            assert!(failed.is_err());
            workers.run(vec![Fill(&mut last, 2.0)]);
            assert_eq!(last, [2.0]);
        }
        assert!(Workers::new(0, Level::Portable).is_err());
    }
}
