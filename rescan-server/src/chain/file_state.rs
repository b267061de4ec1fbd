//! What is known of one block file between two looks at it: enough to tell whether it has to be read again.

use std::collections::BTreeMap;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use rescan_core::chain::block_index::HeaderRecord;
use rescan_core::position::{FileNumber, RecordSpan};

use crate::blocks::blocks_dir::{FileMeta, Modified};

/// What is known of every block file.
pub(crate) type FileStates = BTreeMap<FileNumber, FileState>;

/// What is known of one block file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileState {
    /// Its length in bytes when it was walked.
    pub(crate) len: u64,
    /// When it had been written last.
    pub(crate) modified: Modified,
    /// The end of its last record, in bytes from the start of the file.
    pub(crate) walked_end: u64,
    /// A checksum over places and hashes of its records: whether what follows was only appended.
    pub(crate) fingerprint: u32,
    /// Its last record.
    pub(crate) last: Option<(RecordSpan, BlockHash)>,
    /// Whether this process has seen its last record with its own eyes.
    pub(crate) is_verified: bool,
}

impl FileState {
    /// What is known of a file after a walk found `records` in it.
    pub(crate) fn of_walk(meta: &FileMeta, records: &[HeaderRecord]) -> Self {
        let furthest = records.iter().max_by_key(|record| record.span.end());
        Self {
            len: meta.len,
            modified: meta.modified,
            walked_end: furthest.map_or(0, |record| record.span.end()),
            fingerprint: fingerprint(records),
            last: furthest.map(|record| (record.span, record.hash)),
            is_verified: true,
        }
    }

    /// Whether the directory says nothing that would ask for another look.
    pub(crate) fn is_same(&self, meta: &FileMeta) -> bool {
        self.len == meta.len && self.modified == meta.modified && meta.modified != Modified::JustNow
    }

    /// Whether the file was written to between this look and a later one, as far as that can be told.
    pub(crate) fn was_written_before(&self, later: &Self) -> bool {
        let is_newer = matches!(self.modified, Modified::At(_)) && self.modified != later.modified;
        let was_resized = (self.len, self.walked_end) != (later.len, later.walked_end);
        is_newer || was_resized || self.fingerprint != later.fingerprint
    }

    /// How many of `records`, which are in the order of the file, are those known before; none if the file is not a
    /// continuation of what it was.
    pub(crate) fn known_prefix(&self, records: &[HeaderRecord]) -> Option<usize> {
        let known = records.partition_point(|record| record.span.end() <= self.walked_end);
        (fingerprint(&records[..known]) == self.fingerprint).then_some(known)
    }
}

fn fingerprint(records: &[HeaderRecord]) -> u32 {
    records.iter().fold(0, |checksum, record| {
        let checksum = crc32c::crc32c_append(checksum, &record.span.offset.to_le_bytes());
        let checksum = crc32c::crc32c_append(checksum, &record.span.size.to_le_bytes());
        crc32c::crc32c_append(checksum, record.hash.as_byte_array())
    })
}
