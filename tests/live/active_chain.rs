//! The active chain follows the node's, even where the block files suggest another chain.

use std::time::Duration;

use bitcoin::{BlockHash, ScriptBuf};
use rescan_client::position::Height;
use rescan_client::server_info::{ChainSource, NodeLinkState, ServerInfo};
use rescan_client::{Client, ScanRequest};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{LiveNode, Manner, TestServer, eventually, patiently, scan};

/// The limit for operations that take milliseconds on an idle machine.
const SOON: Duration = Duration::from_secs(120);

fn script() -> ScriptBuf {
    TestWallet::new("dora").script(ScriptKind::P2wpkh, 0)
}

/// A node that mined 101 blocks for the script, and a server of its files.
fn scene() -> Option<(LiveNode, TestServer)> {
    let node = LiveNode::start(&[])?;
    node.mine_to(101, &script());
    let server = TestServer::beside_node(&node, Manner { is_mapped: true, ..Manner::default() });
    Some((node, server))
}

async fn info_where(client: &Client, what: &str, is_so: impl Fn(&ServerInfo) -> bool) -> ServerInfo {
    eventually(what, SOON, || async {
        let info = client.info().await.unwrap();
        is_so(&info).then_some(info)
    })
    .await
}

/// Waits until the server serves the tip that the node announced.
async fn reaches(client: &Client, tip: (u32, BlockHash)) -> ServerInfo {
    let is_there = |info: &ServerInfo| {
        info.chain.source == ChainSource::Node && info.chain.tip.is_some_and(|it| (it.height.0, it.hash) == tip)
    };
    info_where(client, &format!("the server serves {tip:?}"), is_there).await
}

/// The heights at which a fresh scan finds something, and where it ended.
async fn answer(client: &Client) -> (Vec<u32>, BlockHash) {
    let found = scan(client, ScanRequest::new().script(script())).await;
    (found.heights(), found.summary().tip.hash)
}

#[test]
fn the_tip_follows_the_node_and_info_says_so() {
    let Some((node, server)) = scene() else { return };
    patiently(async {
        let client = server.client().await;
        let info = reaches(&client, node.tip()).await;
        assert_eq!(info.node.state, NodeLinkState::Connected);
        assert_eq!(info.node.reason, "");
        for blocks in [1, 5, 1, 20] {
            node.mine(blocks);
            let (height, hash) = node.tip();
            let info = reaches(&client, (height, hash)).await;
            assert_eq!(info.node.tip.map(|tip| (tip.height, tip.hash)), Some((Height(height), hash)));
        }
        assert_eq!(answer(&client).await, ((1..=101).collect(), node.tip().1));
    });
}

#[test]
fn the_node_is_asked_once_for_each_tip_and_no_more() {
    const TIPS: usize = 10;
    let Some(node) = LiveNode::start(&["-debug=ipc"]) else { return };
    let server = TestServer::beside_node(&node, Manner::default());
    patiently(async {
        let client = server.client().await;
        for _ in 0..TIPS {
            node.mine(1);
            reaches(&client, node.tip()).await;
        }
    });
    let log = node.log();
    let waits = log.lines().filter(|line| line.contains("recv request") && line.contains("waitTipChanged")).count();
    // The one under way, and those that ended by themselves after half a minute.
    assert!((1..=TIPS + 5).contains(&waits), "{waits} waits for {TIPS} tips");
}

#[test]
fn a_branch_that_the_node_left_is_not_served_though_it_is_heavier_on_disk() {
    let Some((mut node, server)) = scene() else { return };
    patiently(async {
        let client = server.client().await;
        reaches(&client, node.tip()).await;
        let left = node.hash_at(92);
        node.invalidate(&left);
        let info = reaches(&client, node.tip()).await;
        assert_eq!(info.chain.tip.map(|tip| tip.height), Some(Height(91)));
        assert_eq!(answer(&client).await, ((1..=91).collect(), node.tip().1));
        // Another branch, lighter than the one that was left.
        node.mine(3);
        reaches(&client, node.tip()).await;
        assert_eq!(answer(&client).await, ((1..=91).collect(), node.tip().1));
        let tip = node.tip();
        // The branch stays invalid while the node cannot be reached.
        node.stop();
        let is_alone = |info: &ServerInfo| info.chain.source == ChainSource::Files;
        let info = info_where(&client, "the link drops", is_alone).await;
        assert_eq!(info.node.state, NodeLinkState::Lost);
        assert_eq!(answer(&client).await, ((1..=91).collect(), tip.1));
        node.restart();
        reaches(&client, tip).await;
        node.reconsider(&left);
        reaches(&client, node.tip()).await;
        assert_eq!(answer(&client).await, ((1..=101).collect(), node.tip().1));
    });
}

#[test]
fn reorganisations_of_every_depth_come_and_go() {
    let Some((node, server)) = scene() else { return };
    patiently(async {
        let client = server.client().await;
        for depth in [1, 2, 7, 20] {
            let (height, _) = node.tip();
            let left = node.hash_at(height + 1 - depth);
            node.invalidate(&left);
            reaches(&client, node.tip()).await;
            node.mine(depth + 1);
            reaches(&client, node.tip()).await;
            assert_eq!(answer(&client).await.1, node.tip().1);
        }
    });
}

#[test]
fn a_node_that_is_killed_and_comes_back_on_its_socket_is_followed_again() {
    let Some((mut node, server)) = scene() else { return };
    patiently(async {
        let client = server.client().await;
        reaches(&client, node.tip()).await;
        for _round in 0..2 {
            node.kill();
            let is_lost = |info: &ServerInfo| info.node.state == NodeLinkState::Lost;
            let info = info_where(&client, "the link drops", is_lost).await;
            assert!(!info.node.reason.is_empty());
            assert_eq!(info.chain.source, ChainSource::Files);
            node.restart();
            reaches(&client, node.tip()).await;
            node.mine(2);
            reaches(&client, node.tip()).await;
            assert_eq!(answer(&client).await.1, node.tip().1);
        }
    });
}

#[test]
fn a_server_that_stops_leaves_the_node_at_once() {
    let Some((mut node, mut server)) = scene() else { return };
    patiently(async {
        let client = server.client().await;
        reaches(&client, node.tip()).await;
    });
    for _round in 0..5 {
        server.stop();
        server.start();
    }
    patiently(async { reaches(&server.client().await, node.tip()).await });
    server.stop();
    // A wait that was left behind would keep it.
    node.stop();
}

#[test]
fn a_node_that_a_crash_takes_far_back_is_followed_down_and_up_again_while_it_rewrites_its_files() {
    let Some(mut node) = LiveNode::start(&["-fastprune"]) else { return };
    node.mine_to(800, &script());
    let mut server = TestServer::beside_node(&node, Manner { is_mapped: true, ..Manner::default() });
    patiently(async {
        let client = server.client().await;
        reaches(&client, node.tip()).await;
        assert_eq!(answer(&client).await.0.len(), 800);
        node.kill();
        node.restart();
        let (height, hash) = node.tip();
        assert!(height < 800, "it had flushed everything, and this shows nothing");
        reaches(&client, (height, hash)).await;
        assert_eq!(answer(&client).await, ((1..=height).collect(), hash));
        for _ in 0..4 {
            node.mine(60);
            reaches(&client, node.tip()).await;
            assert_eq!(answer(&client).await, ((1..=height).collect(), node.tip().1));
        }
    });
    // A newly started server, with only its state file, has the same tip.
    server.stop();
    server.start();
    patiently(async {
        let client = server.client().await;
        reaches(&client, node.tip()).await;
        assert_eq!(answer(&client).await.1, node.tip().1);
    });
}
