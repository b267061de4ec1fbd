//! The walk by other libraries: which transactions of a block pay a watched script or spend a
//! watched coin? Both test every input and output with the filters of our walk, so that only the
//! parsing differs. Both read blocks in the clear only.

use std::ops::ControlFlow;

use bitcoin::Block;
use bitcoin::consensus::deserialize;
use bitcoin::hashes::Hash;
use bitcoin_slices::bsl;
use bitcoin_slices::{Visit, Visitor};
use rescan_core::blocks::walk::SHORT_SCRIPT_BYTES;
use rescan_core::watching::coin_map::CoinMap;
use rescan_core::watching::matching::Coins;
use rescan_core::watching::watch_set::WatchSet;

/// The number of inputs and outputs of `block` that pass the filters, by the visitor of
/// `bitcoin_slices`.
///
/// # Panics
/// If the block is malformed.
#[must_use]
pub fn visit(block: &[u8], watch: &WatchSet, coins: &CoinMap) -> usize {
    let mut search = Search { watch, coins, passed: 0 };
    bsl::Block::visit(block, &mut search).expect("inputs are whole blocks");
    search.passed
}

struct Search<'a> {
    watch: &'a WatchSet,
    coins: &'a CoinMap,
    passed: usize,
}

impl Visitor for Search<'_> {
    fn visit_tx_in(&mut self, _: usize, input: &bsl::TxIn<'_>) -> ControlFlow<()> {
        let txid_word = word_of(input.prevout().txid());
        self.passed += usize::from(self.coins.may_hold(txid_word, input.prevout().vout()));
        ControlFlow::Continue(())
    }

    fn visit_tx_out(&mut self, _: usize, output: &bsl::TxOut<'_>) -> ControlFlow<()> {
        self.passed += usize::from(may_be_watched(output.script_pubkey(), self.watch));
        ControlFlow::Continue(())
    }
}

/// The same, by the decoder of `bitcoin`.
///
/// # Panics
/// If the block is malformed.
#[must_use]
pub fn decode(block: &[u8], watch: &WatchSet, coins: &CoinMap) -> usize {
    let block: Block = deserialize(block).expect("inputs are whole blocks");
    let inputs = block.txdata.iter().flat_map(|transaction| &transaction.input).filter(|input| {
        let outpoint = input.previous_output;
        coins.may_hold(word_of(outpoint.txid.as_byte_array()), outpoint.vout)
    });
    let outputs = block.txdata.iter().flat_map(|transaction| &transaction.output);
    inputs.count() + outputs.filter(|output| may_be_watched(output.script_pubkey.as_bytes(), watch)).count()
}

fn word_of(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

fn may_be_watched(script: &[u8], watch: &WatchSet) -> bool {
    match script.len().checked_sub(SHORT_SCRIPT_BYTES) {
        Some(at) => watch.may_contain(word_of(&script[at..])),
        None => watch.find(script).is_some(),
    }
}
