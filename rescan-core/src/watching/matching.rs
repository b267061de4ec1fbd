//! Matches a block against a watch set.
//!
//! One walk finds candidates through the filters; each candidate transaction is then parsed and
//! compared exactly. A coin found in a transaction is watched from the next transaction on: parents
//! precede children in a block, so the same walk finds a spend in the same block.
//!
//! Nothing is proven here: [`proof`](crate::blocks::proof) shows that a block belongs to its
//! header.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]
#![expect(clippy::cast_possible_truncation, reason = "each cast says on its line why nothing is lost")]

use bitcoin::{Amount, OutPoint, ScriptBuf};

use crate::blocks::cursor::Malformed;
use crate::blocks::obfuscation::RawBlock;
use crate::blocks::transaction::{TxInput, TxOutput, TxView, strip};
use crate::blocks::walk::{Probe, TxBounds, walk};
use crate::report::{Origin, Received, Spent, TransactionReport};
use crate::watching::filter::{outpoint_word, txid_word};
use crate::watching::watch_set::{SCRIPT_BYTES_MAX, ScriptId, WatchSet};

/// A coin found by a scan: a spendable output that pays a watched script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundCoin {
    /// Its value.
    pub value: Amount,
    /// The script it pays.
    pub script: ScriptId,
}

/// The coins known to a scan while it matches one block after another.
pub trait Coins {
    /// Whether output `vout` may be a known coin, found or given. `txid_word` is the start of its
    /// transaction's id, little-endian. Called for every input of the chain.
    fn may_hold(&self, txid_word: u64, vout: u32) -> bool;
    /// The found coin at `outpoint`.
    fn coin(&self, outpoint: &OutPoint) -> Option<FoundCoin>;
    /// Adds a coin, for [`Coins::may_hold`] and [`Coins::coin`] to find from now on.
    fn add(&mut self, outpoint: OutPoint, coin: FoundCoin);
}

/// The coins that a block spends, one number for each input. It suffices to show later, without the
/// block, that the block does not spend a given coin.
pub type SpendLog = Vec<u32>;

/// The number in a [`SpendLog`] for output `vout` of the transaction whose id begins with
/// `txid_word`.
#[inline(always)]
#[must_use]
pub fn spend_mark(txid_word: u64, vout: u32) -> u32 {
    let word = outpoint_word(txid_word, vout);
    (word ^ (word >> 32)) as u32 // folded, so that txid bytes and index both count
}

/// Matches blocks against one watch set. Buffers are reused from block to block.
#[derive(Debug)]
pub struct Matcher<'w> {
    watch: &'w WatchSet,
    stripped: Vec<u8>,
}

impl<'w> Matcher<'w> {
    /// A matcher for `watch`.
    #[must_use]
    pub fn new(watch: &'w WatchSet) -> Self {
        Self { watch, stripped: Vec::new() }
    }

    /// The transactions of `block` that touch the watch set or a coin of `coins`, by ascending
    /// index. Adds the coins they create to `coins`. The output of genesis is no coin: it is not in
    /// Bitcoin Core's coin database and cannot be spent.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes are not a block. Coins added before the fault stay.
    pub fn match_block<C: Coins>(
        &mut self,
        block: RawBlock<'_>,
        place: BlockPlace,
        coins: &mut C,
    ) -> Result<Vec<TransactionReport>, Malformed> {
        self.run::<C, false>(block, place, coins, &mut SpendLog::new())
    }

    /// Like [`Matcher::match_block`], and appends the spent coins to `log`.
    ///
    /// # Errors
    /// As [`Matcher::match_block`].
    pub fn match_block_logging_spends<C: Coins>(
        &mut self,
        block: RawBlock<'_>,
        place: BlockPlace,
        coins: &mut C,
        log: &mut SpendLog,
    ) -> Result<Vec<TransactionReport>, Malformed> {
        self.run::<C, true>(block, place, coins, log)
    }

    fn run<C: Coins, const LOG: bool>(
        &mut self,
        block: RawBlock<'_>,
        place: BlockPlace,
        coins: &mut C,
        log: &mut SpendLog,
    ) -> Result<Vec<TransactionReport>, Malformed> {
        let mut probe = Search::<C, LOG> {
            watch: self.watch,
            block,
            place,
            coins,
            log,
            stripped: &mut self.stripped,
            reports: Vec::new(),
            malformed: None,
        };
        walk(block, &mut probe)?;
        match probe.malformed {
            Some(malformed) => Err(malformed),
            None => Ok(probe.reports),
        }
    }
}

/// Whether a block is the first of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockPlace {
    /// The genesis block: its output is no coin.
    Genesis,
    /// Any other block.
    Later,
}

struct Search<'s, C, const LOG: bool> {
    watch: &'s WatchSet,
    block: RawBlock<'s>,
    place: BlockPlace,
    coins: &'s mut C,
    log: &'s mut SpendLog,
    stripped: &'s mut Vec<u8>,
    reports: Vec<TransactionReport>,
    malformed: Option<Malformed>,
}

impl<C: Coins, const LOG: bool> Probe for Search<'_, C, LOG> {
    #[inline(always)]
    fn input(&mut self, txid_word: u64, vout: u32) -> bool {
        if LOG {
            self.log.push(spend_mark(txid_word, vout));
        }
        self.coins.may_hold(txid_word, vout)
    }

    #[inline(always)]
    fn output(&mut self, word: u64) -> bool {
        self.watch.may_contain(word)
    }

    fn short_output(&mut self, script: &[u8]) -> bool {
        self.watch.find(script).is_some()
    }

    #[inline(never)]
    fn found(&mut self, transaction: TxBounds) {
        strip(self.block, transaction, self.stripped);
        match TxView::parse(self.stripped) {
            Ok(view) => {
                let place = self.place;
                let report = match_transaction(&view, transaction.tx_index, place, self.watch, self.coins);
                self.reports.extend(report);
            }
            // The walk and the view read the same serialisation: if they disagree, the block is
            // malformed.
            Err(malformed) => self.malformed = Some(malformed),
        }
    }
}

/// Compares one transaction exactly.
fn match_transaction<C: Coins>(
    view: &TxView<'_>,
    tx_index: u32,
    place: BlockPlace,
    watch: &WatchSet,
    coins: &mut C,
) -> Option<TransactionReport> {
    let spent: Vec<Spent> =
        (0..).zip(view.inputs()).filter_map(|(vin, input)| match_input(vin, input, watch, coins)).collect();
    let outputs: Vec<(u32, TxOutput<'_>, ScriptId)> = (0..)
        .zip(view.outputs())
        .filter_map(|(vout, output)| Some((vout, output, watch.find(output.script_pubkey)?)))
        .collect();
    if spent.is_empty() && outputs.is_empty() {
        return None;
    }
    let txid = view.txid();
    let mut received = Vec::with_capacity(outputs.len());
    for (vout, output, script) in outputs {
        let value = Amount::from_sat(output.value_sat);
        if place == BlockPlace::Later && can_be_coin(output.script_pubkey) {
            coins.add(OutPoint { txid, vout }, FoundCoin { value, script });
        }
        let script_pubkey = ScriptBuf::from_bytes(output.script_pubkey.to_vec());
        received.push(Received { vout, value, origins: watch.origins(output.script_pubkey), script_pubkey });
    }
    Some(TransactionReport { tx_index, txid, received, spent, raw: None, merkle_branch: None })
}

fn match_input<C: Coins>(vin: u32, input: TxInput, watch: &WatchSet, coins: &C) -> Option<Spent> {
    let prevout = input.prevout;
    if !coins.may_hold(txid_word(&prevout), prevout.vout) {
        return None;
    }
    let found = coins.coin(&prevout);
    let given = watch.given_coin(&prevout);
    if found.is_none() && given.is_none() {
        return None;
    }
    let mut origins: Vec<Origin> = found
        .and_then(|coin| watch.script(coin.script))
        .map(|script| watch.origins(script))
        .into_iter()
        .flatten()
        .chain(given.into_iter().flat_map(|coin| coin.origins.iter().copied()))
        .collect();
    origins.sort_unstable();
    origins.dedup();
    // A found coin is in the chain; a given one is only a claim.
    let value = found.map(|coin| coin.value).or(given.and_then(|coin| coin.value));
    Some(Spent { vin, prevout, value, origins })
}

/// Whether an output with this script enters the coin database (`CScript::IsUnspendable`, Bitcoin
/// Core, `src/script/script.h`).
#[must_use]
pub fn can_be_coin(script: &[u8]) -> bool {
    const OP_RETURN: u8 = 0x6a;
    script.first() != Some(&OP_RETURN) && script.len() <= SCRIPT_BYTES_MAX
}
