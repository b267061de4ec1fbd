//! Cancellation of a scan: a flag that its owner sets and every worker reads once per block.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The flag, for workers.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// An unset flag.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag, for good.
    pub fn cancel(&self) {
        // Relaxed: the flag orders no other memory, and a delay of one block is acceptable.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the flag is set.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The owner of a flag. Dropping it sets the flag.
#[derive(Debug, Default)]
pub struct CancelOnDrop(Cancel);

impl CancelOnDrop {
    /// The owner of an unset flag.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A handle for a worker.
    #[must_use]
    pub fn handle(&self) -> Cancel {
        self.0.clone()
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_the_owner_cancels_the_worker() {
        let owner = CancelOnDrop::new();
        let worker = owner.handle();
        assert!(!worker.is_cancelled());
        drop(owner);
        assert!(worker.is_cancelled());
    }
}
