//! The node's methods against a node of loopback, and every reason to leave one out.

mod real;

use bitcoin::{Amount, Network, ScriptBuf, TxOut};
use rescan_core::position::{Height, HeightRange};
use rescan_fixtures::assemble::op_return;
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::fake_node::{FakeNode, Reply, answer_of};
use rescan_fixtures::oracle::{self, Watched as OracleWatched};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_node::{Credentials, RpcClient, RpcError};
use serde_json::json;
use serde_json::value::RawValue;

use super::node_activity::ActivityWallet;
use super::{Context, MethodRun, Outcome};
use crate::answer::Answer;
use crate::error::CompareError;
use crate::inputs::{PinnedBlocks, WatchedScripts};
use crate::measuring::Meter;
use crate::method::Method;
use crate::node::{Node, NodeError};

/// Alice is paid, pays herself and others, spends within a block, and spends older coins at height
/// 112.
fn scenario() -> (ChainBuilder, Vec<ScriptBuf>) {
    let alice = TestWallet::new("alice");
    let script = |index| alice.script(ScriptKind::P2wpkh, index);
    let output = |sat, script: &ScriptBuf| TxOut { value: Amount::from_sat(sat), script_pubkey: script.clone() };
    let mut chain = ChainBuilder::new();
    let early = [chain.fund(&script(0), Amount::from_sat(10_000)), chain.fund(&script(1), Amount::from_sat(20_001))];
    chain.mine(10);
    let [old, older] = early;
    chain.spend([&alice], &[old], vec![output(4_000, &script(2)), op_return(b"change")]);
    let kept = chain.fund(&script(3), Amount::from_sat(123_456_789));
    chain.mine(1);
    let within = chain.fund(&script(0), Amount::from_sat(7_000));
    chain.spend([&alice], &[within, kept], vec![output(100_000_000, &script(4))]);
    chain.coinbase_to(&script(2)).mine(3);
    chain.spend([&alice], &[older], vec![output(20_000, &script(0))]);
    chain.mine(5);
    (chain, (0..5).map(script).collect())
}

fn pinned(chain: &ChainBuilder, first: u32) -> PinnedBlocks {
    let last = Height(chain.tip_height());
    PinnedBlocks { range: HeightRange::new(Height(first), last).expect("it ascends"), tip: chain.tip_hash() }
}

/// The oracle's answer for that part of the chain.
fn expected(chain: &ChainBuilder, first: u32, scripts: &[ScriptBuf]) -> Answer {
    let watched = OracleWatched { scripts: scripts.to_vec(), outpoints: Vec::new() };
    let mut answer = Answer::default();
    for transaction in oracle::scan(chain.active().filter(|(height, _)| *height >= first), &watched).transactions {
        let (height, txid) = (Height(transaction.height), transaction.txid);
        for received in transaction.received {
            answer.received(height, txid, received.vout, received.output.value.to_sat());
        }
        transaction.spent.iter().for_each(|spent| answer.spent(height, txid, spent.vin));
    }
    answer
}

async fn run(
    method: Method,
    node: &Node,
    pinned: PinnedBlocks,
    scripts: &[ScriptBuf],
) -> Result<Outcome, CompareError> {
    let watched = WatchedScripts::new(scripts.to_vec()).expect("they can be watched");
    let meter = Meter::of_node(node);
    let runs = MethodRun::of_node(Context { peer: node, meter: &meter, pinned, watched: &watched });
    runs.into_iter().find(|run| run.method() == method).expect("a method of the node").run().await
}

async fn connect(fake: &FakeNode) -> Node {
    let cookie = Credentials::Cookie(fake.cookie());
    let rpc = RpcClient::new(fake.url().parse().expect("an address"), cookie).expect("a cookie");
    Node::connect(rpc).await.expect("it answers")
}

async fn check(node: &Node, network: Network, pinned: PinnedBlocks) -> Result<(), NodeError> {
    node.check(network, pinned.range, pinned.tip).await
}

/// A node of the scenario that answers one method with an error.
fn refusing(method: &'static str, code: i32, message: &'static str) -> FakeNode {
    let (chain, _) = scenario();
    FakeNode::start(
        move |called, params| {
            if called == method { Reply::Error(code, message) } else { answer_of(&chain, called, params) }
        },
    )
}

async fn left_out(method: Method, fake: &FakeNode, chain: &ChainBuilder) -> String {
    let node = connect(fake).await;
    match run(method, &node, pinned(chain, 1), &[ScriptBuf::from(vec![0x51])]).await {
        Ok(Outcome::LeftOut(reason)) => reason,
        Ok(Outcome::Answered(..)) => panic!("expected {method:?} to be left out, found an answer"),
        Err(error) => panic!("expected {method:?} to be left out, found {error}"),
    }
}

#[tokio::test]
async fn both_methods_give_the_answer_of_the_blocks_alone_from_any_first_height() {
    let (chain, scripts) = scenario();
    let fake = FakeNode::of(scenario().0);
    let node = connect(&fake).await;
    assert_eq!((node.version(), node.pid()), ("Satoshi 31.99.0", None));
    for first in [0, 1, 101, 111, 112, 113, chain.tip_height()] {
        check(&node, Network::Regtest, pinned(&chain, first)).await.expect("it is of one chain with itself");
        for method in Method::OF_NODE {
            let Ok(Outcome::Answered(run, answer)) = run(method, &node, pinned(&chain, first), &scripts).await else {
                panic!("expected an answer of {method:?} from {first}")
            };
            assert_eq!(answer, expected(&chain, first, &scripts), "{method:?} from {first}");
            assert_eq!(run.first_match_us.is_some(), answer.transactions() > 0, "{method:?} from {first}");
        }
    }
}

#[tokio::test]
async fn everything_that_crosses_is_counted_heads_and_all() {
    let (chain, scripts) = scenario();
    let fake = FakeNode::of(scenario().0);
    let node = connect(&fake).await;
    for method in Method::OF_NODE {
        let ((came, went), calls) = (fake.traffic(), fake.calls().len());
        let before = node.traffic();
        let Ok(Outcome::Answered(run, _)) = run(method, &node, pinned(&chain, 101), &scripts).await else {
            panic!("expected an answer of {method:?}")
        };
        let ((came_now, went_now), calls_now) = (fake.traffic(), fake.calls().len());
        let now = node.traffic();
        assert_eq!(now.sent_bytes - before.sent_bytes, came_now - came, "{method:?}");
        assert_eq!(now.received_bytes - before.received_bytes, went_now - went, "{method:?}");
        let calls = u64::try_from(calls_now - calls).expect("a few");
        assert_eq!((now.requests - before.requests, now.responses - before.responses), (calls, calls));
        // The checks of the index and of the tip are outside the run.
        let asides = if method == Method::NodeScanBlocks { 2 } else { 0 };
        assert_eq!(run.sent_messages, calls - asides, "{method:?}");
        let last = run.progress.last().expect("a point");
        assert_eq!((last.height, last.received_bytes), (chain.tip_height(), run.received_bytes), "{method:?}");
    }
}

#[test]
fn amounts_are_taken_to_the_last_satoshi() {
    let txid = "0158a317f8e59c780ef7016db8beba8d4daf4189aa7f5a06606a1e6a4f3bec4c";
    for (said, sat) in [
        ("0.00000001", 1),
        ("20999999.97690000", 2_099_999_997_690_000),
        ("0.29000000", 29_000_000),
        ("90071992.54740993", 9_007_199_254_740_993),
    ] {
        let said = format!(
            r#"{{"activity":[{{"type":"receive","amount":{said},"height":1,"txid":"{txid}","vout":3,"output_spk":{{}}}}]}}"#
        );
        let mut wallet = ActivityWallet::default();
        assert!(wallet.take(&RawValue::from_string(said).expect("it is JSON")).expect("it is as documented"));
        let mut expected = Answer::default();
        expected.received(Height(1), txid.parse().expect("a txid"), 3, sat);
        assert_eq!(wallet.answer, expected);
    }
}

#[test]
fn activity_with_a_missing_field_is_an_error_and_an_unknown_kind_is_ignored() {
    let take =
        |said: &str| ActivityWallet::default().take(&RawValue::from_string(said.to_owned()).expect("it is JSON"));
    assert!(matches!(take(r#"{"activity":[{"type":"burn","amount":1.0,"height":4}]}"#), Ok(false)));
    for said in [
        "{}",
        "[]",
        r#"{"activity":[{"type":"receive","amount":1.0,"height":4}]}"#,
        r#"{"activity":[{"type":"receive","amount":1.000000001,"height":4,"txid":"0158a317f8e59c780ef7016db8beba8d4daf4189aa7f5a06606a1e6a4f3bec4c","vout":0}]}"#,
        r#"{"activity":[{"type":"spend","amount":1.0,"height":4,"spend_txid":"01","spend_vin":0,"prevout_txid":"02","prevout_vout":0}]}"#,
    ] {
        assert!(
            matches!(take(said), Err(NodeError::Rpc(RpcError::Unexpected { method: "getdescriptoractivity", .. }))),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_feature_that_a_node_lacks_leaves_its_method_out_with_a_sentence() {
    let (chain, _) = scenario();
    let reason = left_out(Method::NodeScanBlocks, &refusing("scanblocks", -32_601, "Method not found"), &chain).await;
    assert_eq!(reason, "the node does not know scanblocks: it came with Bitcoin Core 25.0");
    let reason =
        left_out(Method::NodeScanBlocks, &refusing("getdescriptoractivity", -32_601, "Method not found"), &chain).await;
    assert!(reason.ends_with("getdescriptoractivity: it came with Bitcoin Core 29.0"), "{reason}");
    let index = refusing("scanblocks", -1, "Index is not enabled for filtertype basic");
    assert!(left_out(Method::NodeScanBlocks, &index, &chain).await.contains("-blockfilterindex=1"));

    let of_index = |index| {
        let (chain, _) = scenario();
        FakeNode::start(move |called, params| match called {
            "getindexinfo" => Reply::json(&index),
            _ => answer_of(&chain, called, params),
        })
    };
    assert!(left_out(Method::NodeScanBlocks, &of_index(json!({})), &chain).await.contains("-blockfilterindex=1"));
    let behind = of_index(json!({"basic block filter index": {"synced": false, "best_block_height": 9}}));
    let reason = left_out(Method::NodeScanBlocks, &behind, &chain).await;
    assert!(reason.contains("ends at height 9") && reason.contains("it is still being made"), "{reason}");
}

#[tokio::test]
async fn more_scripts_than_a_call_may_hold_leave_the_method_out_before_anything_is_sent() {
    let (chain, _) = scenario();
    let fake = FakeNode::of(scenario().0);
    let node = connect(&fake).await;
    let scripts: Vec<ScriptBuf> =
        (0..1_700_u32).map(|number| ScriptBuf::from(number.to_le_bytes().repeat(2_490))).collect();
    let outcome = run(Method::NodeScanBlocks, &node, pinned(&chain, 1), &scripts).await.expect("it is left out");
    let Outcome::LeftOut(reason) = outcome else { panic!("33 MB of scripts were sent") };
    assert!(reason.starts_with("the scripts take 338"), "{reason}");
    assert!(!fake.was_called("scanblocks"));
}

#[tokio::test]
async fn a_node_of_another_chain_is_refused_with_the_difference() {
    let (chain, _) = scenario();
    let fake = FakeNode::of(scenario().0);
    let node = connect(&fake).await;
    let all = pinned(&chain, 1);
    let error = check(&node, Network::Signet, all).await.expect_err("the networks differ");
    assert!(error.to_string().contains("is on regtest, and the server on signet"), "{error}");
    let stranger = PinnedBlocks { tip: chain.hash_at(1), ..all };
    let error = check(&node, Network::Regtest, stranger).await.expect_err("the blocks differ");
    let NodeError::OtherChain { height, found, expected } = error else { panic!("{error}") };
    assert_eq!((height.0, found, expected), (chain.tip_height(), chain.tip_hash(), chain.hash_at(1)));
    let above = PinnedBlocks { range: HeightRange::new(Height(1), Height(5_000)).expect("it ascends"), ..all };
    let error = check(&node, Network::Regtest, above).await.expect_err("it ends below");
    assert!(matches!(error, NodeError::Behind { found, expected: Height(5_000) } if found == chain.tip_height()));

    let pruned = FakeNode::start(move |called, params| match called {
        "getblockchaininfo" => {
            Reply::json(&json!({"chain": "regtest", "blocks": chain.tip_height(), "pruned": true, "pruneheight": 50}))
        }
        _ => answer_of(&chain, called, params),
    });
    let node = connect(&pruned).await;
    let error = check(&node, Network::Regtest, all).await.expect_err("it has pruned");
    assert!(matches!(error, NodeError::Pruned { lowest: 50 }), "{error}");
    let kept = PinnedBlocks { range: HeightRange::new(Height(50), all.range.last()).expect("it ascends"), ..all };
    check(&node, Network::Regtest, kept).await.expect("it has these");
}

#[tokio::test]
async fn a_reorganisation_during_a_run_is_no_answer() {
    let (chain, scripts) = scenario();
    let fake = FakeNode::of(scenario().0);
    let node = connect(&fake).await;
    let left = PinnedBlocks { tip: chain.hash_at(1), ..pinned(&chain, 101) };
    for method in Method::OF_NODE {
        let outcome = run(method, &node, left, &scripts).await;
        assert!(
            matches!(outcome, Err(CompareError::Reorganised { .. } | CompareError::Node(NodeError::OtherChain { .. }))),
            "{method:?}"
        );
    }
}

#[tokio::test]
async fn a_malformed_block_is_named() {
    let (chain, scripts) = scenario();
    let all = pinned(&chain, 1);
    for (said, is_json) in [("\"00ff\"", true), ("\"zz\"", false), ("{}", false)] {
        let (chain, _) = scenario();
        let fake = FakeNode::start(move |called, params| match called {
            "getblock" => Reply::Result(said.to_owned()),
            _ => answer_of(&chain, called, params),
        });
        let node = connect(&fake).await;
        let Err(error) = run(Method::NodeGetBlock, &node, all, &scripts).await else { panic!("{said} is no block") };
        match error {
            CompareError::Malformed { method: Method::NodeGetBlock, height: Height(1), .. } => assert!(is_json),
            CompareError::Node(NodeError::Rpc(RpcError::Unexpected { method: "getblock", .. })) => assert!(!is_json),
            error => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn pruning_and_another_scan_are_named() {
    let (chain, scripts) = scenario();
    let all = pinned(&chain, 1);
    let node = refusing("getblock", -1, "Block not available (pruned data)");
    let node = connect(&node).await;
    let outcome = run(Method::NodeGetBlock, &node, all, &scripts).await;
    assert!(matches!(outcome, Err(CompareError::Node(NodeError::PrunedMeanwhile))));
    let node = refusing("scanblocks", -8, "Scan already in progress, use action \"abort\" or \"status\"");
    let node = connect(&node).await;
    let outcome = run(Method::NodeScanBlocks, &node, all, &scripts).await;
    assert!(matches!(outcome, Err(CompareError::Node(NodeError::AlreadyScanning))));
}
