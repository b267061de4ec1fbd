//! A wallet's history by the rescan server, kept up to date with the chain; and a fill that makes no
//! call.

use bitcoin::{Amount, BlockHash};
use futures::StreamExt;
use rescan_client::report::{BlockId, BlockReport, Outcome, Summary};
use rescan_client::{Checkpoint, Client, GivenKeychain, ResumeEvent, ScanRequest};
use rescan_core::history::History;
use rescan_core::position::Height;
use rescan_core::request::RangeStart;
use rescan_node::{ListedDescriptor, Timestamp};

use crate::blocking::blocking;
use crate::core_wallet::{CoreWallet, WalletTransactions};
use crate::differences::Answer;
use crate::error::FillError;
use crate::event::{FillEvent, FillOptions};
use crate::found::Found;
use crate::plan::{MergeGap, Plan};
use crate::widening::Widening;

/// A scan that goes on where it ended.
pub(crate) struct WalletScan<'a> {
    client: &'a Client,
    request: ScanRequest,
    checkpoint: Checkpoint,
    history: History,
    /// The first height of the range, once a scan has resolved it.
    first: Option<Height>,
}

impl<'a> WalletScan<'a> {
    /// A scan for a wallet's descriptors. Keychain numbers in its history are their positions.
    pub(crate) fn new(client: &'a Client, descriptors: &[ListedDescriptor], options: &FillOptions) -> Self {
        let mut request = ScanRequest::new().verify(options.verify);
        request.keychains = descriptors.iter().map(|listed| keychain(listed, options.gap_limit)).collect();
        request.range.from = options.from.clone().unwrap_or_else(|| birthday(descriptors));
        let checkpoint = Checkpoint::new(client.server_info().chain.genesis, &request);
        Self { client, request, checkpoint, history: History::new(), first: None }
    }

    /// Scans to the tip, and takes back blocks that have left the active chain.
    ///
    /// # Errors
    /// [`FillError::Pruned`], [`FillError::Cancelled`], [`FillError::Scan`].
    pub(crate) async fn update(
        &mut self,
        announce: &mut (dyn FnMut(FillEvent<'_>) + Send),
    ) -> Result<Found, FillError> {
        loop {
            let summary = self.scan(announce).await?;
            let from = *self.first.get_or_insert(summary.range.first());
            match summary.outcome {
                Outcome::Complete => {
                    let found = self.found(from, summary.tip);
                    announce(FillEvent::Scanned(&found));
                    return Ok(found);
                }
                Outcome::PrunedBelow(lowest) => return Err(FillError::Pruned { lowest }),
                Outcome::Cancelled => return Err(FillError::Cancelled),
                Outcome::ReorganisedFrom(_) => {}
            }
        }
    }

    async fn scan(&mut self, announce: &mut (dyn FnMut(FillEvent<'_>) + Send)) -> Result<Summary, FillError> {
        let mut scan = self.client.resume(self.request.clone(), self.checkpoint.clone())?;
        while let Some(event) = scan.next().await.transpose()? {
            match event {
                ResumeEvent::Started(handle) => announce(FillEvent::Scanning(handle)),
                ResumeEvent::Report(report) => self.history.add(report),
                // Everything from there on comes again, as far as it still holds.
                ResumeEvent::Reverted(reverted) => self.history.truncate(reverted.height),
                ResumeEvent::Restarted => self.history = History::new(),
                ResumeEvent::Finished(summary) => {
                    self.checkpoint = scan.checkpoint().clone();
                    return Ok(summary);
                }
                _ => {}
            }
        }
        Err(FillError::NoSummary)
    }

    /// The history so far.
    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    fn found(&self, from: Height, tip: BlockId) -> Found {
        let coins = self.checkpoint.coins();
        let (coins, sat) =
            coins.fold((0, 0_u64), |(coins, sat), coin| (coins + 1, sat.saturating_add(coin.value.to_sat())));
        let transactions = u64::try_from(self.history.transaction_count()).unwrap_or(u64::MAX);
        Found { from, tip, transactions, coins, unspent: Amount::from_sat(sat) }
    }

    /// The history and the coins of a scan's range.
    pub(crate) fn answer(&self, found: &Found) -> Answer<'_> {
        Answer {
            history: &self.history,
            coins: self.checkpoint.coins().map(|coin| (coin.outpoint, coin)).collect(),
            first: found.from,
            last: found.tip.height,
        }
    }

    /// Matching blocks that have a transaction which the wallet lacks, or has in another block.
    pub(crate) fn pending(&self, known: &WalletTransactions) -> Vec<(u32, BlockHash)> {
        let is_pending = |report: &&BlockReport| {
            report.transactions.iter().any(|transaction| {
                known.confirmed.get(&transaction.txid).is_none_or(|confirmation| confirmation.hash != report.hash)
            })
        };
        self.history.reports().filter(is_pending).map(|report| (report.height.0, report.hash)).collect()
    }
}

/// A fill up to its first call.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// The history that the server found.
    pub found: Found,
    /// Changes to the wallet's descriptors.
    pub widening: Widening,
    /// The calls.
    pub plan: Plan,
}

/// Scans for descriptors, and returns the calls that a fill would make. Without a wallet, of a new
/// one that takes no private keys.
///
/// # Errors
/// [`FillError`] if the scan does not complete, or the wallet does not answer.
pub async fn dry_run(
    client: &Client,
    wallet: Option<&CoreWallet>,
    descriptors: &[ListedDescriptor],
    options: &FillOptions,
    gap: MergeGap,
    announce: &mut (dyn FnMut(FillEvent<'_>) + Send),
) -> Result<DryRun, FillError> {
    let mut scan = WalletScan::new(client, descriptors, options);
    let found = scan.update(announce).await?;
    let (known, has_private_keys) = match wallet.cloned() {
        Some(wallet) => blocking(move || Ok((wallet.transactions()?, wallet.info()?.has_private_keys))).await?,
        None => (WalletTransactions::default(), false),
    };
    let matches: Vec<u32> = scan.pending(&known).into_iter().map(|(height, _)| height).collect();
    Ok(DryRun {
        found,
        widening: Widening::of(descriptors, scan.history(), options.gap_limit, has_private_keys),
        plan: Plan::of(&matches, gap),
    })
}

/// A keychain that is watched at least as far as the wallet watches it.
fn keychain(listed: &ListedDescriptor, gap_limit: u32) -> GivenKeychain {
    let keychain = GivenKeychain::new(&listed.desc).gap_limit(gap_limit);
    let revealed = listed.next_index.and_then(|next| next.checked_sub(1));
    let watched = listed.range.and_then(|range| range.last().checked_sub(gap_limit));
    match revealed.max(watched) {
        Some(last) => keychain.revealed(last),
        None => keychain,
    }
}

/// The earliest time of creation; genesis if it is unknown.
fn birthday(descriptors: &[ListedDescriptor]) -> RangeStart {
    let earliest = descriptors.iter().map(|listed| match listed.timestamp {
        Timestamp::Seconds(seconds) => u32::try_from(seconds.max(0)).unwrap_or(u32::MAX),
        Timestamp::Now(_) => u32::MAX,
    });
    match earliest.min() {
        // 0 and 1 stand for the first block.
        Some(seconds) if seconds > 1 => RangeStart::Birthday(seconds),
        _ => RangeStart::Height(Height::GENESIS),
    }
}

#[cfg(test)]
mod tests {
    use rescan_node::IndexRange;

    use super::*;

    fn listed(timestamp: i64, range: Option<[u32; 2]>, next_index: Option<u32>) -> ListedDescriptor {
        ListedDescriptor {
            desc: "d".to_owned(),
            timestamp: Timestamp::Seconds(timestamp),
            active: true,
            internal: None,
            range: range.map(IndexRange::Both),
            next_index,
            label: None,
        }
    }

    #[test]
    fn the_earliest_time_is_the_birthday_and_0_and_1_are_genesis() {
        let of = |times: &[i64]| birthday(&times.iter().map(|time| listed(*time, None, None)).collect::<Vec<_>>());
        assert_eq!(of(&[1_700_000_000, 1_600_000_000]), RangeStart::Birthday(1_600_000_000));
        for unknown in [0, 1, -5] {
            assert_eq!(of(&[1_700_000_000, unknown]), RangeStart::Height(Height::GENESIS));
        }
    }

    #[test]
    fn a_keychain_is_watched_through_the_wallets_range() {
        let last = |listed: &ListedDescriptor| {
            let keychain = keychain(listed, 1_000);
            keychain.last_revealed.map_or(keychain.gap_limit - 1, |last| last + keychain.gap_limit)
        };
        assert_eq!(last(&listed(0, Some([0, 999]), Some(0))), 999);
        assert_eq!(last(&listed(0, Some([0, 5_000]), Some(3))), 5_000);
        assert_eq!(last(&listed(0, Some([0, 1_039]), Some(40))), 1_039);
        assert_eq!(keychain(&listed(0, None, None), 1_000).last_revealed, None);
    }
}
