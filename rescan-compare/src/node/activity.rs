//! What `getdescriptoractivity` says, made into the answer that all ways give.
//!
//! The node knows every coin, also those that are older than the range; the other ways know only what the range made. So a
//! spend counts here where the range made its coin, as with them.

use std::collections::HashSet;

use bitcoin::amount::Denomination;
use bitcoin::{Amount, OutPoint, Txid};
use jsonrpc::serde_json::value::RawValue;
use rescan_core::position::Height;
use serde::Deserialize;

use super::error::NodeError;
use crate::answer::Answer;

/// The call.
pub(super) const METHOD: &str = "getdescriptoractivity";

/// An answer to the call.
#[derive(Deserialize)]
struct Activity<'a> {
    #[serde(borrow)]
    activity: Vec<Event<'a>>,
}

/// A spend or a receipt; the fields of the one are not there in the other. Events stand in the order of the chain: within a
/// transaction, spends before receipts.
#[derive(Deserialize)]
struct Event<'a> {
    r#type: &'a str,
    height: Option<u32>,
    /// In bitcoin, with eight decimals: kept as it is written, since no float holds all of them.
    #[serde(borrow)]
    amount: &'a RawValue,
    txid: Option<&'a str>,
    vout: Option<u32>,
    spend_txid: Option<&'a str>,
    spend_vin: Option<u32>,
    prevout_txid: Option<&'a str>,
    prevout_vout: Option<u32>,
}

/// What a wallet makes of one answer after another.
#[derive(Default)]
pub(super) struct ActiveWallet {
    coins: HashSet<OutPoint>,
    pub(super) answer: Answer,
}

impl ActiveWallet {
    /// Takes in an answer to the call about blocks above those of the one before; whether anything in it is the wallet's.
    ///
    /// # Errors
    /// [`NodeError::Unexpected`] if it is not as documented.
    pub(super) fn take(&mut self, said: &RawValue) -> Result<bool, NodeError> {
        let Activity { activity } =
            jsonrpc::serde_json::from_str(said.get()).map_err(|error| NodeError::unexpected(METHOD, error))?;
        let before = self.answer.transactions();
        for event in activity {
            self.take_event(&event)
                .ok_or_else(|| NodeError::unexpected(METHOD, format!("a {} that lacks something", event.r#type)))?;
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
                // What cannot be spent never is, and does no harm here.
                self.coins.insert(OutPoint { txid, vout });
            }
            // A kind that a later version may come to know is not what was asked for.
            _ => {}
        }
        Some(())
    }
}

fn txid(said: Option<&str>) -> Option<Txid> {
    said?.parse().ok()
}
