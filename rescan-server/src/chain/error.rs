//! Why a chain cannot be opened or refreshed, with the next step for the operator.

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

use super::state_file::StateFileError;
use crate::blocks::blocks_dir::BlocksDirError;
use crate::blocks::network_dir::NetworkDirError;

/// Why a chain cannot be opened or refreshed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The blocks directory cannot be used.
    #[error(transparent)]
    BlocksDir(#[from] BlocksDirError),
    /// The network of the files is unknown.
    #[error(transparent)]
    Network(#[from] NetworkDirError),
    /// Another server holds the lock of the state file.
    #[error(transparent)]
    StateLocked(StateFileError),
    /// A block file cannot be read.
    #[error("cannot read {} near offset {offset}: {}", path.display(), next_step(source))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The position of the walk, in bytes from the start of the file.
        offset: u64,
        /// The error of the operating system.
        source: io::Error,
    },
    /// All block files are gone at once. A node that prunes keeps the last ones.
    #[error("no block file left in {}, expected {files}: is its disk mounted? retrying", directory.display())]
    Empty {
        /// The blocks directory.
        directory: PathBuf,
        /// The number of files at the last refresh.
        files: usize,
    },
    /// `xor.dat` is gone, and with it the key that the blocks are obfuscated with.
    #[error("{} is gone: is its disk mounted? retrying", path.display())]
    KeyGone {
        /// The file.
        path: PathBuf,
    },
    /// `xor.dat` changed: the directory belongs to another node now.
    #[error("the key in {} changed: the blocks directory was recreated; restart rescan-server", path.display())]
    KeyChanged {
        /// The file.
        path: PathBuf,
    },
    /// The refresh was cancelled. Headers read so far are kept.
    #[error("reading block files was cancelled")]
    Cancelled,
}

/// The operator's next step after a failed read.
fn next_step(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE) => "raise the limit of open files (LimitNOFILE=, ulimit -n)",
        Some(Errno::ACCESS | Errno::PERM) => "run rescan-server as the node's user",
        _ => "check the disk",
    }
}
