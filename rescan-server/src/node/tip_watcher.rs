//! The receiving side of the link: the node's latest tip, its changes, and queries for it.

use std::time::Duration;

use rescan_core::server_info::{NodeLink, NodeLinkState};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::node::link_task::unix_time;

/// How long a query for the node's tip may take. It usually takes a fraction of a millisecond. A node that connects a
/// block may take longer; then its last known tip is used.
pub(super) const QUERY_MAX: Duration = Duration::from_millis(100);

/// Queries in the queue. Refreshes run one at a time, so there is hardly ever a second.
const QUERIES_MAX: usize = 4;

/// A query for the tip; dropped once the link has published an answer.
pub(super) type TipQuery = oneshot::Sender<()>;

/// Receives the state of the node's link and its tip. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct TipWatcher {
    link: watch::Receiver<NodeLink>,
    queries: mpsc::Sender<TipQuery>,
}

impl TipWatcher {
    /// A watcher with the queue of its queries.
    pub(super) fn new(link: watch::Receiver<NodeLink>) -> (Self, mpsc::Receiver<TipQuery>) {
        let (queries, queue) = mpsc::channel(QUERIES_MAX);
        (Self { link, queries }, queue)
    }

    /// A watcher for a server without a node.
    pub(crate) fn disabled() -> Self {
        let link = watch::channel(NodeLink { since: unix_time(), ..NodeLink::default() }).1;
        Self::new(link).0
    }

    /// The latest state of the link.
    pub(crate) fn status(&self) -> NodeLink {
        self.link.borrow().clone()
    }

    /// Waits for the next state of the link; none once the link's task has ended.
    pub(crate) async fn changed(&mut self) -> Option<NodeLink> {
        self.link.changed().await.ok()?;
        Some(self.link.borrow_and_update().clone())
    }

    /// Queries a linked node for its tip, so that [`TipWatcher::status`] is no older than this call. Does not wait for a busy node.
    pub(crate) async fn query_tip(&self) {
        if self.link.borrow().state != NodeLinkState::Connected {
            return;
        }
        let (query, answered) = oneshot::channel();
        let asking = async {
            // A lost link publishes its own state.
            if self.queries.send(query).await.is_ok() {
                drop(answered.await);
            }
        };
        if timeout(QUERY_MAX, asking).await.is_err() {
            tracing::debug!("the node is busy; using its last known tip");
        }
    }
}
