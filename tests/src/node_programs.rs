//! The programs of a real node, as the environment names them, and a port for it.

use std::net::TcpListener;
use std::path::PathBuf;

use crate::skipping::say_skipped;

/// The node's programs.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) node: PathBuf,
    pub(crate) client: PathBuf,
    /// Whether it answers over IPC: `bitcoin-node` does, `bitcoind` does not.
    pub(crate) has_ipc: bool,
    pub(crate) has_wallet: bool,
}

impl Programs {
    /// A node without wallet.
    pub(crate) fn plain() -> Option<Self> {
        let (Some(node), Some(client)) = (std::env::var_os("BITCOIN_NODE"), std::env::var_os("BITCOIN_CLI")) else {
            say_skipped("a node: export $(tests/bitcoin-node.sh) sets BITCOIN_NODE and BITCOIN_CLI");
            return None;
        };
        // They are built with IPC, whatever their name.
        Some(Self { node: node.into(), client: client.into(), has_ipc: true, has_wallet: false })
    }

    /// A node with wallet, whose `bitcoin-cli` lies beside it.
    pub(crate) fn with_wallet() -> Option<Self> {
        let Some(node) = std::env::var_os("BITCOIND") else {
            say_skipped("a node with wallet: set BITCOIND to the path of a bitcoind or bitcoin-node that has one");
            return None;
        };
        let node = PathBuf::from(node);
        let client = node.with_file_name("bitcoin-cli");
        let has_ipc = node.file_name().is_some_and(|name| name.to_string_lossy().starts_with("bitcoin-node"));
        Some(Self { node, client, has_ipc, has_wallet: true })
    }
}

/// A free port of the loopback.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback has a free port");
    listener.local_addr().expect("it has an address").port()
}
