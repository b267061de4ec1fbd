//! Starts the scans of one connection within its quotas.

use std::rc::Rc;
use std::sync::Arc;

use rescan_core::report::{Ending, Refusal, RefusalReason};
use rescan_core::rescan_capnp::scan;
use tokio::task::{JoinHandle, spawn_local};
use tracing::Instrument;

use crate::exception::too_many_calls;
use crate::session::guard::limits::{REFUSALS_WAITING_MAX, SessionLimits};
use crate::session::guard::permits::{Permit, Permits};
use crate::session::scan::capability::ScanServer;
use crate::session::scan::item_stream::ItemStream;
use crate::session::scan::job::{Job, ScanCall, deliver_ending};
use crate::session::scan::pinned_range::{PinnedRange, StartError};
use crate::session::scan::running::RunningScans;
use crate::session::scan::state::ScanState;
use crate::session::shared::Shared;

/// The quotas of one connection for scans.
pub(crate) struct ScanLauncher {
    shared: Rc<Shared>,
    running: Rc<RunningScans>,
    permits: Rc<Permits>,
    refusal_permits: Rc<Permits>,
    waiting_calls: Rc<Permits>,
}

impl ScanLauncher {
    pub(crate) fn new(shared: Rc<Shared>, running: Rc<RunningScans>, waiting_calls: Rc<Permits>) -> Self {
        let permits = Permits::new(shared.limits.scans_per_connection_max);
        let refusal_permits = Permits::new(REFUSALS_WAITING_MAX);
        Self { shared, running, permits, refusal_permits, waiting_calls }
    }

    /// A permit for a call about one block, which counts as one scan of its connection.
    pub(crate) fn block_match_permit(&self) -> Option<Permit> {
        self.permits.acquire()
    }

    /// Runs a scan as the task of a new capability, or refuses it beyond the limit of scans. `prepare` receives the scan's
    /// state.
    ///
    /// # Errors
    /// If too many refusals are not delivered yet.
    pub(crate) fn launch<S: ItemStream, W: 'static, P: Future<Output = Result<W, StartError>> + 'static>(
        &self,
        call: ScanCall<S>,
        prepare: impl FnOnce(Rc<ScanState>) -> P,
        start: impl FnOnce(&Shared, &ScanState, W, PinnedRange) -> Result<Option<S>, Refusal> + 'static,
    ) -> capnp::Result<scan::Client> {
        let shared = Rc::clone(&self.shared);
        let state = Rc::new(ScanState::new(Arc::clone(&shared.chain)));
        let permits = self.permits.acquire().zip(shared.scan_permits.acquire());
        let (permits, task) = match permits.map(<[_; 2]>::from) {
            Some(permits) => {
                self.running.add(&state);
                let count = shared.counters.scan_started();
                let job = Job { shared: Rc::clone(&shared), state: Rc::clone(&state), call, count };
                let started = Rc::clone(&state);
                let run = job
                    .run(prepare(Rc::clone(&state)), move |watched, pinned| start(&shared, &started, watched, pinned));
                (permits.into(), spawn_local(run.in_current_span()))
            }
            None => {
                let permit = self.refusal_permits.acquire().ok_or_else(too_many_calls)?;
                (vec![permit], self.refuse::<S>(&state, call.sink))
            }
        };
        let waiting_calls = Rc::clone(&self.waiting_calls);
        Ok(capnp_rpc::new_client(ScanServer::new(state, task.abort_handle(), waiting_calls, permits)))
    }

    fn refuse<S: ItemStream>(&self, state: &ScanState, sink: S::Sink) -> JoinHandle<()> {
        let SessionLimits { scans_per_connection_max: max, scans_max, stalled_after, .. } = self.shared.limits;
        let ending = Ending::Refused(Refusal {
            reason: RefusalReason::TooManyScans,
            position: 0,
            detail: format!(
                "a connection runs at most {max} scans at a time, all connections together at most {scans_max}: drop one \
                 first, or try again later"
            ),
        });
        self.shared.counters.scan_started().ended(&ending);
        state.end();
        spawn_local(async move { deliver_ending::<S>(&sink, &ending, stalled_after).await })
    }
}
