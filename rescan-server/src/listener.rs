//! The socket: its path, its permissions, its lock.
//!
//! One server per path: a lock file beside the socket decides, because a socket file outlives its server. Only a socket
//! without a listener is ever removed. The socket is private to its owner from the moment it exists.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rescan_core::peer::others_can_write;
use rustix::fs::{FlockOperation, Mode, flock};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// `sockaddr_un` has room for 108 bytes, with a zero at the end.
const PATH_BYTES_MAX: usize = 107;

/// Connections that the kernel queues until they are accepted: more than the server admits at a time. If the queue is
/// full, the kernel returns EAGAIN to a non-blocking client, and most clients take that for an error.
const BACKLOG: i32 = 512;

/// Read, write and search by the owner, as for Bitcoin Core's own `node.sock`.
const SOCKET_MODE: u32 = 0o700;

/// A failure to bind the socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The path is longer than the kernel allows.
    #[error("the socket path {path} has {found} bytes, at most {PATH_BYTES_MAX} are possible: give a shorter --socket")]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        found: usize,
    },
    /// Another server holds the lock.
    #[error("another rescan-server serves {path}: stop it, or give another --socket")]
    AlreadyServed {
        /// The path of the socket.
        path: PathBuf,
    },
    /// Another program listens on the socket.
    #[error("another program listens on {path}: give another --socket")]
    ListenedOn {
        /// The path of the socket.
        path: PathBuf,
    },
    /// The file is not a socket.
    #[error("{path} exists and is not a socket: give another --socket")]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The file system does not keep the permissions of the socket.
    #[error("the socket {path} has mode {found:03o}, expected 700: choose a --socket on a local file system")]
    InsecurePermissions {
        /// The path of the socket.
        path: PathBuf,
        /// Its permissions.
        found: u32,
    },
    /// The operating system refused.
    #[error("cannot {verb} {path}")]
    Io {
        /// The attempted operation.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
}

/// A bound socket and the lock beside it. Dropping it removes the socket, unless another has replaced it.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    /// Held while the socket exists, and dropped after its removal.
    _lock: File,
}

impl Listener {
    /// Binds and locks `path`, in a directory that exists.
    ///
    /// # Errors
    /// [`BindError`], with the next step.
    pub(crate) fn bind(path: &Path) -> Result<Self, BindError> {
        let found = path.as_os_str().as_bytes().len();
        if found > PATH_BYTES_MAX {
            return Err(BindError::PathTooLong { path: path.to_owned(), found });
        }
        let lock = lock(path)?;
        remove_stale(path)?;
        let listener = bind_private(path)?;
        let metadata = fs::symlink_metadata(path).map_err(io_error("inspect", path))?;
        let mode = metadata.permissions().mode() & 0o777;
        let bound = Self { listener, path: path.to_owned(), identity: (metadata.dev(), metadata.ino()), _lock: lock };
        if mode & 0o077 != 0 {
            return Err(BindError::InsecurePermissions { path: path.to_owned(), found: mode });
        }
        warn_of_open_directory(path);
        Ok(bound)
    }

    /// The path of the socket.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A handle that accepts connections, for the current runtime.
    ///
    /// # Errors
    /// If the socket cannot be made non-blocking or there is no runtime.
    pub(crate) fn accepting(&self) -> io::Result<tokio::net::UnixListener> {
        let listener = self.listener.try_clone()?;
        listener.set_nonblocking(true)?;
        tokio::net::UnixListener::from_std(listener)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|it| (it.dev(), it.ino()) == self.identity);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket; the next start removes it");
        }
    }
}

/// The lock's path: `rescan.lock` for `rescan.sock`.
fn lock_path(socket: &Path) -> PathBuf {
    if socket.extension().is_some_and(|extension| extension == "lock") {
        let mut name = socket.as_os_str().to_owned();
        name.push(".lock");
        return PathBuf::from(name);
    }
    socket.with_extension("lock")
}

fn lock(socket: &Path) -> Result<File, BindError> {
    let path = lock_path(socket);
    let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(&path);
    let file = file.map_err(io_error("open the lock", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(BindError::AlreadyServed { path: socket.to_owned() }),
        Err(error) => Err(io_error("lock", &path)(error.into())),
    }
}

/// Removes the socket of a crashed server, and nothing else. The caller holds the lock, so no other server can bind
/// between the check and the removal.
fn remove_stale(path: &Path) -> Result<(), BindError> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error("inspect", path)(error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(BindError::NotASocket { path: path.to_owned() });
    }
    match try_connect(path) {
        Ok(_listening) => Err(BindError::ListenedOn { path: path.to_owned() }),
        // The queue of a live listener is full.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(BindError::ListenedOn { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            tracing::warn!(
                path = %path.display(),
                "replacing the socket of a server that was killed, ran out of memory, or read a truncated mapped block file \
                 (SIGBUS, status=7/BUS in systemd's journal); if it happens again, give --access read, which names the file"
            );
            fs::remove_file(path).map_err(io_error("remove", path))
        }
        Err(error) => Err(io_error("connect to", path)(error)),
    }
}

/// Connects without waiting. A blocking socket would wait while the queue of the listener is full.
fn try_connect(path: &Path) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// Binds with the final permissions, so other users can connect at no moment. Changing the umask instead would affect
/// every thread of the process.
fn bind_private(path: &Path) -> Result<UnixListener, BindError> {
    let bound = || -> rustix::io::Result<OwnedFd> {
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        // Linux creates the file with the mode of the socket. The check after binding finds other systems.
        let _ = rustix::fs::fchmod(socket.as_fd(), Mode::from_raw_mode(SOCKET_MODE));
        rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(socket)
    };
    bound().map(UnixListener::from).map_err(|error| io_error("bind", path)(error.into()))
}

fn warn_of_open_directory(path: &Path) {
    const STICKY: u32 = 0o1000;
    let Some(Ok(directory)) = path.parent().map(fs::metadata) else { return };
    let mode = directory.permissions().mode();
    if others_can_write(mode) && mode & STICKY == 0 {
        tracing::warn!(
            path = %path.display(),
            "other users can write to the socket's directory and replace the socket; remove their write permission, or \
             give another --socket"
        );
    }
}

fn io_error(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BindError {
    let path = path.to_owned();
    move |source| BindError::Io { verb, path, source }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn directory() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn the_socket_is_private_to_its_owner() {
        let directory = directory();
        let path = directory.path().join("rescan.sock");
        let _listener = Listener::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_second_server_on_one_path_is_refused() {
        let directory = directory();
        let path = directory.path().join("rescan.sock");
        let first = Listener::bind(&path).unwrap();
        assert!(matches!(Listener::bind(&path), Err(BindError::AlreadyServed { .. })));
        drop(first);
        Listener::bind(&path).unwrap();
    }

    #[test]
    fn a_stale_socket_is_replaced() {
        let directory = directory();
        let path = directory.path().join("rescan.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "closing a listener leaves its file");
        let _listener = Listener::bind(&path).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_socket_with_a_listener_is_left_alone() {
        let directory = directory();
        let path = directory.path().join("rescan.sock");
        let _other = UnixListener::bind(&path).unwrap();
        assert!(matches!(Listener::bind(&path), Err(BindError::ListenedOn { .. })));
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_socket_with_a_full_queue_is_left_alone_at_once() {
        let directory = directory();
        let path = directory.path().join("rescan.sock");
        let _busy = UnixListener::bind(&path).unwrap();
        let mut waiting = Vec::new();
        let full = loop {
            match try_connect(&path) {
                Ok(connection) => waiting.push(connection),
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        let (sender, receiver) = std::sync::mpsc::channel();
        let bound = path.clone();
        std::thread::spawn(move || sender.send(Listener::bind(&bound)));
        let error = receiver.recv_timeout(std::time::Duration::from_secs(30)).expect("it must not wait").unwrap_err();
        assert!(matches!(error, BindError::ListenedOn { .. }), "{error}");
    }

    #[test]
    fn as_many_clients_as_the_limit_can_connect_at_once() {
        let directory = directory();
        let path = directory.path().join("rescan.sock");
        let _listener = Listener::bind(&path).unwrap();
        // None of them is accepted meanwhile.
        let _waiting: Vec<_> = (0..256).map(|_| try_connect(&path).unwrap()).collect();
    }

    #[test]
    fn a_file_that_is_not_a_socket_is_left_alone() {
        let directory = directory();
        let path = directory.path().join("rescan.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(Listener::bind(&path), Err(BindError::NotASocket { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_link_to_a_socket_is_not_followed() {
        let directory = directory();
        let path = directory.path().join("rescan.sock");
        drop(UnixListener::bind(directory.path().join("other.sock")).unwrap());
        std::os::unix::fs::symlink("other.sock", &path).unwrap();
        assert!(matches!(Listener::bind(&path), Err(BindError::NotASocket { .. })));
    }

    #[test]
    fn the_socket_is_removed_with_its_server() {
        let directory = directory();
        let path = directory.path().join("rescan.sock");
        drop(Listener::bind(&path).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_that_replaced_ours_stays() {
        let directory = directory();
        let path = directory.path().join("rescan.sock");
        let listener = Listener::bind(&path).unwrap();
        fs::rename(&path, directory.path().join("moved.sock")).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        drop(listener);
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_path_that_is_too_long_is_named() {
        let directory = directory();
        let path = directory.path().join("s".repeat(108));
        let error = Listener::bind(&path).unwrap_err();
        assert!(matches!(error, BindError::PathTooLong { .. }), "{error}");
        assert!(error.to_string().contains("at most 107 are possible"), "{error}");
    }

    #[test]
    fn the_longest_possible_path_can_be_bound() {
        let directory = directory();
        let room = PATH_BYTES_MAX - directory.path().as_os_str().len() - 1;
        Listener::bind(&directory.path().join("s".repeat(room))).unwrap();
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = Listener::bind(Path::new("/nonexistent/rescan.sock")).unwrap_err();
        assert_eq!(error.to_string(), "cannot open the lock /nonexistent/rescan.lock");
    }

    #[test]
    fn the_lock_lies_beside_the_socket_under_another_name() {
        assert_eq!(lock_path(Path::new("/d/rescan.sock")), Path::new("/d/rescan.lock"));
        assert_eq!(lock_path(Path::new("/d/rescan")), Path::new("/d/rescan.lock"));
        assert_eq!(lock_path(Path::new("/d/rescan.lock")), Path::new("/d/rescan.lock.lock"));
    }
}
