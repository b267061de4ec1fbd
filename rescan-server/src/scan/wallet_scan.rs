//! A running scan for a watch set: its passes over the range, and the matches beyond the gap limit.
//!
//! The main pass walks the range once. When the gap limit reaches withheld matches, their blocks
//! are matched again for those scripts alone. When more scripts are watched, a backfill pass
//! rescans the settled part for the new ones alone. Both report late. Only `gap_rule` decides which
//! matches leave, and only `lookahead` when more is watched.

mod results;

use std::sync::Arc;

use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{BlockReport, Failure, KeychainUse, Outcome};
use rescan_core::request::Deliver;

use super::found_coins::FoundCoins;
use super::gap_rule::{GapLimit, GapRule, IndexRange, PendingMatch};
use super::lookahead::{Extension, Lookahead, ScriptDeriver, WalkPosition, derivation_failure};
use super::pass::{Pass, PassConfig};
use super::pinned_chain::PinnedChain;
use super::plan::ScanPlan;
use super::pool::WorkerPool;
use super::progress::ScanProgress;
use super::segments::{SegmentSize, Segments};
use super::transaction_counter::TransactionCounter;
use crate::cancel::Cancel;
use crate::chain::Chain;

/// A running scan. After a drop, workers finish the segments in hand and start no more.
#[derive(Debug)]
pub struct Scan {
    pool: WorkerPool,
    config: PassConfig,
    range: HeightRange,
    scanned_through: Option<Height>,
    deliver: Deliver,
    segment_size: SegmentSize,
    coins: Arc<FoundCoins>,
    rule: GapRule,
    /// The pass over the whole range.
    main: Pass,
    /// The pass over settled blocks, which runs before the main pass resumes.
    backfill: Option<Backfill>,
    pending: Vec<PendingMatch>,
    lookahead: Lookahead,
    /// Indexes beyond the initial watch set that earlier scans watched.
    watched_before: Vec<IndexRange>,
    reported: TransactionCounter,
    passes: u32,
    outcome: Option<Outcome>,
}

/// A pass over settled blocks for newly watched scripts alone.
#[derive(Debug)]
struct Backfill {
    pass: Pass,
    /// Its indexes: until it ends, matches of these may be missing.
    ranges: Vec<IndexRange>,
}

/// Whether reports come in chain order or from blocks that were settled before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arrival {
    InOrder,
    Late,
}

impl Scan {
    /// Starts a scan, in the context of a Tokio runtime. Workers read `cancel` once a block; its
    /// owner sets it when the scan is dropped.
    #[must_use]
    pub fn start(pool: &WorkerPool, chain: Arc<Chain>, plan: ScanPlan, cancel: Cancel) -> Self {
        let pinned = PinnedChain::new(chain, plan.snapshot, cancel);
        let config = PassConfig { pinned, verify: plan.verify, extras: plan.extras };
        let rules: Vec<GapLimit> = plan.keychains.iter().map(|keychain| keychain.rule).collect();
        let before_use = |keychain: u32| rules.get(keychain as usize)?.limit(KeychainUse::Unused); // 32 bits fit
        let matched_through = |keychain: u32| match &plan.scanned {
            None => before_use(keychain),
            Some(scanned) => scanned.watched_through.get(keychain as usize).copied().flatten(),
        };
        let rule = GapRule::new(&rules, matched_through);
        let beyond = |keychain: u32| {
            let (last, first) = (matched_through(keychain)?, before_use(keychain)?.saturating_add(1));
            (first <= last).then_some(IndexRange { keychain, first, last })
        };
        let watched_before = (0..).zip(&rules).filter_map(|(keychain, _)| beyond(keychain)).collect();
        let scanned_through = plan.scanned.as_ref().map(|scanned| scanned.through);
        let coins = Arc::new(FoundCoins::new(Arc::clone(&plan.watch)));
        let segments = Segments::after(scanned_through, plan.range, plan.segment_size);
        let deriver = ScriptDeriver::new(pool, plan.keychains, plan.scripts_max);
        Self {
            main: Pass::new(pool, config.clone(), plan.watch, Arc::clone(&coins), segments),
            pool: pool.clone(),
            config,
            range: plan.range,
            scanned_through,
            deliver: plan.deliver,
            segment_size: plan.segment_size,
            coins,
            lookahead: Lookahead::new(deriver, plan.lookahead, &rule),
            rule,
            backfill: None,
            pending: Vec::new(),
            watched_before,
            reported: TransactionCounter::default(),
            passes: 1,
            outcome: None,
        }
    }

    /// The reports of the next settled segment, by ascending height and empty for most segments;
    /// `None` once the scan has an outcome.
    ///
    /// # Errors
    /// [`Failure`] if every copy of a block is bad, more scripts are needed than may be watched, or
    /// a worker panicked. Earlier reports remain true.
    pub async fn next(&mut self) -> Result<Option<Vec<BlockReport>>, Failure> {
        while self.outcome.is_none() {
            if let Some(backfill) = &mut self.backfill {
                if !backfill.pass.ordered.has_more() {
                    self.backfill = None;
                } else if let Some(reports) = backfill.pass.next().await? {
                    return Ok(Some(self.settle(reports, Arrival::Late)));
                } else {
                    self.outcome = backfill.pass.ordered.outcome();
                }
            } else if !self.watched_before.is_empty() {
                self.watch_earlier_scripts().await?;
            } else if !self.pending.is_empty() {
                self.match_pending().await?;
            } else if let Some(extension) = self.extension().await? {
                self.watch_more(extension);
            } else if let Some(reports) = self.main.next().await? {
                return Ok(Some(self.settle(reports, Arrival::InOrder)));
            } else {
                self.outcome = self.main.ordered.outcome();
            }
        }
        Ok(None)
    }

    /// The counters of settled blocks, for readers on any thread.
    #[must_use]
    pub fn progress(&self) -> Arc<ScanProgress> {
        Arc::clone(self.main.ordered.progress())
    }

    /// The outcome; `None` while the scan runs.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// The last settled height, of this scan or of the earlier one that it resumes.
    #[must_use]
    pub fn settled(&self) -> Option<Height> {
        self.main.ordered.settled().or(self.scanned_through)
    }

    /// Whether every match up to [`Scan::settled`] within the gap limits was reported.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.backfill.is_none() && self.pending.is_empty() && self.watched_before.is_empty()
    }

    /// The number of watched scripts. Scripts that were derived ahead count once they are watched.
    #[must_use]
    pub fn scripts(&self) -> u64 {
        self.main.watch().script_count() as u64 // usize has at most 64 bits
    }

    /// Records settled reports, and returns their matches within the gap limits if the wallet wants
    /// reports.
    fn settle(&mut self, reports: Vec<BlockReport>, arrival: Arrival) -> Vec<BlockReport> {
        let (mut reports, pending) = self.rule.record(reports);
        self.pending.extend(pending);
        for report in &mut reports {
            report.is_late = arrival == Arrival::Late;
            for transaction in &mut report.transactions {
                for spent in transaction.spent.iter_mut().filter(|spent| spent.value.is_none()) {
                    spent.value = self.main.watch().given_coin(&spent.prevout).and_then(|given| given.value);
                }
                match arrival {
                    Arrival::InOrder => self.reported.add_next(report.height, transaction.tx_index),
                    Arrival::Late => self.reported.add_late(report.height, transaction.tx_index),
                }
            }
        }
        match self.deliver {
            Deliver::History => reports,
            Deliver::Coins => Vec::new(),
        }
    }

    /// Adds the scripts that earlier scans watched in their part to the watch set of the rest.
    async fn watch_earlier_scripts(&mut self) -> Result<(), Failure> {
        let ranges = std::mem::take(&mut self.watched_before);
        let derived = self.lookahead.deriver().start(ranges, Arc::clone(self.main.watch())).finished().await;
        self.main.resume_with(derived.map_err(|error| derivation_failure(&error))?.watch);
        Ok(())
    }

    /// Starts a backfill of the blocks with pending matches.
    async fn match_pending(&mut self) -> Result<(), Failure> {
        let range = |pending: &PendingMatch| IndexRange {
            keychain: pending.keychain,
            first: pending.index,
            last: pending.index,
        };
        let ranges: Vec<IndexRange> = self.pending.iter().map(range).collect();
        let heights = self.pending.iter().flat_map(|pending| pending.heights.iter().copied()).collect();
        let derived = self.lookahead.deriver().watch_set(ranges.clone()).await;
        let watch = Arc::new(derived.map_err(|error| derivation_failure(&error))?);
        self.pending.clear();
        // Separate coins: the scan has forgotten those coins of these scripts that were spent
        // meanwhile.
        let coins = Arc::new(FoundCoins::new(Arc::clone(&watch)));
        self.backfill = Segments::of_blocks(heights).map(|segments| Backfill {
            pass: Pass::new(&self.pool, self.config.clone(), watch, coins, segments),
            ranges,
        });
        Ok(())
    }

    /// Further scripts, if they are due. Waits for their derivation only if no other work should
    /// come first.
    async fn extension(&mut self) -> Result<Option<Extension>, Failure> {
        let ordered = &self.main.ordered;
        let position = match (ordered.has_more(), ordered.settled()) {
            (false, _) => WalkPosition::End,
            (true, None) => WalkPosition::Start,
            (true, Some(_)) => WalkPosition::within(ordered.progress()),
        };
        self.lookahead.extension(&self.rule, position, self.main.watch()).await
    }

    /// Watches more scripts from here on, and starts a backfill of the settled part for the new
    /// ones alone.
    fn watch_more(&mut self, extension: Extension) {
        self.rule.mark_matched(&extension.ranges);
        self.main.resume_with(extension.watch);
        let Some(settled) = self.settled().and_then(|last| HeightRange::new(self.range.first(), last)) else { return };
        let segments = Segments::new(settled, self.segment_size);
        let pass = Pass::new(&self.pool, self.config.clone(), extension.new, Arc::clone(&self.coins), segments);
        self.passes = self.passes.saturating_add(1);
        self.backfill = Some(Backfill { pass, ranges: extension.ranges });
    }
}
