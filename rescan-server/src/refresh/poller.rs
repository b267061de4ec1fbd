//! Refreshes that nobody asked for: the chain is looked at anew when the node names another tip, when the link to it changes, when block
//! files change and no node can be asked, and every few seconds beneath all that.
//!
//! News that come while a refresh runs are one refresh more, however many they are.

use std::rc::Rc;
use std::time::Duration;

use rescan_core::server_info::NodeLinkState;
use tokio::time::sleep;

use crate::node::link::NodeNews;
use crate::refresh::file_watch::FileWatch;
use crate::session::Shared;

/// How often the files are looked at without any news: a look at a directory of six thousand files takes some 10 ms.
const POLL: Duration = Duration::from_secs(10);

/// How soon the files are looked at again for a tip that the node named and they do not have yet; each pause is twice
/// the one before.
const AGAIN_MIN: Duration = Duration::from_millis(20);
const AGAIN_MAX: Duration = Duration::from_secs(1);

/// Keeps the chain as new as the node and the files are, until dropped.
pub(crate) async fn keep_up(shared: Rc<Shared>, files: FileWatch, node: NodeNews) {
    let hearing = hear(Rc::clone(&shared), node.clone());
    let refreshing = refresh(shared, files, node);
    futures::future::join(hearing, refreshing).await;
}

/// Tells the chain what the node says as soon as it is said: when the link drops, no file is to stay mapped until the refresh
/// under way is over and the next begins.
async fn hear(shared: Rc<Shared>, mut node: NodeNews) {
    while let Some(said) = node.next().await {
        shared.chain().hear(&said);
        shared.figures().node_link(said.height());
    }
}

async fn refresh(shared: Rc<Shared>, files: FileWatch, mut node: NodeNews) {
    let mut again = AGAIN_MIN;
    loop {
        shared.refresher().look().await;
        let is_linked = node.last().state == NodeLinkState::Connected;
        let is_awaited = shared.chain().awaits_tip();
        again = if is_awaited { (again * 2).min(AGAIN_MAX) } else { AGAIN_MIN };
        tokio::select! {
            // One that is gone has no more news.
            Some(_said) = node.next() => {}
            () = files.changed(), if !is_linked => {}
            // And the node is asked, should a notice have been lost on the way.
            () = sleep(if is_awaited { again } else { POLL }) => node.ask().await,
        }
    }
}
