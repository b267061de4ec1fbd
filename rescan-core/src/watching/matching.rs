//! A block and a watch set in, matches out.
//!
//! One walk finds candidates by the filters; each candidate transaction is then read in full and compared exactly. A
//! coin found in a transaction is watched from the next transaction on, so that a spend in the same block is found in
//! the same walk (a block's transactions stand in an order in which parents come first).
//!
//! Nothing here is proven: that the block is what its header says is [`proof`](crate::blocks::proof)'s to show.

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

/// A coin that a scan found: an output that pays a watched script and can be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundCoin {
    /// What it carries.
    pub value: Amount,
    /// The script that it pays.
    pub script: ScriptId,
}

/// The coins that a scan knows of while it matches one block after another.
pub trait Coins {
    /// Whether a coin may be known that is output `vout` of a transaction whose id begins with the bytes of `txid_word`,
    /// little-endian; given outpoints included. Asked for every input of a chain.
    fn may_hold(&self, txid_word: u64, vout: u32) -> bool;
    /// The found coin at `outpoint`.
    fn coin(&self, outpoint: &OutPoint) -> Option<FoundCoin>;
    /// Takes note of a coin; [`Coins::may_hold`] and [`Coins::coin`] know it from now on.
    fn add(&mut self, outpoint: OutPoint, coin: FoundCoin);
}

/// What a block spends, one number an input: enough to tell later, without the block, that it does not spend a coin.
pub type SpendLog = Vec<u32>;

/// The number that stands in a [`SpendLog`] for output `vout` of the transaction that `txid_word` begins.
#[inline(always)]
#[must_use]
pub fn spend_mark(txid_word: u64, vout: u32) -> u32 {
    let word = outpoint_word(txid_word, vout);
    (word ^ (word >> 32)) as u32 // folded, so that txid bytes and index both count
}

/// Matches blocks against one watch set; keeps its buffers from block to block.
#[derive(Debug)]
pub struct Matcher<'w> {
    watch: &'w WatchSet,
    stripped: Vec<u8>,
}

impl<'w> Matcher<'w> {
    /// For `watch`.
    #[must_use]
    pub fn new(watch: &'w WatchSet) -> Self {
        Self { watch, stripped: Vec::new() }
    }

    /// The transactions of `block` that touch the watch set or a coin of `coins`, by ascending index. Coins that they
    /// make are added to `coins`, but for those of genesis, which is told by its `place`: its output is not in Bitcoin
    /// Core's coin database and cannot be spent.
    ///
    /// # Errors
    /// [`Malformed`] where the bytes are not a block. Coins that were added before the fault was met stay.
    pub fn match_block<C: Coins>(
        &mut self,
        block: RawBlock<'_>,
        place: BlockPlace,
        coins: &mut C,
    ) -> Result<Vec<TransactionReport>, Malformed> {
        self.run::<C, false>(block, place, coins, &mut SpendLog::new())
    }

    /// As [`Matcher::match_block`], and appends to `log` what the block spends.
    ///
    /// # Errors
    /// As there.
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

/// Whether a block is the chain's first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockPlace {
    /// The genesis block: its output is no coin.
    Genesis,
    /// Any other.
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
            // The walk and the view read the same serialisation; where they disagree, the block is at fault.
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
    // What was found lies in the chain; what was given is only somebody's word.
    let value = found.map(|coin| coin.value).or(given.and_then(|coin| coin.value));
    Some(Spent { vin, prevout, value, origins })
}

/// Whether an output with this script enters the coin database (`CScript::IsUnspendable`, Bitcoin Core,
/// `src/script/script.h`).
#[must_use]
pub fn can_be_coin(script: &[u8]) -> bool {
    const OP_RETURN: u8 = 0x6a;
    script.first() != Some(&OP_RETURN) && script.len() <= SCRIPT_BYTES_MAX
}
