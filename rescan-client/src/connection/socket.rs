//! Connects to a path, with one error for each cause, and checks the listener's user.
//!
//! It sends nothing: the greeting finds out whether the peer is a rescan server.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

use rescan_core::peer::is_trusted_user;
use rustix::io::Errno;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep};

use crate::error::{ConnectError, SOCKET_PATH_BYTES_MAX};

/// How long a server's queue of connections may stay full. It accepts hundreds a second, unless it has no descriptor left.
const QUEUE_FULL_MAX: Duration = Duration::from_secs(10);

/// The pause between two attempts: no event tells when the queue has room.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// Connects to the socket at `path`.
///
/// # Errors
///
/// One error for each cause that the operating system reports; [`ConnectError::ForeignPeer`] if the listener is neither this
/// user nor root.
pub(super) async fn connect(path: &Path) -> Result<UnixStream, ConnectError> {
    if path.as_os_str().as_bytes().len() > SOCKET_PATH_BYTES_MAX {
        return Err(ConnectError::PathTooLong { path: path.to_owned() });
    }
    let stream = connect_with_retries(path).await.map_err(|source| classify(path, source))?;
    check_peer(path, &stream)?;
    Ok(stream)
}

/// A full queue refuses a non-blocking socket, where a blocking one would wait.
async fn connect_with_retries(path: &Path) -> io::Result<UnixStream> {
    let until = Instant::now() + QUEUE_FULL_MAX;
    loop {
        match UnixStream::connect(path).await {
            Err(full) if full.kind() == io::ErrorKind::WouldBlock && Instant::now() < until => sleep(RETRY_AFTER).await,
            connected => return connected,
        }
    }
}

/// Linux returns ECONNREFUSED both for a socket without a listener and for a file that is no socket: the file's type decides.
fn classify(path: &Path, source: io::Error) -> ConnectError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::WouldBlock => {
            ConnectError::Busy { detail: format!("its queue stayed full for {} s", QUEUE_FULL_MAX.as_secs()) }
        }
        io::ErrorKind::PermissionDenied => ConnectError::PermissionDenied { path },
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ConnectError::Missing { path },
        io::ErrorKind::ConnectionRefused => match std::fs::metadata(&path) {
            Ok(metadata) if !metadata.file_type().is_socket() => ConnectError::NotASocket { path },
            _ => ConnectError::ConnectionRefused { path },
        },
        // A socket of another type than a stream.
        _ if Errno::from_io_error(&source) == Some(Errno::PROTOTYPE) => ConnectError::NotASocket { path },
        _ => ConnectError::Io { path, source },
    }
}

/// The credentials are those of the process that called `listen`.
fn check_peer(path: &Path, stream: &UnixStream) -> Result<(), ConnectError> {
    let found = stream.peer_cred().map_err(|source| ConnectError::Io { path: path.to_owned(), source })?.uid();
    let expected = rustix::process::geteuid().as_raw();
    if is_trusted_user(found, expected) {
        return Ok(());
    }
    Err(ConnectError::ForeignPeer { path: path.to_owned(), found, expected })
}

/// The process that listens; none where it is not visible, as from within a container.
pub(super) fn listener(stream: &UnixStream) -> Option<u32> {
    let pid = stream.peer_cred().ok()?.pid()?;
    u32::try_from(pid).ok().filter(|pid| *pid > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_is_retried_until_it_has_room() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("s");
        let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
        rustix::net::listen(&listener, 0).expect("a queue for one");
        let _first = connect(&path).await.expect("room for one");
        let second = tokio::spawn(async move { connect(&path).await.map(drop) });
        // It waits for its timer.
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        listener.accept().await.expect("the first");
        second.await.expect("no panic").expect("room for the second");
    }
}
