//! The errors of checkpoints. The file is never changed by one: only its owner can decide whether to keep it.

use std::io;
use std::path::PathBuf;

use bitcoin::BlockHash;
use bitcoin::hashes::sha256;
use rescan_core::position::Height;

/// Why a checkpoint cannot be taken out of a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The operating system would not give it.
    #[error("cannot read the checkpoint {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It is something else.
    #[error(
        "{} is not a checkpoint: expected it to begin with \"{}\", found {found}; give another path, or move that file away",
        path.display(), super::file::FORMAT
    )]
    NotACheckpoint {
        /// The file.
        path: PathBuf,
        /// How it begins.
        found: String,
    },
    /// A later version of this program wrote it.
    #[error(
        "the checkpoint {} is of version {found}, and this program knows versions up to {known}; use the program that wrote it",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The highest that this program knows.
        known: u32,
    },
    /// It is not as it was written.
    #[error("the checkpoint {} is damaged: {detail}; restore it, or move it away and scan from the start", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Expected and found.
        detail: String,
    },
}

/// Why a checkpoint cannot be put into a file. The one that was there before is still there.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the checkpoint {}", path.display())]
pub struct SaveError {
    /// The file.
    pub path: PathBuf,
    /// The cause.
    pub source: io::Error,
}

/// Why a scan cannot resume from a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// Of another chain.
    #[error("the checkpoint is of another network: expected one with genesis block {expected}, found {found}")]
    Network {
        /// The server's genesis block.
        expected: BlockHash,
        /// The checkpoint's.
        found: BlockHash,
    },
    /// Of other descriptors, scripts, outpoints or wallets, or another start of the range.
    #[error(
        "the checkpoint is of other descriptors, scripts, outpoints or wallets, or of a range that begins elsewhere: \
         expected fingerprint {expected:.16}, found {found:.16}"
    )]
    Request {
        /// SHA-256 of the request.
        expected: sha256::Hash,
        /// The checkpoint's.
        found: sha256::Hash,
    },
}

/// The chain left more blocks than a checkpoint can take back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chain was left {}, deeper than the {} blocks that a checkpoint can take back", above(*fork), super::ledger::UNDO_BLOCKS)]
pub(crate) struct TooDeepError {
    /// The highest block that still stands; none where none is known.
    pub(crate) fork: Option<Height>,
}

fn above(fork: Option<Height>) -> String {
    fork.map_or_else(|| "at an unknown height".to_owned(), |fork| format!("above height {fork}"))
}
