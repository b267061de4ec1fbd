//! Arguments that name the server.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

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

/// A network, by the name of its folder in Bitcoin Core's datadir.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetworkName {
    Main,
    #[value(name = "testnet3", alias = "test", help = "Also called test")]
    Testnet3,
    Testnet4,
    Signet,
    Regtest,
}
