//! Arguments that name a Bitcoin Core node and its user.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use rescan_node::{Address, AddressError};

use super::NODE;

/// How to reach the node's RPC. A password is never an argument: every user of the machine can read
/// those.
#[derive(Clone, Debug, Default, Args)]
#[command(group(ArgGroup::new("rpc_credentials").args(["cookie", "rpc_user"])))]
pub(crate) struct NodeArgs {
    /// The node's data directory, in which its address and cookie are found as bitcoin-cli does
    /// [default: ~/.bitcoin]
    ///
    /// Reads bitcoin.conf and the files that it includes. The network is that of --network, else
    /// that of the file, else main; if main has no cookie, the only network with one. The server's
    /// socket is looked for here first.
    #[arg(long, value_name = "DIR", conflicts_with = "bitcoin_rpc", help_heading = NODE)]
    pub(crate) datadir: Option<PathBuf>,
    /// The address of the node's RPC, http://HOST:PORT, in place of a data directory
    #[arg(long, value_name = "URL", value_parser = parse_address, requires = "rpc_credentials", help_heading = NODE)]
    pub(crate) bitcoin_rpc: Option<Address>,
    /// The node's cookie file [default: .cookie in its network's folder of the data directory]
    #[arg(long, value_name = "FILE", help_heading = NODE)]
    pub(crate) cookie: Option<PathBuf>,
    /// A user of the node's rpcauth or rpcuser, in place of the cookie
    ///
    /// The password comes from --rpc-password-file, or from the environment variable
    /// RESCAN_RPC_PASSWORD. It is no argument, since every user of the machine can read those.
    #[arg(long, value_name = "NAME", help_heading = NODE)]
    pub(crate) rpc_user: Option<String>,
    /// A file with the user's password as its first line
    #[arg(long, value_name = "FILE", requires = "rpc_user", help_heading = NODE)]
    pub(crate) rpc_password_file: Option<PathBuf>,
}

impl NodeArgs {
    /// Whether an option names a node; else it is the one of the default data directory.
    pub(crate) fn is_given(&self) -> bool {
        let Self { datadir, bitcoin_rpc, cookie, rpc_user, rpc_password_file: _ } = self;
        datadir.is_some() || bitcoin_rpc.is_some() || cookie.is_some() || rpc_user.is_some()
    }

    /// The options for a report, without their values: paths contain user names.
    pub(crate) fn shown(&self) -> String {
        let Self { datadir, bitcoin_rpc, cookie, rpc_user, rpc_password_file } = self;
        [
            (datadir.is_some(), " --datadir DIR"),
            (bitcoin_rpc.is_some(), " --bitcoin-rpc URL"),
            (cookie.is_some(), " --cookie FILE"),
            (rpc_user.is_some(), " --rpc-user NAME"),
            (rpc_password_file.is_some(), " --rpc-password-file FILE"),
        ]
        .into_iter()
        .filter_map(|(is_given, option)| is_given.then_some(option))
        .collect()
    }
}

fn parse_address(text: &str) -> Result<Address, String> {
    text.parse().map_err(|error: AddressError| error.to_string())
}
