//! The file of a `--checkpoint`: one run at a time, and not written more often than is worth it.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rescan_client::Checkpoint;
use rescan_client::checkpoint::{LoadError, SaveError};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::args::could_hold_a_key;
use crate::trouble::Trouble;

/// Saving takes at most one part in this many of the time.
const SAVING_SHARE: u32 = 20;

/// A checkpoint's place, which no other run has as long as this lives.
#[derive(Debug)]
pub(crate) struct CheckpointFile {
    path: PathBuf,
    every: Duration,
    saved: Instant,
    /// How long the last save took.
    took: Duration,
    /// The lock goes with it. The file stays: another run may already wait at it, and would wait for nothing.
    _lock: File,
}

impl CheckpointFile {
    /// Takes the place for this run. It is to be written at most once in `every`.
    ///
    /// # Errors
    ///
    /// If another run has it, or the operating system will not give it.
    pub(crate) fn lock(path: &Path, every: Duration) -> Result<Self, Trouble> {
        if could_hold_a_key(path) && !path.exists() {
            return Err(Trouble::no_path(
                "--checkpoint",
                "the path of a file",
                "descriptors go after --descriptor, in quotes; a file's path can be written from the root: /..",
            ));
        }
        let lock_path = beside(path);
        let cannot = |error: &io::Error| {
            Trouble::failed(
                format!("cannot lock the checkpoint with {}: {error}", lock_path.display()),
                "does its directory exist, and may you write there?",
            )
        };
        let options = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
        let lock = options.map_err(|error| cannot(&error))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(Trouble::failed(
                    format!("another run uses the checkpoint {}", path.display()),
                    "wait for it to end, or give another --checkpoint file",
                ));
            }
            Err(error) => return Err(cannot(&error.into())),
        }
        Ok(Self { path: path.to_owned(), every, saved: Instant::now(), took: Duration::ZERO, _lock: lock })
    }

    /// What an earlier run left; none if this is the first.
    ///
    /// # Errors
    ///
    /// [`LoadError`] if it is no checkpoint that this program can read.
    pub(crate) fn load(&self) -> Result<Option<Checkpoint>, LoadError> {
        Checkpoint::load(&self.path)
    }

    /// Whether enough time has gone by since it was written.
    pub(crate) fn is_due(&self) -> bool {
        self.saved.elapsed() >= self.every.max(self.took.saturating_mul(SAVING_SHARE))
    }

    /// Writes it. Everything that it covers must have left this program before.
    ///
    /// # Errors
    ///
    /// [`SaveError`] if it could not be; the last one is there still.
    pub(crate) fn save(&mut self, checkpoint: &Checkpoint) -> Result<(), SaveError> {
        let begun = Instant::now();
        checkpoint.save(&self.path)?;
        self.saved = Instant::now();
        self.took = self.saved.saturating_duration_since(begun);
        Ok(())
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".lock");
    name.into()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_that_is_in_use_is_not_given_twice_and_is_free_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c");
        let first = CheckpointFile::lock(&path, Duration::ZERO).unwrap();
        let refused = CheckpointFile::lock(&path, Duration::ZERO).unwrap_err();
        assert!(refused.message.unwrap().starts_with("another run uses the checkpoint"));
        drop(first);
        CheckpointFile::lock(&path, Duration::ZERO).unwrap();
    }

    #[test]
    fn a_checkpoint_that_takes_long_to_write_is_written_less_often() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = CheckpointFile::lock(&directory.path().join("c"), Duration::ZERO).unwrap();
        assert!(file.is_due());
        file.took = Duration::from_secs(1_000);
        assert!(!file.is_due());
    }
}
