//! A real Bitcoin Core node on a regtest chain of its own, for tests of behaviour that only a real
//! node shows.
//!
//! Its programs are the ones that `BITCOIN_NODE` and `BITCOIN_CLI` name, as `tests/bitcoin-node.sh`
//! prints them, or for a node with wallet `BITCOIND`; without them a test prints that it was
//! skipped. The node connects to no other node unless a test says so, listens on the loopback's RPC
//! port alone, and dies with its [`LiveNode`].

use std::cell::Cell;
use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use bitcoin::{BlockHash, Script, ScriptBuf};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};
use tempfile::TempDir;

use crate::node_programs::{Programs, free_port};

/// How long a node may take to start or to stop.
const NODE_PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at something that a node is to bring about and cannot be waited for.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// How often another port is tried, where somebody took the one that was free.
const STARTS_MAX: u32 = 5;

/// A node and its directory, both gone when dropped.
#[derive(Debug)]
pub struct LiveNode {
    directory: TempDir,
    programs: Programs,
    arguments: Vec<String>,
    port: u16,
    /// How many calls of [`LiveNode::mine`] there were.
    made: Cell<u32>,
    child: Option<Child>,
}

impl LiveNode {
    /// A running node with these additional arguments, and only genesis. Without an installed node
    /// it prints that the test was skipped, and returns `None`.
    ///
    /// # Panics
    ///
    /// If there is one and it does not start.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Option<Self> {
        Some(Self::of(Programs::plain()?, arguments, |_datadir| {}))
    }

    /// The same with a node that has a wallet, of `BITCOIND`. A `bitcoin.conf` in its datadir names
    /// network and port, so that programs find it there.
    ///
    /// # Panics
    ///
    /// If there is one and it does not start.
    #[must_use]
    pub fn start_with_wallet(arguments: &[&str]) -> Option<Self> {
        Some(Self::of(Programs::with_wallet()?, arguments, |_datadir| {}))
    }

    /// The same with the block files that `write` puts into the datadir: the node loads them.
    ///
    /// # Panics
    ///
    /// If there is one and it does not load them.
    #[must_use]
    pub fn load_with_wallet(arguments: &[&str], write: impl FnOnce(&Path)) -> Option<Self> {
        let loading: Vec<&str> = arguments.iter().copied().chain(["-reindex"]).collect();
        let mut node = Self::of(Programs::with_wallet()?, &loading, write);
        node.set_arguments(arguments);
        Some(node)
    }

    fn of(programs: Programs, arguments: &[&str], write: impl FnOnce(&Path)) -> Self {
        // Not under TMPDIR: a socket's path has at most 107 bytes.
        let directory = tempfile::tempdir_in("/tmp").expect("a temporary directory");
        std::fs::create_dir(directory.path().join("datadir")).expect("a directory in it");
        write(&directory.path().join("datadir"));
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut node = Self { directory, programs, arguments, port: 0, made: Cell::new(0), child: None };
        node.restart();
        node
    }

    /// Its `-datadir`.
    #[must_use]
    pub fn datadir(&self) -> PathBuf {
        self.directory.path().join("datadir")
    }

    /// The folder with its block files.
    #[must_use]
    pub fn blocks_dir(&self) -> PathBuf {
        self.datadir().join("regtest").join("blocks")
    }

    /// Where it answers over IPC.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.datadir().join("regtest").join("node.sock")
    }

    /// Whether it does.
    #[must_use]
    pub fn has_ipc(&self) -> bool {
        self.programs.has_ipc
    }

    /// Its `bitcoin-cli`.
    #[must_use]
    pub fn client_program(&self) -> &Path {
        &self.programs.client
    }

    /// The port of the loopback on which it answers JSON-RPC, until it is started again.
    #[must_use]
    pub fn rpc_port(&self) -> u16 {
        self.port
    }

    /// Replaces the additional arguments from the next start on.
    pub fn set_arguments(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    }

    /// Starts it where it does not run, and waits until it answers.
    ///
    /// # Panics
    ///
    /// If it ends instead, or does neither.
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "the node runs already");
        for _attempt in 0..STARTS_MAX {
            self.port = free_port();
            self.write_configuration();
            let mut child = self.command().spawn().expect("the variable names a program");
            if self.answers(&mut child) {
                self.child = Some(child);
                return;
            }
        }
        panic!("the node does not start: {}", self.end_of_log());
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Panics
    ///
    /// If it does not run, or not end in order.
    pub fn stop(&mut self) {
        self.rpc(&["stop"]);
        let mut child = self.child.take().expect("the node runs");
        let status = child.wait().expect("its end can be waited for");
        assert!(status.success(), "the node ended with {status}: {}", self.end_of_log());
    }

    /// Kills the node by SIGKILL; unwritten data is lost.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("the node runs");
        child.kill().expect("it can be killed");
        child.wait().expect("its end can be waited for");
    }

    /// Asks it for a block that pays `script`, and has the kernel end it in the middle of writing
    /// that: no file of its grows past `file_bytes_max`, up to which a write is done, and the rest
    /// of it is the node's end (SIGXFSZ). It must keep no log (`-nodebuglogfile`), or that would be
    /// the file.
    ///
    /// # Panics
    ///
    /// If it does not run, or has another end or none.
    pub fn die_writing(&mut self, script: &Script, file_bytes_max: u64) {
        let descriptor = self.paying(script);
        let child = self.child.as_ref().expect("the node runs");
        for (of, max) in [(Resource::Fsize, file_bytes_max), (Resource::Core, 0)] {
            let limit = Rlimit { current: Some(max), maximum: getrlimit(of).maximum };
            prlimit(Some(Pid::from_child(child)), of, limit).expect("a limit is set");
        }
        let answer = self.try_rpc(&["generatetodescriptor", "1", &descriptor, "100000000"]);
        assert!(!answer.status.success(), "the node has written a block to its end");
        let mut child = self.child.take().expect("the node runs");
        let status = child.wait().expect("its end can be waited for");
        assert_eq!(status.signal(), Some(Signal::XFSZ.as_raw()), "the node ended with {status}");
    }

    /// Whether it runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Its answer to an RPC, as `bitcoin-cli` prints it.
    ///
    /// # Panics
    ///
    /// If it answers with an error.
    pub fn rpc(&self, arguments: &[&str]) -> String {
        let output = self.try_rpc(arguments);
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        assert!(output.status.success(), "{arguments:?} failed: {}", said(&output.stderr));
        said(&output.stdout)
    }

    /// Mines blocks whose coinbases pay `script`; their hashes in order.
    ///
    /// # Panics
    ///
    /// If the node makes none.
    pub fn mine_to(&self, blocks: u32, script: &Script) -> Vec<BlockHash> {
        let descriptor = self.paying(script);
        let answer = self.rpc(&["generatetodescriptor", &blocks.to_string(), &descriptor, "100000000"]);
        let hashes: Vec<BlockHash> = answer.split('"').filter_map(|word| word.parse().ok()).collect();
        assert_eq!(hashes.len(), blocks as usize, "the node made fewer blocks than asked for: {answer}");
        hashes
    }

    /// Mines blocks that pay an unwatched script, a different one in each call. Otherwise a block
    /// mined again in the same second for the same script would be identical to the invalidated
    /// one.
    ///
    /// # Panics
    ///
    /// If the node makes none.
    pub fn mine(&self, blocks: u32) -> Vec<BlockHash> {
        let made = self.made.get();
        self.made.set(made + 1);
        // A push of four bytes.
        self.mine_to(blocks, &ScriptBuf::from_bytes([&[4], &made.to_le_bytes()[..]].concat()))
    }

    /// Height and hash of its tip.
    ///
    /// # Panics
    ///
    /// If the node does not report it.
    #[must_use]
    pub fn tip(&self) -> (u32, BlockHash) {
        let info = self.rpc(&["getblockchaininfo"]);
        let height = info.split("\"blocks\":").nth(1).and_then(|rest| rest.split(',').next()).map(str::trim);
        let hash = quoted_after(&info, "\"bestblockhash\"").and_then(|hash| BlockHash::from_str(hash).ok());
        let height = height.and_then(|height| height.parse().ok());
        (height.expect("a height"), hash.expect("a tip"))
    }

    /// The active block at a height.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn hash_at(&self, height: u32) -> BlockHash {
        self.rpc(&["getblockhash", &height.to_string()]).parse().expect("a block hash")
    }

    /// Invalidates a block and all above it, regardless of their work.
    ///
    /// # Panics
    ///
    /// If it does not know the block.
    pub fn invalidate(&self, hash: &BlockHash) {
        self.rpc(&["invalidateblock", &hash.to_string()]);
    }

    /// Takes that back.
    ///
    /// # Panics
    ///
    /// If it does not know the block.
    pub fn reconsider(&self, hash: &BlockHash) {
        self.rpc(&["reconsiderblock", &hash.to_string()]);
    }

    /// Its log, if it keeps one.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.datadir().join("regtest").join("debug.log")).unwrap_or_default()
    }

    /// The end of its log, for failure messages.
    #[must_use]
    pub fn end_of_log(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// The descriptor of one script, as the node takes it.
    fn paying(&self, script: &Script) -> String {
        let info = self.rpc(&["getdescriptorinfo", &format!("raw({script:x})")]);
        quoted_after(&info, "\"descriptor\"").expect("a descriptor with its checksum").to_owned()
    }

    /// For programs that look for the node in its datadir.
    fn write_configuration(&self) {
        let text = format!("regtest=1\n[regtest]\nrpcport={}\n", self.port);
        std::fs::write(self.datadir().join("bitcoin.conf"), text).expect("the datadir takes a file");
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.programs.node);
        command.arg(format!("-datadir={}", self.datadir().display())).arg(format!("-rpcport={}", self.port));
        if self.programs.has_ipc {
            command.arg("-ipcbind=unix");
        }
        if self.programs.has_wallet {
            // Else a wallet waits for the disk with each transaction.
            command.arg("-unsafesqlitesync");
        }
        command.args(["-regtest", "-server=1", "-rpcbind=127.0.0.1", "-rpcallowip=127.0.0.1"]);
        command.args(["-listen=0", "-connect=0", "-dnsseed=0", "-fixedseeds=0", "-natpmp=0", "-printtoconsole=0"]);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Waits until the node answers, or has ended.
    fn answers(&self, child: &mut Child) -> bool {
        let begun = Instant::now();
        while child.try_wait().expect("its state can be asked for").is_none() {
            if self.try_rpc(&["getblockcount"]).status.success() {
                return true;
            }
            assert!(begun.elapsed() < NODE_PATIENCE, "the node does not answer: {}", self.end_of_log());
            std::thread::sleep(LOOK_AGAIN_AFTER);
        }
        false
    }

    fn try_rpc(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.programs.client);
        command.arg(format!("-datadir={}", self.datadir().display())).arg(format!("-rpcport={}", self.port));
        command.arg("-regtest");
        if self.programs.has_ipc {
            // `bitcoin-cli` prefers the IPC socket if it finds one; other tests cover that socket.
            command.arg("-ipcconnect=0");
        }
        command.args(arguments.iter().map(OsStr::new));
        command.stdin(Stdio::null()).output().expect("the client is a program")
    }
}

impl Drop for LiveNode {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // One that has ended already cannot be killed, and need not be.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Waits until `look` returns a value, at most for `patience`.
///
/// # Panics
///
/// If it does not in that time. The message names the awaited event.
pub async fn eventually<T, L>(what: &str, patience: Duration, mut look: impl FnMut() -> L) -> T
where
    L: Future<Output = Option<T>>,
{
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < patience, "timed out: {what}");
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
}

/// The string value of a field in the output of `bitcoin-cli`.
fn quoted_after<'a>(text: &'a str, field: &str) -> Option<&'a str> {
    text.split(field).nth(1)?.split('"').nth(1)
}
