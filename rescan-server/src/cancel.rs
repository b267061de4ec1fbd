//! How a scan is told to stop: a flag that its owner sets and every worker reads once a block.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The workers' side: reads the flag.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag. There is no way back.
    pub fn cancel(&self) {
        // Relaxed: the flag orders nothing but itself, and a block later is soon enough.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the flag is set.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The owner's side: dropping it sets the flag.
#[derive(Debug, Default)]
pub struct CancelOnDrop(Cancel);

impl CancelOnDrop {
    /// An owner with a flag that is not set.
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
    fn dropping_the_owner_tells_the_worker() {
        let owner = CancelOnDrop::new();
        let worker = owner.handle();
        assert!(!worker.is_cancelled());
        drop(owner);
        assert!(worker.is_cancelled());
    }
}
