//! The directory of `blk*.dat`: a list of its files, and the key that obfuscates them.
//!
//! Opens no block file, and never writes, locks or creates anything in the directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rescan_core::blocks::obfuscation::ObfuscationKey;
use rescan_core::position::FileNumber;

/// A file written this recently may be written once more without a change of its time: file systems keep time in steps,
/// and the coarsest in use is one second.
const TIME_STEP: Duration = Duration::from_secs(1);

/// The directory entry of one block file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileMeta {
    pub(crate) number: FileNumber,
    /// Length in bytes.
    pub(crate) len: u64,
    pub(crate) modified: Modified,
}

/// The time of a file's last write, as far as it distinguishes two contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Modified {
    /// Nanoseconds since 1970; the same time means the same content.
    At(i64),
    /// So recent that another write may leave the time unchanged.
    JustNow,
}

/// Why a blocks directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlocksDirError {
    /// The directory cannot be listed.
    #[error("cannot list the blocks directory {}: does it contain blk00000.dat, and may this user read it?", path.display())]
    List {
        /// The directory.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A block file that was moved to another disk is missing. Treating it as pruned would lose its blocks.
    #[error("{} is a broken link: is the disk mounted that the file was moved to?", path.display())]
    BrokenLink {
        /// The link.
        path: PathBuf,
    },
    /// `xor.dat` cannot be read.
    #[error("cannot read {}", path.display())]
    ReadKey {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// `xor.dat` is not a key.
    #[error("{} has {found} bytes, expected 8: is the node still starting?", path.display())]
    BadKey {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        found: usize,
    },
}

/// The block files of a directory, by ascending number. Gaps are normal.
pub(crate) fn list_block_files(directory: &Path) -> Result<Vec<FileMeta>, BlocksDirError> {
    let failed = |source| BlocksDirError::List { path: directory.to_owned(), source };
    let just_now = SystemTime::now().checked_sub(TIME_STEP).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Some(number) = entry.file_name().to_str().and_then(block_file_number) else { continue };
        // Old files are often moved to another disk and linked: use the metadata of the target.
        let metadata = match fs::metadata(entry.path()) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::symlink_metadata(entry.path()).is_ok() {
                    return Err(BlocksDirError::BrokenLink { path: entry.path() });
                }
                continue; // pruned just now
            }
            Err(error) => return Err(failed(error)),
        };
        if metadata.is_file() {
            let modified = modified(metadata.modified().map_err(failed)?, just_now);
            files.push(FileMeta { number, len: metadata.len(), modified });
        }
    }
    files.sort_unstable_by_key(|file| file.number);
    Ok(files)
}

fn modified(time: SystemTime, just_now: SystemTime) -> Modified {
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).ok();
    let nanos = since_1970.and_then(|duration| i64::try_from(duration.as_nanos()).ok());
    match nanos {
        Some(nanos) if time < just_now => Modified::At(nanos),
        _ => Modified::JustNow,
    }
}

/// The number in `blk00000.dat`; Bitcoin Core pads it to five digits and continues with more.
fn block_file_number(name: &str) -> Option<FileNumber> {
    let digits = name.strip_prefix("blk")?.strip_suffix(".dat")?;
    let number = FileNumber(digits.parse().ok()?);
    (number.file_name() == name).then_some(number)
}

/// The key in `xor.dat`; without that file, blocks are stored in the clear.
pub(crate) fn read_key(directory: &Path) -> Result<ObfuscationKey, BlocksDirError> {
    let path = directory.join("xor.dat");
    match fs::read(&path) {
        Ok(bytes) => match <[u8; 8]>::try_from(&bytes[..]) {
            Ok(key) => Ok(ObfuscationKey::from_bytes(key)),
            Err(_) => Err(BlocksDirError::BadKey { path, found: bytes.len() }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ObfuscationKey::CLEAR),
        Err(source) => Err(BlocksDirError::ReadKey { path, source }),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_block_files_are_listed_by_number_and_gaps_are_accepted() {
        let dir = tempfile::tempdir().unwrap();
        for name in
            ["blk00007.dat", "blk00002.dat", "blk100000.dat", "rev00002.dat", "blk2.dat", "blk00003.dat.bak", "xor.dat"]
        {
            fs::write(dir.path().join(name), [0; 3]).unwrap();
        }
        fs::create_dir(dir.path().join("blk00004.dat")).unwrap();
        let numbers: Vec<u32> = list_block_files(dir.path()).unwrap().iter().map(|file| file.number.0).collect();
        assert_eq!(numbers, [2, 7, 100_000]);
    }

    #[test]
    fn a_recently_written_file_has_no_trusted_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("blk00000.dat");
        fs::write(&path, [1]).unwrap();
        assert_eq!(list_block_files(dir.path()).unwrap()[0].modified, Modified::JustNow);
        let earlier = SystemTime::now() - Duration::from_secs(60);
        fs::File::options().write(true).open(&path).unwrap().set_modified(earlier).unwrap();
        assert!(matches!(list_block_files(dir.path()).unwrap()[0].modified, Modified::At(_)));
    }

    #[test]
    fn the_key_is_absent_or_eight_bytes() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read_key(dir.path()).unwrap(), ObfuscationKey::CLEAR);
        fs::write(dir.path().join("xor.dat"), [1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        assert_eq!(read_key(dir.path()).unwrap(), ObfuscationKey::from_bytes([1, 2, 3, 4, 5, 6, 7, 8]));
        fs::write(dir.path().join("xor.dat"), [1, 2, 3]).unwrap();
        assert!(matches!(read_key(dir.path()), Err(BlocksDirError::BadKey { found: 3, .. })));
    }

    #[test]
    fn the_error_for_a_missing_directory_names_it() {
        let error = list_block_files(Path::new("/nonexistent/blocks")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/blocks"));
    }
}
