//! The progress of a watch set's derivation, for its capability and for the scans that wait for it.

use std::cell::Cell;

use rescan_core::report::{Phase, Progress};

/// Scripts that were derived, of those to derive before any use.
#[derive(Debug, Default)]
pub(crate) struct DerivationProgress {
    derived: Cell<u64>,
    total: Cell<u64>,
    is_compiled: Cell<bool>,
}

impl DerivationProgress {
    /// Nothing derived yet of about `total` scripts.
    pub(crate) fn new(total: u64) -> Self {
        Self { total: Cell::new(total), ..Self::default() }
    }

    pub(crate) fn set_total(&self, total: u64) {
        self.total.set(total);
    }

    pub(crate) fn set_derived(&self, derived: u64) {
        self.derived.set(derived);
    }

    pub(crate) fn set_compiled(&self) {
        self.is_compiled.set(true);
    }

    /// The progress of the watch set itself.
    pub(crate) fn shown(&self) -> Progress {
        self.shown_in(if self.is_compiled.get() { Phase::Done } else { Phase::Deriving })
    }

    /// The same counts in a phase of a scan.
    pub(crate) fn shown_in(&self, phase: Phase) -> Progress {
        let (scripts_derived, scripts_total) = (self.derived.get(), self.total.get());
        Progress { scripts_derived, scripts_total, ..Progress::at_start_of(phase) }
    }
}
