//! The scan capability: progress, cancellation, block ids. Dropping it ends the scan.

use std::rc::Rc;
use std::sync::Arc;

use rescan_core::position::Height;
use rescan_core::protocol::BLOCK_IDS_PER_CALL_MAX;
use rescan_core::rescan_capnp::scan;
use rescan_core::wire;
use tokio::task::AbortHandle;

use crate::exception::{malformed, too_many_calls};
use crate::session::guard::permits::{Permit, Permits};
use crate::session::scan::state::ScanState;

/// A scan of one connection, for reports or for whole blocks.
pub(crate) struct ScanServer {
    state: Rc<ScanState>,
    task: AbortHandle,
    waiting_calls: Rc<Permits>,
    _permits: Vec<Permit>,
}

impl ScanServer {
    /// The owner of a scan that runs as `task`.
    pub(crate) fn new(
        state: Rc<ScanState>,
        task: AbortHandle,
        waiting_calls: Rc<Permits>,
        permits: Vec<Permit>,
    ) -> Self {
        Self { state, task, waiting_calls, _permits: permits }
    }
}

impl Drop for ScanServer {
    fn drop(&mut self) {
        // The wallet dropped the scan, or disconnected: the workers stop within a block, and nothing more is sent.
        self.state.cancel();
        self.state.end();
        self.state.close();
        self.task.abort();
    }
}

impl scan::Server for ScanServer {
    async fn progress(
        self: Rc<Self>,
        _params: scan::ProgressParams,
        mut results: scan::ProgressResults,
    ) -> capnp::Result<()> {
        wire::write_progress(&self.state.progress(), results.get().init_progress()).map_err(|error| malformed(&error))
    }

    async fn cancel(self: Rc<Self>, _params: scan::CancelParams, _results: scan::CancelResults) -> capnp::Result<()> {
        self.state.cancel();
        Ok(())
    }

    async fn block_ids(
        self: Rc<Self>,
        params: scan::BlockIdsParams,
        mut results: scan::BlockIdsResults,
    ) -> capnp::Result<()> {
        let _permit = self.waiting_calls.acquire().ok_or_else(too_many_calls)?;
        let heights: Vec<Height> = {
            let heights = params.get()?.get_heights()?;
            if heights.len() > BLOCK_IDS_PER_CALL_MAX {
                let found = heights.len();
                return Err(capnp::Error::failed(format!(
                    "{found} heights in one call for block ids, at most {BLOCK_IDS_PER_CALL_MAX} are answered"
                )));
            }
            heights.iter().map(Height).collect()
        };
        // Otherwise the message would be held while the call waits.
        drop(params);
        let pin = {
            let state = Rc::clone(&self.state);
            // A waiting call must not keep a dropped scan alive.
            drop(self);
            state.pin().await
        };
        let pin = pin.ok_or_else(|| capnp::Error::failed("the scan ended before it had begun".to_owned()))?;
        let mut ids = results.get().init_ids(u32::try_from(heights.len()).unwrap_or(BLOCK_IDS_PER_CALL_MAX));
        for (index, id) in (0..).zip(heights.iter().map(|&height| Arc::clone(&pin).id(height))) {
            if let Some(id) = id {
                wire::write_block_id(&id, ids.reborrow().get(index));
            }
        }
        Ok(())
    }
}
