//! The state of a block file at its last walk: enough to decide whether it must be walked again.

use std::collections::BTreeMap;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use rescan_core::chain::block_index::HeaderRecord;
use rescan_core::position::{FileNumber, RecordSpan};

use crate::blocks::blocks_dir::{FileMeta, Modified};

/// The states of all block files.
pub(super) type FileStates = BTreeMap<FileNumber, FileState>;

/// The state of one block file at its last walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileState {
    /// Length in bytes.
    pub(super) len: u64,
    /// Time of the last write.
    pub(super) modified: Modified,
    /// End of the last record, in bytes from the start of the file.
    pub(super) walked_end: u64,
    /// Checksum over positions and hashes of the records. It detects whether later records were only appended.
    pub(super) fingerprint: u32,
    /// The last record.
    pub(super) last: Option<(RecordSpan, BlockHash)>,
    /// Whether this process has read the last record itself.
    pub(super) is_verified: bool,
}

impl FileState {
    /// The state of a file after a walk that found `records`.
    pub(super) fn of_walk(meta: &FileMeta, records: &[HeaderRecord]) -> Self {
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

    /// Whether length and time prove the file unchanged.
    pub(super) fn is_same(&self, meta: &FileMeta) -> bool {
        self.len == meta.len && self.modified == meta.modified && meta.modified != Modified::JustNow
    }

    /// Whether the file was written to between this walk and a later one, as far as can be detected.
    pub(super) fn was_written_before(&self, later: &Self) -> bool {
        let is_newer = matches!(self.modified, Modified::At(_)) && self.modified != later.modified;
        let was_resized = (self.len, self.walked_end) != (later.len, later.walked_end);
        is_newer || was_resized || self.fingerprint != later.fingerprint
    }

    /// How many of `records`, in file order, were known before; none if the file does not continue its earlier records.
    pub(super) fn known_prefix(&self, records: &[HeaderRecord]) -> Option<usize> {
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
