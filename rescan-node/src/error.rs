//! Failures of a call, separated by the operator's next step.

use std::path::PathBuf;
use std::{fmt, io};

use crate::address::Address;
use crate::credentials::Credentials;

/// Error codes of Bitcoin Core's RPC (`src/rpc/protocol.h`) that callers tell apart.
pub mod code {
    /// `RPC_MISC_ERROR`.
    pub const MISC: i32 = -1;
    /// `RPC_WALLET_ERROR`.
    pub const WALLET: i32 = -4;
    /// `RPC_INVALID_ADDRESS_OR_KEY`.
    pub const INVALID_ADDRESS_OR_KEY: i32 = -5;
    /// `RPC_INVALID_PARAMETER`.
    pub const INVALID_PARAMETER: i32 = -8;
    /// `RPC_WALLET_UNLOCK_NEEDED`.
    pub const WALLET_UNLOCK_NEEDED: i32 = -13;
    /// `RPC_WALLET_NOT_FOUND`.
    pub const WALLET_NOT_FOUND: i32 = -18;
    /// `RPC_WALLET_NOT_SPECIFIED`.
    pub const WALLET_NOT_SPECIFIED: i32 = -19;
    /// `RPC_IN_WARMUP`.
    pub const IN_WARMUP: i32 = -28;
    /// `RPC_WALLET_ALREADY_LOADED`.
    pub const WALLET_ALREADY_LOADED: i32 = -35;
    /// `RPC_WALLET_ALREADY_EXISTS`.
    pub const WALLET_ALREADY_EXISTS: i32 = -36;
    /// `RPC_METHOD_NOT_FOUND`.
    pub const METHOD_NOT_FOUND: i32 = -32_601;
}

/// A call that returned no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// The cookie file cannot be read.
    #[error(
        "cannot read the cookie {}: the node writes it as .cookie, in the network's folder of its datadir, while it runs",
        path.display()
    )]
    Cookie {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The file holds something else than a cookie.
    #[error("{} holds no cookie: expected one line with a name, a colon and a password", path.display())]
    NotACookie {
        /// The file.
        path: PathBuf,
    },
    /// No connection could be made.
    #[error("cannot connect to {address}: does the node run, with -server=1, and is this its -rpcport?")]
    Connect {
        /// The node's address.
        address: Address,
        /// The operating system's error.
        source: io::Error,
    },
    /// The connection broke, or the response did not arrive in time.
    #[error("no answer from {address} to {method}: see the node's debug.log")]
    NoAnswer {
        /// The node's address.
        address: Address,
        /// The method called.
        method: &'static str,
        /// The operating system's error; `TimedOut` if the response took too long.
        source: io::Error,
    },
    /// The node refuses the credentials (HTTP 401).
    #[error("the node at {address} refuses {credentials}: {}", next_step(credentials))]
    Unauthorized {
        /// The node's address.
        address: Address,
        /// The refused credentials.
        credentials: Credentials,
    },
    /// The node accepts no calls from this machine (HTTP 403).
    #[error(
        "the node at {address} accepts no calls from this machine (403): see its -rpcallowip, or call from the node's machine"
    )]
    Forbidden {
        /// The node's address.
        address: Address,
    },
    /// The node has no wallets: its path for them does not exist (HTTP 404).
    #[error("the node at {address} has no wallets (404): it was started with -disablewallet, or built without them")]
    NoWallets {
        /// The node's address.
        address: Address,
    },
    /// Another program listens there.
    #[error("no node's RPC listens on {address}: {detail}; is this its -rpcport, and not its -port?")]
    NotRpc {
        /// The address.
        address: Address,
        /// The expected and the found form.
        detail: String,
    },
    /// The node is stopping, or its work queue is full (HTTP 503).
    #[error(
        "the node is stopping, or its work queue is full (503): try again, or start it with a larger -rpcworkqueue"
    )]
    WorkQueueFull,
    /// The node is starting.
    #[error("the node is still starting ({message}): try again when it has started")]
    WarmingUp {
        /// The node's own words.
        message: String,
    },
    /// The node has no such method.
    #[error("the node does not know {method}{}", since(*introduced))]
    MethodNotFound {
        /// The method called.
        method: &'static str,
        /// The first version of Bitcoin Core that has it, if known here.
        introduced: Option<&'static str>,
    },
    /// The named wallet is not loaded.
    #[error("the node has no such wallet loaded: {message} (bitcoin-cli listwallets names them, loadwallet loads one)")]
    WalletNotFound {
        /// The node's own words.
        message: String,
    },
    /// The call needs a wallet's name, since the node has several.
    #[error("the node has several wallets loaded: name one (bitcoin-cli listwallets names them)")]
    WalletNotSpecified,
    /// The wallet is encrypted and locked, and the method needs its keys.
    #[error(
        "the wallet is locked: unlock it for the time that {method} takes, with bitcoin-cli -stdinwalletpassphrase walletpassphrase SECONDS"
    )]
    WalletLocked {
        /// The method called.
        method: &'static str,
    },
    /// The node returned another error.
    #[error("the node refused {method}: {message} (code {code})")]
    Refused {
        /// The method called.
        method: &'static str,
        /// See [`code`] and `src/rpc/protocol.h` of Bitcoin Core.
        code: i32,
        /// The node's own words.
        message: String,
    },
    /// The result is not as documented.
    #[error("unexpected answer of the node to {method}: {detail}")]
    Unexpected {
        /// The method called.
        method: &'static str,
        /// The expected and the found form.
        detail: String,
    },
}

impl RpcError {
    /// A result of `method` that is not as documented.
    pub fn unexpected(method: &'static str, detail: impl fmt::Display) -> Self {
        Self::Unexpected { method, detail: detail.to_string() }
    }

    /// The error object of a response.
    pub(crate) fn refusal(method: &'static str, code: i32, message: String) -> Self {
        match code {
            code::IN_WARMUP => Self::WarmingUp { message },
            code::METHOD_NOT_FOUND => Self::MethodNotFound { method, introduced: introduced(method) },
            code::WALLET_NOT_FOUND => Self::WalletNotFound { message },
            code::WALLET_NOT_SPECIFIED => Self::WalletNotSpecified,
            code::WALLET_UNLOCK_NEEDED => Self::WalletLocked { method },
            _ => Self::Refused { method, code, message },
        }
    }
}

fn next_step(credentials: &Credentials) -> &'static str {
    match credentials {
        Credentials::Cookie(_) => {
            "it writes a new one at each start; give the one in the datadir of the node that listens there"
        }
        Credentials::Password { .. } => "see its -rpcauth and -rpcuser",
    }
}

fn since(introduced: Option<&str>) -> String {
    introduced.map_or_else(String::new, |version| format!(": it came with Bitcoin Core {version}"))
}

/// The first version of Bitcoin Core that has a method, for methods younger than 0.20.
fn introduced(method: &str) -> Option<&'static str> {
    Some(match method {
        "getindexinfo" | "importdescriptors" => "0.21",
        "listdescriptors" => "22.0",
        "getblockfrompeer" => "23.0",
        "scanblocks" => "25.0",
        "getdescriptoractivity" => "29.0",
        _ => return None,
    })
}
