//! The state that all sessions of a server share.

use std::rc::Rc;
use std::sync::Arc;

use crate::chain::Chain;
use crate::metrics::counters::Counters;
use crate::node::tip_watcher::TipWatcher;
use crate::refresh::refresher::Refresher;
use crate::scan::WorkerPool;
use crate::session::guard::budget::SharedBudget;
use crate::session::guard::limits::SessionLimits;
use crate::session::guard::permits::Permits;

/// The chain, the workers, and the quotas of all connections together.
pub(crate) struct Shared {
    pub(crate) chain: Arc<Chain>,
    pub(crate) pool: WorkerPool,
    pub(crate) refresher: Rc<Refresher>,
    pub(crate) limits: SessionLimits,
    pub(crate) node: TipWatcher,
    pub(crate) counters: Arc<Counters>,
    /// Bytes of messages beyond the share of each connection.
    pub(crate) message_bytes: Rc<SharedBudget>,
    /// Watched scripts and outpoints beyond the share of each connection.
    pub(crate) watched: Rc<SharedBudget>,
    pub(crate) scan_permits: Rc<Permits>,
}

impl Shared {
    pub(crate) fn new(
        chain: Arc<Chain>,
        pool: WorkerPool,
        refresher: Rc<Refresher>,
        limits: SessionLimits,
        node: TipWatcher,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            chain,
            pool,
            refresher,
            limits,
            node,
            counters,
            message_bytes: SharedBudget::new(limits.unanswered_bytes_pool),
            watched: SharedBudget::new(limits.watched_pool),
            scan_permits: Permits::new(limits.scans_max),
        }
    }
}
