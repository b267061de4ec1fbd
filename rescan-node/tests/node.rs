//! The client against a node of loopback: its results, its traffic, and every failure with its next
//! step.

use std::net::TcpListener;
use std::time::Duration;

use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::fake_node::{FakeNode, Reply};
use rescan_node::{Address, Connections, Credentials, RpcClient, RpcError};

fn address(node: &FakeNode) -> Address {
    node.url().parse().expect("an address")
}

fn client(node: &FakeNode, connections: Connections) -> RpcClient {
    RpcClient::with_connections(address(node), Credentials::Cookie(node.cookie()), connections).expect("a cookie")
}

/// A node that answers every call like this.
fn node(reply: Reply) -> FakeNode {
    FakeNode::start(move |_, _| reply.clone())
}

/// The failure of a call of such a node.
fn failure(reply: Reply) -> RpcError {
    client(&node(reply), Connections::PerCall).network_info().expect_err("it has no result")
}

#[test]
fn both_uses_of_connections_read_the_same_and_count_every_byte_heads_included() {
    let mut chain = ChainBuilder::new();
    chain.mine(3);
    let (genesis, tip) = (chain.hash_at(0), chain.tip_hash());
    let node = FakeNode::of(chain);
    let mut calls = 0;
    for (connections, expected) in [(Connections::PerCall, 4), (Connections::Kept, 1)] {
        let (before, connected) = (node.traffic(), node.connections());
        let client = client(&node, connections);
        assert_eq!(client.network_info().expect("it answers").software(), "Satoshi 31.99.0");
        let info = client.blockchain_info().expect("it answers");
        assert_eq!((info.chain.as_str(), info.blocks, info.pruneheight), ("regtest", 3, None));
        assert_eq!(client.block_hash(0).expect("it answers"), genesis);
        assert_eq!(client.block_hash(3).expect("it answers"), tip);
        let (traffic, now) = (client.traffic(), node.traffic());
        assert_eq!((traffic.sent_bytes, traffic.received_bytes), (now.0 - before.0, now.1 - before.1));
        assert_eq!((traffic.requests, traffic.responses), (4, 4));
        assert_eq!(node.connections() - connected, expected, "{connections:?}");
        calls += 4;
    }
    assert_eq!(node.calls().len(), calls);
}

#[test]
fn a_connection_that_the_node_closed_is_replaced() {
    let node = FakeNode::start(|_, _| Reply::ResultThenClose("7".to_owned()));
    let client = client(&node, Connections::PerCall);
    for _ in 0..3 {
        assert_eq!(client.call::<u32>("getblockcount", &[(); 0]).expect("it answers"), 7);
    }
}

#[test]
fn calls_of_a_wallet_go_to_its_path_whatever_its_name() {
    let node = node(Reply::Result("null".to_owned()));
    let client = client(&node, Connections::PerCall);
    for name in ["alice", "", "a b/c?"] {
        client.wallet(name).call::<()>("setlabel", &("address", "label")).expect("null is a result");
    }
    client.call::<()>("uptime", &[(); 0]).expect("it answers");
    let paths: Vec<String> = node.calls().into_iter().map(|call| call.path).collect();
    assert_eq!(paths, ["/wallet/alice", "/wallet/", "/wallet/a%20b%2Fc%3F", "/"]);
}

#[test]
fn parameters_are_sent_by_position_or_by_name() {
    let node = FakeNode::start(|_, params| Reply::json(params));
    let client = client(&node, Connections::PerCall);
    let call = |params: &serde_json::Value| client.call::<serde_json::Value>("echo", params).expect("it answers");
    for params in [serde_json::json!([1, "two"]), serde_json::json!({"height": 3})] {
        assert_eq!(call(&params), params);
    }
}

#[test]
fn megabytes_are_read_whole() {
    let digits = "5a".repeat(4_000_000);
    let node = node(Reply::Result(format!("\"{digits}\"")));
    let client = client(&node, Connections::PerCall);
    assert_eq!(client.call::<String>("getblock", &("00", 0)).expect("it answers"), digits);
}

#[test]
fn an_error_is_read_from_the_body_whatever_the_status() {
    let error = failure(Reply::ErrorWithStatus(500, -28, "Loading block index…"));
    assert_eq!(error.to_string(), "the node is still starting (Loading block index…): try again when it has started");
    let error = failure(Reply::Error(-28, "Verifying blocks…"));
    assert!(matches!(error, RpcError::WarmingUp { .. }), "{error}");
    let error = failure(Reply::ErrorWithStatus(404, -32_601, "Method not found"));
    assert_eq!(error.to_string(), "the node does not know getnetworkinfo");
    let error = failure(Reply::ErrorWithStatus(500, -18, "Requested wallet does not exist or is not loaded"));
    assert!(matches!(error, RpcError::WalletNotFound { .. }), "{error}");
    let error = failure(Reply::Error(-19, "Multiple wallets are loaded."));
    assert!(matches!(error, RpcError::WalletNotSpecified), "{error}");
    let error = failure(Reply::Error(-13, "Error: Please enter the wallet passphrase with walletpassphrase first."));
    assert!(matches!(error, RpcError::WalletLocked { method: "getnetworkinfo" }), "{error}");
    assert!(error.to_string().contains("-stdinwalletpassphrase walletpassphrase"), "{error}");
    let error = failure(Reply::Error(-8, "Block height out of range"));
    assert_eq!(error.to_string(), "the node refused getnetworkinfo: Block height out of range (code -8)");
}

#[test]
fn a_node_without_wallets_is_told_from_one_that_is_no_node() {
    let node = node(Reply::Raw("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"));
    let client = client(&node, Connections::PerCall);
    let error = client.wallet("alice").call::<()>("getwalletinfo", &[(); 0]).expect_err("it has no wallets");
    assert!(error.to_string().contains("-disablewallet"), "{error}");
    let error = client.network_info().expect_err("it is no node");
    assert!(matches!(error, RpcError::NotRpc { .. }), "{error}");
}

#[test]
fn every_failure_has_its_next_step() {
    let error = failure(Reply::Raw("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"));
    assert!(error.to_string().contains("-rpcallowip"), "{error}");
    let busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 25\r\n\r\nWork queue depth exceeded";
    let error = failure(Reply::Raw(busy));
    assert!(error.to_string().contains("-rpcworkqueue"), "{error}");
    let error = failure(Reply::Result("7".to_owned()));
    assert!(matches!(error, RpcError::Unexpected { method: "getnetworkinfo", .. }), "{error}");
    for not_rpc in [
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
        "\u{16}\u{3}\u{1}\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
    ] {
        let error = failure(Reply::Raw(not_rpc));
        assert!(matches!(&error, RpcError::NotRpc { .. }), "{not_rpc:?}: {error}");
        assert!(error.to_string().contains("-rpcport"), "{error}");
    }
    let error = failure(Reply::Raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"jsonrpc\""));
    assert!(matches!(&error, RpcError::NoAnswer { method: "getnetworkinfo", .. }), "{error}");

    let unused = TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr()).expect("a port");
    let password = Credentials::Password { user: "alice".to_owned(), password: "secret".to_owned() };
    let client = RpcClient::new(unused.to_string().parse().expect("an address"), password).expect("no file is read");
    let error = client.network_info().expect_err("no program listens");
    assert!(matches!(&error, RpcError::Connect { .. }), "{error}");
    assert!(error.to_string().contains("-server=1") && error.to_string().contains("-rpcport"), "{error}");
}

#[test]
fn credentials_that_fail_are_named_and_never_shown() {
    let node = FakeNode::of(ChainBuilder::new());
    let cookie = || Credentials::Cookie(node.cookie());
    std::fs::write(node.cookie(), "__cookie__:of-the-start-before\n").expect("it is written");
    let client = RpcClient::new(address(&node), cookie()).expect("it is a cookie");
    assert!(!format!("{client:?}").contains("of-the-start"), "{client:?}");
    let error = client.network_info().expect_err("the cookie is stale");
    assert!(error.to_string().contains("refuses the cookie"), "{error}");
    assert!(error.to_string().contains("a new one at each start"), "{error}");
    std::fs::write(node.cookie(), "a diary\n").expect("it is written");
    let error = RpcClient::new(address(&node), cookie()).expect_err("it is no cookie");
    assert!(error.to_string().contains("expected one line with a name, a colon and a password"), "{error}");
    assert!(!error.to_string().contains("diary"), "{error}");
    std::fs::remove_file(node.cookie()).expect("it is removed");
    let error = RpcClient::new(address(&node), cookie()).expect_err("there is no file");
    assert!(error.to_string().contains("the node writes it as .cookie"), "{error}");
    let password = Credentials::Password { user: "alice".to_owned(), password: "secret".to_owned() };
    let error = RpcClient::new(address(&node), password).expect("no file is read").network_info().expect_err("no user");
    assert!(error.to_string().contains("refuses the password of alice: see its -rpcauth"), "{error}");
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}

#[test]
fn a_call_that_takes_too_long_ends() {
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let node = FakeNode::start(move |_, _| {
        let _released = held.recv();
        Reply::Result("7".to_owned())
    });
    let client = client(&node, Connections::PerCall).timeout(Duration::from_millis(30));
    let error = client.call::<u32>("rescanblockchain", &[(); 0]).expect_err("it never answers");
    drop(hold);
    let RpcError::NoAnswer { source, .. } = error else { panic!("{error}") };
    assert_eq!(source.kind(), std::io::ErrorKind::TimedOut);
}
