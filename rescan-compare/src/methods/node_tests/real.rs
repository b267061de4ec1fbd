//! A real node, if there is one: it reads a scenario's block files, makes its filter index, and
//! answers both methods.
//!
//! Set `BITCOIN_NODE` to the path of `bitcoind` or `bitcoin-node` (`tests/bitcoin-node.sh` builds
//! one).

use std::env;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bitcoin::Network;
use rescan_node::{Address, Credentials, RpcClient, RpcError};
use tempfile::TempDir;

use super::{check, expected, pinned, run, scenario};
use crate::method::Method;
use crate::methods::Outcome;
use crate::node::{Node, NodeError};

/// A node on a regtest datadir, which ends when dropped.
struct RealNode {
    child: Child,
    datadir: TempDir,
    address: Address,
}

impl RealNode {
    /// Starts it over the block files of its datadir, and waits until it is ready and its index
    /// whole.
    fn start(binary: &Path, datadir: TempDir, index: bool) -> Self {
        // Free a moment ago; only tests that ask for any port could take it meanwhile.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr()).expect("a port").port();
        let mut child = Command::new(binary)
            .arg(format!("-datadir={}", datadir.path().display()))
            .args(["-regtest", "-reindex", "-server=1", "-listen=0", "-connect=0", "-debuglogfile=0"])
            .args([format!("-rpcport={port}"), format!("-blockfilterindex={}", u8::from(index))])
            .args(["-printtoconsole=1", "-rpcworkqueue=64"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the node starts");
        let log = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut awaited = vec!["Done loading", "initload thread exit"];
        if index {
            awaited.push("basic block filter index is enabled at height");
        }
        let mut lines = log.lines().map_while(Result::ok);
        let mut seen = String::new();
        while !awaited.is_empty() {
            let line = lines.next().unwrap_or_else(|| panic!("the node ended:\n{seen}"));
            awaited.retain(|text| !line.contains(text));
            seen.push_str(&line);
            seen.push('\n');
        }
        // A node blocks when its log is not read.
        std::thread::spawn(move || lines.for_each(drop));
        let address = format!("http://127.0.0.1:{port}").parse().expect("an address");
        Self { child, datadir, address }
    }

    fn cookie(&self) -> PathBuf {
        self.datadir.path().join("regtest").join(".cookie")
    }
}

fn rpc(real: &RealNode, cookie: &Path) -> RpcClient {
    RpcClient::new(real.address.clone(), Credentials::Cookie(cookie.to_owned())).expect("a cookie")
}

impl Drop for RealNode {
    fn drop(&mut self) {
        // Its datadir is removed with it: no flush is needed.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

#[expect(clippy::print_stderr, reason = "a skipped test reports it")]
fn binary() -> Option<PathBuf> {
    let binary = env::var_os("BITCOIN_NODE").map(PathBuf::from);
    if binary.is_none() {
        eprintln!("skipped: BITCOIN_NODE is not set");
    }
    binary
}

#[tokio::test]
async fn a_real_node_gives_the_answer_of_the_blocks_alone_by_both_methods() {
    let Some(binary) = binary() else { return };
    let (chain, scripts) = scenario();
    let datadir = tempfile::tempdir().expect("a folder");
    chain.write_datadir(datadir.path()).expect("the block files are written");
    let real = RealNode::start(&binary, datadir, true);
    let node = Node::connect(rpc(&real, &real.cookie())).await.expect("it answers");
    assert!(node.version().starts_with("Satoshi "), "{}", node.version());
    assert_eq!(node.pid(), Some(real.child.id()));
    for first in [0, 1, 101, 111, 112, 113, chain.tip_height()] {
        check(&node, Network::Regtest, pinned(&chain, first)).await.expect("it reads these very blocks");
        for method in Method::OF_NODE {
            let Ok(Outcome::Answered(cost, answer)) = run(method, &node, pinned(&chain, first), &scripts).await else {
                panic!("expected an answer of {method:?} from {first}")
            };
            assert_eq!(answer, expected(&chain, first, &scripts), "{method:?} from {first}");
            assert!(cost.server_cpu_us.is_some() && cost.server_peak_bytes.is_some(), "its process can be seen");
            assert!(cost.received_bytes > 0 && cost.sent_bytes > 0);
        }
    }
}

#[tokio::test]
async fn a_real_node_without_an_index_leaves_its_filters_out_and_refuses_a_stale_cookie() {
    let Some(binary) = binary() else { return };
    let (chain, scripts) = scenario();
    let datadir = tempfile::tempdir().expect("a folder");
    chain.write_datadir(datadir.path()).expect("the block files are written");
    let real = RealNode::start(&binary, datadir, false);
    let node = Node::connect(rpc(&real, &real.cookie())).await.expect("it answers");
    let outcome = run(Method::NodeScanBlocks, &node, pinned(&chain, 1), &scripts).await;
    let Ok(Outcome::LeftOut(reason)) = outcome else { panic!("it has no index") };
    assert_eq!(reason, NodeError::NoFilters.to_string());
    assert!(matches!(run(Method::NodeGetBlock, &node, pinned(&chain, 1), &scripts).await, Ok(Outcome::Answered(..))));
    let stale = real.datadir.path().join("stale");
    std::fs::write(&stale, "__cookie__:0000").expect("it is written");
    let error = Node::connect(rpc(&real, &stale)).await.expect_err("the cookie is not its own");
    assert!(matches!(error, NodeError::Rpc(RpcError::Unauthorized { .. })), "{error}");
}
