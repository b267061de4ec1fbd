//! Refreshes beside a scripted node.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use rescan_core::chain::network::Network;
use rescan_core::position::Height;
use rescan_core::server_info::{NodeLinkState, NodeTip};
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::refresher::Refresher;
use crate::blocks::block_file::Access;
use crate::chain::{Chain, ChainConfig};
use crate::node::fake_node::{FakeNode, Script};
use crate::node::link_task::LinkTask;

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_client_request_queries_the_node_and_a_poll_does_not() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let directory = tempfile::tempdir_in("/tmp").unwrap();
        let path = directory.path().join("node.sock");
        let script = Script::new(NodeTip { height: Height(5), hash: BlockHash::all_zeros() });
        let _node = FakeNode::listen(&path, &script);
        let (link, mut node) = LinkTask::new(path);
        let stop = watch::Sender::new(false);
        let _running = tokio::task::spawn_local(link.run(stop.subscribe()));
        while node.status().state != NodeLinkState::Connected {
            timeout(PATIENCE, node.changed()).await.unwrap().unwrap();
        }
        let config = ChainConfig {
            blocks_dir: directory.path().to_owned(),
            network: Some(Network::Regtest),
            signet_challenge: None,
            state_dir: directory.path().join("state"),
            access: Access::read(),
        };
        let chain = Arc::new(Chain::open(config).unwrap());
        let (refresher, refreshing) = Refresher::new(chain, node, Arc::default());
        let _refreshing = tokio::task::spawn_local(refreshing);
        let before = script.tip_calls.get();
        refresher.poll().await;
        assert_eq!(script.tip_calls.get(), before);
        refresher.refresh().await.unwrap();
        assert_eq!(script.tip_calls.get(), before + 1);
    });
}
