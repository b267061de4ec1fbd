//! The state file keeps the block index between runs, so that the next start reads only new headers.
//!
//! The state file is a cache: the block files win any contradiction. A damaged file, or one of another version or
//! network, is logged and replaced. It is written completely beside the old one and renamed over it. A lock file beside
//! it, held for the server's lifetime, keeps a second server away.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};

use bitcoin::hashes::{Hash, sha256};
use rescan_core::blocks::obfuscation::ObfuscationKey;
use rescan_core::chain::active_chain::ActiveChain;
use rescan_core::chain::block_index::BlockIndex;
use rescan_core::chain::network::Network;
use rescan_core::chain::selection::ChainSelection;
use rustix::fs::FlockOperation;

use self::format::{FormatError, VERSION};
use super::file_state::FileStates;

mod format;

/// Bytes of the buffers for reading and writing.
const BUFFER_BYTES: usize = 1 << 16;

/// Why a state file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateFileError {
    /// Another process holds the lock.
    #[error("{} is locked: another rescan-server serves the same block files from the same --state-dir; stop it, or give another --state-dir", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A system call failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The attempted action.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The content differs from what was written.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How the damage was detected.
        reason: &'static str,
    },
    /// The file was written by another version of rescan.
    #[error("{} has version {found}, expected {VERSION}", path.display())]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The file describes other block files: of another network, or under another key.
    #[error("{} describes block files of another network or key", path.display())]
    OtherFiles {
        /// The file.
        path: PathBuf,
    },
}

/// The state file of one blocks directory, locked.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    network: Network,
    key: ObfuscationKey,
    _lock: File,
}

impl StateFile {
    /// Locks the state file for `blocks_dir` in `state_dir`, which is created if missing.
    pub(super) fn lock(
        state_dir: &Path,
        blocks_dir: &Path,
        network: Network,
        key: ObfuscationKey,
    ) -> Result<Self, StateFileError> {
        fs::create_dir_all(state_dir).map_err(io_error("create", state_dir))?;
        let directory = fs::canonicalize(blocks_dir).map_err(io_error("find", blocks_dir))?;
        let path = state_dir.join(format!("{}.chain", name_of(&directory, network)));
        let lock_path = path.with_extension("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(io_error("open", &lock_path))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path, network, key, _lock: lock }),
            Err(error) if error == rustix::io::Errno::WOULDBLOCK => Err(StateFileError::Locked { path: lock_path }),
            Err(error) => Err(io_error("lock", &lock_path)(error.into())),
        }
    }

    /// The saved state; none if there is no file.
    pub(super) fn load(&self) -> Result<Option<(ChainSelection, FileStates)>, StateFileError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("open", &self.path)(error)),
        };
        let reader = BufReader::with_capacity(BUFFER_BYTES, file);
        format::read(reader, self.network, self.key).map(Some).map_err(|error| {
            let path = self.path.clone();
            match error {
                FormatError::Io(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
                    StateFileError::Damaged { path, reason: "unexpected end of file" }
                }
                FormatError::Io(source) => StateFileError::Io { action: "read", path, source },
                FormatError::Damaged(reason) => StateFileError::Damaged { path, reason },
                FormatError::OtherVersion(found) => StateFileError::OtherVersion { path, found },
                FormatError::OtherFiles => StateFileError::OtherFiles { path },
            }
        })
    }

    /// Replaces the saved state with `index` and `files`.
    pub(super) fn save(&self, index: &BlockIndex, files: &FileStates) -> Result<(), StateFileError> {
        let fresh = self.path.with_extension("new");
        let written = File::create(&fresh).and_then(|file| {
            let mut writer = BufWriter::with_capacity(BUFFER_BYTES, file);
            format::write(&mut writer, self.network, self.key, index, files)?;
            writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
        });
        written.map_err(io_error("write", &fresh))?;
        fs::rename(&fresh, &self.path).map_err(io_error("replace", &self.path))
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateFileError {
    let path = path.to_owned();
    move |source| StateFileError::Io { action, path, source }
}

/// The chain that a state file of these bytes restores without any block file, and the bytes of the same state saved
/// again; none if the bytes are unusable. For fuzzing, which needs neither file nor lock.
#[doc(hidden)]
#[must_use]
pub fn reread(bytes: &[u8], network: Network, key: ObfuscationKey) -> Option<(ActiveChain, Vec<u8>)> {
    let (mut selection, files) = format::read(bytes, network, key).ok()?;
    selection.select(&mut |_| None);
    let mut saved = Vec::new();
    format::write(&mut saved, network, key, selection.index(), &files).ok()?;
    Some((selection.active_chain(), saved))
}

/// A file name for the state of one blocks directory. It contains a hash of the path, which may contain characters that
/// file names cannot.
fn name_of(directory: &Path, network: Network) -> String {
    let mut name = directory.as_os_str().as_encoded_bytes().to_vec();
    name.extend(network.magic().0);
    let hash = sha256::Hash::hash(&name).to_string();
    format!("{}-{}", network.to_string().replace(' ', "-"), &hash[..16])
}
