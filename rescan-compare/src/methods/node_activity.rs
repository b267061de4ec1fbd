//! Converts `getdescriptoractivity` into the answer of all methods.
//!
//! The node knows every coin; the other methods know coins of the range alone. So a spend counts
//! here only if the range made its coin.

use std::collections::HashSet;

use bitcoin::amount::Denomination;
use bitcoin::{Amount, OutPoint, Txid};
use rescan_core::position::Height;
use rescan_node::RpcError;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answer::Answer;
use crate::node::NodeError;

pub(super) const METHOD: &str = "getdescriptoractivity";

/// The result of the call.
#[derive(Deserialize)]
struct Activity<'a> {
    #[serde(borrow)]
    activity: Vec<Event<'a>>,
}

/// A spend or a receipt; each lacks the other's fields. Events stand in chain order: within a
/// transaction, spends before receipts.
#[derive(Deserialize)]
struct Event<'a> {
    r#type: &'a str,
    height: Option<u32>,
    /// In bitcoin, with eight decimals: kept as text, since a float does not hold every amount.
    #[serde(borrow)]
    amount: &'a RawValue,
    txid: Option<&'a str>,
    vout: Option<u32>,
    spend_txid: Option<&'a str>,
    spend_vin: Option<u32>,
    prevout_txid: Option<&'a str>,
    prevout_vout: Option<u32>,
}

/// A wallet that reads one result after another.
#[derive(Default)]
pub(super) struct ActivityWallet {
    coins: HashSet<OutPoint>,
    pub(super) answer: Answer,
}

impl ActivityWallet {
    /// Adds a result about blocks above the previous one's. Returns whether any of it is the
    /// wallet's.
    ///
    /// # Errors
    /// [`RpcError::Unexpected`] if it is not as documented.
    pub(super) fn take(&mut self, result: &RawValue) -> Result<bool, NodeError> {
        let Activity { activity } =
            serde_json::from_str(result.get()).map_err(|error| RpcError::unexpected(METHOD, error))?;
        let before = self.answer.transactions();
        for event in activity {
            self.take_event(&event)
                .ok_or_else(|| RpcError::unexpected(METHOD, format!("a {} without all of its fields", event.r#type)))?;
        }
        Ok(self.answer.transactions() > before)
    }

    fn take_event(&mut self, event: &Event<'_>) -> Option<()> {
        let height = Height(event.height?);
        match event.r#type {
            "spend" => {
                let prevout = OutPoint { txid: txid(event.prevout_txid)?, vout: event.prevout_vout? };
                let (txid, vin) = (txid(event.spend_txid)?, event.spend_vin?);
                if self.coins.contains(&prevout) {
                    self.answer.spent(height, txid, vin);
                }
            }
            "receive" => {
                let (txid, vout) = (txid(event.txid)?, event.vout?);
                let value = Amount::from_str_in(event.amount.get(), Denomination::Bitcoin).ok()?;
                self.answer.received(height, txid, vout, value.to_sat());
                // Unspendable outputs are never spent, and do no harm here.
                self.coins.insert(OutPoint { txid, vout });
            }
            // A kind of a later version was not requested.
            _ => {}
        }
        Some(())
    }
}

fn txid(text: Option<&str>) -> Option<Txid> {
    text?.parse().ok()
}
