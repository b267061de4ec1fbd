//! The worker pool: rayon threads that we build and size, and the one bridge to them from async
//! code.
//!
//! A job receives all of its input at the start and returns one value, so that no worker waits for
//! anybody. A job that panics is a defect of ours: it is logged and ends its scan, not the server.
//!
//! A worker takes the next job when it is free. Scans and the watch sets that are compiled before
//! them have equal shares of the workers' time (`fair_queue`).

use std::any::Any;
use std::fmt;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use rayon::ThreadPool;
use rescan_core::report::{Failure, FailureKind};
use tokio::sync::oneshot;

use super::fair_queue::{FairQueue, Kind};

/// Jobs in flight for each worker: one in work and one queued, so that the worker never waits.
const JOBS_PER_WORKER: usize = 2;

/// Threads that walk, prove and derive. Clones share them.
#[derive(Clone, Debug)]
pub struct WorkerPool {
    threads: Arc<ThreadPool>,
    waiting: Arc<Waiting>,
    /// The kind of the jobs that this handle queues.
    kind: Kind,
}

/// The jobs that no worker has taken yet.
struct Waiting(Mutex<FairQueue<Box<dyn FnOnce() + Send>>>);

/// The worker threads could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {workers} worker threads")]
pub struct PoolError {
    workers: NonZeroUsize,
    source: rayon::ThreadPoolBuildError,
}

/// A job panicked: a defect of the server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a worker panicked; this is a defect of rescan-server, see its log")]
pub struct WorkerPanicked;

impl From<WorkerPanicked> for Failure {
    fn from(panicked: WorkerPanicked) -> Self {
        Self { kind: FailureKind::Internal, detail: panicked.to_string(), at: None }
    }
}

/// A job in the pool: a future that resolves to its value.
#[derive(Debug)]
#[must_use = "the result of a job is lost unless it is awaited"]
pub struct Job<T>(oneshot::Receiver<T>);

impl WorkerPool {
    /// A pool of `workers` threads.
    ///
    /// # Errors
    /// [`PoolError`] if the operating system refuses the threads.
    pub fn new(workers: NonZeroUsize) -> Result<Self, PoolError> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(workers.get())
            .thread_name(|number| format!("rescan-worker-{number}"))
            .build()
            .map(|threads| Self {
                threads: Arc::new(threads),
                waiting: Arc::new(Waiting(Mutex::new(FairQueue::new()))),
                kind: Kind::Scan,
            })
            .map_err(|source| PoolError { workers, source })
    }

    /// The same threads, for the jobs of watch sets that are compiled before their scans.
    #[must_use]
    pub fn for_watch_sets(&self) -> Self {
        Self { kind: Kind::WatchSet, ..self.clone() }
    }

    /// The number of threads.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.threads.current_num_threads()
    }

    /// The limit of jobs that one scan, or one watch set, has in the pool: enough to keep all
    /// workers busy alone.
    #[must_use]
    pub fn jobs_in_flight_max(&self) -> usize {
        self.workers().saturating_mul(JOBS_PER_WORKER).saturating_add(1)
    }

    /// Queues a job. It runs even if its result is dropped.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Job<T> {
        let (result, receiver) = oneshot::channel();
        let run = move || match catch_unwind(AssertUnwindSafe(job)) {
            // The receiver is gone if the scan was dropped.
            Ok(value) => drop(result.send(value)),
            Err(panic) => {
                tracing::error!(panic = panic_text(panic.as_ref()), "a worker panicked: please report this");
            }
        };
        self.waiting.lock().push(self.kind, Box::new(run));
        // One turn for each job. It may run another job, whose own turn then runs this one.
        let waiting = Arc::clone(&self.waiting);
        self.threads.spawn_fifo(move || waiting.run_next());
        Job(receiver)
    }
}

impl Waiting {
    fn run_next(&self) {
        let Some((kind, job)) = self.lock().pop() else { return };
        let started = Instant::now();
        job();
        self.lock().record(kind, started.elapsed());
    }

    fn lock(&self) -> MutexGuard<'_, FairQueue<Box<dyn FnOnce() + Send>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

impl<T> Future for Job<T> {
    type Output = Result<T, WorkerPanicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // The sender is dropped without a value only if the job panicked.
        Pin::new(&mut self.0).poll(context).map(|received| received.map_err(|_closed| WorkerPanicked))
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_that_panics_ends_itself_and_nothing_else() {
        let pool = WorkerPool::new(NonZeroUsize::MIN).unwrap();
        let panicking: Job<()> = pool.run(|| panic!("for the test"));
        assert_eq!(panicking.await, Err(WorkerPanicked));
        assert_eq!(pool.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_scans_job_runs_before_the_watch_sets_jobs_that_were_queued_earlier() {
        let pool = WorkerPool::new(NonZeroUsize::MIN).unwrap();
        let (release, released) = std::sync::mpsc::channel::<()>();
        // The only worker is busy until all jobs are queued.
        let held = pool.for_watch_sets().run(move || released.recv().unwrap());
        let order = Arc::new(Mutex::new(Vec::new()));
        let log = |entry: &'static str| {
            let order = Arc::clone(&order);
            move || order.lock().unwrap().push(entry)
        };
        let watch_sets = pool.for_watch_sets();
        let queued: Vec<Job<()>> = (0..3 * 32).map(|_| watch_sets.run(log("derived"))).collect();
        let scan = pool.run(log("walked"));
        release.send(()).unwrap();
        held.await.unwrap();
        scan.await.unwrap();
        for job in queued {
            job.await.unwrap();
        }
        let order = order.lock().unwrap();
        assert_eq!(order.first(), Some(&"walked"));
        assert_eq!(order.len(), 97, "every job has run, once");
    }

    #[tokio::test]
    async fn watch_sets_alone_have_every_worker() {
        let pool = WorkerPool::new(NonZeroUsize::new(2).unwrap()).unwrap().for_watch_sets();
        // Each of the two returns only once the other has begun.
        let both = Arc::new(std::sync::Barrier::new(2));
        let meet = || {
            let both = Arc::clone(&both);
            pool.run(move || both.wait().is_leader())
        };
        let (one, other) = (meet(), meet());
        assert_ne!(one.await.unwrap(), other.await.unwrap(), "the barrier has one leader");
    }
}
