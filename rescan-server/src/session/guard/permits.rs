//! A counting semaphore that never waits, for the RPC thread.

use std::cell::Cell;
use std::rc::Rc;

/// A fixed number of permits.
#[derive(Debug)]
pub(crate) struct Permits {
    acquired: Cell<u32>,
    acquired_total: Cell<u64>,
    max: u32,
}

impl Permits {
    pub(crate) fn new(max: u32) -> Rc<Self> {
        Rc::new(Self { acquired: Cell::new(0), acquired_total: Cell::new(0), max })
    }

    /// One permit, held until it is dropped; none if all are in use.
    pub(crate) fn acquire(self: &Rc<Self>) -> Option<Permit> {
        let acquired = self.acquired.get();
        (acquired < self.max).then(|| {
            self.acquired.set(acquired + 1);
            self.acquired_total.set(self.acquired_total.get().wrapping_add(1));
            Permit(Rc::clone(self))
        })
    }

    /// Whether no permit is in use.
    pub(crate) fn all_free(&self) -> bool {
        self.acquired.get() == 0
    }

    /// The number of permits acquired so far, released ones included.
    pub(crate) fn acquired_total(&self) -> u64 {
        self.acquired_total.get()
    }
}

/// One of [`Permits`], released when dropped.
#[derive(Debug)]
pub(crate) struct Permit(Rc<Permits>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.acquired.set(self.0.acquired.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_that_is_dropped_can_be_acquired_again() {
        let permits = Permits::new(2);
        let first = permits.acquire();
        let second = permits.acquire();
        assert!(first.is_some() && second.is_some());
        assert!(permits.acquire().is_none());
        drop(first);
        assert!(permits.acquire().is_some());
    }
}
