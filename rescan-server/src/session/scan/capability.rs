//! The scan capability: progress, early end, block ids. Dropping it ends the scan.

use std::rc::Rc;
use std::sync::Arc;

use rescan_core::position::Height;
use rescan_core::rescan_capnp::scan;
use rescan_core::wire;
use tokio::task::AbortHandle;

use crate::session::guard::limits::{BLOCK_IDS_PER_CALL_MAX, Quota, Slot};
use crate::session::scan::control::Control;

/// A scan of one connection, reports or whole blocks alike.
pub(crate) struct ScanServer {
    control: Rc<Control>,
    task: AbortHandle,
    calls_waiting: Rc<Quota>,
    _slots: Vec<Slot>,
}

impl ScanServer {
    /// The owner of a scan that runs as `task`.
    pub(crate) fn new(control: Rc<Control>, task: AbortHandle, calls_waiting: Rc<Quota>, slots: Vec<Slot>) -> Self {
        Self { control, task, calls_waiting, _slots: slots }
    }
}

impl Drop for ScanServer {
    fn drop(&mut self) {
        // The wallet let go of it, or is gone: the workers stop within a block, and nobody hears of it any more.
        self.control.end_early();
        self.control.end();
        self.control.set_over();
        self.task.abort();
    }
}

impl scan::Server for ScanServer {
    async fn progress(
        self: Rc<Self>,
        _params: scan::ProgressParams,
        mut results: scan::ProgressResults,
    ) -> capnp::Result<()> {
        wire::write_progress(&self.control.progress(), results.get().init_progress())
            .map_err(|error| crate::session::failed(&error))
    }

    async fn cancel(self: Rc<Self>, _params: scan::CancelParams, _results: scan::CancelResults) -> capnp::Result<()> {
        self.control.end_early();
        Ok(())
    }

    async fn block_ids(
        self: Rc<Self>,
        params: scan::BlockIdsParams,
        mut results: scan::BlockIdsResults,
    ) -> capnp::Result<()> {
        let _waits = self.calls_waiting.take().ok_or_else(crate::session::too_many_calls)?;
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
        // The message would be held for as long as the call waits.
        drop(params);
        let pin = {
            let control = Rc::clone(&self.control);
            // A dropped scan answers nobody, and a call must not keep it alive.
            drop(self);
            control.pin().await
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
