//! A checkpoint as a file: one line with its format, version and the SHA-256 of the rest, and one line of JSON.
//!
//! It is written to a temporary file beside its path and renamed: the path always holds a whole file, the old or the new.
//! It names the coins of a wallet, so only its owner may read it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bitcoin::hashes::{Hash, sha256};

use super::Checkpoint;
use super::error::{LoadError, SaveError};
use super::record::Record;

/// The first word of every checkpoint.
pub(super) const FORMAT: &str = "rescan-checkpoint";

/// Grows when an older program would misread it.
const VERSION: u32 = 1;

/// Only its owner may read it.
const MODE: u32 = 0o600;

/// How much of a foreign file is shown.
const SHOWN_CHARS: usize = 20;

impl Checkpoint {
    /// The checkpoint that lies at `path`; none if nothing lies there.
    ///
    /// # Errors
    ///
    /// [`LoadError`] if the file is no checkpoint that this version reads. The file is left as it is.
    pub fn load(path: &Path) -> Result<Option<Self>, LoadError> {
        match std::fs::read(path) {
            Ok(bytes) => parse(path, &bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(LoadError::Io { path: path.to_owned(), source }),
        }
    }

    /// Writes the checkpoint to `path` and replaces an existing one, durably and atomically. Returns its size in bytes.
    ///
    /// # Errors
    ///
    /// [`SaveError`] if the operating system refuses; the previous file is still in place.
    pub fn save(&self, path: &Path) -> Result<u64, SaveError> {
        let bytes = serialize(self);
        replace(path, &bytes).map_err(|source| SaveError { path: path.to_owned(), source })?;
        Ok(bytes.len() as u64) // usize has at most 64 bits
    }
}

/// The file's bytes.
pub(super) fn serialize(checkpoint: &Checkpoint) -> Vec<u8> {
    let mut payload = serde_json::to_vec(&Record::of(checkpoint)).expect("names and numbers always serialise");
    payload.push(b'\n');
    let mut bytes = head(VERSION, sha256::Hash::hash(&payload)).into_bytes();
    bytes.append(&mut payload);
    bytes
}

fn head(version: u32, checksum: sha256::Hash) -> String {
    format!("{FORMAT} {version} {checksum}\n")
}

/// Parses the bytes of the file at `path`.
///
/// # Errors
///
/// All of [`LoadError`] but [`LoadError::Io`].
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Checkpoint, LoadError> {
    let damaged = |detail: String| LoadError::Damaged { path: path.to_owned(), detail };
    let rest = bytes.strip_prefix(FORMAT.as_bytes()).and_then(|rest| rest.strip_prefix(b" "));
    let Some(rest) = rest else {
        let start = String::from_utf8_lossy(bytes).chars().take(SHOWN_CHARS).collect::<String>();
        let found = if bytes.is_empty() { "nothing".to_owned() } else { format!("{start:?}") };
        return Err(LoadError::NotACheckpoint { path: path.to_owned(), found });
    };
    let first_line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let version = first_line.split(|byte| *byte == b' ').next().and_then(|text| std::str::from_utf8(text).ok());
    match version.and_then(|text| text.parse::<u32>().ok()) {
        Some(VERSION) => {}
        Some(found) if found > VERSION => {
            return Err(LoadError::Newer { path: path.to_owned(), found, known: VERSION });
        }
        _ => return Err(damaged(format!("expected version {VERSION}, found none that can be read"))),
    }
    let payload = rest.get(first_line.len()..).and_then(|rest| rest.strip_prefix(b"\n")).unwrap_or_default();
    let expected = head(VERSION, sha256::Hash::hash(payload));
    if !bytes.starts_with(expected.as_bytes()) {
        return Err(damaged("its first line has the SHA-256 of another content".to_owned()));
    }
    let record: Record = serde_json::from_slice(payload).map_err(|error| damaged(error.to_string()))?;
    Ok(record.into())
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = beside(path)?;
    // One that a killed run left is not worth keeping, and may have another mode.
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = write_durably(&beside, bytes).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // On a full disk it would take the last space. The first error matters more than one of this removal.
        drop(std::fs::remove_file(&beside));
    }
    written?;
    File::open(directory(path))?.sync_all()
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Where the file is written before it is renamed: in the same directory, since only there a rename is one step.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let mut name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::IsADirectory))?.to_owned();
    name.push(".new");
    Ok(path.with_file_name(name))
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
