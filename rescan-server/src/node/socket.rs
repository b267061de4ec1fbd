//! The connection to the node's socket, after checks that its listener can be trusted to be the node.
//!
//! The listener decides which chain wallets are shown, and cannot prove in any other way that it is the node. So the
//! socket's directory must not be writable by others, who could replace the socket, and the kernel must report our own
//! user or root as the listener.

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
    /// Nothing exists at the path.
    #[error("no socket at {}: start the node as bitcoin-node with -ipcbind=unix, or give --node-socket", path.display())]
    Absent { path: PathBuf },
    /// The path is not a socket.
    #[error("{} is not a socket: give the node's with --node-socket", path.display())]
    NotASocket { path: PathBuf },
    /// Others could replace the socket.
    #[error("{} has mode {mode:03o}, so others may replace the node's socket in it: chmod go-w it", directory.display())]
    InsecurePermissions { directory: PathBuf, mode: u32 },
    /// The directory or the listener belongs to another user.
    #[error("{} belongs to user {uid}, expected {expected} or root: run the server as the node's user", path.display())]
    WrongOwner { path: PathBuf, uid: u32, expected: u32 },
    /// No process listens: a node that stopped leaves its socket file behind.
    #[error("nobody listens on {}: the node does not run, or is only starting", path.display())]
    ConnectionRefused { path: PathBuf },
    /// A system call failed.
    #[error("cannot {verb} {}: {source}", path.display())]
    Io { verb: &'static str, path: PathBuf, source: io::Error },
}

impl SocketError {
    /// The resulting state of the link.
    pub(crate) fn state(&self) -> NodeLinkState {
        match self {
            Self::Absent { .. } => NodeLinkState::Absent,
            Self::NotASocket { .. } | Self::InsecurePermissions { .. } | Self::WrongOwner { .. } => {
                NodeLinkState::Refused
            }
            Self::ConnectionRefused { .. } | Self::Io { .. } => NodeLinkState::Lost,
        }
    }
}

/// Connects to the trusted listener at `path`.
pub(crate) async fn connect(path: &Path) -> Result<UnixStream, SocketError> {
    let io_error = |verb: &'static str| {
        move |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => SocketError::Absent { path: path.to_owned() },
            io::ErrorKind::ConnectionRefused => SocketError::ConnectionRefused { path: path.to_owned() },
            _ => SocketError::Io { verb, path: path.to_owned(), source },
        }
    };
    let metadata = fs::symlink_metadata(path).map_err(io_error("stat"))?;
    if !metadata.file_type().is_socket() {
        return Err(SocketError::NotASocket { path: path.to_owned() });
    }
    // A bare file name is relative to the working directory.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let around = fs::metadata(directory).map_err(io_error("stat the directory of"))?;
    check_owner(directory, around.uid())?;
    // A sticky directory counts too: any user can be the first to create the socket in `/tmp`.
    if others_can_write(around.mode()) {
        return Err(SocketError::InsecurePermissions { directory: directory.to_owned(), mode: around.mode() & 0o7777 });
    }
    let stream = UnixStream::connect(path).await.map_err(io_error("connect to"))?;
    let listener = stream.peer_cred().map_err(io_error("get the peer credentials of"))?;
    check_owner(path, listener.uid())?;
    Ok(stream)
}

fn check_owner(path: &Path, uid: u32) -> Result<(), SocketError> {
    let expected = rustix::process::geteuid().as_raw();
    match is_trusted_user(uid, expected) {
        true => Ok(()),
        false => Err(SocketError::WrongOwner { path: path.to_owned(), uid, expected }),
    }
}
