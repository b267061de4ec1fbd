//! Each way against a node of loopback, and every manner in which a node may not answer.

mod fake;
mod real;

use bitcoin::{Amount, Network, ScriptBuf, TxOut};
use jsonrpc::serde_json::json;
use jsonrpc::serde_json::value::RawValue;
use rescan_core::position::{Height, HeightRange};
use rescan_fixtures::assemble::op_return;
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::oracle::{self, Watched as OracleWatched};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};

use self::fake::{FakeNode, Said, says_of};
use super::activity::ActiveWallet;
use super::*;
use crate::answer::Answer;
use crate::meter::Meter;
use crate::pinned::Pinned;
use crate::watched::Watched;
use rescan_client::{ByteCount, Traffic};

/// Alice is paid, pays herself and others, spends within a block, and spends below height 112 what she had before.
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

fn pinned(chain: &ChainBuilder, first: u32) -> Pinned {
    let last = Height(chain.tip_height());
    Pinned { range: HeightRange::new(Height(first), last).expect("it ascends"), tip: chain.tip_hash() }
}

/// What the slow and obvious way finds in that part of the chain.
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

async fn go(way: NodeWay, node: &Node, pinned: Pinned, scripts: &[ScriptBuf]) -> Result<Gone, CompareError> {
    let watched = Watched::new(scripts.to_vec()).expect("they can be watched");
    let meter = Meter::of_node(node);
    way.go(Ground { asked: node, meter: &meter, pinned, watched: &watched }).await
}

async fn left_out(way: NodeWay, fake: &FakeNode, chain: &ChainBuilder) -> String {
    let node = fake.connect().await.expect("it answers");
    match go(way, &node, pinned(chain, 1), &[ScriptBuf::from(vec![0x51])]).await {
        Ok(Gone::LeftOut(why)) => why,
        Ok(Gone::Came(..)) => panic!("expected {way:?} to be left out, and it came to an answer"),
        Err(error) => panic!("expected {way:?} to be left out, found {error}"),
    }
}

#[tokio::test]
async fn both_ways_give_the_answer_of_the_blocks_alone_wherever_the_range_begins() {
    let (chain, scripts) = scenario();
    let fake = FakeNode::of(scenario().0);
    let node = fake.connect().await.expect("it answers");
    assert_eq!((node.version(), node.pid()), ("Satoshi 31.99.0", None));
    for first in [0, 1, 101, 111, 112, 113, chain.tip_height()] {
        node.check(Network::Regtest, pinned(&chain, first)).await.expect("it is of one chain with itself");
        for way in NodeWay::ALL {
            let Ok(Gone::Came(run, answer)) = go(way, &node, pinned(&chain, first), &scripts).await else {
                panic!("{way:?} from {first} comes to an answer")
            };
            assert_eq!(answer, expected(&chain, first, &scripts), "{way:?} from {first}");
            assert_eq!(run.first_match_us.is_some(), answer.transactions() > 0, "{way:?} from {first}");
        }
    }
}

#[tokio::test]
async fn everything_that_crosses_is_counted_heads_and_all() {
    let (chain, scripts) = scenario();
    let fake = FakeNode::of(scenario().0);
    let node = fake.connect().await.expect("it answers");
    for way in NodeWay::ALL {
        let ((came, went), calls) = (fake.traffic(), fake.called.lock().expect("nobody panicked").len());
        let before = node.traffic();
        let Ok(Gone::Came(run, _)) = go(way, &node, pinned(&chain, 101), &scripts).await else {
            panic!("{way:?} comes to an answer")
        };
        let ((came_now, went_now), calls_now) = (fake.traffic(), fake.called.lock().expect("nobody panicked").len());
        let now = node.traffic();
        assert_eq!(now.sent.bytes - before.sent.bytes, came_now - came, "{way:?}");
        assert_eq!(now.received.bytes - before.received.bytes, went_now - went, "{way:?}");
        let calls = u64::try_from(calls_now - calls).expect("a few");
        assert_eq!(
            (now.sent.messages - before.sent.messages, now.received.messages - before.received.messages),
            (calls, calls)
        );
        // Whether the index is there and whether the tip still stands is asked outside the run.
        let asides = if way == NodeWay::ScanBlocks { 2 } else { 0 };
        assert_eq!(run.sent_messages, calls - asides, "{way:?}");
        let last = run.progress.last().expect("a point");
        assert_eq!((last.height, last.received_bytes), (chain.tip_height(), run.received_bytes), "{way:?}");
    }
    let nothing = Traffic { received: ByteCount::default(), sent: ByteCount::default() };
    assert_ne!(node.traffic(), nothing);
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
        let mut wallet = ActiveWallet::default();
        assert!(wallet.take(&RawValue::from_string(said).expect("it is JSON")).expect("it is as documented"));
        let mut expected = Answer::default();
        expected.received(Height(1), txid.parse().expect("a txid"), 3, sat);
        assert_eq!(wallet.answer, expected);
    }
}

#[test]
fn activity_that_lacks_something_is_an_error_and_a_kind_that_is_not_known_is_passed_over() {
    let take = |said: &str| ActiveWallet::default().take(&RawValue::from_string(said.to_owned()).expect("it is JSON"));
    assert!(matches!(take(r#"{"activity":[{"type":"burn","amount":1.0,"height":4}]}"#), Ok(false)));
    for said in [
        "{}",
        "[]",
        r#"{"activity":[{"type":"receive","amount":1.0,"height":4}]}"#,
        r#"{"activity":[{"type":"receive","amount":1.000000001,"height":4,"txid":"0158a317f8e59c780ef7016db8beba8d4daf4189aa7f5a06606a1e6a4f3bec4c","vout":0}]}"#,
        r#"{"activity":[{"type":"spend","amount":1.0,"height":4,"spend_txid":"01","spend_vin":0,"prevout_txid":"02","prevout_vout":0}]}"#,
    ] {
        assert!(matches!(take(said), Err(NodeError::Unexpected { method: "getdescriptoractivity", .. })), "{said}");
    }
}

#[tokio::test]
async fn what_a_node_does_not_have_leaves_its_way_out_with_a_sentence() {
    let (chain, _) = scenario();
    let without = |method: &'static str, code, message| {
        let (chain, _) = scenario();
        FakeNode::start(
            move |called, params| {
                if called == method { Said::Error(code, message) } else { says_of(&chain, called, params) }
            },
        )
    };
    let why = left_out(NodeWay::ScanBlocks, &without("scanblocks", -32_601, "Method not found"), &chain).await;
    assert_eq!(why, "the node does not know scanblocks: it came with Bitcoin Core 25.0");
    let why =
        left_out(NodeWay::ScanBlocks, &without("getdescriptoractivity", -32_601, "Method not found"), &chain).await;
    assert!(why.ends_with("getdescriptoractivity: it came with Bitcoin Core 29.0"), "{why}");
    let index = without("scanblocks", -1, "Index is not enabled for filtertype basic");
    assert!(left_out(NodeWay::ScanBlocks, &index, &chain).await.contains("-blockfilterindex=1"));

    let of_index = |index| {
        let (chain, _) = scenario();
        FakeNode::start(move |called, params| match called {
            "getindexinfo" => Said::json(&index),
            _ => says_of(&chain, called, params),
        })
    };
    assert!(left_out(NodeWay::ScanBlocks, &of_index(json!({})), &chain).await.contains("-blockfilterindex=1"));
    let behind = of_index(json!({"basic block filter index": {"synced": false, "best_block_height": 9}}));
    let why = left_out(NodeWay::ScanBlocks, &behind, &chain).await;
    assert!(why.contains("ends at height 9") && why.contains("it is still being made"), "{why}");
}

#[tokio::test]
async fn more_scripts_than_a_call_may_have_leave_the_way_out_before_anything_is_sent() {
    let (chain, _) = scenario();
    let fake = FakeNode::of(scenario().0);
    let node = fake.connect().await.expect("it answers");
    let scripts: Vec<ScriptBuf> =
        (0..1_700_u32).map(|number| ScriptBuf::from(number.to_le_bytes().repeat(2_490))).collect();
    let gone = go(NodeWay::ScanBlocks, &node, pinned(&chain, 1), &scripts).await.expect("it is left out");
    let Gone::LeftOut(why) = gone else { panic!("33 MB of scripts were sent") };
    assert!(why.starts_with("the scripts take 338"), "{why}");
    assert!(!fake.called.lock().expect("nobody panicked").contains(&"scanblocks".to_owned()));
}

#[tokio::test]
async fn a_node_of_another_chain_is_told_by_what_differs() {
    let (chain, _) = scenario();
    let fake = FakeNode::of(scenario().0);
    let node = fake.connect().await.expect("it answers");
    let all = pinned(&chain, 1);
    let error = node.check(Network::Signet, all).await.expect_err("the networks differ");
    assert!(error.to_string().contains("is on regtest, and the server on signet"), "{error}");
    let stranger = Pinned { tip: chain.hash_at(1), ..all };
    let error = node.check(Network::Regtest, stranger).await.expect_err("the blocks differ");
    let NodeError::OtherChain { height, found, expected } = error else { panic!("{error}") };
    assert_eq!((height.0, found, expected), (chain.tip_height(), chain.tip_hash(), chain.hash_at(1)));
    let above = Pinned { range: HeightRange::new(Height(1), Height(5_000)).expect("it ascends"), ..all };
    let error = node.check(Network::Regtest, above).await.expect_err("it ends below");
    assert!(matches!(error, NodeError::Behind { found, expected: Height(5_000) } if found == chain.tip_height()));

    let pruned = FakeNode::start(move |called, params| match called {
        "getblockchaininfo" => {
            Said::json(&json!({"chain": "regtest", "blocks": chain.tip_height(), "pruned": true, "pruneheight": 50}))
        }
        _ => says_of(&chain, called, params),
    });
    let node = pruned.connect().await.expect("it answers");
    let error = node.check(Network::Regtest, all).await.expect_err("it has pruned");
    assert!(matches!(error, NodeError::Pruned { lowest: 50 }), "{error}");
    let kept = Pinned { range: HeightRange::new(Height(50), all.range.last()).expect("it ascends"), ..all };
    node.check(Network::Regtest, kept).await.expect("it has these");
}

#[tokio::test]
async fn a_chain_that_was_left_while_it_was_asked_is_no_answer() {
    let (chain, scripts) = scenario();
    let fake = FakeNode::of(scenario().0);
    let node = fake.connect().await.expect("it answers");
    let left = Pinned { tip: chain.hash_at(1), ..pinned(&chain, 101) };
    for way in NodeWay::ALL {
        let gone = go(way, &node, left, &scripts).await;
        assert!(
            matches!(gone, Err(CompareError::Reorganised { .. } | CompareError::Node(NodeError::OtherChain { .. }))),
            "{way:?}"
        );
    }
}

/// What connecting to a node that answers everything like this comes to.
async fn said_by(answer: impl FnMut() -> Said + Send + 'static) -> NodeError {
    let mut answer = answer;
    FakeNode::start(move |_, _| answer()).connect().await.expect_err("there is no node to speak of")
}

#[tokio::test]
async fn every_reason_why_a_node_does_not_answer_has_a_next_step() {
    let error = said_by(|| Said::Error(-28, "Loading block index…")).await;
    assert_eq!(error.to_string(), "the node is still starting (Loading block index…): try again when it is done");
    let error = said_by(|| Said::Raw("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")).await;
    assert!(error.to_string().contains("-rpcallowip"), "{error}");
    let error = said_by(|| {
        Said::Raw("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 25\r\n\r\nWork queue depth exceeded")
    })
    .await;
    assert!(error.to_string().contains("-rpcworkqueue"), "{error}");
    let error = said_by(|| Said::Raw("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")).await;
    assert!(error.to_string().contains("is not a node's RPC"), "{error}");
    let error = said_by(|| Said::Raw("\u{16}\u{3}\u{1}\n")).await;
    assert!(matches!(&error, NodeError::NotRpc { .. }), "{error}");
    let error = said_by(|| Said::Raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"jsonrpc\"")).await;
    assert!(matches!(&error, NodeError::NoAnswer { method: "getnetworkinfo", .. }), "{error}");
    let error = said_by(|| Said::Raw("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")).await;
    assert!(matches!(&error, NodeError::NotRpc { .. }), "{error}");
    let error = said_by(|| Said::Result("7".to_owned())).await;
    assert!(matches!(&error, NodeError::Unexpected { method: "getnetworkinfo", .. }), "{error}");

    let fake = FakeNode::of(scenario().0);
    let cookie = fake.cookie();
    std::fs::write(&cookie, "__cookie__:of-the-start-before\n").expect("it is written");
    let error = fake.connect().await.expect_err("the cookie is stale");
    assert!(
        error.to_string().contains("refuses the cookie") && error.to_string().contains("a new one at each start"),
        "{error}"
    );
    std::fs::write(&cookie, "a diary\n").expect("it is written");
    let error = fake.connect().await.expect_err("there is no cookie");
    assert!(error.to_string().contains("expected one line with a name, a colon and a password"), "{error}");
    assert!(!error.to_string().contains("diary"), "{error}");
    std::fs::remove_file(&cookie).expect("it is removed");
    let error = fake.connect().await.expect_err("there is no file");
    assert!(error.to_string().contains("it is named .cookie"), "{error}");

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr()).expect("a port");
    std::fs::write(&cookie, "__cookie__:any").expect("it is written");
    let address = nobody.to_string().parse().expect("an address");
    let error = Node::connect(address, &cookie).await.expect_err("nobody listens");
    assert!(error.to_string().contains("-server=1") && error.to_string().contains("-rpcport"), "{error}");
}

#[tokio::test]
async fn a_connection_that_the_node_closed_meanwhile_is_made_again() {
    let (chain, scripts) = scenario();
    let fake = FakeNode::start(move |called, params| match says_of(&chain, called, params) {
        Said::Result(json) => Said::ResultThenEnd(json),
        said => said,
    });
    let (chain, _) = scenario();
    let node = fake.connect().await.expect("it answers");
    let Ok(Gone::Came(_, answer)) = go(NodeWay::GetBlock, &node, pinned(&chain, 101), &scripts).await else {
        panic!("it comes to an answer")
    };
    assert_eq!(answer, expected(&chain, 101, &scripts));
}

#[tokio::test]
async fn a_block_that_is_none_is_named() {
    let (chain, scripts) = scenario();
    let all = pinned(&chain, 1);
    for (said, is_json) in [("\"00ff\"", true), ("\"zz\"", false), ("{}", false)] {
        let (chain, _) = scenario();
        let fake = FakeNode::start(move |called, params| match called {
            "getblock" => Said::Result(said.to_owned()),
            _ => says_of(&chain, called, params),
        });
        let node = fake.connect().await.expect("it answers");
        let Err(error) = go(NodeWay::GetBlock, &node, all, &scripts).await else { panic!("{said} is no block") };
        match error {
            CompareError::Malformed { way: WayId::NodeGetBlock, height: Height(1), .. } => assert!(is_json),
            CompareError::Node(NodeError::Unexpected { method: "getblock", .. }) => assert!(!is_json),
            error => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_node_that_prunes_or_scans_for_another_says_so() {
    let (chain, scripts) = scenario();
    let all = pinned(&chain, 1);
    let refusing = |method: &'static str, code, message| {
        let (chain, _) = scenario();
        FakeNode::start(
            move |called, params| {
                if called == method { Said::Error(code, message) } else { says_of(&chain, called, params) }
            },
        )
    };
    let node = refusing("getblock", -1, "Block not available (pruned data)");
    let node = node.connect().await.expect("it answers");
    let gone = go(NodeWay::GetBlock, &node, all, &scripts).await;
    assert!(matches!(gone, Err(CompareError::Node(NodeError::PrunedMeanwhile))));
    let node = refusing("scanblocks", -8, "Scan already in progress, use action \"abort\" or \"status\"");
    let node = node.connect().await.expect("it answers");
    let gone = go(NodeWay::ScanBlocks, &node, all, &scripts).await;
    assert!(matches!(gone, Err(CompareError::Node(NodeError::ScanningAlready))));
}
