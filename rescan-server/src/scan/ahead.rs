//! Scripts that are derived while blocks are walked, for when the gap rule comes to reach them.

use std::sync::Arc;

use rescan_core::causes::with_causes;
use rescan_core::report::{Failure, FailureKind};
use rescan_core::watching::watch_set::{WatchSet, WatchSetBuilder};
use tokio::task::JoinHandle;

use super::derivation::{DerivationError, WatchedKeychain, derive};
use super::gap_rule::IndexRange;
use super::pool::WorkerPool;

/// A watch set that grows: what is watched now, and more of it.
#[derive(Clone, Debug)]
pub(super) struct Extension {
    /// Everything.
    pub(super) watch: Arc<WatchSet>,
    /// Only what is new.
    pub(super) new: Arc<WatchSet>,
}

impl super::Scan {
    /// How many scripts are watched at the moment, those that are derived ahead and not watched yet left out.
    #[must_use]
    pub fn scripts(&self) -> u64 {
        self.main.watch().script_count() as u64 // usize has at most 64 bits
    }
}

/// An extension on its way; given up when dropped.
#[derive(Debug)]
pub(super) struct Ahead {
    pub(super) ranges: Vec<IndexRange>,
    task: JoinHandle<Result<Extension, DerivationError>>,
}

impl Ahead {
    /// Begins to derive `ranges`, and to extend `watch` by them up to `scripts_max` scripts.
    pub(super) fn begin(
        pool: &WorkerPool,
        keychains: Arc<[WatchedKeychain]>,
        ranges: Vec<IndexRange>,
        watch: Arc<WatchSet>,
        scripts_max: u64,
    ) -> Self {
        let (pool, wanted) = (pool.clone(), ranges.clone());
        let room = scripts_max.saturating_sub(watch.script_count() as u64); // usize has at most 64 bits
        let task = tokio::spawn(async move {
            // As many jobs as workers: more would stand between the walk and its workers.
            let jobs_max = pool.workers();
            let derived = derive(&pool, keychains, wanted, WatchSetBuilder::new(), room, jobs_max).await?;
            let extension = pool.run(move || {
                let watch = Arc::new(watch.extended(derived));
                Extension { new: Arc::new(watch.newest_only()), watch }
            });
            Ok(extension.await?)
        });
        Self { ranges, task }
    }

    /// Whether it is there.
    pub(super) fn is_ready(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits until it is there.
    pub(super) async fn ready(&mut self) -> Result<Extension, DerivationError> {
        // It is aborted only when this is dropped, so that what failed panicked.
        (&mut self.task).await.unwrap_or(Err(DerivationError::Panicked(super::WorkerPanicked)))
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What it means for a scan that scripts which the rule reaches cannot be derived.
pub(super) fn failure(error: &DerivationError) -> Failure {
    let kind = match error {
        DerivationError::TooMany { .. } => FailureKind::LimitReached,
        DerivationError::Panicked(_) | DerivationError::Script { .. } => FailureKind::Internal,
    };
    let detail = format!("the gap rule asks for more scripts, which cannot be watched: {}", with_causes(error));
    Failure { kind, detail, at: None }
}
