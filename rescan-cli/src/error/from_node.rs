//! Errors of a node's RPC and of the search for it, each with the next step.

use rescan_core::causes::with_causes;
use rescan_node::{LocateError, RpcError};

use super::CliError;

impl From<RpcError> for CliError {
    fn from(error: RpcError) -> Self {
        let hint = match &error {
            RpcError::Cookie { .. }
            | RpcError::NotACookie { .. }
            | RpcError::Connect { .. }
            | RpcError::Unauthorized { .. }
            | RpcError::NotRpc { .. } => {
                "--datadir DIR finds address and cookie as bitcoin-cli does; or give --bitcoin-rpc URL with --cookie FILE \
                 or --rpc-user NAME"
            }
            RpcError::NoAnswer { .. } | RpcError::WorkQueueFull | RpcError::WarmingUp { .. } => {
                "`bitcoin-cli -rpcwait getblockchaininfo` returns when the node answers; then repeat the command"
            }
            RpcError::MethodNotFound { .. } => "upgrade the node, or leave out the option that needs the method",
            RpcError::WalletNotFound { .. } | RpcError::WalletNotSpecified => {
                "give the name of a loaded wallet: `bitcoin-cli listwallets` prints them"
            }
            _ => "`bitcoin-cli help METHOD` describes the method; the node's debug.log may have more",
        };
        Self::failed(with_causes(&error), hint)
    }
}

impl From<LocateError> for CliError {
    fn from(error: LocateError) -> Self {
        let message = with_causes(&error);
        if error.is_usage() {
            Self::usage(message, error.next_step())
        } else {
            Self::failed(message, error.next_step())
        }
    }
}
