//! From a path to a connected socket whose peer is known: the errors of connecting told apart, and who listens checked.
//!
//! It does not speak: whether the peer is a rescan server is found by asking it, afterwards.

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

/// For how long a server may leave no room for another connection to wait in. It takes hundreds in a second, unless it has
/// no descriptor left.
const ROOM_MAX: Duration = Duration::from_secs(10);

/// How soon it is tried again: nothing tells when there is room.
const ROOM_PAUSE: Duration = Duration::from_millis(20);

/// Connects to the socket at `path`.
///
/// # Errors
///
/// Each way in which the operating system refuses, and [`ConnectError::ForeignPeer`] where neither this user nor root
/// listens.
pub(crate) async fn connect(path: &Path) -> Result<UnixStream, ConnectError> {
    if path.as_os_str().as_bytes().len() > SOCKET_PATH_BYTES_MAX {
        return Err(ConnectError::PathTooLong { path: path.to_owned() });
    }
    let stream = connect_when_there_is_room(path).await.map_err(|source| told_apart(path, source))?;
    check_peer(path, &stream)?;
    Ok(stream)
}

/// Where a blocking socket would wait for room, this one is told to try again.
async fn connect_when_there_is_room(path: &Path) -> io::Result<UnixStream> {
    let until = Instant::now() + ROOM_MAX;
    loop {
        match UnixStream::connect(path).await {
            Err(full) if full.kind() == io::ErrorKind::WouldBlock && Instant::now() < until => sleep(ROOM_PAUSE).await,
            connected => return connected,
        }
    }
}

/// Linux answers ECONNREFUSED both for a socket without a listener and for a file that is no socket, so the file is
/// looked at.
fn told_apart(path: &Path, source: io::Error) -> ConnectError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::WouldBlock => {
            ConnectError::Busy { detail: format!("nothing was accepted for {} s", ROOM_MAX.as_secs()) }
        }
        io::ErrorKind::PermissionDenied => ConnectError::PermissionDenied { path },
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ConnectError::Missing { path },
        io::ErrorKind::ConnectionRefused => match std::fs::metadata(&path) {
            Ok(metadata) if !metadata.file_type().is_socket() => ConnectError::NotASocket { path },
            _ => ConnectError::NobodyListens { path },
        },
        // A socket of another type than a stream's.
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

/// The process that listens: none where this one cannot see it, as from within a container.
pub(crate) fn listener(stream: &UnixStream) -> Option<u32> {
    let pid = stream.peer_cred().ok()?.pid()?;
    u32::try_from(pid).ok().filter(|pid| *pid > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_has_no_room_for_another_is_tried_until_it_has() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("s");
        let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
        rustix::net::listen(&listener, 0).expect("a queue for one");
        let _first = connect(&path).await.expect("room for one");
        let second = tokio::spawn(async move { connect(&path).await.map(drop) });
        // It is told to try again, and has a timer and nothing else.
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        listener.accept().await.expect("the first");
        second.await.expect("no panic").expect("room for the second");
    }
}
