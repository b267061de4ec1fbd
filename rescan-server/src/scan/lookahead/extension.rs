//! The derivation of further scripts in the background, and the watch sets that they extend.

use std::sync::Arc;

use rescan_core::causes::with_causes;
use rescan_core::report::{Failure, FailureKind};
use rescan_core::watching::watch_set::{WatchSet, WatchSetBuilder};
use tokio::task::JoinHandle;

use crate::scan::derivation::{DerivationError, WatchedKeychain, derive};
use crate::scan::gap_rule::IndexRange;
use crate::scan::pool::{WorkerPanicked, WorkerPool};

/// An extended watch set.
#[derive(Clone, Debug)]
pub(in crate::scan) struct Extension {
    /// The indexes that were added.
    pub(in crate::scan) ranges: Vec<IndexRange>,
    /// All scripts.
    pub(in crate::scan) watch: Arc<WatchSet>,
    /// The added scripts alone.
    pub(in crate::scan) new: Arc<WatchSet>,
}

/// Derives scripts of one scan's keychains.
#[derive(Clone, Debug)]
pub(in crate::scan) struct ScriptDeriver {
    pool: WorkerPool,
    keychains: Arc<[WatchedKeychain]>,
    scripts_max: u64,
}

impl ScriptDeriver {
    /// Extends watch sets up to `scripts_max` scripts.
    pub(in crate::scan) fn new(pool: &WorkerPool, keychains: Arc<[WatchedKeychain]>, scripts_max: u64) -> Self {
        Self { pool: pool.clone(), keychains, scripts_max }
    }

    /// Starts to derive `ranges` and to extend `watch` by them.
    pub(in crate::scan) fn start(&self, ranges: Vec<IndexRange>, watch: Arc<WatchSet>) -> Derivation {
        let deriver = self.clone();
        Derivation(tokio::spawn(async move { deriver.extend(ranges, watch).await }))
    }

    /// The scripts of `ranges` alone, however many.
    pub(in crate::scan) async fn watch_set(&self, ranges: Vec<IndexRange>) -> Result<WatchSet, DerivationError> {
        Ok(self.derive(ranges, u64::MAX).await?.build())
    }

    async fn extend(self, ranges: Vec<IndexRange>, watch: Arc<WatchSet>) -> Result<Extension, DerivationError> {
        let room = self.scripts_max.saturating_sub(watch.script_count() as u64); // usize has at most 64 bits
        let derived = self.derive(ranges.clone(), room).await?;
        let extension = self.pool.run(move || {
            let watch = Arc::new(watch.extended(derived));
            Extension { ranges, new: Arc::new(watch.newest_only()), watch }
        });
        Ok(extension.await?)
    }

    async fn derive(&self, ranges: Vec<IndexRange>, scripts_max: u64) -> Result<WatchSetBuilder, DerivationError> {
        // As many jobs as workers: more would delay the walk.
        let jobs_max = self.pool.workers();
        let keychains = Arc::clone(&self.keychains);
        derive(&self.pool, keychains, ranges, WatchSetBuilder::new(), scripts_max, jobs_max, |_derived| {}).await
    }
}

/// An extension in the making; aborted on drop.
#[derive(Debug)]
pub(in crate::scan) struct Derivation(JoinHandle<Result<Extension, DerivationError>>);

impl Derivation {
    pub(in crate::scan) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits for the extension.
    pub(in crate::scan) async fn finished(&mut self) -> Result<Extension, DerivationError> {
        // Only a drop aborts the task, so that a failed join is a panic.
        (&mut self.0).await.unwrap_or(Err(DerivationError::Panicked(WorkerPanicked)))
    }
}

impl Drop for Derivation {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The failure of a scan whose scripts within the gap limit cannot be derived.
pub(in crate::scan) fn derivation_failure(error: &DerivationError) -> Failure {
    let kind = match error {
        DerivationError::TooMany { .. } => FailureKind::LimitReached,
        DerivationError::Panicked(_) | DerivationError::Script { .. } => FailureKind::Internal,
    };
    let detail = format!("cannot watch further scripts within the gap limit: {}", with_causes(error));
    Failure { kind, detail, at: None }
}

#[cfg(test)]
mod tests {
    use rescan_core::watching::watch_set::WatchError;

    use super::*;

    #[test]
    fn a_failure_names_each_cause_once() {
        let source = WatchError::EmptyScript;
        let cause = source.to_string();
        let failure = derivation_failure(&DerivationError::Script { keychain: 3, source });
        assert_eq!(failure.kind, FailureKind::Internal);
        assert_eq!(failure.detail.matches(&cause).count(), 1, "{}", failure.detail);
        assert!(failure.detail.contains("keychain 3"), "{}", failure.detail);
    }
}
