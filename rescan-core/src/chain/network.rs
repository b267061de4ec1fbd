//! Bitcoin networks and the rules that check a chain without a node: the magic bytes before each
//! block record, genesis, the proof-of-work limit, and the rules of difficulty and BIP34.
//!
//! The values are those of Bitcoin Core's `src/kernel/chainparams.cpp`. Addresses and keys
//! distinguish only main and test networks: see [`Network::kind`].

use std::fmt;
use std::str::FromStr;

use bitcoin::hashes::{Hash, HashEngine, sha256d};
use bitcoin::{BlockHash, NetworkKind, Target};

use crate::position::Height;

/// The four bytes before each block record of a network (`MessageStartChars`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Magic(pub [u8; 4]);

impl fmt::Display for Magic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A Bitcoin network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// The main network.
    Main,
    /// The third test network.
    Testnet3,
    /// The fourth test network (BIP94).
    Testnet4,
    /// A test network whose blocks are signed (BIP325). All signets share one genesis; the magic
    /// distinguishes them.
    Signet(Magic),
    /// A private test network without difficulty.
    Regtest,
}

impl Network {
    /// The signet that Bitcoin Core joins by default.
    pub const SIGNET: Self = Self::Signet(Magic([0x0a, 0x03, 0xcf, 0x40]));

    /// The networks with a name, in the order in which a datadir is searched.
    pub const NAMED: [Self; 5] = [Self::Main, Self::Testnet3, Self::Testnet4, Self::SIGNET, Self::Regtest];

    /// The signet of a block challenge (a scriptPubKey): its magic is the start of the double
    /// SHA-256 of the challenge, serialised with its length (`SigNetParams`).
    #[must_use]
    pub fn custom_signet(challenge: &bitcoin::Script) -> Self {
        let mut engine = sha256d::Hash::engine();
        engine.input(&bitcoin::consensus::serialize(challenge));
        let hash = sha256d::Hash::from_engine(engine).to_byte_array();
        Self::Signet(Magic([hash[0], hash[1], hash[2], hash[3]]))
    }

    /// The named network with these magic bytes.
    #[must_use]
    pub fn from_magic(magic: Magic) -> Option<Self> {
        Self::NAMED.into_iter().find(|network| network.magic() == magic)
    }

    /// The bytes before each block record.
    #[must_use]
    pub fn magic(self) -> Magic {
        match self {
            Self::Main => Magic([0xf9, 0xbe, 0xb4, 0xd9]),
            Self::Testnet3 => Magic([0x0b, 0x11, 0x09, 0x07]),
            Self::Testnet4 => Magic([0x1c, 0x16, 0x3f, 0x28]),
            Self::Signet(magic) => magic,
            Self::Regtest => Magic([0xfa, 0xbf, 0xb5, 0xda]),
        }
    }

    /// The hash of the block at height 0.
    #[must_use]
    pub fn genesis_hash(self) -> BlockHash {
        bitcoin::constants::genesis_block(self.to_bitcoin()).block_hash()
    }

    /// The directory of this network in a datadir; empty for main, whose files are in the datadir
    /// itself.
    #[must_use]
    pub fn directory(self) -> &'static str {
        match self {
            Self::Main => "",
            Self::Testnet3 => "testnet3",
            Self::Testnet4 => "testnet4",
            Self::Signet(_) => "signet",
            Self::Regtest => "regtest",
        }
    }

    /// The kind of network that descriptors and addresses distinguish.
    #[must_use]
    pub fn kind(self) -> NetworkKind {
        self.to_bitcoin().into()
    }

    /// The `bitcoin` crate's network; a custom signet is its signet.
    #[must_use]
    pub fn to_bitcoin(self) -> bitcoin::Network {
        match self {
            Self::Main => bitcoin::Network::Bitcoin,
            Self::Testnet3 => bitcoin::Network::Testnet,
            Self::Testnet4 => bitcoin::Network::Testnet4,
            Self::Signet(_) => bitcoin::Network::Signet,
            Self::Regtest => bitcoin::Network::Regtest,
        }
    }

    /// The lowest height whose coinbase must begin with the height (`BIP34Height`). Numbers in
    /// earlier coinbases mean nothing.
    #[must_use]
    pub fn bip34_height(self) -> Height {
        match self {
            Self::Main => Height(227_931),
            Self::Testnet3 => Height(21_111),
            Self::Testnet4 | Self::Signet(_) | Self::Regtest => Height(1),
        }
    }

    /// The easiest target that a header may have (`powLimit`).
    #[must_use]
    pub fn pow_limit(self) -> Target {
        let mut limit = [0xff; 32];
        match self {
            Self::Main | Self::Testnet3 | Self::Testnet4 => limit[..4].fill(0),
            Self::Signet(_) => {
                limit.fill(0);
                limit[..5].copy_from_slice(&[0, 0, 0x03, 0x77, 0xae]);
            }
            Self::Regtest => limit[0] = 0x7f,
        }
        Target::from_be_bytes(limit)
    }

    /// Whether a late block may have the easiest target (`fPowAllowMinDifficultyBlocks`). If so, no
    /// rule ties its difficulty to its parent's alone.
    #[must_use]
    pub fn allows_min_difficulty(self) -> bool {
        matches!(self, Self::Testnet3 | Self::Testnet4 | Self::Regtest)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Main => f.write_str("main"),
            Self::Testnet3 => f.write_str("testnet3"),
            Self::Testnet4 => f.write_str("testnet4"),
            Self::Signet(_) if *self == Self::SIGNET => f.write_str("signet"),
            Self::Signet(magic) => write!(f, "signet {magic}"),
            Self::Regtest => f.write_str("regtest"),
        }
    }
}

/// A name of no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown network {name:?}: expected main, testnet3, testnet4, signet or regtest")]
pub struct UnknownNetwork {
    name: String,
}

impl FromStr for Network {
    type Err = UnknownNetwork;

    fn from_str(name: &str) -> Result<Self, UnknownNetwork> {
        match name {
            "main" | "mainnet" | "bitcoin" => Ok(Self::Main),
            "test" | "testnet" | "testnet3" => Ok(Self::Testnet3),
            "testnet4" => Ok(Self::Testnet4),
            "signet" => Ok(Self::SIGNET),
            "regtest" => Ok(Self::Regtest),
            other => Err(UnknownNetwork { name: other.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::ScriptBuf;

    use super::*;

    #[test]
    fn magic_and_limit_are_those_of_the_bitcoin_crate() {
        for network in Network::NAMED {
            assert_eq!(network.magic().0, network.to_bitcoin().magic().to_bytes(), "{network}");
            let by_bitcoin = network.to_bitcoin().params().max_attainable_target;
            // The crate stores the limit rounded to compact form.
            let by_us = Target::from_compact(network.pow_limit().to_compact_lossy());
            assert_eq!(by_us, by_bitcoin, "{network}");
        }
    }

    #[test]
    fn the_default_signet_is_the_signet_of_its_challenge() {
        // The default challenge of BIP325's public signet: one of two keys.
        let challenge = ScriptBuf::from_hex(
            "512103ad5e0edad18cb1f0fc0d28a3d4f1f3e445640337489abb10404f2d1e086be430210359ef5021964fe22d6f8e05b2463c9540\
             ce96883fe3b278760f048f5189f2e6c452ae",
        )
        .expect("it is hex");
        assert_eq!(Network::custom_signet(&challenge), Network::SIGNET);
    }

    #[test]
    fn a_name_comes_back_as_the_network_it_names() {
        for network in Network::NAMED {
            assert_eq!(network.to_string().parse(), Ok(network));
        }
        assert!("simnet".parse::<Network>().is_err());
    }
}
