//! Updates the block index from the blocks directory: decides which files to walk, and inserts their records.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;

use bitcoin::BlockHash;
use rescan_core::chain::active_chain::ActiveChain;
use rescan_core::chain::block_index::{FileLoss, HeaderRecord};
use rescan_core::chain::coinbase_height::{COINBASE_HEIGHT_PREFIX_BYTES, coinbase_height};
use rescan_core::chain::network::Network;
use rescan_core::chain::selection::{ChainAnomalies, ChainSelection};
use rescan_core::position::{FileNumber, RecordSpan};

use super::anomaly_log;
use super::error::ChainError;
use super::file_state::{FileState, FileStates};
use super::progress::ProgressCounters;
use super::state_file::{StateFile, StateFileError};
use crate::blocks::block_files::{BlockFileError, BlockFiles};
use crate::blocks::blocks_dir::{FileMeta, list_block_files};
use crate::blocks::records::{FileKind, RecordWalk, header_at};
use crate::cancel::Cancel;

/// New headers that trigger a save while the server runs. To read as many again takes seconds; to write the state of
/// mainnet takes a tenth of a second.
const UNSAVED_HEADERS_MAX: usize = 2000;

/// Records between two checks of the cancel flag.
const RECORDS_PER_CANCEL_CHECK: usize = 1024;

/// The block index, and the state of each file at its last walk.
#[derive(Debug)]
pub(super) struct Indexer {
    network: Network,
    selection: ChainSelection,
    files: FileStates,
    last_file: Option<FileNumber>,
    /// Files that were written to although a later one existed, such as the lower files during the background sync of an
    /// assumeutxo node.
    growing: BTreeSet<FileNumber>,
    unsaved: usize,
    is_changed: bool,
    /// The anomalies of the last selection, already logged.
    anomalies: ChainAnomalies,
}

impl Indexer {
    pub(super) fn new(network: Network, restored: Option<(ChainSelection, FileStates)>) -> Self {
        let (selection, files) = restored.unwrap_or_else(|| (ChainSelection::new(network), FileStates::new()));
        let anomalies = ChainAnomalies::default();
        let growing = BTreeSet::new();
        Self { network, selection, files, last_file: None, growing, unsaved: 0, is_changed: true, anomalies }
    }

    /// Walks all new and changed files, after it has stopped their mapping. Records found before an error are kept.
    pub(super) fn update(
        &mut self,
        files: &BlockFiles,
        suspects: &BTreeSet<FileNumber>,
        progress: &ProgressCounters,
        cancel: &Cancel,
    ) -> Result<(), ChainError> {
        let listed = list_block_files(files.directory())?;
        if listed.is_empty() && !self.files.is_empty() {
            return Err(ChainError::Empty { directory: files.directory().to_owned(), files: self.files.len() });
        }
        self.forget_missing(&listed);
        let last_file_before = self.last_file;
        self.last_file = listed.iter().rev().find(|meta| meta.len > 0).map(|meta| meta.number);
        let mut to_walk = Vec::new();
        for meta in listed {
            if suspects.contains(&meta.number) || !self.is_unchanged(&meta, files, progress)? {
                files.stop_mapping(meta.number);
                to_walk.push(meta);
            }
        }
        let bytes_total = to_walk.iter().map(|meta| meta.len).sum();
        progress.begin(bytes_total);
        let mut bytes_done = 0;
        for meta in to_walk {
            let on_position = |position| progress.set_bytes_done(bytes_done + position);
            match self.walk_file(&meta, files, progress, &on_position, cancel)? {
                Some(records) => {
                    let had_successor = last_file_before.is_some_and(|last| last > meta.number);
                    self.insert(&meta, &records, had_successor);
                }
                None => self.forget_file(meta.number, FileLoss::Unlinked),
            }
            bytes_done += meta.len;
            progress.set_bytes_done(bytes_done);
        }
        if bytes_total > 0 && self.is_without_records() {
            tracing::warn!(
                directory = %files.directory().display(),
                network = %self.network,
                "no block of this network in the block files: check --network, --signet-challenge and xor.dat"
            );
        }
        Ok(())
    }

    /// Whether some file has bytes and none has a record.
    pub(super) fn is_without_records(&self) -> bool {
        self.files.values().any(|file| file.len > 0) && self.files.values().all(|file| file.last.is_none())
    }

    /// Forgets pruned files.
    fn forget_missing(&mut self, listed: &[FileMeta]) {
        let present: BTreeSet<FileNumber> = listed.iter().map(|meta| meta.number).collect();
        let missing: Vec<FileNumber> = self.files.keys().filter(|number| !present.contains(number)).copied().collect();
        for number in missing {
            self.forget_file(number, FileLoss::Unlinked);
        }
    }

    fn forget_file(&mut self, number: FileNumber, loss: FileLoss) {
        if self.files.remove(&number).is_some() {
            self.growing.remove(&number);
            self.selection.forget_file(number, loss);
            self.unsaved += 1;
            self.is_changed = true;
        }
    }

    /// Whether a file is unchanged since its last walk. A file known only from the state file must still have its last
    /// record at the same place.
    fn is_unchanged(
        &mut self,
        meta: &FileMeta,
        files: &BlockFiles,
        progress: &ProgressCounters,
    ) -> Result<bool, ChainError> {
        let Some(known) = self.files.get_mut(&meta.number).filter(|known| known.is_same(meta)) else {
            return Ok(false);
        };
        if known.is_verified {
            return Ok(true);
        }
        let Some((span, hash)) = known.last else {
            known.is_verified = true;
            return Ok(true);
        };
        let path = files.path(meta.number);
        let found = File::open(&path).and_then(|file| header_at(&file, span, files.key()));
        progress.add_headers_read(1);
        match found {
            Ok(found) => {
                known.is_verified = found == Some(hash);
                Ok(known.is_verified)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(ChainError::Unreadable { path, offset: span.offset.into(), source }),
        }
    }

    /// The records of a file; none if it is gone. Calls `on_position` with each position in the file.
    fn walk_file(
        &self,
        meta: &FileMeta,
        files: &BlockFiles,
        progress: &ProgressCounters,
        on_position: &impl Fn(u64),
        cancel: &Cancel,
    ) -> Result<Option<Vec<HeaderRecord>>, ChainError> {
        let path = files.path(meta.number);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ChainError::Unreadable { path, offset: 0, source }),
        };
        let has_successor = self.last_file.is_some_and(|last| last > meta.number);
        let kind = FileKind { number: meta.number, len: meta.len, has_successor };
        let mut walk = RecordWalk::new(&file, kind, files.key(), self.network);
        let mut records = Vec::new();
        let outcome = loop {
            match walk.next_record() {
                Ok(Some(record)) => records.push(record),
                Ok(None) => {
                    break check_complete(&file, meta, walk.ended_at(), records)
                        .map_err(|(offset, source)| ChainError::Unreadable { path, offset, source });
                }
                Err(source) => break Err(ChainError::Unreadable { path, offset: walk.position(), source }),
            }
            on_position(walk.position());
            if records.len().is_multiple_of(RECORDS_PER_CANCEL_CHECK) && cancel.is_cancelled() {
                break Err(ChainError::Cancelled);
            }
        };
        progress.add_headers_read(walk.headers_read());
        match cancel.is_cancelled() {
            true => Err(ChainError::Cancelled),
            false => outcome,
        }
    }

    /// Inserts the records of a file. `had_successor` tells whether a later file existed at the last update.
    fn insert(&mut self, meta: &FileMeta, records: &[HeaderRecord], had_successor: bool) {
        let known = self.files.get(&meta.number);
        let appended = match known.map(|known| known.known_prefix(records)) {
            None => records,
            Some(Some(prefix)) => &records[prefix..],
            Some(None) => {
                tracing::warn!(file = %meta.number, "records disappeared from a block file, as after a crash of the node; rebuilding its part of the index");
                self.selection.forget_file(meta.number, FileLoss::Changed);
                self.is_changed = true;
                records
            }
        };
        for record in appended {
            self.selection.insert(*record);
        }
        self.is_changed |= !appended.is_empty();
        let state = FileState::of_walk(meta, records);
        self.unsaved += appended.len();
        if had_successor && known.is_some_and(|known| known.was_written_before(&state)) {
            self.growing.insert(meta.number);
        }
        self.files.insert(meta.number, state);
    }

    /// Whether a record of this block was found.
    pub(super) fn knows(&self, hash: &BlockHash) -> bool {
        self.selection.knows(hash)
    }

    /// Selects the active chain for the node's tip, if there is one. Returns whether anything changed since the last call.
    ///
    /// # Errors
    /// [`ChainError::Unreadable`], if the height in a coinbase cannot be read. Its file is then forgotten: the selection reads each
    /// height once, and must read it again after a new walk of the file.
    pub(super) fn select(&mut self, files: &BlockFiles, node_tip: Option<BlockHash>) -> Result<bool, ChainError> {
        let mut unread = None;
        let mut read_height = |span: RecordSpan| {
            let mut buffer = [0; COINBASE_HEIGHT_PREFIX_BYTES];
            match files.read_start(span, &mut buffer) {
                Ok(start) => coinbase_height(start),
                Err(error) => {
                    unread.get_or_insert((span.file, error));
                    None
                }
            }
        };
        self.selection.on_tip(node_tip);
        let anomalies = self.selection.select(&mut read_height);
        if let Some((file, BlockFileError::Unreadable { path, offset, source })) = unread {
            self.forget_file(file, FileLoss::Changed);
            return Err(ChainError::Unreadable { path, offset, source });
        }
        if let Some(anomalies) = anomalies {
            self.is_changed = true;
            if anomalies != self.anomalies {
                anomaly_log::warn(&anomalies);
                self.anomalies = anomalies;
            }
        }
        Ok(std::mem::take(&mut self.is_changed))
    }

    pub(super) fn active_chain(&self) -> ActiveChain {
        self.selection.active_chain()
    }

    /// How far each finished file may be mapped: to the end of its last record. A file is finished once a later one exists and it
    /// is no longer written to.
    pub(super) fn mappable(&self, suspects: &BTreeSet<FileNumber>) -> BTreeMap<FileNumber, u64> {
        let finished = self.files.iter().filter(|(number, _)| Some(**number) < self.last_file);
        let trusted = finished.filter(|(number, _)| !suspects.contains(number) && !self.growing.contains(number));
        trusted.map(|(number, state)| (*number, state.walked_end)).collect()
    }

    pub(super) fn has_unsaved(&self) -> bool {
        self.unsaved > 0
    }

    pub(super) fn is_worth_saving(&self) -> bool {
        self.unsaved >= UNSAVED_HEADERS_MAX
    }

    pub(super) fn save(&mut self, state_file: &StateFile) -> Result<(), StateFileError> {
        state_file.save(self.selection.index(), &self.files)?;
        self.unsaved = 0;
        Ok(())
    }
}

/// The records of a walk, or an error with the offset at which the bytes ended although the file goes on. Records behind
/// that offset would be missed, and the next update could not detect it. A file that was truncated meanwhile is no
/// error: its length differs from the listed one, so the next update walks it again.
fn check_complete(
    file: &File,
    meta: &FileMeta,
    ended_at: Option<u64>,
    records: Vec<HeaderRecord>,
) -> Result<Option<Vec<HeaderRecord>>, (u64, io::Error)> {
    let Some(end) = ended_at else { return Ok(Some(records)) };
    match file.metadata() {
        Ok(now) if now.len() < meta.len => Ok(Some(records)),
        Ok(_) => Err((end, io::ErrorKind::UnexpectedEof.into())),
        Err(error) => Err((end, error)),
    }
}
