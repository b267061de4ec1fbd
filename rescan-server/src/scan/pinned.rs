//! The blocks of the chain that a scan is pinned to, as workers get at them.
//!
//! Each block is what the chain says it is before it is examined and still is when that is over: its header hashes to
//! the expected hash at both times and its file has kept its length. A block that fails is looked for in its other
//! copies before it is said to be at fault.

use std::sync::Arc;

use bitcoin::BlockHash;
use rescan_core::blocks::obfuscation::RawBlock;
use rescan_core::blocks::proof::Unproven;
use rescan_core::causes::with_causes;
use rescan_core::chain::active_chain::{ActiveChain, ChainBlock};
use rescan_core::chain::header::Header;
use rescan_core::position::{Height, HeightRange, RecordSpan};
use rescan_core::report::{Failure, FailureKind, FailurePlace};

use crate::blocks::block_files::{BlockFileError, FilesInUse, Window};
use crate::cancel::Cancel;
use crate::chain::Chain;

/// The chain that a scan is pinned to, and the way to its bytes.
#[derive(Clone, Debug)]
pub(super) struct Pinned {
    pub(super) chain: Arc<Chain>,
    pub(super) snapshot: Arc<ActiveChain>,
    pub(super) cancel: Cancel,
    in_use: Arc<FilesInUse>,
}

impl Pinned {
    pub(super) fn new(chain: Arc<Chain>, snapshot: Arc<ActiveChain>, cancel: Cancel) -> Self {
        Self { chain, snapshot, cancel, in_use: Arc::default() }
    }
}

impl Pinned {
    /// What it comes to that no copy of a block would do.
    pub(super) fn failure(&self, height: Height, span: RecordSpan, cause: &BlockFault) -> Failure {
        let kind = match cause {
            BlockFault::File(_) => FailureKind::Unreadable,
            _ => FailureKind::CorruptBlock,
        };
        let path = self.chain.files().path(span.file);
        let detail = format!(
            "block {height} in {} at offset {}: {}; stop the node and run it with -reindex if its own checks agree",
            path.display(),
            span.offset,
            with_causes(cause)
        );
        Failure { kind, detail, at: Some(FailurePlace { height, path, offset: u64::from(span.offset) }) }
    }
}

/// What it comes to that the chain has no block on disk at a height.
pub(super) fn missing(height: Height) -> Failure {
    let detail = format!("the chain has no block on disk at height {height}");
    Failure { kind: FailureKind::Unreadable, detail, at: None }
}

/// Why a worker did not finish a segment.
#[derive(Debug)]
pub(super) enum SegmentFault {
    /// The scan was told to stop.
    Cancelled,
    /// The chain has no block on disk at this height.
    Missing(Height),
    /// No copy of a block would do; this is what was wrong with the first.
    Block { height: Height, span: RecordSpan, cause: BlockFault },
}

/// What is wrong with one copy of a block.
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
    pinned: &'p Pinned,
    /// None where the segment could not be opened as one; each block is then tried for itself.
    window: Option<Window>,
}

impl<'p> SegmentBlocks<'p> {
    pub(super) fn open(pinned: &'p Pinned, heights: HeightRange) -> Self {
        let blocks = heights.iter().map(|height| pinned.snapshot.block(height));
        let spans: Option<Vec<RecordSpan>> = blocks.map(|block| block.map(|block| block.span)).collect();
        // What is wrong with a window is said by the first block that lacks it.
        let window = spans.and_then(|spans| pinned.chain.files().window(&spans).ok());
        window.iter().for_each(|window| pinned.in_use.note(window));
        Self { pinned, window }
    }

    /// Gives the block at `height` to `examine`; if that or what surrounds it fails, another copy of the block, so that
    /// `examine` may run more than once, and what counts is only what this gives back.
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
                    "a block was read from its other copy; the file with the bad one may be damaged: look at the disk"
                );
                return Ok((ChainBlock { span, ..block }, value));
            }
        }
        Err(SegmentFault::Block { height, span: block.span, cause })
    }

    /// Where else the block lies, by the pinned chain and by the newest.
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
    pinned: &Pinned,
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
    let seen = window.with_block(span, |raw| {
        expect_hash(raw, hash)?;
        let examined = examine(raw);
        // A node that was restarted after a crash may rewrite what lies beneath a map: what was read counts only if the
        // block was there from beginning to end. This outranks what `examine` says, which may be about other bytes.
        window.recheck()?;
        expect_hash(raw, hash)?;
        examined
    });
    seen?.unwrap_or(Err(BlockFault::NoHeader(0)))
}

fn expect_hash(raw: RawBlock<'_>, expected: BlockHash) -> Result<(), BlockFault> {
    let header = raw.header().ok_or(BlockFault::NoHeader(raw.bytes().len()))?;
    let found = Header::new(header).hash();
    if found == expected { Ok(()) } else { Err(BlockFault::OtherBlock { expected, found }) }
}
