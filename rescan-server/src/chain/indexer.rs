//! One look at the blocks directory after another: which files have to be walked, and what the tree learns from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::sync::atomic::Ordering;

use bitcoin::BlockHash;
use rescan_core::chain::active_chain::ActiveChain;
use rescan_core::chain::block_index::{FileLoss, HeaderRecord};
use rescan_core::chain::coinbase_height::{COINBASE_HEIGHT_PREFIX_BYTES, coinbase_height};
use rescan_core::chain::network::Network;
use rescan_core::chain::selection::{ChainAnomalies, ChainSelection};
use rescan_core::position::{FileNumber, RecordSpan};

use super::file_state::{FileState, FileStates};
use super::{ChainError, Progress};
use crate::blocks::block_files::{BlockFileError, BlockFiles};
use crate::blocks::blocks_dir::{FileMeta, list_block_files};
use crate::blocks::records::{FileKind, RecordWalk, header_at};
use crate::cancel::Cancel;
use crate::chain::state_file::{StateFile, StateFileError};

/// Headers learned before they are saved while the server runs: to learn as many again takes seconds, to write the state
/// of main's chain a tenth of one.
const UNSAVED_HEADERS_MAX: usize = 2000;

/// Records between two looks at the cancel flag.
const RECORDS_PER_CANCEL_CHECK: usize = 1024;

/// What all looks so far have found.
#[derive(Debug)]
pub(super) struct Walk {
    network: Network,
    selection: ChainSelection,
    files: FileStates,
    last_file: Option<FileNumber>,
    /// Files that were written to though a later one was there already, as those of the lower segment are while an
    /// assumeutxo node syncs in the background.
    growing: BTreeSet<FileNumber>,
    unsaved: usize,
    is_changed: bool,
    /// Those of the last selection, which were logged.
    anomalies: ChainAnomalies,
}

impl Walk {
    pub(super) fn new(network: Network, remembered: Option<(ChainSelection, FileStates)>) -> Self {
        let (selection, files) = remembered.unwrap_or_else(|| (ChainSelection::new(network), FileStates::new()));
        let anomalies = ChainAnomalies::default();
        let growing = BTreeSet::new();
        Self { network, selection, files, last_file: None, growing, unsaved: 0, is_changed: true, anomalies }
    }

    /// Looks at every file and walks those that need it; none of these is mapped from here on. What was found stays found
    /// where it fails half-way.
    pub(super) fn look(
        &mut self,
        files: &BlockFiles,
        suspects: &BTreeSet<FileNumber>,
        progress: &Progress,
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
            if suspects.contains(&meta.number) || !self.is_as_known(&meta, files, progress)? {
                files.stop_mapping(meta.number);
                to_walk.push(meta);
            }
        }
        progress.bytes_done.store(0, Ordering::Relaxed);
        progress.bytes_total.store(to_walk.iter().map(|meta| meta.len).sum(), Ordering::Relaxed);
        for meta in to_walk {
            let before = progress.bytes_done.load(Ordering::Relaxed);
            match self.walk_file(&meta, files, progress, cancel)? {
                Some(records) => {
                    let had_successor = last_file_before.is_some_and(|last| last > meta.number);
                    self.learn(&meta, &records, had_successor);
                }
                None => self.forget_file(meta.number, FileLoss::Unlinked),
            }
            progress.bytes_done.store(before + meta.len, Ordering::Relaxed);
        }
        if progress.bytes_total.load(Ordering::Relaxed) > 0 && self.is_without_records() {
            tracing::warn!(
                directory = %files.directory().display(),
                network = %self.network,
                "the block files hold data and no block of the network: is it the right --network, --signet-challenge and xor.dat?"
            );
        }
        Ok(())
    }

    /// Whether no file holds a record, though some hold bytes.
    pub(super) fn is_without_records(&self) -> bool {
        self.files.values().any(|file| file.len > 0) && self.files.values().all(|file| file.last.is_none())
    }

    /// Files that are no longer there were pruned.
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

    /// Whether a file is what it was. One that was only remembered must still have its last record where it was.
    fn is_as_known(&mut self, meta: &FileMeta, files: &BlockFiles, progress: &Progress) -> Result<bool, ChainError> {
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
        progress.headers_read.fetch_add(1, Ordering::Relaxed);
        match found {
            Ok(found) => {
                known.is_verified = found == Some(hash);
                Ok(known.is_verified)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(ChainError::Unreadable { path, offset: span.offset.into(), source }),
        }
    }

    /// The records of a file; none if it is gone.
    fn walk_file(
        &self,
        meta: &FileMeta,
        files: &BlockFiles,
        progress: &Progress,
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
        let start = progress.bytes_done.load(Ordering::Relaxed);
        let mut records = Vec::new();
        let outcome = loop {
            match walk.next_record() {
                Ok(Some(record)) => records.push(record),
                Ok(None) => {
                    break whole(&file, meta, walk.ended_at(), records)
                        .map_err(|(offset, source)| ChainError::Unreadable { path, offset, source });
                }
                Err(source) => break Err(ChainError::Unreadable { path, offset: walk.position(), source }),
            }
            progress.bytes_done.store(start + walk.position(), Ordering::Relaxed);
            if records.len().is_multiple_of(RECORDS_PER_CANCEL_CHECK) && cancel.is_cancelled() {
                break Err(ChainError::Cancelled);
            }
        };
        progress.headers_read.fetch_add(walk.headers_read(), Ordering::Relaxed);
        match cancel.is_cancelled() {
            true => Err(ChainError::Cancelled),
            false => outcome,
        }
    }

    /// `had_successor` says whether a later file was there at the look before.
    fn learn(&mut self, meta: &FileMeta, records: &[HeaderRecord], had_successor: bool) {
        let known = self.files.get(&meta.number);
        let appended = match known.map(|known| known.known_prefix(records)) {
            None => records,
            Some(Some(prefix)) => &records[prefix..],
            Some(None) => {
                tracing::warn!(file = %meta.number, "records that were there are not, as after a crash of the node; the chain is built anew from the file");
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

    /// Lets the tree choose, for a node that names this tip or none, and says whether anything changed since the last time.
    ///
    /// # Errors
    /// [`ChainError::Unreadable`], if a block's own word for its height cannot be read. Its file is forgotten then: the tree
    /// asks each block once, and is to ask again when the file was walked anew.
    pub(super) fn settle(&mut self, files: &BlockFiles, node_tip: Option<BlockHash>) -> Result<bool, ChainError> {
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
                warn_of(&anomalies);
                self.anomalies = anomalies;
            }
        }
        Ok(std::mem::take(&mut self.is_changed))
    }

    pub(super) fn snapshot(&self) -> ActiveChain {
        self.selection.active_chain()
    }

    /// Up to which byte each file may be mapped: those that a later one has succeeded and that
    /// were not written to since, to their last record.
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

/// What a walk of `file` found, unless its bytes ended at a place where the file goes on: blocks behind it would be missed,
/// and nothing would say at the next look that there is more. A file that was cut meanwhile is another than was listed,
/// which the next look sees.
fn whole(
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

fn warn_of(anomalies: &ChainAnomalies) {
    let ChainAnomalies { rooted_and_rootless, contested_from, unplaced_blocks, refused_blocks } = *anomalies;
    if let Some(height) = rooted_and_rootless {
        tracing::warn!(
            height = height.0,
            "blocks from this height on have no link to those below: normal while an assumeutxo node syncs in the background; else the \
             node may have left one of the two, and only the node can say which"
        );
    }
    if let Some(height) = contested_from {
        tracing::warn!(
            height = height.0,
            "two chains claim the heights from here on, and nothing links one to genesis; the one with more work is taken, and \
             only the node can say whether it is active"
        );
    }
    if unplaced_blocks > 0 {
        tracing::warn!(
            blocks = unplaced_blocks,
            "blocks without known ancestors name no height that can be trusted; they are left out: look for block files that are missing"
        );
    }
    if refused_blocks > 0 {
        tracing::warn!(
            blocks = refused_blocks,
            "blocks whose difficulty cannot follow their parent's are left out; the node would not take them either"
        );
    }
}
