//! Whole blocks cross, and the wallet decodes them with the `bitcoin` crate and compares, as wallets do today.

use std::collections::HashSet;

use bitcoin::{Block, OutPoint, consensus};
use rescan_core::position::Height;
use rescan_core::watching::matching::can_be_coin;

use super::{Gone, Ground, look_through_shipment};
use crate::answer::Answer;
use crate::comparison::WayId;
use crate::error::CompareError;
use crate::watched::Watched;

pub(super) async fn go(ground: Ground<'_>) -> Result<Gone, CompareError> {
    let mut wallet = DecodingWallet::new(ground.watched);
    let run =
        look_through_shipment(ground, |block| wallet.take(block.height, &block.data, WayId::BlocksDecoded)).await?;
    Ok(Gone::Came(run, wallet.answer))
}

/// A wallet that decodes every block whole, and what it has found.
pub(crate) struct DecodingWallet<'w> {
    watched: &'w Watched,
    coins: HashSet<OutPoint>,
    pub(crate) answer: Answer,
}

impl<'w> DecodingWallet<'w> {
    pub(crate) fn new(watched: &'w Watched) -> Self {
        Self { watched, coins: HashSet::new(), answer: Answer::default() }
    }

    /// Looks through the next block; whether anything in it matched.
    ///
    /// # Errors
    /// [`CompareError::Malformed`] if it is no block.
    pub(crate) fn take(&mut self, height: Height, data: &[u8], way: WayId) -> Result<bool, CompareError> {
        let block: Block = consensus::deserialize(data).map_err(|error| CompareError::Malformed {
            way,
            height,
            detail: error.to_string(),
        })?;
        Ok(self.take_decoded(height, &block))
    }

    /// The same of a block that is decoded already.
    pub(crate) fn take_decoded(&mut self, height: Height, block: &Block) -> bool {
        let mut any = false;
        for transaction in &block.txdata {
            // Hashed once something of it matches, and not before.
            let mut txid = None;
            for (vin, input) in (0..).zip(&transaction.input) {
                if self.coins.contains(&input.previous_output) {
                    let txid = *txid.get_or_insert_with(|| transaction.compute_txid());
                    self.answer.spent(height, txid, vin);
                }
            }
            for (vout, output) in (0..).zip(&transaction.output) {
                if self.watched.hashed.contains(&output.script_pubkey) {
                    let txid = *txid.get_or_insert_with(|| transaction.compute_txid());
                    self.answer.received(height, txid, vout, output.value.to_sat());
                    // Genesis' output is not in the coin database.
                    if height != Height::GENESIS && can_be_coin(output.script_pubkey.as_bytes()) {
                        self.coins.insert(OutPoint { txid, vout });
                    }
                }
            }
            any |= txid.is_some();
        }
        any
    }
}
