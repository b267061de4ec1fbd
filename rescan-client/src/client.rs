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
use tokio::sync::oneshot;

use crate::block_match::Question;
use crate::connection::{Connection, Peer};
use crate::counting::Traffic;
use crate::error::{CallError, ConnectError, ScanError};
use crate::request::ScanRequest;
use crate::scan_stream::{self, BlockStream, PreparedScan, ScanStream};
use crate::scan_task::Gate;
use crate::watched_set::WatchedSet;

/// A connection to a rescan server. Clones share it; it is closed when the last of them and of its streams is dropped.
#[derive(Clone, Debug)]
pub struct Client {
    connection: Connection,
    server_info: Arc<ServerInfo>,
}

impl Client {
    /// Connects to the server that listens at `path`, and asks it who it is.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] tells apart why there is no connection. Where neither this process's user nor root runs the server,
    /// nothing is sent to it.
    pub async fn connect(path: impl AsRef<Path>) -> Result<Self, ConnectError> {
        Self::greet(Peer::At(path.as_ref().to_owned())).await
    }

    /// Speaks over a socket that is connected already. Whoever connected it vouches for the peer.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if the peer is no rescan server, or of a newer protocol.
    pub async fn from_stream(socket: UnixStream) -> Result<Self, ConnectError> {
        Self::greet(Peer::Connected(socket)).await
    }

    async fn greet(peer: Peer) -> Result<Self, ConnectError> {
        let (connection, server_info) = Connection::open(peer).await?;
        Ok(Self { connection, server_info: Arc::new(server_info) })
    }

    /// What the server said about itself when the connection was made.
    #[must_use]
    pub fn server_info(&self) -> &ServerInfo {
        &self.server_info
    }

    /// What the server is and sees now.
    ///
    /// # Errors
    ///
    /// [`CallError`] if the connection is gone, or the answer is no answer.
    pub async fn info(&self) -> Result<ServerInfo, CallError> {
        self.connection.info().await
    }

    /// Starts a scan. It returns as soon as the connection has taken the request; what becomes of it, refusal included,
    /// comes through the stream.
    ///
    /// # Errors
    ///
    /// [`CallError::Disconnected`] if the connection's thread is gone.
    pub async fn scan(&self, request: ScanRequest) -> Result<ScanStream, CallError> {
        let (stream, pipe) = scan_stream::open(&self.connection);
        self.connection.scan(request, None, pipe).await?;
        Ok(ScanStream::new(stream))
    }

    /// Sends what a scan looks for ahead of it, and has the server derive and compile that: started later, the scan begins
    /// to walk at once.
    ///
    /// # Errors
    ///
    /// [`CallError::Disconnected`] if the connection's thread is gone.
    pub async fn prepare(&self, request: ScanRequest) -> Result<PreparedScan, CallError> {
        let (stream, pipe) = scan_stream::open(&self.connection);
        let (sealed, is_sealed) = oneshot::channel();
        let (start, started) = oneshot::channel();
        self.connection.scan(request, Some(Gate { sealed, start: started }), pipe).await?;
        Ok(PreparedScan::new(ScanStream::new(stream), is_sealed, start))
    }

    /// Starts the shipment of whole blocks, like [`Client::scan`].
    ///
    /// # Errors
    ///
    /// [`CallError::Disconnected`] if the connection's thread is gone.
    pub async fn blocks(&self, range: RangeRequest) -> Result<BlockStream, CallError> {
        let (stream, pipe) = scan_stream::open(&self.connection);
        self.connection.blocks(range, pipe).await?;
        Ok(BlockStream::new(stream))
    }

    /// The highest block of the active chain that is among these; none if none is. The server looks at its block files
    /// anew for it. Everything that a wallet knows from blocks above that one no longer stands.
    ///
    /// # Errors
    ///
    /// [`CallError::TooManyHashes`] above [`LOCATE_HASHES_MAX`](crate::LOCATE_HASHES_MAX) of them; else [`CallError`] if the
    /// connection is gone, the server is too old, or the answer is none of these blocks.
    pub async fn locate(&self, hashes: Vec<BlockHash>) -> Result<Option<BlockId>, CallError> {
        self.connection.locate(hashes).await
    }

    /// Waits until the tip of the active chain is another than `known`, or the time is up, which is a minute at most; gives
    /// the tip that there is then, and none where there is no block yet. With nothing known, any tip will do. The tip may
    /// be lower than the known one. Dropping the future gives the call up on the server too.
    ///
    /// What lies between is for [`Client::locate`] and a scan to find; [`Client::follow`] does all of it.
    ///
    /// # Errors
    ///
    /// [`CallError::Unsupported`] if the server is too old; else [`CallError`] if the block files cannot be read or the
    /// connection is gone.
    pub async fn wait_tip(&self, known: Option<BlockHash>, timeout: Duration) -> Result<Option<BlockId>, CallError> {
        if !self.can_wait() {
            return Err(CallError::Unsupported { detail: "waitTip".to_owned() });
        }
        self.connection.wait_tip(known, timeout).await
    }

    /// Whether the server knows the call that waits for a tip.
    pub(crate) fn can_wait(&self) -> bool {
        self.server_info.features.contains(&Feature::WaitTip)
    }

    /// Sends what a request watches, for any number of scans.
    pub(crate) async fn watch(&self, request: ScanRequest) -> Result<WatchedSet, CallError> {
        WatchedSet::send(&self.connection, request).await
    }

    /// Has the server match one block of the active chain against what travels in this very call, and remember nothing of
    /// it. The whole block comes back where anything in it matches: an output that pays one of the scripts, an input that
    /// spends one of the outpoints or a coin of the same block. Coins of earlier blocks are the wallet's to know: it adds
    /// what it finds to the outpoints of later calls.
    ///
    /// Without a hash it is whatever block the chain has at that height; with one, a block that is not in the active chain
    /// (any more) is refused as [`NotInChain`](rescan_core::report::RefusalReason::NotInChain). So a wallet goes from block to
    /// block by [`MatchedBlock::next`], and [`Client::locate`] says where to begin after a refusal. A [`Client::scan`] sends
    /// what it looks for once, and is many times as fast.
    ///
    /// Dropping the future gives the call up on the server too. Calls under way at the same time count as scans of the
    /// connection: [`Limits::scans_per_connection_max`](rescan_core::server_info::Limits::scans_per_connection_max).
    ///
    /// # Errors
    ///
    /// [`ScanError::Refused`] for an entry that cannot be watched, a height above the tip, a block not in the chain, too many
    /// calls at a time; [`ScanError::Failed`] where the block cannot be read or proven; [`ScanError::Call`] if the server is too old
    /// for the call, the entries do not fit into a message, or the connection is gone.
    pub async fn match_block(
        &self,
        height: Height,
        hash: Option<BlockHash>,
        entries: Arc<MatchEntries>,
    ) -> Result<MatchedBlock, ScanError> {
        let question = Question { height, hash, entries };
        question.check(&self.server_info)?;
        self.connection.match_block(question).await
    }

    /// What was read from the socket since it was connected, in bytes.
    #[must_use]
    pub fn bytes_received(&self) -> u64 {
        self.connection.traffic().received.bytes
    }

    /// What crossed the socket since it was connected, both ways.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.connection.traffic()
    }

    /// The process that listens on the socket, as the kernel names it here; none where it is not visible, as from within a
    /// container. It may have ended since, and its number been given to another.
    #[must_use]
    pub fn server_process(&self) -> Option<u32> {
        self.connection.peer()
    }
}
