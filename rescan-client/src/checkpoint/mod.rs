//! The state from which a wallet's next scan resumes: a [`Checkpoint`].
//!
//! It applies the reports of a scan. It knows the live coins and keychain uses of the history so far, the block up to which
//! everything was reported, and the undo data of the last 288 blocks. It turns the wallet's request into one that resumes.
//!
//! It asks no server ([`ResumableScan`](crate::ResumableScan) does) and keeps no history, which is the wallet's.
//! [`Checkpoint::save`] writes it to a file, [`Checkpoint::load`] reads it.
//!
//! Invariant: everything that it covers was reported, and returned to the stream's reader, before.

mod error;
mod file;
mod ledger;
mod record;
mod subject;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, TxOut, Txid};
use rescan_core::coins::Coin;
use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{BlockId, BlockReport, KeychainUse, Origin, Outcome, ResumePoint, Summary};
use rescan_core::request::{GivenOutpoint, RangeStart, Scanned};

use crate::error::LOCATE_HASHES_MAX;
use crate::request::ScanRequest;

pub use error::{LoadError, ResumeError, SaveError};

use error::TooDeepError;
use ledger::Ledger;
use subject::Subject;

/// The progress of a scan: everything that a later scan needs to resume from there.
///
/// [`Client::resume`](crate::Client::resume) and [`Client::follow`](crate::Client::follow) keep it up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    subject: Subject,
    /// Whether anything was ever covered, taken back or not.
    has_begun: bool,
    covered: Option<CoveredTo>,
    ledger: Ledger,
}

/// The blocks of which everything is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CoveredTo {
    /// The start of the range.
    from: Height,
    /// The last block.
    block: BlockId,
    /// Hashes from that block down, at growing distances.
    locator: Vec<BlockHash>,
}

/// A transaction that was reported, and is in a block that the chain has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reverted {
    /// The height of that block.
    pub height: Height,
    /// Its hash.
    pub block_hash: BlockHash,
    /// The transaction, which may be in another block by now.
    pub txid: Txid,
    /// The entries of the watch set that it touched; see [`Wallets::owners`](crate::wallets::Wallets::owners). Empty if the
    /// checkpoint is of an earlier version of this library.
    pub origins: Vec<Origin>,
}

/// The reports that a checkpoint has reverted.
#[derive(Debug, Default)]
pub(crate) struct Rollback {
    /// The last come first.
    pub(crate) reverted: Vec<Reverted>,
    /// Whether all other reports are void too.
    pub(crate) is_restart: bool,
}

/// A request that resumes from a checkpoint, and the origins of its carried coins.
#[derive(Clone, Debug)]
pub(crate) struct Resume {
    /// The request.
    pub(crate) request: ScanRequest,
    /// The number of the first outpoint that the checkpoint added.
    first_carried: usize,
    /// The origins of the coins that the checkpoint added, in their order.
    carried: Vec<Vec<Origin>>,
}

impl Checkpoint {
    /// A checkpoint of a scan that has not started: of `request`, on the network with that genesis block.
    #[must_use]
    pub fn new(genesis: BlockHash, request: &ScanRequest) -> Self {
        Self { subject: Subject::of(genesis, request), has_begun: false, covered: None, ledger: Ledger::default() }
    }

    /// Whether this is a checkpoint of `request`, on the network with that genesis block. Gap limits, the end of the range and
    /// the blocks to verify may differ from one scan to the next.
    ///
    /// # Errors
    ///
    /// [`ResumeError`] names the difference.
    pub(crate) fn check(&self, genesis: BlockHash, request: &ScanRequest) -> Result<(), ResumeError> {
        self.subject.check(&Subject::of(genesis, request))
    }

    /// The last block up to which everything was reported; none before the first.
    #[must_use]
    pub fn scanned_to(&self) -> Option<BlockId> {
        self.covered.as_ref().map(|covered| covered.block)
    }

    /// Whether the chain has ever reached the range: that it does not is then no mistake of the request's.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Where the range begins, once a scan has told.
    fn range_start(&self) -> Option<Height> {
        self.covered.as_ref().map(|covered| covered.from)
    }

    /// The coins that are unspent so far.
    pub fn coins(&self) -> impl Iterator<Item = &Coin> {
        self.ledger.coins.values()
    }

    /// Applies a report, late or not. A repeated one changes nothing.
    pub(crate) fn apply(&mut self, report: &BlockReport) {
        self.ledger.apply(report);
    }

    /// Applies a mark: everything up to its block was reported.
    pub(crate) fn settle(&mut self, mark: &ResumePoint) {
        self.cover(mark.from, mark.block, &mark.locator, &mark.watched_through);
    }

    /// Takes in how a scan ended. Only a complete one says exactly up to where; of another, the last mark stands. One that
    /// was reorganised needs [`rewind_to`](Checkpoint::rewind_to) after this.
    pub(crate) fn finish(&mut self, summary: &Summary) {
        // A scan that had nothing to walk may have watched nothing; one whose last mark was at its end may have watched more
        // since.
        let is_further = self.scanned_to().is_none_or(|block| block.hash != summary.tip.hash);
        let watched = self.ledger.watched_through.iter().zip(&summary.watched_through);
        let is_wider = watched.into_iter().all(|(before, after)| before <= after);
        if summary.outcome == Outcome::Complete && (is_further || is_wider) {
            self.cover(summary.range.first(), summary.tip, &summary.locator, &summary.watched_through);
        }
    }

    /// Blocks that this checkpoint knows, to be asked for by [`Client::locate`](crate::Client::locate): those that it can
    /// go back to, the highest first, then those of its locator.
    pub(crate) fn known_blocks(&self) -> Vec<BlockHash> {
        let undo = self.ledger.undo.keys().rev().map(|(_, hash)| *hash);
        let (block, locator) = match &self.covered {
            Some(covered) => (Some(covered.block.hash), &covered.locator[..]),
            None => (None, &[][..]),
        };
        // A few dozen hashes of the locator reach furthest down: the undo may not crowd them out.
        let room = LOCATE_HASHES_MAX.saturating_sub(locator.len()).saturating_sub(1);
        let mut seen = HashSet::new();
        let known = block.into_iter().chain(undo.take(room)).chain(locator.iter().copied());
        known.filter(|hash| seen.insert(*hash)).take(LOCATE_HASHES_MAX).collect()
    }

    /// Rewinds to `fork`, the highest block of this checkpoint in the active chain. Reverts all reports above it, restores
    /// the coins they spent, and returns the reverted ones, the last first. `fork` is `None` if no known block is active.
    ///
    /// Reports above [`scanned_to`](Checkpoint::scanned_to) are reverted too, in silence if they are still valid: they come
    /// again.
    ///
    /// # Errors
    ///
    /// [`TooDeepError`] if reports above the fork are older than the undo data. The checkpoint is unchanged; continue with
    /// [`start_over`](Checkpoint::start_over).
    pub(crate) fn rewind_to(&mut self, fork: Option<BlockId>) -> Result<Vec<Reverted>, TooDeepError> {
        let too_deep = TooDeepError { fork: fork.map(|fork| fork.height) };
        let key = fork.map_or((Height::GENESIS, BlockHash::all_zeros()), |fork| (fork.height, fork.hash));
        let target = match (&self.covered, fork) {
            (Some(covered), Some(fork)) if fork.height >= covered.from => {
                let is_above = fork.height >= covered.block.height && fork.hash != covered.block.hash;
                Some(if is_above { covered.block } else { fork })
            }
            _ => None,
        };
        if target.is_some_and(|target| !self.ledger.reaches(target.height)) {
            return Err(too_deep);
        }
        let withdrawn = self.ledger.rewind(key).ok_or(too_deep)?;
        match (self.covered.take(), target) {
            (Some(covered), Some(target)) => {
                self.ledger.rewind((target.height, target.hash)).ok_or(too_deep)?;
                self.covered = Some(covered.back_to(target));
            }
            _ => self.ledger = Ledger::default(),
        }
        Ok(withdrawn.into_iter().map(Reverted::from).collect())
    }

    /// Reverts all reports above `fork`, or everything if that is too deep. See [`rewind_to`](Checkpoint::rewind_to).
    pub(crate) fn roll_back(&mut self, fork: Option<BlockId>) -> Rollback {
        match self.rewind_to(fork) {
            Ok(reverted) => Rollback { reverted, is_restart: false },
            Err(_too_deep) => self.start_over(),
        }
    }

    /// Forgets all reports, and keeps the request. Returns those that could still be reverted, the last first; all others are
    /// void too.
    pub(crate) fn start_over(&mut self) -> Rollback {
        let ledger = std::mem::take(&mut self.ledger);
        self.covered = None;
        let blocks = ledger.undo.into_iter().rev();
        let of_block = |(key, undo): (ledger::BlockKey, ledger::BlockUndo)| {
            undo.transactions.into_values().rev().map(move |reported| Reverted::from((key, reported)))
        };
        Rollback { reverted: blocks.flat_map(of_block).collect(), is_restart: true }
    }

    /// The request that goes on from here, of the one that this checkpoint is of.
    pub(crate) fn request(&self, base: &ScanRequest) -> Resume {
        let mut request = base.clone();
        let first_carried = request.outpoints.len();
        for (keychain, last_used) in self.ledger.uses() {
            let given = usize::try_from(keychain).ok().and_then(|number| request.keychains.get_mut(number));
            if let Some(given) = given {
                given.last_revealed = given.last_revealed.max(last_used);
            }
        }
        let Some(covered) = &self.covered else { return Resume { request, first_carried, carried: Vec::new() } };
        request.range.from = RangeStart::After(vec![covered.block.hash]);
        let watched_through = self.ledger.watched_through.clone();
        request.scanned = Some(Scanned { from: covered.from, watched_through });
        request.outpoints.extend(self.coins().map(given));
        Resume { request, first_carried, carried: self.coins().map(|coin| coin.origins.clone()).collect() }
    }

    /// The summary of all scans: range, unspent coins and keychain uses are those of the whole history, counts and times those
    /// of the last scan.
    pub(crate) fn summary(&self, mut summary: Summary) -> Summary {
        let from = self.range_start().unwrap_or(summary.range.first());
        summary.range = HeightRange::new(from, summary.range.last()).unwrap_or(summary.range);
        summary.unspent_count = u64::try_from(self.ledger.coins.len()).unwrap_or(u64::MAX);
        let total = self.coins().fold(0u64, |total, coin| total.saturating_add(coin.value.to_sat()));
        summary.unspent = Amount::from_sat(total);
        let uses = self.ledger.uses();
        for (number, used) in (0..).zip(&mut summary.keychains) {
            *used = match uses.get(&number) {
                None => KeychainUse::Unused,
                Some(None) => KeychainUse::UsedSingle,
                Some(Some(index)) => KeychainUse::LastUsed(*index),
            };
        }
        summary
    }

    fn cover(&mut self, from: Height, block: BlockId, locator: &[BlockHash], watched_through: &[Option<u32>]) {
        let from = self.range_start().unwrap_or(from);
        self.has_begun = true;
        self.covered = Some(CoveredTo { from, block, locator: locator.to_vec() });
        self.ledger.settle(block.height, watched_through);
    }
}

impl CoveredTo {
    /// The rest of the locator lies below the fork if the fork is one of its blocks. Of another block that is not known,
    /// and a hash from above must not stay: it would be taken for covered if the chain came back to it.
    fn back_to(mut self, fork: BlockId) -> Self {
        match self.locator.iter().position(|hash| *hash == fork.hash) {
            Some(place) => drop(self.locator.drain(..place)),
            None => self.locator = vec![fork.hash],
        }
        Self { block: fork, ..self }
    }
}

impl Resume {
    /// A coin that an earlier scan found is a given outpoint of this one. Gives its spend the origins of the coin, as if
    /// one scan had found both.
    pub(crate) fn restore_origins(&self, report: &mut BlockReport) {
        let carried = |origin: &Origin| match *origin {
            Origin::Outpoint(number) => {
                usize::try_from(number).ok().and_then(|number| number.checked_sub(self.first_carried))
            }
            Origin::Keychain { .. } | Origin::Script(_) => None,
        };
        for spent in report.transactions.iter_mut().flat_map(|transaction| &mut transaction.spent) {
            let real = |origin: Origin| match carried(&origin).and_then(|number| self.carried.get(number)) {
                Some(origins) => origins.clone(),
                None => vec![origin],
            };
            spent.origins = spent.origins.drain(..).flat_map(real).collect();
            rescan_core::report::merge_origins(&mut spent.origins, Vec::new());
        }
    }
}

impl From<(ledger::BlockKey, ledger::Reported)> for Reverted {
    fn from(((height, block_hash), reported): (ledger::BlockKey, ledger::Reported)) -> Self {
        let ledger::Reported { txid, origins } = reported;
        Self { height, block_hash, txid, origins }
    }
}

fn given(coin: &Coin) -> GivenOutpoint {
    let output = TxOut { value: coin.value, script_pubkey: coin.script_pubkey.clone() };
    GivenOutpoint { outpoint: coin.outpoint, output: Some(output) }
}
