//! One segment: consecutive heights that one worker walks as one unit of work.
//!
//! A segment is walked against the coins that are known when its worker starts. Coins that earlier
//! segments found meanwhile are searched for when the segment's turn in chain order has come, and
//! only in blocks that may spend one. Reports are proven as the scan's `verify` demands.

use std::collections::HashMap;

use bitcoin::OutPoint;
use bitcoin::block::Header;
use rescan_core::blocks::obfuscation::RawBlock;
use rescan_core::blocks::proof::{Prover, Unproven};
use rescan_core::chain::active_chain::ChainBlock;
use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{BlockReport, Received, Spent, TransactionReport};
use rescan_core::request::{Extras, Verify};
use rescan_core::watching::filter::{WordFilter, scattered, txid_word};
use rescan_core::watching::matching::{BlockPlace, FoundCoin, Matcher, SpendLog, spend_mark};

use super::found_coins::CoinView;
use super::ordered::Done;
use super::pass::PassShared;
use super::pinned_chain::{BlockFault, SegmentBlocks, SegmentFault};

/// The result of a walk over a segment.
#[derive(Debug)]
pub(super) struct WalkedSegment {
    pub(super) reports: Vec<BlockReport>,
    /// The coins that it made.
    pub(super) found: HashMap<OutPoint, FoundCoin>,
    /// The number of committed segments at its start: it may have missed coins of later ones.
    pub(super) known: u64,
    /// The spends of each block, if logged.
    spends: Option<SegmentSpends>,
}

/// The spends of the blocks of a segment.
#[derive(Debug, Default)]
struct SegmentSpends {
    log: SpendLog,
    /// The end of each block in the log.
    ends: Vec<usize>,
}

/// Matches and proves one block after another, with the same buffers.
struct BlockMatcher<'w> {
    matcher: Matcher<'w>,
    prover: Prover,
    verify: Verify,
    extras: Extras,
}

/// The matches of a block.
struct Matched {
    transactions: Vec<TransactionReport>,
    header: Option<Header>,
}

/// Walks the blocks of `heights`. Stops early once its reports exceed `reports_bytes_max` of
/// memory, as they do if nearly everything matches.
pub(super) fn walk_segment(
    shared: &PassShared,
    heights: HeightRange,
    reports_bytes_max: usize,
) -> Result<Done<WalkedSegment>, SegmentFault> {
    let mut matcher = BlockMatcher::new(shared);
    let mut view = shared.coins.view();
    let known = view.known();
    let mut spends = shared.logs_spends().then(SegmentSpends::default);
    let mut reports = Vec::new();
    let mut reports_bytes = 0_usize;
    let mut last = heights.first();
    let blocks = SegmentBlocks::open(&shared.config.pinned, heights);
    for height in heights.iter() {
        last = height;
        let (block, matched) = blocks.examine(height, |raw| {
            matcher.examine(raw, height, &mut view, spends.as_mut().map(|spends| &mut spends.log))
        })?;
        if let Some(spends) = &mut spends {
            spends.ends.push(spends.log.len());
        }
        if !matched.transactions.is_empty() {
            reports_bytes = matched.transactions.iter().map(memory_bytes).fold(reports_bytes, usize::saturating_add);
            reports.push(matched.into_report(height, block));
        }
        if reports_bytes > reports_bytes_max {
            break;
        }
    }
    Ok(Done { value: WalkedSegment { reports, found: view.into_found(), known, spends }, last })
}

/// Searches a walked segment for spends of `fresh` coins, which earlier segments found meanwhile.
/// Blocks that may spend one are matched again, now that every earlier coin is known. Stops early
/// as a walk does, once the new reports exceed `reports_bytes_max` of memory.
pub(super) fn rematch_segment(
    shared: &PassShared,
    heights: HeightRange,
    mut walked: WalkedSegment,
    fresh: &[OutPoint],
    reports_bytes_max: usize,
) -> Result<Done<WalkedSegment>, SegmentFault> {
    let suspects: Vec<Height> = match &walked.spends {
        Some(spends) => {
            heights.iter().zip(spends.spenders(fresh)).filter_map(|(height, may)| may.then_some(height)).collect()
        }
        None => heights.iter().collect(),
    };
    let mut matcher = BlockMatcher::new(shared);
    let mut view = shared.coins.view().with_found(std::mem::take(&mut walked.found));
    let blocks = SegmentBlocks::open(&shared.config.pinned, heights);
    let mut last = heights.last();
    let mut reports_bytes = 0_usize;
    for height in suspects {
        let position = walked.reports.binary_search_by_key(&height, |report| report.height);
        // Prove it again even if it was reported before: these may be the bytes of another copy.
        let (block, matched) = blocks.examine(height, |raw| matcher.examine(raw, height, &mut view, None))?;
        reports_bytes = matched.transactions.iter().map(memory_bytes).fold(reports_bytes, usize::saturating_add);
        match position {
            Ok(at) => walked.reports[at] = matched.into_report(height, block),
            Err(_) if matched.transactions.is_empty() => {}
            Err(at) => walked.reports.insert(at, matched.into_report(height, block)),
        }
        if reports_bytes > reports_bytes_max {
            last = height;
            break;
        }
    }
    // Blocks above `last` are walked again. Their coins have no effect without reports.
    walked.reports.truncate(walked.reports.partition_point(|report| report.height <= last));
    walked.found = view.into_found();
    Ok(Done { value: walked, last })
}

/// The approximate memory of a report and its coins, in bytes.
fn memory_bytes(transaction: &TransactionReport) -> usize {
    /// A coin in a hash table that is half full.
    const COIN_BYTES: usize = 128;
    /// The overhead of an allocation.
    const ALLOCATION_BYTES: usize = 16;
    let received = transaction.received.iter().map(|output| {
        let script = output.script_pubkey.len() + ALLOCATION_BYTES;
        let origins = size_of_val(output.origins.as_slice()) + ALLOCATION_BYTES;
        size_of::<Received>() + script + origins + COIN_BYTES
    });
    let spent = transaction
        .spent
        .iter()
        .map(|input| size_of::<Spent>() + size_of_val(input.origins.as_slice()) + ALLOCATION_BYTES);
    let raw = transaction.raw.as_ref().map_or(0, |raw| raw.len() + ALLOCATION_BYTES);
    let branch =
        transaction.merkle_branch.as_ref().map_or(0, |branch| size_of_val(branch.as_slice()) + ALLOCATION_BYTES);
    size_of::<TransactionReport>() + received.chain(spent).sum::<usize>() + raw + branch
}

impl<'w> BlockMatcher<'w> {
    fn new(shared: &'w PassShared) -> Self {
        Self {
            matcher: Matcher::new(&shared.watch),
            prover: Prover::default(),
            verify: shared.config.verify,
            extras: shared.config.extras,
        }
    }

    fn examine(
        &mut self,
        raw: RawBlock<'_>,
        height: Height,
        view: &mut CoinView<'_>,
        log: Option<&mut SpendLog>,
    ) -> Result<Matched, BlockFault> {
        let transactions = self.match_block(raw, height, view, log)?;
        self.prove(raw, &transactions)?;
        Ok(self.with_extras(raw, transactions)?)
    }

    fn prove(&mut self, raw: RawBlock<'_>, transactions: &[TransactionReport]) -> Result<(), Unproven> {
        let wanted = match self.verify {
            Verify::All => true,
            // A merkle branch is part of a proof, even if the disk is trusted.
            Verify::None if !self.extras.merkle_branches => false,
            Verify::Reported | Verify::None => !transactions.is_empty(),
        };
        if wanted { self.prover.prove(raw, transactions) } else { Ok(()) }
    }

    /// Adds raw transactions, merkle branches and the header, if requested.
    fn with_extras(
        &mut self,
        raw: RawBlock<'_>,
        mut transactions: Vec<TransactionReport>,
    ) -> Result<Matched, Unproven> {
        if transactions.is_empty() || self.extras == Extras::default() {
            return Ok(Matched { transactions, header: None });
        }
        let indexes: Vec<u32> = transactions.iter().map(|transaction| transaction.tx_index).collect();
        if self.extras.raw_transactions {
            if self.verify != Verify::None {
                self.prover.prove_witnesses(raw)?;
            }
            for (transaction, bytes) in transactions.iter_mut().zip(self.prover.raw_transactions(raw, &indexes)?) {
                transaction.raw = Some(bytes);
            }
        }
        let mut header = None;
        if self.extras.merkle_branches {
            for (transaction, branch) in transactions.iter_mut().zip(self.prover.branches(&indexes)?) {
                transaction.merkle_branch = Some(branch);
            }
            header = raw.header().and_then(|bytes| bitcoin::consensus::deserialize(&bytes).ok());
        }
        Ok(Matched { transactions, header })
    }

    fn match_block(
        &mut self,
        raw: RawBlock<'_>,
        height: Height,
        view: &mut CoinView<'_>,
        log: Option<&mut SpendLog>,
    ) -> Result<Vec<TransactionReport>, BlockFault> {
        let place = if height == Height::GENESIS { BlockPlace::Genesis } else { BlockPlace::Later };
        let matched = match log {
            Some(log) => self.matcher.match_block_logging_spends(raw, place, view, log),
            None => self.matcher.match_block(raw, place, view),
        };
        Ok(matched.map_err(Unproven::from)?)
    }
}

impl Matched {
    fn into_report(self, height: Height, block: ChainBlock) -> BlockReport {
        let Self { transactions, header } = self;
        BlockReport { height, hash: block.hash, time: block.time, is_late: false, header, transactions }
    }
}

impl SegmentSpends {
    /// For each block in turn: whether it may spend one of `coins`.
    fn spenders(&self, coins: &[OutPoint]) -> impl Iterator<Item = bool> {
        let marks = WordFilter::with_capacity(coins.len());
        coins.iter().for_each(|coin| marks.insert(scattered(u64::from(spend_mark(txid_word(coin), coin.vout)))));
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(move |(start, end)| {
            self.log[start..*end].iter().any(|mark| marks.may_contain(scattered(u64::from(*mark))))
        })
    }
}
