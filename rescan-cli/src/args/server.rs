//! Arguments that name the server.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use rescan_client::bitcoin::Network;
use rescan_node::ChainType;

/// How to reach the server.
#[derive(Clone, Debug, Args)]
pub(crate) struct SocketArgs {
    /// The server's Unix socket [default: the only rescan.sock in ~/.bitcoin and its network folders]
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// Use the socket of this network in ~/.bitcoin
    #[arg(long, value_name = "NAME", conflicts_with = "socket")]
    pub(crate) network: Option<NetworkName>,
}

impl NetworkName {
    /// The network as Bitcoin Core names it.
    pub(crate) fn chain(self) -> ChainType {
        match self {
            Self::Main => ChainType::Main,
            Self::Testnet3 => ChainType::Test,
            Self::Testnet4 => ChainType::Testnet4,
            Self::Signet => ChainType::Signet,
            Self::Regtest => ChainType::Regtest,
        }
    }

    /// The network of a server.
    pub(crate) fn of(network: Network) -> Option<Self> {
        Self::value_variants().iter().copied().find(|name| Network::from(name.chain()) == network)
    }
}

/// A network, by the name of its folder in Bitcoin Core's datadir.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetworkName {
    #[value(aliases = ["mainnet", "bitcoin"])]
    Main,
    #[value(name = "testnet3", aliases = ["test", "testnet"], help = "Also called test")]
    Testnet3,
    Testnet4,
    Signet,
    Regtest,
}
