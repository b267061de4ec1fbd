//! The request of a wallet: descriptors, revealed indexes, coins, and known blocks.

use std::collections::BTreeMap;
use std::fmt::Debug;

use bdk_wallet::chain::indexer::keychain_txout::KeychainTxOutIndex;
use bdk_wallet::chain::local_chain::LocalChain;
use bdk_wallet::chain::{CanonicalizationParams, CheckPoint, ConfirmationBlockTime, FullTxOut, TxGraph};
use bdk_wallet::{KeychainKind, Wallet};
use bitcoin::{OutPoint, TxOut};
use rescan_core::position::Height;
use rescan_core::report::KeychainUse;

use crate::{GivenKeychain, GivenOutpoint, RangeStart, ScanRequest};

/// Everything that one scan needs to know of a wallet. It has no keys, and does not borrow the wallet.
#[derive(Clone, Debug)]
pub struct WalletRequest<K> {
    keychains: Vec<(K, GivenKeychain)>,
    tip: CheckPoint,
    outputs: Vec<KnownOutput>,
}

#[derive(Clone, Debug)]
struct KnownOutput {
    outpoint: OutPoint,
    output: TxOut,
    /// The height at which it was spent by a confirmed transaction, or one above.
    spent_height: Option<u32>,
}

impl WalletRequest<KeychainKind> {
    /// The request of a wallet as it is now. Its cost grows with the wallet's outputs.
    #[must_use]
    pub fn of(wallet: &Wallet) -> Self {
        Self::from_chain(wallet.local_chain(), wallet.tx_graph(), wallet.spk_index())
    }
}

impl<K: Ord + Clone + Debug> WalletRequest<K> {
    /// The request of a wallet that is made of the structures of `bdk_chain`, with any type of keychain.
    #[must_use]
    pub fn from_chain(
        chain: &LocalChain,
        graph: &TxGraph<ConfirmationBlockTime>,
        index: &KeychainTxOutIndex<K>,
    ) -> Self {
        let keychains = index.keychains().map(|(keychain, descriptor)| {
            let last_revealed = index.last_revealed_index(keychain.clone());
            (keychain, GivenKeychain { last_revealed, ..GivenKeychain::new(descriptor.to_string()) })
        });
        Self { keychains: keychains.collect(), tip: chain.tip(), outputs: known_outputs(chain, graph, index) }
    }
}

impl<K> WalletRequest<K> {
    /// Sets the gap limit of every keychain; the default is 1,000.
    #[must_use]
    pub fn gap_limit(mut self, gap_limit: u32) -> Self {
        for (_, keychain) in &mut self.keychains {
            keychain.gap_limit = gap_limit;
        }
        self
    }

    pub(super) fn tip(&self) -> &CheckPoint {
        &self.tip
    }

    /// The scan of a wallet that has `common`, and everything below it, in common with the active chain.
    ///
    /// A spend above `common` may be in a stale branch, with another spend in its place: those coins are watched too.
    pub(super) fn scan(&self, common: Height, start: RangeStart) -> ScanRequest {
        let mut request = ScanRequest::new().raw_transactions();
        request.range.from = start;
        request.keychains = self.keychains.iter().map(|(_, keychain)| keychain.clone()).collect();
        let may_be_spent = |known: &&KnownOutput| known.spent_height.is_none_or(|height| height > common.0);
        let as_given =
            |known: &KnownOutput| GivenOutpoint { outpoint: known.outpoint, output: Some(known.output.clone()) };
        request.outpoints = self.outputs.iter().filter(may_be_spent).map(as_given).collect();
        request
    }
}

impl<K: Ord + Clone> WalletRequest<K> {
    /// The keychain uses of a summary as BDK has them. A descriptor that is not ranged has the index 0 there.
    pub(super) fn last_active(&self, uses: &[KeychainUse]) -> BTreeMap<K, u32> {
        let index = |keychain_use: &KeychainUse| match keychain_use {
            KeychainUse::Unused => None,
            KeychainUse::LastUsed(index) => Some(*index),
            KeychainUse::UsedSingle => Some(0),
        };
        self.keychains.iter().zip(uses).filter_map(|((keychain, _), it)| Some((keychain.clone(), index(it)?))).collect()
    }
}

/// The outputs of all transactions that are confirmed or pending, with the heights at which they were spent.
fn known_outputs<K: Ord + Clone + Debug>(
    chain: &LocalChain,
    graph: &TxGraph<ConfirmationBlockTime>,
    index: &KeychainTxOutIndex<K>,
) -> Vec<KnownOutput> {
    let owned = index.outpoints().iter().map(|(_, outpoint)| ((), *outpoint));
    let tip = chain.tip().block_id();
    let outputs = graph.filter_chain_txouts(chain, tip, CanonicalizationParams::default(), owned);
    let known = |((), found): (_, FullTxOut<_>)| KnownOutput {
        outpoint: found.outpoint,
        output: found.txout,
        spent_height: found.spent_by.and_then(|(position, _)| position.confirmation_height_upper_bound()),
    };
    outputs.map(known).collect()
}
