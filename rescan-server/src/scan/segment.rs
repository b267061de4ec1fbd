//! One segment: consecutive heights walked by one worker as one unit of work.
//!
//! A segment is walked against the coins that are known when its worker begins. What earlier segments found meanwhile is
//! looked for afterwards, when the segment's turn in chain order has come, and only in blocks that may spend it. What is
//! reported is proven as the scan's `verify` asks.

use std::collections::HashMap;

use bitcoin::OutPoint;
use rescan_core::filter::WordFilter;
use rescan_core::matching::{BlockPlace, FoundCoin, Matcher, SpendLog, filter_word, spend_mark};
use rescan_core::obfuscation::RawBlock;
use rescan_core::position::{Height, HeightRange};
use rescan_core::proof::{Prover, Unproven};
use rescan_core::report::{BlockReport, Received, Spent, TransactionReport};
use rescan_core::request::Verify;

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
        let (block, transactions) = blocks.examine(height, |raw| {
            let log = spends.as_mut().map(|spends| &mut spends.log);
            let transactions = bench.match_block(raw, height, &mut view, log)?;
            bench.prove(raw, &transactions)?;
            Ok(transactions)
        })?;
        if let Some(spends) = &mut spends {
            spends.ends.push(spends.log.len());
        }
        if !transactions.is_empty() {
            reports_bytes = transactions.iter().map(memory_bytes).fold(reports_bytes, usize::saturating_add);
            reports.push(BlockReport {
                height,
                hash: block.hash,
                time: block.time,
                is_late: false,
                header: None,
                transactions,
            });
        }
        if reports_bytes > reports_bytes_max {
            break;
        }
    }
    Ok(Worked { value: WalkedSegment { reports, found: view.into_found(), known, spends }, last })
}

/// Looks in a walked segment for spends of `fresh` coins, which were found in earlier segments while it was walked. Blocks
/// that may spend one are matched anew, now that every earlier coin is known.
pub(super) fn rematch_segment(
    shared: &PassShared,
    heights: HeightRange,
    mut walked: WalkedSegment,
    fresh: &[OutPoint],
) -> Result<WalkedSegment, SegmentFault> {
    let suspects: Vec<Height> = match &walked.spends {
        Some(spends) => {
            heights.iter().zip(spends.spenders(fresh)).filter_map(|(height, may)| may.then_some(height)).collect()
        }
        None => heights.iter().collect(),
    };
    let mut bench = Workbench::new(shared);
    let mut view = shared.coins.view().with_found(std::mem::take(&mut walked.found));
    let blocks = SegmentBlocks::open(&shared.config.pinned, heights);
    for height in suspects {
        let place = walked.reports.binary_search_by_key(&height, |report| report.height);
        let (block, transactions) = blocks.examine(height, |raw| {
            let transactions = bench.match_block(raw, height, &mut view, None)?;
            bench.prove(raw, &transactions)?; // again, if it was reported before: these may be the bytes of another copy
            Ok(transactions)
        })?;
        match place {
            Ok(place) => walked.reports[place].transactions = transactions,
            Err(_) if transactions.is_empty() => {}
            Err(place) => {
                walked.reports.insert(
                    place,
                    BlockReport {
                        height,
                        hash: block.hash,
                        time: block.time,
                        is_late: false,
                        header: None,
                        transactions,
                    },
                );
            }
        }
    }
    walked.found = view.into_found();
    Ok(walked)
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
    size_of::<TransactionReport>() + received.chain(spent).sum::<usize>()
}

impl<'w> Workbench<'w> {
    fn new(shared: &'w PassShared) -> Self {
        Self { matcher: Matcher::new(&shared.watch), prover: Prover::default(), verify: shared.config.verify }
    }

    fn prove(&mut self, raw: RawBlock<'_>, transactions: &[TransactionReport]) -> Result<(), BlockFault> {
        let wanted = match self.verify {
            Verify::All => true,
            Verify::Reported => !transactions.is_empty(),
            Verify::None => false,
        };
        if wanted { Ok(self.prover.prove(raw, transactions)?) } else { Ok(()) }
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

impl SegmentSpends {
    /// For each block in turn: whether it may spend one of `coins`.
    fn spenders(&self, coins: &[OutPoint]) -> impl Iterator<Item = bool> {
        let marks = WordFilter::with_capacity(coins.len());
        coins.iter().for_each(|coin| marks.insert(u64::from(spend_mark(filter_word(coin)))));
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(move |(start, end)| self.log[start..*end].iter().any(|mark| marks.may_contain(u64::from(*mark))))
    }
}
