//! The errors between a wallet and its server, one kind for each party that has to act.
//!
//! `cancelled`, `pruned` and `reorganised` are no errors, but outcomes in a scan's
//! [`Summary`](rescan_core::report::Summary).

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rescan_core::report::{Failure, Refusal};
use rescan_core::wire::WireError;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The path does not exist: no server was started with it, or it removed its socket when it stopped.
    #[error("no socket at {}", path.display())]
    Missing {
        /// The path that was tried.
        path: PathBuf,
    },
    /// The file is no socket.
    #[error("{} is not a socket", path.display())]
    NotASocket {
        /// The path that was tried.
        path: PathBuf,
    },
    /// This user may not connect; only the socket's owner may.
    #[error("no permission to connect to {}", path.display())]
    PermissionDenied {
        /// The path that was tried.
        path: PathBuf,
    },
    /// The socket exists, but no process listens: its server ended without removing it.
    #[error("no server listens on {}", path.display())]
    ConnectionRefused {
        /// The path that was tried.
        path: PathBuf,
    },
    /// The path does not fit into a socket address.
    #[error("path {} has {} bytes, expected at most {SOCKET_PATH_BYTES_MAX} for a socket", path.display(), path.as_os_str().len())]
    PathTooLong {
        /// The path that was tried.
        path: PathBuf,
    },
    /// Another user's process listens there. Its answers cannot be trusted.
    #[error("{} is served by user {found}, expected user {expected} or root", path.display())]
    ForeignPeer {
        /// The path that was tried.
        path: PathBuf,
        /// The user who listens.
        found: u32,
        /// The user of this process.
        expected: u32,
    },
    /// The peer closed the connection before its first answer.
    #[error("the server closed the connection at once")]
    HungUp,
    /// The server is at its limit of connections; retry later.
    #[error("the server accepts no further connection: {detail}")]
    Busy {
        /// The reason, from the server or the operating system.
        detail: String,
    },
    /// The peer speaks another protocol.
    #[error("the peer does not speak Cap'n Proto: {detail}")]
    NotCapnProto {
        /// Why its bytes are no message.
        detail: String,
    },
    /// The peer speaks Cap'n Proto, but is no rescan server.
    #[error("the peer speaks Cap'n Proto, but is not a rescan server: {detail}")]
    NotRescan {
        /// Its answer.
        detail: String,
    },
    /// The server's protocol is newer, and this client would misread it.
    #[error("the server speaks protocol version {found}, expected at most {known}")]
    NewerProtocol {
        /// The server's version.
        found: u32,
        /// The highest version that this client knows.
        known: u32,
    },
    /// The peer accepted the connection and did not answer.
    #[error("no answer within {} s", waited.as_secs())]
    NoAnswer {
        /// The time limit.
        waited: Duration,
    },
    /// The operating system refused for another reason.
    #[error("cannot connect to {}", path.display())]
    Io {
        /// The path that was tried.
        path: PathBuf,
        /// Its error.
        source: io::Error,
    },
    /// The operating system refused a thread or an event loop for the connection.
    #[error("cannot start the connection's thread")]
    Thread(#[source] io::Error),
}

/// The longest path of a Unix socket on Linux, in bytes: `sun_path` less its closing zero.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// The most hashes of one [`Client::locate`](crate::Client::locate). A server refuses more, since it looks each of them up.
pub const LOCATE_HASHES_MAX: usize = rescan_core::protocol::BLOCK_IDS_PER_CALL_MAX as usize; // 4,096

/// Why a call to a connected server failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The connection is gone.
    #[error("the connection to the server is gone: {reason}")]
    Disconnected {
        /// The reason, as far as it is known.
        reason: String,
    },
    /// The call would exceed a limit of the server; retry later.
    #[error("the server is at a limit: {detail}")]
    Overloaded {
        /// Which limit.
        detail: String,
    },
    /// The server cannot answer for now, for example because it cannot read the block files.
    #[error("the server cannot answer: {detail}")]
    Failed {
        /// The reason.
        detail: String,
    },
    /// The server does not know the call: it is older than this client.
    #[error("the server does not know this call: {detail}")]
    Unsupported {
        /// Which call.
        detail: String,
    },
    /// An answer breaks the protocol.
    #[error("the server broke the protocol: {detail}")]
    Protocol {
        /// Expected and found.
        detail: String,
    },
    /// More hashes than one call may have; nothing was sent.
    #[error("{found} hashes, expected at most {LOCATE_HASHES_MAX}: ask in parts, the newest first")]
    TooManyHashes {
        /// Their number.
        found: usize,
    },
    /// More entries than one message may carry; nothing was sent.
    #[error(
        "scripts and outpoints of {bytes} bytes, the server reads at most {max} in one call: scan for them instead"
    )]
    TooManyEntries {
        /// Their size in a message, in bytes.
        bytes: u64,
        /// The server's limit, in bytes.
        max: u64,
    },
    /// The scan's stream was dropped.
    #[error("the scan has ended")]
    Ended,
}

/// Why a scan has no summary.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The request is wrong; nothing was started.
    #[error(transparent)]
    Refused(Refusal),
    /// The server failed, for example on a corrupt block. Earlier reports are valid.
    #[error(transparent)]
    Failed(Failure),
    /// The server broke the protocol, or is gone. Earlier reports are valid.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl CallError {
    pub(crate) fn protocol(detail: impl Into<String>) -> Self {
        Self::Protocol { detail: detail.into() }
    }

    /// The connection's thread has ended, and no reason is known.
    pub(crate) fn thread_gone() -> Self {
        Self::Disconnected { reason: "its thread has ended".to_owned() }
    }
}

impl From<capnp::Error> for CallError {
    fn from(error: capnp::Error) -> Self {
        let detail = plain(&error);
        match error.kind {
            // A server that is killed may leave half a message.
            capnp::ErrorKind::Disconnected | capnp::ErrorKind::PrematureEndOfFile => {
                Self::Disconnected { reason: detail }
            }
            capnp::ErrorKind::Overloaded => Self::Overloaded { detail },
            capnp::ErrorKind::Unimplemented => Self::Unsupported { detail },
            capnp::ErrorKind::Failed if error.extra.starts_with(REMOTE) => Self::Failed { detail },
            _ => Self::Protocol { detail },
        }
    }
}

impl From<WireError> for CallError {
    fn from(error: WireError) -> Self {
        Self::protocol(error.to_string())
    }
}

/// The transport's prefix to a peer's exception.
const REMOTE: &str = "remote exception: ";

/// An error's text without the transport's additions.
pub(crate) fn plain(error: &capnp::Error) -> String {
    let text = error.extra.trim_start_matches(REMOTE);
    match text {
        "" => format!("{:?}", error.kind),
        // The transport's text, whichever side closed.
        "client requested disconnect" => "the connection was closed".to_owned(),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_message_is_a_lost_connection() {
        let ended = io::Error::from(io::ErrorKind::UnexpectedEof);
        let error = CallError::from(capnp::Error::from(ended));
        assert!(matches!(error, CallError::Disconnected { .. }), "{error}");
    }
}
