//! A scan: what a wallet watches against a range of one pinned chain, walked in parallel, settled in chain order.
//!
//! Workers walk segments ahead of their turn (`segment`); order is restored in one place (`ordered`); when a
//! segment's turn has come, spends of coins that were found meanwhile are looked for in it, its coins are committed, and
//! its reports are final (`pass`). What of them leaves is for the `gap_rule` to say. Where it comes to reach what was
//! found before it did, single blocks are matched again; where it comes to reach what was not watched before, more is
//! derived (`ahead`), and what is settled is gone over again for that alone. Both give late reports.
//!
//! So the answer is the same for any number of workers, any size of segments and any order of use: that of one pass with
//! everything watched that the rule comes to reach.

mod ahead;
mod block_reader;
mod counted;
mod derivation;
mod found_coins;
mod gap_rule;
mod ordered;
mod pass;
mod pinned;
mod plan;
mod pool;
mod progress;
mod segment;
mod segments;
mod single_block;

use std::sync::Arc;
use std::time::Instant;

use rescan_core::coins::Coin;
use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{BlockReport, Failure, FailureKind, KeychainUse, Origin, Outcome};
use rescan_core::request::Deliver;
use rescan_core::watching::watch_set::WatchSetBuilder;

pub use self::block_reader::BlockReader;
pub use self::derivation::{DerivationError, WatchedKeychain, derive};
pub use self::found_coins::CoinTotals;
pub use self::gap_rule::{GapLimit, IndexRange};
pub(crate) use self::ordered::RETRIES_MAX;
pub use self::plan::{CoveredPart, Lookahead, ScanPlan, ScanTotals};
pub use self::pool::{Job, PoolError, WorkerPanicked, WorkerPool};
pub use self::progress::ScanProgress;
pub use self::segments::SegmentSize;
pub use self::single_block::match_single_block;

use self::ahead::{Ahead, Extension};
use self::counted::CountedTransactions;
use self::found_coins::{FoundCoins, LeftCoin};
use self::gap_rule::{Due, GapRule};
use self::pass::{Pass, PassConfig};
use self::pinned::Pinned;
use self::segments::Segments;
use crate::cancel::Cancel;
use crate::chain::Chain;

/// What is derived ahead is watched from then on where no more than this part of the range is settled, since that much is
/// gone over again: else only once the rule reaches it.
const AHEAD_WHERE_SETTLED_BELOW: u64 = 8;

/// A scan under way. Dropping it lets segments under way finish their block and no more begin.
#[derive(Debug)]
pub struct Scan {
    pool: WorkerPool,
    config: PassConfig,
    range: HeightRange,
    covered_through: Option<Height>,
    keychains: Arc<[WatchedKeychain]>,
    scripts_max: u64,
    deliver: Deliver,
    segment_size: SegmentSize,
    coins: Arc<FoundCoins>,
    rule: GapRule,
    /// The pass over the whole range.
    main: Pass,
    /// The pass that goes before it, over what is settled.
    late: Option<LatePass>,
    due: Vec<Due>,
    ahead: Option<Ahead>,
    lookahead: Lookahead,
    /// How many indexes are derived ahead the next time; none where no keychain is ranged.
    width: Option<u32>,
    /// How many of them at the least, however little the walk has cost so far: what bounds the number of passes.
    width_min: u32,
    /// Whether more may still be derived before the rule reaches it.
    may_look_ahead: bool,
    /// What earlier scans watched beyond what the watch set begins with.
    known_before: Vec<IndexRange>,
    counted: CountedTransactions,
    passes: u32,
    outcome: Option<Outcome>,
    started: Instant,
}

#[derive(Debug)]
struct LatePass {
    pass: Pass,
    /// What it is for: until it is through, matches of these may be missing.
    ranges: Vec<IndexRange>,
}

impl Scan {
    /// Begins a scan, in the context of a Tokio runtime. `cancel` is what its workers read once a block; whoever drops the
    /// scan sets it.
    #[must_use]
    pub fn start(pool: &WorkerPool, chain: Arc<Chain>, plan: ScanPlan, cancel: Cancel) -> Self {
        let pinned = Pinned::new(chain, plan.snapshot, cancel);
        let config = PassConfig { pinned, verify: plan.verify, extras: plan.extras };
        let rules: Vec<GapLimit> = plan.keychains.iter().map(|keychain| keychain.rule).collect();
        let before_use = |keychain: u32| rules.get(keychain as usize)?.limit(KeychainUse::Unused); // 32 bits fit
        let covered = |keychain: u32| match &plan.covered {
            None => before_use(keychain),
            Some(covered) => covered.watched_through.get(keychain as usize).copied().flatten(),
        };
        let rule = GapRule::new(&rules, covered);
        let beyond = |keychain: u32| {
            let (last, first) = (covered(keychain)?, before_use(keychain)?.saturating_add(1));
            (first <= last).then_some(IndexRange { keychain, first, last })
        };
        let known_before = (0..).zip(&rules).filter_map(|(keychain, _)| beyond(keychain)).collect();
        let ranged = u32::try_from(rule.ranged_count()).unwrap_or(u32::MAX);
        let covered_through = plan.covered.as_ref().map(|covered| covered.through);
        let coins = Arc::new(FoundCoins::new(Arc::clone(&plan.watch)));
        let segments = Segments::after(covered_through, plan.range, plan.segment_size);
        Self {
            main: Pass::new(pool, config.clone(), plan.watch, Arc::clone(&coins), segments),
            pool: pool.clone(),
            config,
            range: plan.range,
            covered_through,
            keychains: plan.keychains,
            scripts_max: plan.scripts_max,
            deliver: plan.deliver,
            segment_size: plan.segment_size,
            coins,
            rule,
            late: None,
            due: Vec::new(),
            ahead: None,
            width: plan.lookahead.width(ranged),
            width_min: plan.lookahead.each_min,
            lookahead: plan.lookahead,
            may_look_ahead: true,
            known_before,
            counted: CountedTransactions::default(),
            passes: 1,
            outcome: None,
            started: Instant::now(),
        }
    }

    /// The next settled reports by ascending height, none for most segments; nothing when the scan has come to its outcome.
    ///
    /// # Errors
    /// [`Failure`] where a block is at fault in every copy, more is to be watched than can be, or a worker panicked. What
    /// was reported before is true.
    pub async fn next(&mut self) -> Result<Option<Vec<BlockReport>>, Failure> {
        while self.outcome.is_none() {
            if let Some(late) = &mut self.late {
                if !late.pass.ordered.has_more() {
                    self.late = None;
                } else if let Some(reports) = late.pass.next().await? {
                    return Ok(Some(self.take(reports, true)));
                } else {
                    self.outcome = late.pass.ordered.outcome();
                }
            } else if !self.known_before.is_empty() {
                self.watch_what_was_known().await?;
            } else if !self.due.is_empty() {
                self.look_again().await?;
            } else if let Some(extension) = self.extension_in_time().await? {
                self.watch_more(extension);
            } else if self.main.ordered.has_more() {
                match self.main.next().await? {
                    Some(reports) => return Ok(Some(self.take(reports, false))),
                    None => self.outcome = self.main.ordered.outcome(),
                }
            } else {
                // Every segment is settled, and nothing is left to look for: this gives the outcome.
                drop(self.main.next().await?);
                self.outcome = self.main.ordered.outcome();
            }
        }
        Ok(None)
    }

    /// How far the scan is.
    #[must_use]
    pub fn progress(&self) -> Arc<ScanProgress> {
        Arc::clone(self.main.ordered.progress())
    }

    /// How it ended; none while it goes on.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// The last height that was settled, by this scan or an earlier one that it goes on from.
    #[must_use]
    pub fn settled(&self) -> Option<Height> {
        self.main.ordered.settled().or(self.covered_through)
    }

    /// Whether everything up to [`Scan::settled`] was reported that is watched.
    #[must_use]
    pub fn is_even(&self) -> bool {
        self.late.is_none() && self.due.is_empty() && self.known_before.is_empty()
    }

    /// What it comes to so far.
    #[must_use]
    pub fn totals(&self) -> ScanTotals {
        let coins = if self.rule.holds_nothing_back() {
            self.coins.totals()
        } else {
            let watch = self.main.watch();
            let counts = |script| {
                let script = watch.script(script).unwrap_or_default();
                watch.origins(script).iter().any(|origin| self.rule.reaches(origin))
            };
            self.coins.totals_of(counts)
        };
        ScanTotals {
            transactions: self.counted.count(),
            coins,
            keychains: self.rule.uses(),
            watched_through: self.watched_through(),
            blocks_scanned: self.main.ordered.progress().blocks_done(),
            bytes_scanned: self.main.ordered.progress().bytes_done(),
            passes: self.passes,
        }
    }

    /// Whether the wallet wants coins, and no reports.
    #[must_use]
    pub fn gives_coins(&self) -> bool {
        self.deliver == Deliver::Coins
    }

    /// The coins that are left, by height, index in block and output.
    ///
    /// # Errors
    /// [`Failure`] where a worker panicked.
    pub async fn coins(&self) -> Result<impl Iterator<Item = Coin> + '_, Failure> {
        let coins = Arc::clone(&self.coins);
        let sorted = self.pool.run(move || coins.sorted()).await.map_err(|error| internal(error.to_string()))?;
        Ok(sorted.into_iter().filter_map(|place| self.describe(self.coins.left(place)?)))
    }

    fn describe(&self, left: LeftCoin) -> Option<Coin> {
        let watch = self.main.watch();
        let script = watch.script(left.coin.script)?;
        let origins: Vec<Origin> =
            watch.origins(script).into_iter().filter(|origin| self.rule.reaches(origin)).collect();
        (!origins.is_empty()).then_some(Coin {
            height: left.height,
            block_hash: self.config.pinned.snapshot.block(left.height)?.hash,
            tx_index: left.tx_index,
            outpoint: left.outpoint,
            value: left.coin.value,
            script_pubkey: script.to_vec().into(),
            origins,
        })
    }

    fn watched_through(&self) -> Vec<Option<u32>> {
        let mut watched = self.rule.watched_through();
        let unsettled = self.late.iter().flat_map(|late| &late.ranges).map(|range| (range.keychain, range.first));
        for (keychain, index) in unsettled.chain(self.due.iter().map(|due| (due.keychain, due.index))) {
            if let Some(through) = watched.get_mut(keychain as usize) {
                *through = (*through).min(index.checked_sub(1)); // 32 bits fit
            }
        }
        watched
    }

    /// What of the reports leaves.
    fn take(&mut self, reports: Vec<BlockReport>, is_late: bool) -> Vec<BlockReport> {
        let (mut reports, due) = self.rule.take(reports);
        self.due.extend(due);
        for report in &mut reports {
            report.is_late = is_late;
            for transaction in &mut report.transactions {
                for spent in transaction.spent.iter_mut().filter(|spent| spent.value.is_none()) {
                    spent.value = self.main.watch().given_coin(&spent.prevout).and_then(|given| given.value);
                }
                if is_late {
                    self.counted.add_late(report.height, transaction.tx_index);
                } else {
                    self.counted.add_next(report.height, transaction.tx_index);
                }
            }
        }
        match self.deliver {
            Deliver::History => reports,
            Deliver::Coins => Vec::new(),
        }
    }

    /// Watches in what is to come what earlier scans watched in what they covered.
    async fn watch_what_was_known(&mut self) -> Result<(), Failure> {
        let ranges = std::mem::take(&mut self.known_before);
        let extension = self.begin_ahead(ranges).ready().await.map_err(|error| ahead::failure(&error))?;
        self.main.go_on_with(extension.watch);
        Ok(())
    }

    /// Matches again the blocks in which something was held back that is due now.
    async fn look_again(&mut self) -> Result<(), Failure> {
        let range = |due: &Due| IndexRange { keychain: due.keychain, first: due.index, last: due.index };
        let ranges: Vec<IndexRange> = self.due.iter().map(range).collect();
        let heights = self.due.iter().flat_map(|due| due.heights.iter().copied()).collect();
        let derived = derive(
            &self.pool,
            Arc::clone(&self.keychains),
            ranges.clone(),
            WatchSetBuilder::new(),
            u64::MAX,
            self.pool.workers(),
        );
        let watch = Arc::new(derived.await.map_err(|error| ahead::failure(&error))?.build());
        self.due.clear();
        // Coins of its own: those of these scripts that were spent meanwhile are forgotten in the scan's.
        let coins = Arc::new(FoundCoins::new(Arc::clone(&watch)));
        if let Some(segments) = Segments::of_blocks(heights) {
            self.late =
                Some(LatePass { pass: Pass::new(&self.pool, self.config.clone(), watch, coins, segments), ranges });
        }
        Ok(())
    }

    /// More to watch, where it is there and its time has come. Waits for it where nothing else is left to do.
    async fn extension_in_time(&mut self) -> Result<Option<(Extension, Vec<IndexRange>)>, Failure> {
        let is_outrun = self.rule.is_outrun();
        let walks = self.main.ordered.has_more();
        let is_unasked = walks && self.may_look_ahead && self.started.elapsed() >= self.lookahead.after;
        if self.ahead.is_none() && (is_outrun || is_unasked) {
            self.may_look_ahead = false;
            self.ahead = self.width.map(|width| {
                let ranges = match (is_outrun, walks) {
                    (false, _) => self.rule.extension(width),
                    (true, true) => self.rule.extension(self.worthwhile(width, self.rule.ranged_count())),
                    // All of the range was walked: what is unused stays so.
                    (true, false) => self.rule.extension_of_used(self.worthwhile(width, self.rule.used_count())),
                };
                self.width = Some(width.saturating_mul(2));
                self.width_min = self.width_min.saturating_mul(2);
                self.begin_ahead(ranges)
            });
        }
        let progress = self.main.ordered.progress();
        let is_early = progress.bytes_done().saturating_mul(AHEAD_WHERE_SETTLED_BELOW) <= progress.bytes_total();
        // Before anything is walked, it costs nothing to wait, and less has to be gone over again.
        let waits = is_outrun && (!walks || self.main.ordered.settled().is_none());
        let Some(ahead) = self.ahead.as_mut().filter(|ahead| waits || (ahead.is_ready() && (is_outrun || is_early)))
        else {
            return Ok(None);
        };
        let extension = ahead.ready().await;
        let ranges = self.ahead.take().map(|ahead| ahead.ranges.clone()).unwrap_or_default();
        match extension {
            Ok(extension) => Ok(Some((extension, ranges))),
            Err(error) if is_outrun => Err(ahead::failure(&error)),
            Err(_too_many) => {
                // Nothing that the rule reaches is missing. Should it reach more, that is tried again, with less ahead.
                self.width = Some(self.lookahead.each_min);
                Ok(None)
            }
        }
    }

    /// No more of `width` than takes about as long to derive as the walk has taken so far, which is what going over it
    /// again costs at the most: deriving then costs no more than the walk. Since the least doubles each time, a keychain
    /// is not outrun often.
    fn worthwhile(&self, width: u32, keychains: usize) -> u32 {
        width.min(self.lookahead.affordable(self.started.elapsed(), keychains).max(self.width_min))
    }

    fn begin_ahead(&self, ranges: Vec<IndexRange>) -> Ahead {
        let watch = Arc::clone(self.main.watch());
        Ahead::begin(&self.pool, Arc::clone(&self.keychains), ranges, watch, self.scripts_max)
    }

    /// Watches more from here on, and goes over what is settled for that alone.
    fn watch_more(&mut self, (extension, ranges): (Extension, Vec<IndexRange>)) {
        self.rule.cover(&ranges);
        self.main.go_on_with(extension.watch);
        let Some(settled) = self.settled().and_then(|last| HeightRange::new(self.range.first(), last)) else { return };
        let segments = Segments::new(settled, self.segment_size);
        let pass = Pass::new(&self.pool, self.config.clone(), extension.new, Arc::clone(&self.coins), segments);
        self.passes = self.passes.saturating_add(1);
        self.late = Some(LatePass { pass, ranges });
    }
}

fn internal(detail: String) -> Failure {
    Failure { kind: FailureKind::Internal, detail, at: None }
}
