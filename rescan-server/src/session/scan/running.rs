//! The running scans of all connections, for a stopping server to end.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use crate::session::scan::state::ScanState;

/// The scans that may still send to their wallets.
#[derive(Default)]
pub(crate) struct RunningScans(RefCell<Vec<Weak<ScanState>>>);

impl RunningScans {
    pub(crate) fn add(&self, state: &Rc<ScanState>) {
        let mut scans = self.0.borrow_mut();
        scans.retain(|scan| scan.upgrade().is_some_and(|state| !state.is_closed()));
        scans.push(Rc::downgrade(state));
    }

    /// Cancels all scans. Each still delivers its summary.
    pub(crate) fn cancel_all(&self) {
        for state in self.0.borrow().iter().filter_map(Weak::upgrade) {
            state.cancel();
        }
    }

    /// Waits until every scan has delivered its ending.
    pub(crate) async fn closed(&self) {
        let scans: Vec<_> = self.0.borrow().iter().filter_map(Weak::upgrade).collect();
        for state in scans {
            state.closed().await;
        }
    }
}
