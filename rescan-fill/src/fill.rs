//! The fill: rounds of scan, calls and comparison until the wallet has all that the scan found.
//!
//! A round scans to the tip and has Core rescan the blocks whose transactions the wallet lacks. If a
//! block has left the active chain in between, the next round takes it back. The last round finds
//! nothing to call.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use bitcoin::BlockHash;
use rescan_client::Client;
use rescan_core::position::Height;
use rescan_node::{IndexRange, ListedDescriptor, RpcError, code};

use crate::blocking::blocking;
use crate::core_wallet::{CoreWallet, WalletTransactions};
use crate::differences::{Difference, Item, WalletView, differences};
use crate::error::FillError;
use crate::event::{FillEvent, FillOptions, FillReport};
use crate::fetch::fetch_block;
use crate::found::{Found, MissingBlock};
use crate::plan::{MergeGap, Plan, Run};
use crate::scan::WalletScan;
use crate::widening::Widening;

/// Most rounds. A chain that changes between every scan and its calls is no chain to compare with.
const ROUNDS_MAX: u32 = 8;

/// A server without a link to the node looks for new blocks every ten seconds.
const WAIT: Duration = Duration::from_secs(1);
const WAITS_MAX: u32 = 15;

/// Fills a wallet: scans for its descriptors, makes the calls, and compares. `announce` receives each
/// step.
///
/// Dropping the future leaves the wallet with all that it has received so far, and possibly with a
/// rescan under way, which [`CoreWallet::abort_rescan`] stops.
///
/// # Errors
/// [`FillError`] with the reason that the fill did not end. The same fill goes on from there.
pub async fn fill(
    client: &Client,
    wallet: &CoreWallet,
    options: &FillOptions,
    gap: MergeGap,
    announce: &mut (dyn FnMut(FillEvent<'_>) + Send),
) -> Result<FillReport, FillError> {
    let (descriptors, has_private_keys) = {
        let wallet = wallet.clone();
        blocking(move || Ok((wallet.descriptors()?, wallet.check_ready()?.has_private_keys))).await?
    };
    if descriptors.is_empty() {
        return Err(FillError::NoDescriptors { name: wallet.name().to_owned() });
    }
    let scan = WalletScan::new(client, &descriptors, options);
    let calls = Calls { wallet, gap, fetches: options.fetch, done: Done::default() };
    Fill { scan, calls, descriptors, has_private_keys, gap_limit: options.gap_limit }.run(announce).await
}

struct Fill<'a> {
    scan: WalletScan<'a>,
    calls: Calls<'a>,
    descriptors: Vec<ListedDescriptor>,
    has_private_keys: bool,
    gap_limit: u32,
}

/// The calls of a fill, and their results so far.
struct Calls<'a> {
    wallet: &'a CoreWallet,
    gap: MergeGap,
    fetches: bool,
    done: Done,
}

#[derive(Default)]
struct Done {
    calls: u64,
    blocks: u64,
    time: Duration,
    /// Blocks that Core has rescanned.
    rescanned: HashSet<BlockHash>,
    missing: Vec<MissingBlock>,
}

/// The result of a rescan of one run.
#[derive(PartialEq, Eq)]
enum Rescan {
    Done,
    /// A block of the run is not on disk.
    NotOnDisk,
    /// Core stopped before the last block, which had left the chain.
    Reorganised,
}

impl Fill<'_> {
    async fn run(mut self, announce: &mut (dyn FnMut(FillEvent<'_>) + Send)) -> Result<FillReport, FillError> {
        let (mut rounds, mut waits) = (0, 0);
        loop {
            let found = self.scan.update(announce).await?;
            let known = self.transactions().await?;
            let pending = self.scan.pending(&known);
            let left: HashMap<u32, BlockHash> =
                pending.into_iter().filter(|(_, hash)| !self.calls.is_done(hash)).collect();
            if !left.is_empty() {
                self.widen(announce).await?;
                let changed = self.calls.make(&left, announce).await?;
                rounds += 1;
                match changed {
                    Some(height) if rounds >= ROUNDS_MAX => return Err(FillError::OtherChain { height, rounds }),
                    Some(height) => announce(FillEvent::ChainChanged { height }),
                    None => self.calls.rescan_mempool(found.tip.height.0, announce).await?,
                }
                continue;
            }
            let report = self.compare(found).await?;
            if report.is_equal() || waits >= WAITS_MAX || self.is_at_tip(report.found.tip.hash).await? {
                return Ok(report);
            }
            // The wallet knows newer blocks than the scan.
            waits += 1;
            tokio::time::sleep(WAIT).await;
        }
    }

    /// Whether the node's tip is this block.
    async fn is_at_tip(&self, tip: BlockHash) -> Result<bool, FillError> {
        let node = self.calls.wallet.node().clone();
        blocking(move || Ok(node.call::<String>("getbestblockhash", &[(); 0])? == tip.to_string())).await
    }

    async fn transactions(&self) -> Result<WalletTransactions, FillError> {
        let wallet = self.calls.wallet.clone();
        blocking(move || wallet.transactions()).await
    }

    async fn widen(&mut self, announce: &mut (dyn FnMut(FillEvent<'_>) + Send)) -> Result<(), FillError> {
        let widening = Widening::of(&self.descriptors, self.scan.history(), self.gap_limit, self.has_private_keys);
        if widening.is_empty() {
            return Ok(());
        }
        announce(FillEvent::Widening(&widening));
        let wallet = self.calls.wallet.clone();
        let listed = blocking(move || {
            wallet.import(&widening.imports)?;
            if let Some(size) = widening.keypool {
                wallet.refill_keypool(size)?;
            }
            wallet.descriptors()
        });
        let listed = listed.await?;
        // Core lists descriptors in its own order.
        for descriptor in &mut self.descriptors {
            if let Some(now) = listed.iter().find(|listed| listed.desc == descriptor.desc) {
                descriptor.range = now.range;
            }
        }
        Ok(())
    }

    async fn compare(&self, found: Found) -> Result<FillReport, FillError> {
        let Self { scan, calls, descriptors, .. } = self;
        let (wallet, done) = (calls.wallet.clone(), &calls.done);
        let view = blocking(move || view(&wallet)).await?;
        let range_ends = descriptors.iter().map(|listed| listed.range.map(IndexRange::last)).collect();
        let mut view = WalletView { range_ends, ..view };
        let mut differing = differences(&scan.answer(&found), &view, &done.missing);
        if !view.transactions.is_complete && !differing.is_empty() {
            // This node's list leaves transactions out, so each one is asked for.
            let wallet = calls.wallet.clone();
            view = blocking(move || with_unlisted(&wallet, view, &differing)).await?;
            differing = differences(&scan.answer(&found), &view, &done.missing);
        }
        let (missing, rescan_time) = (done.missing.clone(), done.time);
        Ok(FillReport { found, calls: done.calls, blocks: done.blocks, rescan_time, missing, differences: differing })
    }
}

impl Calls<'_> {
    fn is_done(&self, hash: &BlockHash) -> bool {
        self.done.rescanned.contains(hash) || self.done.missing.iter().any(|block| block.hash == *hash)
    }

    /// Has Core rescan matching blocks. Returns the height of a block that is no longer in the
    /// node's chain, if that ended the calls.
    async fn make(
        &mut self,
        matches: &HashMap<u32, BlockHash>,
        announce: &mut (dyn FnMut(FillEvent<'_>) + Send),
    ) -> Result<Option<u32>, FillError> {
        let mut heights: Vec<u32> = matches.keys().copied().collect();
        heights.sort_unstable();
        let plan = Plan::of(&heights, self.gap);
        announce(FillEvent::Planned(&plan));
        for run in &plan.runs {
            if !self.is_in_chain(run, matches).await? {
                return Ok(Some(run.last));
            }
            match self.rescan(run, matches, announce).await? {
                Rescan::Done => continue,
                Rescan::Reorganised => return Ok(Some(run.last)),
                Rescan::NotOnDisk => {}
            }
            // The other blocks of the run may be.
            for single in run.matches.iter().copied().map(Run::single) {
                if self.rescan(&single, matches, announce).await? != Rescan::Done {
                    self.without_block(&single, matches, announce).await?;
                }
            }
        }
        Ok(None)
    }

    /// Whether the node's active chain has the run's last block, and so all below it.
    async fn is_in_chain(&self, run: &Run, matches: &HashMap<u32, BlockHash>) -> Result<bool, FillError> {
        let (node, height) = (self.wallet.node().clone(), run.last);
        let found = blocking(move || match node.block_hash(height) {
            Err(RpcError::Refused { code: code::INVALID_PARAMETER, .. }) => {
                Err(FillError::Behind { node: node.blockchain_info()?.blocks, server: height })
            }
            found => Ok(found?),
        });
        Ok(matches.get(&height) == Some(&found.await?))
    }

    /// Has Core rescan a run.
    async fn rescan(
        &mut self,
        run: &Run,
        matches: &HashMap<u32, BlockHash>,
        announce: &mut (dyn FnMut(FillEvent<'_>) + Send),
    ) -> Result<Rescan, FillError> {
        let (wallet, first, last) = (self.wallet.clone(), run.first, run.last);
        let begun = Instant::now();
        match blocking(move || wallet.rescan(first, Some(last))).await {
            Ok(stopped) if stopped == Some(last) => {}
            Ok(_earlier) => return Ok(Rescan::Reorganised),
            Err(FillError::Node(RpcError::Refused { code: code::MISC, .. })) => return Ok(Rescan::NotOnDisk),
            Err(error) => return Err(error),
        }
        self.done.rescanned.extend(run.matches.iter().filter_map(|height| matches.get(height)));
        self.count(run, begun.elapsed(), announce);
        Ok(Rescan::Done)
    }

    /// Has Core look at the tip and the mempool. Calls with a last block leave the mempool out, and
    /// a transaction in it may spend a coin that they have found.
    async fn rescan_mempool(
        &mut self,
        tip: u32,
        announce: &mut (dyn FnMut(FillEvent<'_>) + Send),
    ) -> Result<(), FillError> {
        let wallet = self.wallet.clone();
        let begun = Instant::now();
        match blocking(move || wallet.rescan(tip, None)).await {
            // The chain became shorter; the next scan finds out.
            Err(FillError::Node(RpcError::Refused { code: code::INVALID_PARAMETER, .. })) => return Ok(()),
            rescanned => {
                rescanned?;
            }
        }
        self.count(&Run { first: tip, last: tip, matches: Vec::new() }, begun.elapsed(), announce);
        Ok(())
    }

    fn count(&mut self, run: &Run, took: Duration, announce: &mut (dyn FnMut(FillEvent<'_>) + Send)) {
        self.done.calls += 1;
        self.done.blocks += u64::from(run.blocks());
        self.done.time += took;
        announce(FillEvent::Rescanned { run, took });
    }

    /// Names a block that is not on disk; or fetches it, and has Core rescan it.
    async fn without_block(
        &mut self,
        single: &Run,
        matches: &HashMap<u32, BlockHash>,
        announce: &mut (dyn FnMut(FillEvent<'_>) + Send),
    ) -> Result<(), FillError> {
        let Some(&hash) = matches.get(&single.first) else { return Ok(()) };
        let block = MissingBlock { height: Height(single.first), hash };
        if self.fetches {
            announce(FillEvent::Fetching(block));
            let node = self.wallet.node().clone();
            if blocking(move || fetch_block(&node, hash)).await? {
                announce(FillEvent::Fetched(block));
                if self.rescan(single, matches, announce).await? == Rescan::Done {
                    return Ok(());
                }
            }
        }
        announce(FillEvent::Missing(block));
        self.done.missing.push(block);
        Ok(())
    }
}

/// The wallet as it is now.
fn view(wallet: &CoreWallet) -> Result<WalletView, FillError> {
    let transactions = wallet.transactions()?;
    let mut spent_unconfirmed = HashMap::new();
    for &txid in &transactions.unconfirmed {
        spent_unconfirmed.extend(wallet.prevouts(txid)?.into_iter().map(|prevout| (prevout, txid)));
    }
    Ok(WalletView { transactions, coins: wallet.coins()?, spent_unconfirmed, range_ends: Vec::new() })
}

/// The view with the transactions that the wallet has and its list leaves out.
fn with_unlisted(wallet: &CoreWallet, mut view: WalletView, found: &[Difference]) -> Result<WalletView, FillError> {
    for difference in found {
        if let Item::Transaction(txid) = difference.item
            && let Some(confirmation) = wallet.confirmation(txid)?
        {
            view.transactions.confirmed.insert(txid, confirmation);
        }
    }
    Ok(view)
}
