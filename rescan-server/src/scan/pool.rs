//! The worker pool: rayon threads that we build and size, and the one bridge to them from async
//! code.
//!
//! A job receives all of its input at the start and returns one value, so that no worker waits for
//! anybody. A job that panics is a defect of ours: it is logged and ends its scan, not the server.

use std::any::Any;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rayon::ThreadPool;
use rescan_core::report::{Failure, FailureKind};
use tokio::sync::oneshot;

/// Threads that walk, prove and derive.
#[derive(Clone, Debug)]
pub struct WorkerPool(Arc<ThreadPool>);

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
            .map(|pool| Self(Arc::new(pool)))
            .map_err(|source| PoolError { workers, source })
    }

    /// The number of threads.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.0.current_num_threads()
    }

    /// Queues a job. It runs even if its result is dropped.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Job<T> {
        let (result, receiver) = oneshot::channel();
        // First in, first out: segments are needed in the order in which they were queued.
        self.0.spawn_fifo(move || match catch_unwind(AssertUnwindSafe(job)) {
            // The receiver is gone if the scan was dropped.
            Ok(value) => drop(result.send(value)),
            Err(panic) => {
                tracing::error!(panic = panic_text(panic.as_ref()), "a worker panicked: please report this");
            }
        });
        Job(receiver)
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
}
