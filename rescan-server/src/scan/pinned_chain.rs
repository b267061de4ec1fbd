//! The chain that a scan is pinned to, and its blocks as workers read them.
//!
//! Invariant: each block is checked before and after it is examined. Its header hashes to the
//! expected hash both times, and its file has kept its length. A block that fails is read from its
//! other copies before it counts as bad.

use std::sync::Arc;

use bitcoin::BlockHash;
use rescan_core::blocks::obfuscation::RawBlock;
use rescan_core::blocks::proof::Unproven;
use rescan_core::causes::with_causes;
use rescan_core::chain::active_chain::{ActiveChain, ChainBlock};
use rescan_core::chain::header::Header;
use rescan_core::position::{Height, HeightRange, RecordSpan};
use rescan_core::report::{Failure, FailureKind, FailurePlace};

use crate::blocks::block_files::BlockFileError;
use crate::blocks::window::{FilesInUse, Window};
use crate::cancel::Cancel;
use crate::chain::Chain;

/// The chain that a scan is pinned to, and access to its files.
#[derive(Clone, Debug)]
pub(super) struct PinnedChain {
    pub(super) chain: Arc<Chain>,
    pub(super) snapshot: Arc<ActiveChain>,
    pub(super) cancel: Cancel,
    in_use: Arc<FilesInUse>,
}

impl PinnedChain {
    pub(super) fn new(chain: Arc<Chain>, snapshot: Arc<ActiveChain>, cancel: Cancel) -> Self {
        Self { chain, snapshot, cancel, in_use: Arc::default() }
    }

    /// The failure of a block all of whose copies are bad.
    pub(super) fn failure(&self, height: Height, span: RecordSpan, cause: &BlockFault) -> Failure {
        let kind = match cause {
            BlockFault::File(_) => FailureKind::Unreadable,
            _ => FailureKind::CorruptBlock,
        };
        let path = self.chain.files().path(span.file);
        let detail = format!(
            "block {height} in {} at offset {}: {}; if the node's own checks agree, restart it with -reindex",
            path.display(),
            span.offset,
            with_causes(cause)
        );
        Failure { kind, detail, at: Some(FailurePlace { height, path, offset: u64::from(span.offset) }) }
    }
}

/// The failure of a height at which the chain has no block on disk.
pub(super) fn missing(height: Height) -> Failure {
    let detail = format!("the chain has no block on disk at height {height}");
    Failure { kind: FailureKind::Unreadable, detail, at: None }
}

/// The reason why a worker did not finish a segment.
#[derive(Debug)]
pub(super) enum SegmentFault {
    /// The scan was cancelled.
    Cancelled,
    /// The chain has no block on disk at this height.
    Missing(Height),
    /// All copies of a block are bad; this is the fault of the first.
    Block { height: Height, span: RecordSpan, cause: BlockFault },
}

/// The fault of one copy of a block.
#[derive(Debug, thiserror::Error)]
pub(super) enum BlockFault {
    #[error(transparent)]
    File(#[from] BlockFileError),
    #[error("expected block {expected}, found a header that hashes to {found}")]
    OtherBlock { expected: BlockHash, found: BlockHash },
    #[error("expected a block of at least 80 bytes, found {0}")]
    NoHeader(usize),
    #[error(transparent)]
    Unproven(#[from] Unproven),
}

/// The blocks of one segment, opened together.
#[derive(Debug)]
pub(super) struct SegmentBlocks<'p> {
    pinned: &'p PinnedChain,
    /// `None` if the segment could not be opened as one; each block is then opened for itself.
    window: Option<Window>,
}

impl<'p> SegmentBlocks<'p> {
    pub(super) fn open(pinned: &'p PinnedChain, heights: HeightRange) -> Self {
        let blocks = heights.iter().map(|height| pinned.snapshot.block(height));
        let spans: Option<Vec<RecordSpan>> = blocks.map(|block| block.map(|block| block.span)).collect();
        // An error of the window shows again with the first block that needs it.
        let window = spans.and_then(|spans| pinned.chain.files().window(&spans).ok());
        window.iter().for_each(|window| pinned.in_use.touch(window));
        Self { pinned, window }
    }

    /// Runs `examine` on the block at `height`. If that or a check around it fails, runs it on the
    /// other copies: it may run more than once, and only the returned value counts.
    pub(super) fn examine<T>(
        &self,
        height: Height,
        mut examine: impl FnMut(RawBlock<'_>) -> Result<T, BlockFault>,
    ) -> Result<(ChainBlock, T), SegmentFault> {
        let pinned = self.pinned;
        if pinned.cancel.is_cancelled() {
            return Err(SegmentFault::Cancelled);
        }
        let block = pinned.snapshot.block(height).ok_or(SegmentFault::Missing(height))?;
        let examined = match &self.window {
            Some(window) => examine_in(window, block.hash, block.span, &mut examine),
            None => examine_alone(pinned, block.hash, block.span, &mut examine),
        };
        let cause = match examined {
            Ok(value) => return Ok((block, value)),
            Err(cause) => cause,
        };
        pinned.chain.suspect(block.span.file);
        for span in self.other_copies(height, block) {
            if let Ok(value) = examine_alone(pinned, block.hash, span, &mut examine) {
                tracing::warn!(
                    %height, bad = %block.span.file, bad_offset = block.span.offset, good = %span.file, %cause,
                    "read a block from its other copy; the file with the bad one may be damaged; check the disk"
                );
                return Ok((ChainBlock { span, ..block }, value));
            }
        }
        Err(SegmentFault::Block { height, span: block.span, cause })
    }

    /// The other copies of the block in the pinned chain and the newest one.
    fn other_copies(&self, height: Height, block: ChainBlock) -> Vec<RecordSpan> {
        let mut copies = self.pinned.snapshot.copies(height);
        if let Some(newest) = self.pinned.chain.newest()
            && newest.block(height).is_some_and(|newer| newer.hash == block.hash)
        {
            copies.extend(newest.copies(height));
        }
        copies.retain(|span| *span != block.span);
        copies.sort_unstable();
        copies.dedup();
        copies
    }
}

fn examine_alone<T>(
    pinned: &PinnedChain,
    hash: BlockHash,
    span: RecordSpan,
    examine: &mut impl FnMut(RawBlock<'_>) -> Result<T, BlockFault>,
) -> Result<T, BlockFault> {
    let window = pinned.chain.files().window(&[span])?;
    examine_in(&window, hash, span, examine)
}

fn examine_in<T>(
    window: &Window,
    hash: BlockHash,
    span: RecordSpan,
    examine: &mut impl FnMut(RawBlock<'_>) -> Result<T, BlockFault>,
) -> Result<T, BlockFault> {
    let examined = window.with_block(span, |raw| {
        expect_hash(raw, hash)?;
        let examined = examine(raw);
        // A node that restarts after a crash may rewrite mapped bytes: the value counts only if the
        // block was there from beginning to end. This outranks an error of `examine`, which may be
        // about other bytes.
        window.recheck()?;
        expect_hash(raw, hash)?;
        examined
    });
    examined?.unwrap_or(Err(BlockFault::NoHeader(0)))
}

fn expect_hash(raw: RawBlock<'_>, expected: BlockHash) -> Result<(), BlockFault> {
    let header = raw.header().ok_or(BlockFault::NoHeader(raw.bytes().len()))?;
    let found = Header::new(header).hash();
    if found == expected { Ok(()) } else { Err(BlockFault::OtherBlock { expected, found }) }
}
