//! Reasons why no node is found in a datadir.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::chain_type::ChainType;

/// A line of a configuration file, shown as `PATH line N`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub(super) path: Arc<Path>,
    pub(super) line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} line {}", self.path.display(), self.line)
    }
}

/// No node was found. Messages repeat no value of a configuration file: it may be a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocateError {
    /// The datadir does not exist.
    #[error("{}{} is no directory: expected the node's datadir", at(place.as_ref()), path.display())]
    NoDatadir {
        /// The datadir.
        path: PathBuf,
        /// The line that names it, if one does.
        place: Option<Place>,
    },
    /// The datadir is the folder of another chain than the one named.
    #[error("{} is the folder of {found}: expected that of {expected}, or the datadir above it", path.display())]
    OtherChain {
        /// The folder.
        path: PathBuf,
        /// Its chain.
        found: ChainType,
        /// The chain named.
        expected: ChainType,
    },
    /// A configuration file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A line of a configuration file that Bitcoin Core refuses.
    #[error("{place}: {detail}")]
    BadLine {
        /// The line.
        place: Place,
        /// The expected and the found form.
        detail: &'static str,
    },
    /// A file of `includeconf=` does not exist.
    #[error("{place}: includeconf names {}, and there is no such file", path.display())]
    NotIncluded {
        /// The file.
        path: PathBuf,
        /// The line.
        place: Place,
    },
    /// The name behind `chain=` is none.
    #[error("{place}: unknown chain; expected main, test, testnet4, signet or regtest")]
    UnknownChain {
        /// The line.
        place: Place,
    },
    /// Two lines select a chain.
    #[error(
        "{first} and {second} both select a chain; expected at most one of chain, regtest, signet, testnet, testnet4"
    )]
    SeveralChains {
        /// One line.
        first: Place,
        /// Another.
        second: Place,
    },
    /// The value of `rpcport=` or `rpcconnect=` is no port or no host.
    #[error("{place}: bad {option}; expected {expected}")]
    BadAddress {
        /// The line.
        place: Place,
        /// The option.
        option: &'static str,
        /// The expected form.
        expected: &'static str,
    },
    /// Several chains have a cookie, and none is named.
    #[error("{} has cookies of several chains, {}, and none of main", datadir.display(), names(chains))]
    SeveralCookies {
        /// The datadir.
        datadir: PathBuf,
        /// The chains.
        chains: Vec<ChainType>,
    },
    /// There is no cookie file.
    #[error("no cookie of {chain} at {}: a node writes it while it runs with -server=1", path.display())]
    NoCookie {
        /// The expected file.
        path: PathBuf,
        /// The chain.
        chain: ChainType,
    },
    /// There is no cookie, and the node knows users by `rpcauth=`, which holds no password.
    #[error(
        "{rpcauth} has rpcauth, from which no password can be read, and there is no cookie of {chain} at {}",
        path.display()
    )]
    UserNeeded {
        /// The line.
        rpcauth: Place,
        /// The expected cookie file.
        path: PathBuf,
        /// The chain.
        chain: ChainType,
    },
    /// The node writes no cookie (`norpccookiefile=1`), and the file has no password.
    #[error("{place}: norpccookiefile disables the cookie of {chain}, and there is no rpcpassword")]
    CookieDisabled {
        /// The line.
        place: Place,
        /// The chain.
        chain: ChainType,
    },
}

impl LocateError {
    /// The operator's next step.
    #[must_use]
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::NoDatadir { .. } => "name the node's datadir: --datadir DIR; bitcoind's log begins with it",
            Self::OtherChain { .. } => "leave out --network, or give the datadir above this folder",
            Self::Unreadable { .. } => {
                "run rescan as a user who may read it, or give --bitcoin-rpc URL with --cookie FILE or --rpc-user NAME"
            }
            Self::BadLine { .. } | Self::UnknownChain { .. } | Self::BadAddress { .. } => {
                "bitcoin-cli refuses the line too: correct it"
            }
            Self::NotIncluded { .. } => "a relative path starts at the datadir: correct the line, or make the file",
            Self::SeveralChains { .. } => "leave one, or choose one with --network NAME",
            Self::SeveralCookies { .. } => "choose one of them: --network NAME",
            Self::NoCookie { .. } => {
                "is the node running, and is this its --datadir and --network? if so, give --rpc-user NAME and \
                 --rpc-password-file FILE"
            }
            Self::UserNeeded { .. } | Self::CookieDisabled { .. } => {
                "give --rpc-user NAME with --rpc-password-file FILE or the environment variable RESCAN_RPC_PASSWORD"
            }
        }
    }

    /// Whether other arguments would help, rather than another state of the node or its files.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NoDatadir { place: None, .. }
                | Self::OtherChain { .. }
                | Self::SeveralCookies { .. }
                | Self::UserNeeded { .. }
                | Self::CookieDisabled { .. }
        )
    }
}

fn at(place: Option<&Place>) -> String {
    place.map_or_else(String::new, |place| format!("{place}: "))
}

fn names(chains: &[ChainType]) -> String {
    chains.iter().map(|chain| chain.name()).collect::<Vec<_>>().join(", ")
}
