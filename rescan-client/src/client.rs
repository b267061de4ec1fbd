//! A connected server, as a wallet holds it.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::BlockHash;
use rescan_core::block_match::{MatchEntries, MatchedBlock};
use rescan_core::position::Height;
use rescan_core::report::BlockId;
use rescan_core::request::RangeRequest;
use rescan_core::server_info::{Feature, ServerInfo};

use crate::block_match::{self, Question};
use crate::calls;
use crate::connection::{Connection, Peer, Traffic};
use crate::error::{CallError, ConnectError, LOCATE_HASHES_MAX, ScanError};
use crate::request::ScanRequest;
use crate::scan::{self, BlockStream, ScanStream, WatchSet};

/// A connection to a rescan server. Clones share it; it closes when the last of them and of its streams is dropped.
#[derive(Clone, Debug)]
pub struct Client {
    connection: Connection,
    server_info: Arc<ServerInfo>,
}

impl Client {
    /// Connects to the server that listens at `path`, and asks for its information.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] has one variant for each cause. Nothing is sent to a server that neither this process's user nor root
    /// runs.
    pub async fn connect(path: impl AsRef<Path>) -> Result<Self, ConnectError> {
        Self::open(Peer::At(path.as_ref().to_owned())).await
    }

    /// Uses a connected socket. The caller vouches for the peer: its user is not checked.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if the peer is no rescan server, or of a newer protocol.
    pub async fn from_stream(socket: UnixStream) -> Result<Self, ConnectError> {
        Self::open(Peer::Connected(socket)).await
    }

    async fn open(peer: Peer) -> Result<Self, ConnectError> {
        let (connection, server_info) = Connection::open(peer).await?;
        Ok(Self { connection, server_info: Arc::new(server_info) })
    }

    /// Returns the server's information as of the connection's start.
    #[must_use]
    pub fn server_info(&self) -> &ServerInfo {
        &self.server_info
    }

    /// Asks for the server's information now.
    ///
    /// # Errors
    ///
    /// [`CallError`] if the connection is gone, or the answer cannot be read.
    pub async fn info(&self) -> Result<ServerInfo, CallError> {
        self.connection.call(async |rescan| calls::info(&rescan).await).await
    }

    /// Starts a scan. It returns as soon as the connection has taken the request; everything else, a refusal too, arrives
    /// through the stream.
    ///
    /// # Errors
    ///
    /// [`CallError::Disconnected`] if the connection's thread has ended.
    pub async fn scan(&self, request: ScanRequest) -> Result<ScanStream, CallError> {
        WatchSet::scan_once(&self.connection, request).await
    }

    /// Uploads a request's watch set, for any number of scans. The server compiles it at once: a scan that is started once it
    /// is [`ready`](WatchSet::ready) begins to walk at once.
    ///
    /// ```no_run
    /// # use rescan_client::{Client, RangeEnd, RangeRequest, RangeStart, ScanRequest, position::Height};
    /// # async fn two(client: Client, descriptor: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// let watch_set = client.watch(ScanRequest::new().keychain(descriptor)).await?;
    /// watch_set.ready().await?;
    /// let recent = RangeRequest { from: RangeStart::Height(Height(800_000)), to: RangeEnd::Tip };
    /// let scan = watch_set.scan(recent).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`CallError::Disconnected`] if the connection's thread has ended.
    pub async fn watch(&self, request: ScanRequest) -> Result<WatchSet, CallError> {
        WatchSet::send(&self.connection, request).await
    }

    /// Starts a shipment of whole blocks, as [`Client::scan`] starts a scan.
    ///
    /// # Errors
    ///
    /// [`CallError::Disconnected`] if the connection's thread has ended.
    pub async fn blocks(&self, range: RangeRequest) -> Result<BlockStream, CallError> {
        scan::blocks(&self.connection, range).await
    }

    /// Returns the highest of these blocks that is in the active chain; none if none is. The server reads its block files anew
    /// for it. Everything that a wallet knows from blocks above that one is void.
    ///
    /// # Errors
    ///
    /// [`CallError::TooManyHashes`] above [`LOCATE_HASHES_MAX`] of them; else [`CallError`] if the connection is gone, the
    /// server is too old, or the answer is none of these blocks.
    pub async fn locate(&self, hashes: Vec<BlockHash>) -> Result<Option<BlockId>, CallError> {
        if hashes.len() > LOCATE_HASHES_MAX {
            return Err(CallError::TooManyHashes { found: hashes.len() });
        }
        self.connection.call(async move |rescan| calls::locate(&rescan, &hashes).await).await
    }

    /// Waits until the tip of the active chain differs from `known`, at most for `timeout` and a minute, and returns the tip
    /// at that time; none if the chain has no block yet. With nothing known, any tip will do. The tip may be lower than the
    /// known one. Dropping the future cancels the call on the server too.
    ///
    /// To learn which blocks changed, use [`Client::locate`] and a scan; [`Client::follow`] does all of it.
    ///
    /// # Errors
    ///
    /// [`CallError::Unsupported`] if the server is too old; else [`CallError`] if the block files cannot be read or the
    /// connection is gone.
    pub async fn wait_tip(&self, known: Option<BlockHash>, timeout: Duration) -> Result<Option<BlockId>, CallError> {
        self.check_can_wait()?;
        self.connection.call(async move |rescan| calls::wait_tip(&rescan, known, timeout).await).await
    }

    /// # Errors
    ///
    /// [`CallError::Unsupported`] if the server does not know the call that waits for a tip.
    pub(crate) fn check_can_wait(&self) -> Result<(), CallError> {
        if self.server_info.features.contains(&Feature::WaitTip) {
            return Ok(());
        }
        Err(CallError::Unsupported { detail: "waitTip".to_owned() })
    }

    /// Matches one block of the active chain against the entries of this very call; the server keeps nothing of it. Returns the
    /// whole block if anything in it matches: an output that pays one of the scripts, an input that spends one of the
    /// outpoints or a coin of the same block. The wallet keeps track of earlier coins: it adds its findings to the outpoints
    /// of later calls.
    ///
    /// Without a hash, the block is the chain's at that height. With one, a block that is not (or no longer) in the active
    /// chain is refused as [`NotInChain`](rescan_core::report::RefusalReason::NotInChain). A wallet continues from block to
    /// block by [`MatchedBlock::next`]; [`Client::locate`] finds the start after a refusal. A [`Client::scan`] uploads its
    /// entries once, and is many times as fast.
    ///
    /// Dropping the future cancels the call on the server too. Concurrent calls count as scans of the connection:
    /// [`Limits::scans_per_connection_max`](rescan_core::server_info::Limits::scans_per_connection_max).
    ///
    /// # Errors
    ///
    /// [`ScanError::Refused`] for an entry that cannot be watched, a height above the tip, a block not in the chain, too many
    /// concurrent calls; [`ScanError::Failed`] if the block cannot be read or proven; [`ScanError::Call`] if the server is too
    /// old for the call, the entries do not fit into a message, or the connection is gone.
    pub async fn match_block(
        &self,
        height: Height,
        hash: Option<BlockHash>,
        entries: Arc<MatchEntries>,
    ) -> Result<MatchedBlock, ScanError> {
        let question = Question { height, hash, entries };
        question.check(&self.server_info)?;
        self.connection.call(async move |rescan| block_match::ask(&rescan, &question).await).await
    }

    /// Bytes that were received since the connection was made.
    #[must_use]
    pub fn bytes_received(&self) -> u64 {
        self.connection.traffic().received.bytes
    }

    /// The traffic since the connection was made, both ways.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.connection.traffic()
    }

    /// The process that listens on the socket, by its number in this process's namespace; none where it is not visible, as
    /// from within a container. It may have ended since, and its number may belong to another.
    #[must_use]
    pub fn server_process(&self) -> Option<u32> {
        self.connection.peer()
    }
}
