//! All watch sets of one connection.

use std::cell::RefCell;
use std::rc::Rc;

use capnp_rpc::CapabilityServerSet;
use rescan_core::rescan_capnp::watch_set;

use crate::session::guard::budget::Budget;
use crate::session::guard::limits::WATCHED_SHARE;
use crate::session::guard::permits::Permits;
use crate::session::shared::Shared;
use crate::session::watch_set::server::WatchSetServer;

/// The watch sets of one connection, and its quotas for them.
pub(crate) struct WatchSets {
    shared: Rc<Shared>,
    servers: RefCell<CapabilityServerSet<WatchSetServer, watch_set::Client>>,
    permits: Rc<Permits>,
    watched: Rc<Budget>,
    waiting_calls: Rc<Permits>,
}

impl WatchSets {
    pub(crate) fn new(shared: Rc<Shared>, waiting_calls: Rc<Permits>) -> Rc<Self> {
        let limits = shared.limits;
        Rc::new(Self {
            servers: RefCell::default(),
            permits: Permits::new(limits.watch_sets_per_connection_max),
            watched: Budget::new(&shared.watched, WATCHED_SHARE, limits.watched_per_connection_max),
            shared,
            waiting_calls,
        })
    }

    /// Creates an empty watch set.
    ///
    /// # Errors
    /// If the connection has as many as it may.
    pub(crate) fn create(&self) -> capnp::Result<watch_set::Client> {
        let permit = self.permits.acquire().ok_or_else(|| {
            let max = self.shared.limits.watch_sets_per_connection_max;
            capnp::Error::overloaded(format!("a connection has at most {max} watch sets: drop one first"))
        })?;
        let (shared, waiting_calls) = (Rc::clone(&self.shared), Rc::clone(&self.waiting_calls));
        let server = WatchSetServer::new(shared, waiting_calls, &self.watched, permit);
        let mut servers = self.servers.borrow_mut();
        servers.gc();
        Ok(servers.new_client(server))
    }

    /// The watch set behind a capability; none for a capability from elsewhere.
    pub(crate) async fn find(&self, given: watch_set::Client) -> Option<Rc<WatchSetServer>> {
        let resolved = capnp::capability::get_resolved_cap(given).await;
        self.servers.borrow().get_local_server_of_resolved(&resolved)
    }
}
