//! The chains of Bitcoin Core, with their names, folders and ports.

use std::fmt;

/// A chain (`src/util/chaintype.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChainType {
    /// The main network.
    Main,
    /// The third test network.
    Test,
    /// The fourth test network.
    Testnet4,
    /// A signet.
    Signet,
    /// A private test network.
    Regtest,
}

impl ChainType {
    /// All, in the order of Bitcoin Core's help.
    pub const ALL: [Self; 5] = [Self::Main, Self::Test, Self::Testnet4, Self::Signet, Self::Regtest];

    /// Its name: in `-chain`, as a section of `bitcoin.conf`, and in `getblockchaininfo`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Test => "test",
            Self::Testnet4 => "testnet4",
            Self::Signet => "signet",
            Self::Regtest => "regtest",
        }
    }

    /// The chain of a name in `-chain`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|chain| chain.name() == name)
    }

    /// Its folder in a datadir; empty for main (`src/chainparamsbase.cpp`).
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Main => "",
            Self::Test => "testnet3",
            Self::Testnet4 | Self::Signet | Self::Regtest => self.name(),
        }
    }

    /// The default port of its RPC (`src/chainparamsbase.cpp`).
    #[must_use]
    pub fn rpc_port(self) -> u16 {
        match self {
            Self::Main => 8_332,
            Self::Test => 18_332,
            Self::Testnet4 => 48_332,
            Self::Signet => 38_332,
            Self::Regtest => 18_443,
        }
    }

    /// The option that selects it alone, such as `regtest=1`; main has none.
    pub(super) fn switch(self) -> Option<&'static str> {
        match self {
            Self::Main => None,
            Self::Test => Some("testnet"),
            Self::Testnet4 | Self::Signet | Self::Regtest => Some(self.name()),
        }
    }
}

/// Its name.
impl fmt::Display for ChainType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl From<ChainType> for bitcoin::Network {
    fn from(chain: ChainType) -> Self {
        match chain {
            ChainType::Main => Self::Bitcoin,
            ChainType::Test => Self::Testnet,
            ChainType::Testnet4 => Self::Testnet4,
            ChainType::Signet => Self::Signet,
            ChainType::Regtest => Self::Regtest,
        }
    }
}
