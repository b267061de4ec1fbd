//! One line, of any type.

use rescan_client::bitcoin::Network;
use serde::Serialize;

use super::block::{BlockLine, RevertedLine};
use super::info::InfoLine;
use super::summary::SummaryLine;
use super::transaction::{CoinLine, TransactionLine};

/// One line. `type` comes first and names the variant.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Line {
    Transaction(TransactionLine),
    Coin(CoinLine),
    #[serde(rename = "withdrawn")]
    Reverted(RevertedLine),
    Restarted,
    Connected(BlockLine),
    Disconnected(BlockLine),
    Summary(SummaryLine),
    Info(Box<InfoLine>),
}

/// A network's name in the protocol.
pub(crate) fn network_name(network: Network) -> &'static str {
    match network {
        Network::Bitcoin => "main",
        Network::Testnet => "testnet3",
        Network::Testnet4 => "testnet4",
        Network::Signet => "signet",
        Network::Regtest => "regtest",
    }
}
