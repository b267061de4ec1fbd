//! One request for each block, each with the whole script set.
//!
//! One after another: the answer to a request decides which coins the next one names.

use std::collections::HashSet;
use std::sync::Arc;

use bitcoin::{BlockHash, OutPoint};
use rescan_client::{CallError, ScanError};
use rescan_core::block_match::{MatchContent, MatchEntries, MatchedBlock};
use rescan_core::position::Height;
use rescan_core::report::TransactionReport;
use rescan_core::watching::matching::can_be_coin;

use super::blocks_matched::MatchingWallet;
use super::{Context, Outcome};
use crate::error::CompareError;
use crate::method::Method;

pub(super) async fn run(context: Context<'_>) -> Result<Outcome, CompareError> {
    let Context { peer: client, meter, pinned, watched } = context;
    let mut wallet = MatchingWallet::new(watched);
    let mut coins = HashSet::new();
    let mut entries = Arc::new(MatchEntries { scripts: watched.scripts.clone(), outpoints: Vec::new() });
    let mut hash: Option<BlockHash> = None;
    let mut running = meter.start(pinned.range.count()).await?;
    for height in pinned.range.iter() {
        let matched = match client.match_block(height, hash, Arc::clone(&entries)).await {
            Ok(matched) => matched,
            Err(ScanError::Call(error @ (CallError::Unsupported { .. } | CallError::TooManyEntries { .. }))) => {
                return Ok(Outcome::LeftOut(error.to_string()));
            }
            Err(error) => return Err(error.into()),
        };
        let MatchedBlock { block, next, content } = matched;
        match content {
            MatchContent::Nothing => {}
            MatchContent::Block(data) => {
                let matches = wallet.take(height, &data, Method::RequestPerBlock)?;
                if !matches.is_empty() {
                    running.matched();
                    matches.iter().for_each(|transaction| apply(&mut coins, height, transaction));
                    Arc::make_mut(&mut entries).outpoints = coins.iter().copied().collect();
                }
            }
            MatchContent::NotOnDisk => {
                return Err(CompareError::Pruned { lowest: height.next().unwrap_or(height) });
            }
        }
        running.reached(height);
        if height == pinned.range.last() {
            pinned.check_tip(block.hash)?;
        }
        // Requested by hash: every block then follows the one before.
        hash = next.map(|next| next.hash);
    }
    Ok(Outcome::Answered(running.finish(pinned.range.last()), wallet.answer))
}

/// Applies a transaction to the wallet's unspent coins.
fn apply(coins: &mut HashSet<OutPoint>, height: Height, transaction: &TransactionReport) {
    for spent in &transaction.spent {
        coins.remove(&spent.prevout);
    }
    // Genesis' output is not in the coin database.
    let made = transaction
        .received
        .iter()
        .filter(|received| height != Height::GENESIS && can_be_coin(received.script_pubkey.as_bytes()));
    coins.extend(made.map(|received| OutPoint { txid: transaction.txid, vout: received.vout }));
}
