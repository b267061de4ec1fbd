//! A server on a thread of this process.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rescan_client::Client;
use rescan_fixtures::core_datadir::{CoreDatadir, Which};
use rescan_fixtures::private_access::mapped_access;
use rescan_server::blocks::block_file::Access;
use rescan_server::blocks::page_cache::PageCache;
use rescan_server::chain::ChainConfig;
use rescan_server::config::ServerConfig;
use rescan_server::session::guard::limits::SessionLimits;
use rescan_server::{ServeError, Server};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::live_node::LiveNode;

/// How long the lock of a stopped server may stay with a child that was just forked.
const BIND_PATIENCE: Duration = Duration::from_secs(5);
const BIND_PAUSE: Duration = Duration::from_millis(10);

/// How a server works; no choice of workers or access may change an answer.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// How many threads scan.
    pub workers: usize,
    /// Whether finished block files are mapped, or read.
    pub is_mapped: bool,
    /// The page cache policy of scans.
    pub page_cache: PageCache,
    /// The limits for clients.
    pub limits: SessionLimits,
}

impl Default for Manner {
    /// Two workers that read, without maps: a test may damage the files beneath them.
    fn default() -> Self {
        Self { workers: 2, is_mapped: false, page_cache: PageCache::Restore, limits: SessionLimits::default() }
    }
}

/// A server and the directory that it serves, both gone when dropped.
#[derive(Debug)]
pub struct TestServer {
    directory: TempDir,
    manner: Manner,
    /// The datadir of a node, and its IPC socket if it has one, if it serves that node's files instead of its own
    /// directory.
    beside: Option<(PathBuf, Option<PathBuf>)>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl TestServer {
    /// An empty directory, not yet served.
    ///
    /// # Panics
    ///
    /// If the directory cannot be made.
    #[must_use]
    pub fn new(manner: Manner) -> Self {
        // Not under TMPDIR: a socket's path has at most 107 bytes.
        let directory = tempfile::tempdir_in("/tmp").expect("a temporary directory");
        Self { directory, manner, beside: None, running: None }
    }

    /// A running server of a node's block files, linked to it if it has IPC.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    pub fn beside_node(node: &LiveNode, manner: Manner) -> Self {
        let mut server = Self::new(manner);
        server.beside = Some((node.datadir(), node.has_ipc().then(|| node.socket())));
        server.start();
        server
    }

    /// A running server of a datadir that Bitcoin Core wrote.
    ///
    /// # Panics
    ///
    /// If it cannot be unpacked or served.
    #[must_use]
    pub fn of_core(which: Which, manner: Manner) -> (Self, CoreDatadir) {
        let mut server = Self::new(manner);
        let unpacked = CoreDatadir::unpack(which, &server.datadir()).expect("the datadir unpacks");
        server.start();
        (server, unpacked)
    }

    /// The directory that `-datadir` would name for a node.
    #[must_use]
    pub fn datadir(&self) -> PathBuf {
        self.beside.as_ref().map_or_else(|| self.directory.path().join("datadir"), |(datadir, _)| datadir.clone())
    }

    /// The folder with the block files.
    #[must_use]
    pub fn blocks_dir(&self) -> PathBuf {
        self.datadir().join("regtest").join("blocks")
    }

    /// The directory of the server's index of them.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Where clients connect.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("rescan.sock")
    }

    /// The same as an argument.
    ///
    /// # Panics
    ///
    /// Never: the path is of our choosing.
    #[must_use]
    pub fn socket_text(&self) -> String {
        self.socket().to_str().expect("the path is ASCII").to_owned()
    }

    /// A path beside the datadir that nothing else uses.
    #[must_use]
    pub fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Serves from here on, until stopped or dropped.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start(&mut self) {
        let server = self.bind();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let shutdown = async { drop(stopped.await) };
            runtime.block_on(server.run(shutdown)).expect("it serves");
        });
        self.running = Some((stop, thread));
    }

    /// Binds again until the lock is free: a child that another test spawns holds the lock of a
    /// stopped server from its fork to its exec.
    fn bind(&self) -> Server {
        let begun = Instant::now();
        loop {
            match Server::bind(self.config()) {
                Err(ServeError::Bind(_)) if begun.elapsed() < BIND_PATIENCE => std::thread::sleep(BIND_PAUSE),
                bound => return bound.expect("the server binds"),
            }
        }
    }

    /// Stops the server and waits for its end.
    ///
    /// # Panics
    ///
    /// If it does not run, or panicked.
    pub fn stop(&mut self) {
        let (stop, thread) = self.running.take().expect("the server runs");
        stop.send(()).expect("it listens for the end");
        thread.join().expect("it ended in order");
    }

    /// A new connection.
    ///
    /// # Panics
    ///
    /// If the server refuses it.
    pub async fn client(&self) -> Client {
        connect(&self.socket()).await
    }

    fn config(&self) -> ServerConfig {
        let access = if self.manner.is_mapped { mapped_access() } else { Access::read() };
        ServerConfig {
            chain: ChainConfig {
                blocks_dir: self.blocks_dir(),
                network: None,
                signet_challenge: None,
                state_dir: self.state_dir(),
                access: access.with_page_cache(self.manner.page_cache),
            },
            socket: self.socket(),
            node_socket: self.beside.as_ref().and_then(|(_, socket)| socket.clone()),
            workers: NonZeroUsize::new(self.manner.workers).expect("at least one worker"),
            limits: self.manner.limits,
            metrics: None,
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            // A test that failed already is not to fail twice.
            let _gone_already = stop.send(());
            drop(thread.join());
        }
    }
}

pub(crate) async fn connect(socket: &Path) -> Client {
    Client::connect(socket).await.expect("the server takes a client")
}
