//! Refreshes without a request: when the node's tip or the link to it changes, when block files change while no node is
//! linked, and every few seconds in any case.
//!
//! Any number of notifications during one refresh cause one further refresh.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rescan_core::server_info::NodeLinkState;
use tokio::time::sleep;

use crate::chain::Chain;
use crate::metrics::counters::Counters;
use crate::node::tip_watcher::TipWatcher;
use crate::refresh::file_watch::FileWatch;
use crate::refresh::refresher::Refresher;

/// How often the files are checked without any notification. A directory of six thousand files takes some 10 ms.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

/// Pauses between refreshes while the files lack the node's tip. Each pause is twice the one before.
const MISSING_TIP_PAUSE_MIN: Duration = Duration::from_millis(20);
const MISSING_TIP_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Keeps the chain as new as the node and the files.
#[derive(Debug)]
pub(crate) struct Poller {
    pub(crate) chain: Arc<Chain>,
    pub(crate) refresher: Rc<Refresher>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) files: FileWatch,
    pub(crate) node: TipWatcher,
}

impl Poller {
    /// Runs until dropped.
    pub(crate) async fn run(self) {
        let Self { chain, refresher, counters, files, node } = self;
        let forwarding = forward_tips(Arc::clone(&chain), counters, node.clone());
        futures::future::join(forwarding, poll(chain, refresher, files, node)).await;
    }
}

/// Passes each change of the node's link to the chain at once. When the link drops, all maps must go before the next
/// refresh begins.
async fn forward_tips(chain: Arc<Chain>, counters: Arc<Counters>, mut node: TipWatcher) {
    while let Some(link) = node.changed().await {
        chain.on_tip(&link);
        counters.set_node_tip(link.height());
    }
}

async fn poll(chain: Arc<Chain>, refresher: Rc<Refresher>, files: FileWatch, mut node: TipWatcher) {
    let mut pause = MISSING_TIP_PAUSE_MIN;
    loop {
        refresher.poll().await;
        let is_linked = node.status().state == NodeLinkState::Connected;
        let awaits_tip = chain.awaits_tip();
        pause = if awaits_tip { (pause * 2).min(MISSING_TIP_PAUSE_MAX) } else { MISSING_TIP_PAUSE_MIN };
        tokio::select! {
            // The link of a stopped task never changes again.
            Some(_link) = node.changed() => {}
            () = files.changed(), if !is_linked => {}
            // The node is queried too, in case a notification was lost.
            () = sleep(if awaits_tip { pause } else { POLL_INTERVAL }) => node.query_tip().await,
        }
    }
}
