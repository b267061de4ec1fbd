//! What a scan has to know of a wallet: descriptors, what was revealed, coins, and the blocks it has seen.

use std::collections::BTreeMap;

use bdk_wallet::chain::{CanonicalizationParams, CheckPoint};
use bdk_wallet::{KeychainKind, Wallet};
use bitcoin::{OutPoint, TxOut};
use rescan_core::position::Height;
use rescan_core::report::KeychainUse;

use crate::{GivenKeychain, GivenOutpoint, RangeStart, ScanRequest};

/// What is taken from a wallet for one scan. It has no keys, and keeps no hold of the wallet.
#[derive(Clone, Debug)]
pub struct WalletRequest {
    keychains: Vec<(KeychainKind, GivenKeychain)>,
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

impl WalletRequest {
    /// What the wallet has now. Its cost grows with the wallet's outputs.
    #[must_use]
    pub fn of(wallet: &Wallet) -> Self {
        let keychains = wallet.keychains().map(|(kind, descriptor)| {
            let last_revealed = wallet.derivation_index(kind);
            (kind, GivenKeychain { last_revealed, ..GivenKeychain::new(descriptor.to_string()) })
        });
        Self { keychains: keychains.collect(), tip: wallet.latest_checkpoint(), outputs: known_outputs(wallet) }
    }

    /// Watches every keychain so far beyond the last index that was used or revealed; 1,000 where this is not called.
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
    /// A spend above `common` may be one of a branch that was left, with another spend in its place: those coins are
    /// watched for too.
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

    /// What a summary says of the keychains, in BDK's words. A descriptor that is not ranged has the index 0 there.
    pub(super) fn last_active(&self, uses: &[KeychainUse]) -> BTreeMap<KeychainKind, u32> {
        let index = |keychain_use: &KeychainUse| match keychain_use {
            KeychainUse::Unused => None,
            KeychainUse::LastUsed(index) => Some(*index),
            KeychainUse::UsedSingle => Some(0),
        };
        self.keychains.iter().zip(uses).filter_map(|((kind, _), it)| Some((*kind, index(it)?))).collect()
    }
}

/// The outputs of all transactions that are confirmed or pending, with where they were spent.
fn known_outputs(wallet: &Wallet) -> Vec<KnownOutput> {
    let (chain, tip) = (wallet.local_chain(), wallet.latest_checkpoint().block_id());
    let owned = wallet.spk_index().outpoints().iter().map(|(_, outpoint)| ((), *outpoint));
    let outputs = wallet.tx_graph().filter_chain_txouts(chain, tip, CanonicalizationParams::default(), owned);
    let known = |((), found): (_, bdk_wallet::chain::FullTxOut<_>)| KnownOutput {
        outpoint: found.outpoint,
        output: found.txout,
        spent_height: found.spent_by.and_then(|(position, _)| position.confirmation_height_upper_bound()),
    };
    outputs.map(known).collect()
}
