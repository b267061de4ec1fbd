//! The server sends whole blocks; the wallet decodes them with the `bitcoin` crate and compares, as
//! wallets do today.

use std::collections::HashSet;

use bitcoin::{Block, OutPoint, consensus};
use rescan_core::position::Height;
use rescan_core::watching::matching::can_be_coin;

use super::{Context, Outcome, shipped_blocks};
use crate::answer::Answer;
use crate::error::CompareError;
use crate::inputs::WatchedScripts;
use crate::method::Method;

pub(super) async fn run(context: Context<'_>) -> Result<Outcome, CompareError> {
    let mut wallet = DecodingWallet::new(context.watched);
    let run =
        shipped_blocks::run(context, |block| wallet.take(block.height, &block.data, Method::BlocksDecoded)).await?;
    Ok(Outcome::Answered(run, wallet.answer))
}

/// A wallet that decodes every block whole, and its answer so far.
pub(super) struct DecodingWallet<'w> {
    watched: &'w WatchedScripts,
    coins: HashSet<OutPoint>,
    pub(super) answer: Answer,
}

impl<'w> DecodingWallet<'w> {
    pub(super) fn new(watched: &'w WatchedScripts) -> Self {
        Self { watched, coins: HashSet::new(), answer: Answer::default() }
    }

    /// Compares the next block; returns whether anything in it matched.
    ///
    /// # Errors
    /// [`CompareError::Malformed`] if it is no block.
    pub(super) fn take(&mut self, height: Height, data: &[u8], method: Method) -> Result<bool, CompareError> {
        let block: Block = consensus::deserialize(data).map_err(|error| CompareError::Malformed {
            method,
            height,
            detail: error.to_string(),
        })?;
        Ok(self.take_decoded(height, &block))
    }

    fn take_decoded(&mut self, height: Height, block: &Block) -> bool {
        let mut any = false;
        for transaction in &block.txdata {
            // Hashed only if something of it matches.
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
