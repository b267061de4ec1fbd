//! One segment: consecutive heights walked by one worker as one unit of work.
//!
//! A segment is walked against the coins that are known when its worker begins. What earlier segments found meanwhile is
//! looked for afterwards, when the segment's turn in chain order has come, and only in blocks that may spend it. What is
//! reported is proven as the scan's `verify` asks.

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
use super::ordered::Worked;
use super::pass::PassShared;
use super::pinned::{BlockFault, SegmentBlocks, SegmentFault};

/// What a worker brings back from a segment.
#[derive(Debug)]
pub(super) struct WalkedSegment {
    pub(super) reports: Vec<BlockReport>,
    /// The coins that it made.
    pub(super) found: HashMap<OutPoint, FoundCoin>,
    /// How many segments were committed when it was begun: coins of later ones it may have missed.
    pub(super) known: u64,
    /// What each of its blocks spends, where that was asked for.
    spends: Option<SegmentSpends>,
}

/// What the blocks of a segment spend.
#[derive(Debug, Default)]
struct SegmentSpends {
    log: SpendLog,
    /// Where each block ends in the log.
    ends: Vec<usize>,
}

/// The buffers that serve one block after another.
struct Workbench<'w> {
    matcher: Matcher<'w>,
    prover: Prover,
    verify: Verify,
    extras: Extras,
}

/// What a block yields, before its place is known.
struct Yield {
    transactions: Vec<TransactionReport>,
    header: Option<Header>,
}

/// Walks the blocks of `heights`, or the first of them: where nearly everything matches, it stops as soon as its reports
/// take `reports_bytes_max` of memory.
pub(super) fn walk_segment(
    shared: &PassShared,
    heights: HeightRange,
    reports_bytes_max: usize,
) -> Result<Worked<WalkedSegment>, SegmentFault> {
    let mut bench = Workbench::new(shared);
    let mut view = shared.coins.view();
    let known = view.known();
    let mut spends = shared.logs_spends().then(SegmentSpends::default);
    let mut reports = Vec::new();
    let mut reports_bytes = 0_usize;
    let mut last = heights.first();
    let blocks = SegmentBlocks::open(&shared.config.pinned, heights);
    for height in heights.iter() {
        last = height;
        let (block, yielded) = blocks.examine(height, |raw| {
            bench.examine(raw, height, &mut view, spends.as_mut().map(|spends| &mut spends.log))
        })?;
        if let Some(spends) = &mut spends {
            spends.ends.push(spends.log.len());
        }
        if !yielded.transactions.is_empty() {
            reports_bytes = yielded.transactions.iter().map(memory_bytes).fold(reports_bytes, usize::saturating_add);
            reports.push(yielded.into_report(height, block));
        }
        if reports_bytes > reports_bytes_max {
            break;
        }
    }
    Ok(Worked { value: WalkedSegment { reports, found: view.into_found(), known, spends }, last })
}

/// Looks in a walked segment for spends of `fresh` coins, which were found in earlier segments while it was walked. Blocks
/// that may spend one are matched anew, now that every earlier coin is known. It ends early as a walk does, as soon as what
/// is told anew takes `reports_bytes_max` of memory.
pub(super) fn rematch_segment(
    shared: &PassShared,
    heights: HeightRange,
    mut walked: WalkedSegment,
    fresh: &[OutPoint],
    reports_bytes_max: usize,
) -> Result<Worked<WalkedSegment>, SegmentFault> {
    let suspects: Vec<Height> = match &walked.spends {
        Some(spends) => {
            heights.iter().zip(spends.spenders(fresh)).filter_map(|(height, may)| may.then_some(height)).collect()
        }
        None => heights.iter().collect(),
    };
    let mut bench = Workbench::new(shared);
    let mut view = shared.coins.view().with_found(std::mem::take(&mut walked.found));
    let blocks = SegmentBlocks::open(&shared.config.pinned, heights);
    let mut last = heights.last();
    let mut reports_bytes = 0_usize;
    for height in suspects {
        let place = walked.reports.binary_search_by_key(&height, |report| report.height);
        // Proven again, if it was reported before: these may be the bytes of another copy.
        let (block, yielded) = blocks.examine(height, |raw| bench.examine(raw, height, &mut view, None))?;
        reports_bytes = yielded.transactions.iter().map(memory_bytes).fold(reports_bytes, usize::saturating_add);
        match place {
            Ok(place) => walked.reports[place] = yielded.into_report(height, block),
            Err(_) if yielded.transactions.is_empty() => {}
            Err(place) => walked.reports.insert(place, yielded.into_report(height, block)),
        }
        if reports_bytes > reports_bytes_max {
            last = height;
            break;
        }
    }
    // What lies behind is walked again. Coins that it made are of no consequence without their reports.
    walked.reports.truncate(walked.reports.partition_point(|report| report.height <= last));
    walked.found = view.into_found();
    Ok(Worked { value: walked, last })
}

/// About what a report takes in memory until it has left, with the coins that it makes, in bytes.
fn memory_bytes(transaction: &TransactionReport) -> usize {
    /// A coin in a hash table that is half full.
    const COIN_BYTES: usize = 128;
    /// What an allocation costs beside its content.
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

impl<'w> Workbench<'w> {
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
    ) -> Result<Yield, BlockFault> {
        let transactions = self.match_block(raw, height, view, log)?;
        self.prove(raw, &transactions)?;
        Ok(self.with_extras(raw, transactions)?)
    }

    fn prove(&mut self, raw: RawBlock<'_>, transactions: &[TransactionReport]) -> Result<(), Unproven> {
        let wanted = match self.verify {
            Verify::All => true,
            // A branch is part of a proof, whoever trusts the disk.
            Verify::None if !self.extras.merkle_branches => false,
            Verify::Reported | Verify::None => !transactions.is_empty(),
        };
        if wanted { self.prover.prove(raw, transactions) } else { Ok(()) }
    }

    /// What was asked for beside the matches.
    fn with_extras(&mut self, raw: RawBlock<'_>, mut transactions: Vec<TransactionReport>) -> Result<Yield, Unproven> {
        if transactions.is_empty() || self.extras == Extras::default() {
            return Ok(Yield { transactions, header: None });
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
        Ok(Yield { transactions, header })
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

impl Yield {
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
