//! The file of `--checkpoint`: one run at a time, and no more saves than are worth their time.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rescan_client::Checkpoint;
use rescan_client::{LoadError, SaveError};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::args::refuse_key;
use crate::error::CliError;

/// Saving takes at most this fraction of the time: 1/20.
const SAVING_SHARE: u32 = 20;

/// Marks come at least this often, so the save after Ctrl-C is nearly up to date.
const MARK_EVERY_MAX: Duration = Duration::from_secs(1);

/// Zero would mean never.
const MARK_EVERY_MIN: Duration = Duration::from_millis(1);

/// How often the server should send marks, for a checkpoint that is saved so often.
pub(super) fn mark_every(checkpoint_every: Duration) -> Duration {
    checkpoint_every.clamp(MARK_EVERY_MIN, MARK_EVERY_MAX)
}

/// A checkpoint file, locked against other runs while this exists.
#[derive(Debug)]
pub(super) struct CheckpointFile {
    path: PathBuf,
    every: Duration,
    saved: Instant,
    /// Duration of the last save.
    took: Duration,
    /// Dropping it unlocks. The lock file stays: another run may already wait for a lock on it.
    _lock: File,
}

impl CheckpointFile {
    /// Locks the file for this run. It is saved at most once in `every`.
    ///
    /// # Errors
    ///
    /// If another run has locked it, or the operating system refuses.
    pub(super) fn lock(path: &Path, every: Duration) -> Result<Self, CliError> {
        refuse_key("--checkpoint", "the path of a file", path)?;
        let lock_path = beside(path);
        let refused = |error: &io::Error| {
            CliError::failed(
                format!("cannot lock the checkpoint with {}: {error}", lock_path.display()),
                "check that its directory exists and is writable",
            )
        };
        let options = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
        let lock = options.map_err(|error| refused(&error))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(CliError::failed(
                    format!("another run uses the checkpoint {}", path.display()),
                    "wait for it to end, or give another --checkpoint file",
                ));
            }
            Err(error) => return Err(refused(&error.into())),
        }
        Ok(Self { path: path.to_owned(), every, saved: Instant::now(), took: Duration::ZERO, _lock: lock })
    }

    /// The checkpoint of an earlier run; none on the first.
    ///
    /// # Errors
    ///
    /// [`LoadError`] if the file is no checkpoint that this program can read.
    pub(super) fn load(&self) -> Result<Option<Checkpoint>, LoadError> {
        Checkpoint::load(&self.path)
    }

    /// Whether it is time for the next save.
    pub(super) fn is_due(&self) -> bool {
        self.saved.elapsed() >= self.every.max(self.took.saturating_mul(SAVING_SHARE))
    }

    /// Saves a checkpoint. Every line that it covers must have been flushed before.
    ///
    /// # Errors
    ///
    /// [`SaveError`]; the last checkpoint is then still in place.
    pub(super) fn save(&mut self, checkpoint: &Checkpoint) -> Result<(), SaveError> {
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
    fn a_checkpoint_is_locked_by_one_run_and_free_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c");
        let first = CheckpointFile::lock(&path, Duration::ZERO).unwrap();
        let refused = CheckpointFile::lock(&path, Duration::ZERO).unwrap_err();
        assert!(refused.message.unwrap().starts_with("another run uses the checkpoint"));
        drop(first);
        CheckpointFile::lock(&path, Duration::ZERO).unwrap();
    }

    #[test]
    fn a_checkpoint_that_takes_long_to_save_is_saved_less_often() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = CheckpointFile::lock(&directory.path().join("c"), Duration::ZERO).unwrap();
        assert!(file.is_due());
        file.took = Duration::from_secs(1_000);
        assert!(!file.is_due());
    }
}
