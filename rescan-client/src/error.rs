//! What can go wrong between a wallet and its server, told apart by who has to do something about it.
//!
//! How a scan ends is not here: `cancelled`, `pruned` and `reorganised` are outcomes in its
//! [`Summary`](rescan_core::report::Summary), and no errors.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rescan_core::report::{Failure, Refusal};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nothing lies at the path: the server was never started with it, or removed its socket as it stopped.
    #[error("no socket at {}", path.display())]
    Missing {
        /// The path that was tried.
        path: PathBuf,
    },
    /// Something else than a socket lies at the path.
    #[error("{} is not a socket", path.display())]
    NotASocket {
        /// The path that was tried.
        path: PathBuf,
    },
    /// The operating system lets this user not connect; the socket is its owner's alone.
    #[error("no permission to connect to {}", path.display())]
    PermissionDenied {
        /// The path that was tried.
        path: PathBuf,
    },
    /// The socket is there and nobody listens: its server ended without removing it.
    #[error("nobody listens on {}", path.display())]
    NobodyListens {
        /// The path that was tried.
        path: PathBuf,
    },
    /// The path does not fit into a socket address.
    #[error("the path {} has {} bytes, and a socket's has at most {SOCKET_PATH_BYTES_MAX}", path.display(), path.as_os_str().len())]
    PathTooLong {
        /// The path that was tried.
        path: PathBuf,
    },
    /// Another user runs what listens there. It could tell this wallet anything.
    #[error("{} is served by user {found}, not by user {expected} or root", path.display())]
    ForeignPeer {
        /// The path that was tried.
        path: PathBuf,
        /// The user who listens.
        found: u32,
        /// The user who asks.
        expected: u32,
    },
    /// The peer hung up before it had said anything.
    #[error("the server hung up at once")]
    HungUp,
    /// The server serves as many as it can; later it may not.
    #[error("the server has no room for another connection: {detail}")]
    Busy {
        /// What it, or the operating system, says.
        detail: String,
    },
    /// What listens there speaks something else.
    #[error("what listens there does not speak Cap'n Proto: {detail}")]
    NotCapnProto {
        /// What came, and why that is no message.
        detail: String,
    },
    /// What listens there speaks Cap'n Proto, and is no rescan server.
    #[error("what listens there speaks Cap'n Proto, but is not a rescan server: {detail}")]
    NotRescan {
        /// What it answered.
        detail: String,
    },
    /// The server's protocol is newer than this client's, in a way that this client would misread.
    #[error("the server speaks protocol version {found}, and this client knows {known}")]
    NewerProtocol {
        /// The server's version.
        found: u32,
        /// The highest that this client knows.
        known: u32,
    },
    /// The peer took the connection and said nothing.
    #[error("no answer within {} s", waited.as_secs())]
    NoAnswer {
        /// How long it was given.
        waited: Duration,
    },
    /// The operating system would not connect for another reason.
    #[error("cannot connect to {}", path.display())]
    Io {
        /// The path that was tried.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The operating system would not give a thread or an event loop for the connection.
    #[error("cannot start the connection's thread")]
    Thread(#[source] io::Error),
}

/// The longest path of a Unix socket on Linux, in bytes: `sun_path` less its closing zero.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// The most hashes that [`Client::locate`](crate::Client::locate) takes. A server refuses more, since each costs it a look.
pub const LOCATE_HASHES_MAX: usize = rescan_core::protocol::BLOCK_IDS_PER_CALL_MAX as usize; // 4,096

/// Why a call to a connected server did not give its answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The connection is gone.
    #[error("the connection to the server is gone: {reason}")]
    Disconnected {
        /// What is known of why.
        reason: String,
    },
    /// The server keeps a limit that this call would break; later it may not.
    #[error("the server is at a limit: {detail}")]
    Overloaded {
        /// Which limit.
        detail: String,
    },
    /// The server cannot answer for now, as where it cannot read the block files.
    #[error("the server cannot answer: {detail}")]
    Failed {
        /// Why.
        detail: String,
    },
    /// The server does not know the call: it is older than this client.
    #[error("the server does not know this call: {detail}")]
    Unsupported {
        /// Which call.
        detail: String,
    },
    /// What came breaks the protocol.
    #[error("the server broke the protocol: {detail}")]
    Protocol {
        /// What was expected and what was found.
        detail: String,
    },
    /// More hashes than one call may ask for; nothing was sent.
    #[error("{found} hashes, and one call takes at most {LOCATE_HASHES_MAX}: ask in parts, the newest first")]
    TooManyHashes {
        /// How many were given.
        found: usize,
    },
    /// More entries than one message carries; nothing was sent.
    #[error(
        "the scripts and outpoints of one call take {bytes} bytes, and the server reads at most {max}: scan for them instead"
    )]
    TooManyEntries {
        /// What they take, in bytes.
        bytes: u64,
        /// The most that the server reads.
        max: u64,
    },
    /// The scan that was asked about has ended.
    #[error("the scan has ended")]
    Ended,
}

/// Why a scan gave no summary.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The request is mistaken; nothing was started.
    #[error(transparent)]
    Refused(Refusal),
    /// Something is broken on the server's side. What was reported before is true.
    #[error(transparent)]
    Failed(Failure),
    /// The server did not do as the protocol says, or is gone. What was reported before is true.
    #[error(transparent)]
    Call(#[from] CallError),
}
