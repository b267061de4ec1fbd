//! A node with wallet, and a server of its files.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rescan_fixtures::core_datadir::{CoreDatadir, Expected, Which};
use rescan_node::{Credentials, RpcClient};
use rescan_tests::{LiveNode, Manner, TestServer};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::running::{Ended, Running};
use crate::wallet_state::WalletState;

/// The node's time at first: November 2023.
const BEGUN: u64 = 1_700_000_000;

/// The time for nodes to read, connect, or share their blocks.
const PATIENCE: Duration = Duration::from_secs(60);

/// `importdescriptors` at "now" rescans the last two hours (`TIMESTAMP_WINDOW`).
const DAY: u64 = 86_400;

/// More than half of the blocks of which the median time past is taken.
const BLOCKS_OF_A_DAY: u32 = 12;

pub(crate) struct FillScene {
    pub(crate) node: LiveNode,
    pub(crate) server: TestServer,
    folder: TempDir,
}

impl FillScene {
    /// A node with these additional arguments, a hundred blocks and more, and its server; `None` if
    /// there is no node with wallet.
    pub(crate) fn start(arguments: &[&str]) -> Option<Self> {
        let node = LiveNode::start_with_wallet(arguments)?;
        begin(&node);
        node.mine(110);
        Some(Self::of(node))
    }

    /// A node with these arguments that has loaded a chain of Core's, and Core's answers for it.
    pub(crate) fn of_core(which: Which, arguments: &[&str]) -> Option<(Self, Expected)> {
        let mut expected = None;
        let node = LiveNode::load_with_wallet(arguments, |datadir| {
            expected = Some(CoreDatadir::unpack(which, datadir).unwrap().expected().clone());
        })?;
        let expected: Expected = expected.unwrap();
        wait_for("the whole chain", || node.tip().0 >= expected.tip_height);
        // A stale branch of as much work may have been read first.
        for root in &expected.stale_roots {
            node.invalidate(root);
        }
        wait_for("the tip of the fixture", || node.tip().1 == expected.tip_hash);
        let scene = Self::of(node);
        scene.pass_a_day();
        Some((scene, expected))
    }

    fn of(node: LiveNode) -> Self {
        let server = TestServer::beside_node(&node, Manner::default());
        Self::beside(node, server)
    }

    /// A node and a server, which may read another node's files.
    pub(crate) fn beside(node: LiveNode, server: TestServer) -> Self {
        Self { node, server, folder: tempfile::tempdir().unwrap() }
    }

    /// Lets a day pass for the node.
    pub(crate) fn pass_a_day(&self) {
        pass_a_day(&self.node);
    }

    /// A client of the node.
    pub(crate) fn rpc(&self) -> RpcClient {
        let address = format!("http://127.0.0.1:{}", self.node.rpc_port()).parse().unwrap();
        let cookie = self.node.datadir().join("regtest").join(".cookie");
        RpcClient::new(address, Credentials::Cookie(cookie)).unwrap()
    }

    /// The result of a wallet's method.
    pub(crate) fn wallet(&self, wallet: &str, method: &'static str, parameters: &Value) -> Value {
        self.rpc().wallet(wallet).call(method, parameters).unwrap()
    }

    /// The same, or nothing if the wallet answers with an error.
    pub(crate) fn try_wallet(&self, wallet: &str, method: &'static str, parameters: &Value) -> Option<Value> {
        self.rpc().wallet(wallet).call(method, parameters).ok()
    }

    /// Makes a wallet with keys, or a blank one for descriptors without.
    pub(crate) fn create(&self, wallet: &str, has_keys: bool) {
        let parameters = json!({"wallet_name": wallet, "disable_private_keys": !has_keys, "blank": !has_keys});
        self.rpc().call::<Value>("createwallet", &parameters).unwrap();
    }

    /// Makes a wallet of another's private descriptors, as if restored from a backup: its keypools
    /// are at their start, and it has no history from before today. It ends locked if it has a
    /// passphrase.
    pub(crate) fn restore(&self, original: &str, restored: &str, passphrase: Option<&str>) {
        let parameters = json!({"wallet_name": restored, "blank": true, "passphrase": passphrase.unwrap_or_default()});
        self.rpc().call::<Value>("createwallet", &parameters).unwrap();
        let mut descriptors = self.wallet(original, "listdescriptors", &json!([true]))["descriptors"].take();
        for descriptor in descriptors.as_array_mut().unwrap() {
            for field in ["range", "next", "next_index"] {
                descriptor.as_object_mut().unwrap().remove(field);
            }
        }
        if let Some(passphrase) = passphrase {
            self.wallet(restored, "walletpassphrase", &json!([passphrase, 600]));
        }
        self.import(restored, &descriptors);
        if passphrase.is_some() {
            self.wallet(restored, "walletlock", &json!([]));
        }
    }

    /// A new address of a wallet.
    pub(crate) fn address(&self, wallet: &str) -> String {
        self.wallet(wallet, "getnewaddress", &json!([])).as_str().unwrap().to_owned()
    }

    /// Mines a block whose coinbase pays an address.
    pub(crate) fn mine_to_address(&self, address: &str) {
        self.node.rpc(&["generatetoaddress", "1", address]);
    }

    /// Imports descriptors at "now": no block is rescanned but those of the last two hours.
    pub(crate) fn import(&self, wallet: &str, descriptors: &Value) {
        let mut requests = descriptors.clone();
        for request in requests.as_array_mut().unwrap() {
            request["timestamp"] = "now".into();
        }
        let results = self.wallet(wallet, "importdescriptors", &json!([requests]));
        assert!(results.as_array().unwrap().iter().all(|result| result["success"] == true), "{results}");
    }

    /// A file with descriptors, as `listdescriptors` prints them, from the first block on.
    pub(crate) fn descriptor_file(&self, name: &str, descriptors: &Value) -> PathBuf {
        let mut listed = descriptors.clone();
        for descriptor in listed.as_array_mut().unwrap() {
            descriptor["timestamp"] = 1.into();
        }
        let path = self.folder.path().join(name);
        std::fs::write(&path, json!({"wallet_name": name, "descriptors": listed}).to_string()).unwrap();
        path
    }

    /// `rescan fill --json` of a wallet.
    pub(crate) fn command(&self, wallet: &str, more: &[&str]) -> Command {
        let mut command = rescan("fill");
        command.args(["--json", "--wallet", wallet, "--socket", &self.server.socket_text(), "--datadir"]);
        command.arg(self.node.datadir()).args(more);
        command
    }

    /// The same to its end.
    pub(crate) fn fill(&self, wallet: &str, more: &[&str]) -> Ended {
        Running::start(&mut self.command(wallet, more)).end()
    }

    /// Makes a watch-only wallet by the command, and fills it.
    pub(crate) fn create_and_fill(&self, wallet: &str, descriptors: &Value, more: &[&str]) -> Ended {
        let file = self.descriptor_file(wallet, descriptors);
        let mut arguments = vec!["--create", "--descriptors", file.to_str().unwrap()];
        arguments.extend(more);
        self.fill(wallet, &arguments)
    }

    /// The confirmed transactions that a scan finds for descriptors.
    pub(crate) fn scanned(&self, descriptors: &Value) -> BTreeSet<String> {
        let mut command = rescan("scan");
        command.args(["--json", "--socket", &self.server.socket_text()]);
        for descriptor in descriptors.as_array().unwrap() {
            command.args(["--descriptor", descriptor["desc"].as_str().unwrap()]);
        }
        let ended = Running::start(&mut command).end();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        ended.of_type("transaction").map(|line| line["txid"].as_str().unwrap().to_owned()).collect()
    }

    /// Asserts that a wallet has all that a scan finds, and is equal to a wallet with the same
    /// descriptors whose node rescanned the whole chain.
    pub(crate) fn assert_as_rescanned(&self, wallet: &str) {
        let listed = &self.wallet(wallet, "listdescriptors", &json!([]))["descriptors"];
        let oracle = format!("oracle of {wallet}, {}", self.node.tip().1);
        self.create(&oracle, false);
        self.import(&oracle, listed);
        self.wallet(&oracle, "rescanblockchain", &json!([0]));
        let txids = self.scanned(listed);
        let (filled, rescanned) = (WalletState::among(self, wallet, &txids), WalletState::of(self, &oracle, &txids));
        assert_eq!(filled.transactions, rescanned.transactions);
        assert_eq!(filled.coins, rescanned.coins);
        assert_eq!(filled.balance, rescanned.balance);
        assert!(!txids.is_empty(), "an empty wallet shows nothing");
    }

    /// Asserts that a wallet has no transaction: else the fill has nothing to show.
    pub(crate) fn assert_empty(&self, wallet: &str) {
        assert_eq!(self.wallet(wallet, "getwalletinfo", &json!([]))["txcount"], 0);
    }
}

/// Waits for an event that a node brings about.
pub(crate) fn wait_for(event: &str, is_there: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_there() {
        assert!(begun.elapsed() < PATIENCE, "timed out: {event}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sets a node's clock, which has no block yet.
pub(crate) fn begin(node: &LiveNode) {
    node.rpc(&["setmocktime", &BEGUN.to_string()]);
}

/// Lets a day pass, with some blocks at its end: an import at "now" rescans nothing from before.
pub(crate) fn pass_a_day(node: &LiveNode) {
    let header: Value = serde_json::from_str(&node.rpc(&["getblockheader", &node.tip().1.to_string()])).unwrap();
    let time = header["time"].as_u64().unwrap();
    node.rpc(&["setmocktime", &(time + DAY).to_string()]);
    node.mine(BLOCKS_OF_A_DAY);
}

/// A command of `rescan`.
pub(crate) fn rescan(subcommand: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rescan"));
    command.arg(subcommand);
    command
}

/// One ranged descriptor with its range, in the form of `listdescriptors`.
pub(crate) fn ranged(node: &LiveNode, descriptor: &str, last: u32) -> Value {
    let info: Value = serde_json::from_str(&node.rpc(&["getdescriptorinfo", descriptor])).unwrap();
    json!({"desc": info["descriptor"], "timestamp": 1, "active": false, "range": [0, last], "next_index": 0})
}
