//! The way to the node's socket, and whether what listens there can be trusted to be the node.
//!
//! Whoever answers there decides which chain wallets are shown, and has no other way to prove that it is the node: so the socket's
//! directory must not be writable by others, who could put a socket of their own in its place, and the kernel must say that the listener
//! is our own user or root.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rescan_core::peer::{is_trusted_user, others_can_write};
use rescan_core::server_info::NodeLinkState;
use tokio::net::UnixStream;

/// Why there is no connection to a node.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    /// Nothing is there.
    #[error("no socket at {}: start the node as bitcoin-node with -ipcbind=unix, or give --node-socket", path.display())]
    Absent { path: PathBuf },
    /// Something else is there.
    #[error("{} is not a socket: give the node's with --node-socket", path.display())]
    NotASocket { path: PathBuf },
    /// Others may put a socket of theirs in its place.
    #[error("{} has mode {mode:03o}, so that others may replace the node's socket in it: chmod go-w it", directory.display())]
    Exposed { directory: PathBuf, mode: u32 },
    /// The directory is another user's.
    #[error("{} belongs to user {uid}, expected {expected} or root: run the server as the node's user", path.display())]
    Stranger { path: PathBuf, uid: u32, expected: u32 },
    /// A node that is gone leaves its socket behind.
    #[error("nobody listens on {}: the node does not run, or is only starting", path.display())]
    NobodyListens { path: PathBuf },
    /// The operating system refused.
    #[error("cannot {verb} {}: {source}", path.display())]
    Io { verb: &'static str, path: PathBuf, source: io::Error },
}

impl SocketError {
    /// What this makes of the link.
    pub(crate) fn state(&self) -> NodeLinkState {
        match self {
            Self::Absent { .. } => NodeLinkState::Absent,
            Self::NotASocket { .. } | Self::Exposed { .. } | Self::Stranger { .. } => NodeLinkState::Refused,
            Self::NobodyListens { .. } | Self::Io { .. } => NodeLinkState::Lost,
        }
    }
}

/// A connection to whatever may be trusted at `path`.
pub(crate) async fn connect(path: &Path) -> Result<UnixStream, SocketError> {
    let io_error = |verb: &'static str| {
        move |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => SocketError::Absent { path: path.to_owned() },
            io::ErrorKind::ConnectionRefused => SocketError::NobodyListens { path: path.to_owned() },
            _ => SocketError::Io { verb, path: path.to_owned(), source },
        }
    };
    let own = rustix::process::geteuid().as_raw();
    let found = fs::symlink_metadata(path).map_err(io_error("look at"))?;
    if !found.file_type().is_socket() {
        return Err(SocketError::NotASocket { path: path.to_owned() });
    }
    // A path without a directory in it is one in the directory that we run in.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let around = fs::metadata(directory).map_err(io_error("look at the directory of"))?;
    let is_trusted = |uid: u32| if is_trusted_user(uid, own) { Ok(()) } else { Err(uid) };
    let stranger = |path: &Path| {
        let path = path.to_owned();
        move |uid: u32| SocketError::Stranger { path, uid, expected: own }
    };
    is_trusted(around.uid()).map_err(stranger(directory))?;
    // A sticky directory counts too: any user can be the first to create the socket in `/tmp`.
    if others_can_write(around.mode()) {
        return Err(SocketError::Exposed { directory: directory.to_owned(), mode: around.mode() & 0o7777 });
    }
    let stream = UnixStream::connect(path).await.map_err(io_error("connect to"))?;
    let listener = stream.peer_cred().map_err(io_error("ask the kernel who listens on"))?;
    is_trusted(listener.uid()).map_err(stranger(path))?;
    Ok(stream)
}
