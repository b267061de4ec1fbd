//! Why a descriptor is refused, and why a script cannot be derived.
//!
//! Nothing here can hold a key: messages are made of positions, counts, fixed phrases, checksums and short lower-case
//! names, and no error of a parser below is kept as a source, because those quote what they were given. So an error may
//! be printed, logged or sent, in `Display` and in `Debug`, whatever secret the text held.

use bitcoin::NetworkKind;

use crate::report::RefusalReason;

/// Why a descriptor is refused. Positions are in bytes from the start of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptorError {
    /// There is no text.
    #[error("expected a descriptor such as wpkh(..), found no text")]
    Empty,
    /// The text is longer than any descriptor that is watched.
    #[error("descriptor of {found} bytes, expected at most {max}; split it, or watch its scripts with raw(..)")]
    TooLong {
        /// Length of the text in bytes.
        found: usize,
        /// [`super::DESCRIPTOR_BYTES_MAX`].
        max: usize,
    },
    /// A character that no descriptor may contain: not printable ASCII.
    #[error("byte 0x{byte:02x} at position {position} is not printable ASCII, of which descriptors are made")]
    Character {
        /// Where.
        position: usize,
        /// The byte that is there.
        byte: u8,
    },
    /// The checksum after `#` is not that of the text before it.
    #[error("checksum mismatch: the text has {expected}, found {found}; copy the descriptor again, or leave out #..")]
    Checksum {
        /// What the text's checksum is.
        expected: String,
        /// What stood after `#`, or how long it was if it cannot be a checksum.
        found: String,
    },
    /// The text holds a private key.
    #[error(
        "private key at position {position}; a scan needs public keys only, and this one should not leave your wallet: \
         export the descriptor without private keys"
    )]
    PrivateKey {
        /// Where it starts.
        position: usize,
    },
    /// Functions and wrappers, or the braces of a tree, are nested too deep.
    #[error("nested more than {max} deep at position {position}")]
    TooDeep {
        /// Where the limit was crossed.
        position: usize,
        /// [`super::NESTING_MAX`] or, of braces, [`super::TREE_DEPTH_MAX`].
        max: usize,
    },
    /// A function that is not known.
    #[error("unknown function {name} at position {position}; expected one of Bitcoin Core's descriptor functions")]
    UnknownFunction {
        /// Its name, or how long that is if it is not fit to be shown.
        name: String,
        /// Where it starts.
        position: usize,
    },
    /// A function that is known, but that this version does not derive scripts of.
    #[error("{function}() at position {position} is not supported; watch its scripts with raw(..) or addr(..)")]
    Unsupported {
        /// Its name.
        function: &'static str,
        /// Where it starts.
        position: usize,
    },
    /// A function that may only be the outermost one.
    #[error("{function}() at position {position} is inside another function, expected only outermost")]
    NotOutermost {
        /// Its name.
        function: &'static str,
        /// Where it starts.
        position: usize,
    },
    /// A hardened step or range after an extended public key.
    #[error(
        "hardened derivation after the extended key at position {position} needs the private key; give the extended \
         public key from below the hardened steps, or the scripts themselves as raw(..) or addr(..)"
    )]
    Hardened {
        /// Where the key starts.
        position: usize,
    },
    /// A key or address of another network.
    #[error("{what} of {}, expected {}", network_name(*.found), network_name(*.expected))]
    WrongNetwork {
        /// `key` or `address`.
        what: &'static str,
        /// The network that is scanned.
        expected: NetworkKind,
        /// The network that the text is for.
        found: NetworkKind,
    },
    /// A range where there is nothing to derive.
    #[error("{function}() holds one script and has no range, found *")]
    Ranged {
        /// `addr` or `raw`.
        function: &'static str,
    },
    /// An uncompressed key where only compressed ones can be spent.
    #[error("uncompressed key at position {position}, expected a compressed one inside {function}()")]
    UncompressedKey {
        /// Where the key starts.
        position: usize,
        /// The enclosing function that forbids it.
        function: &'static str,
    },
    /// An x-only key outside taproot.
    #[error("x-only key (64 hex digits) at position {position}, expected 66 hex digits outside tr() and rawtr()")]
    XOnlyKey {
        /// Where the key starts.
        position: usize,
    },
    /// A key that does not parse.
    #[error("bad key at position {position}: {reason}")]
    BadKey {
        /// Where it starts.
        position: usize,
        /// What was expected.
        reason: &'static str,
    },
    /// An address that does not parse.
    #[error("addr() holds no address that decodes; a character is wrong or missing")]
    BadAddress,
    /// A `raw()` that does not hold a script.
    #[error("bad raw(): {reason}")]
    BadRaw {
        /// What was expected.
        reason: &'static str,
    },
    /// Multipath keys that differ in how many paths they have.
    #[error("key at position {position} has {found} paths, expected {expected} as in the multipath key before it")]
    PathCountMismatch {
        /// Where the key starts.
        position: usize,
        /// The paths of the first multipath key.
        expected: usize,
        /// The paths of this one.
        found: usize,
    },
    /// More paths in one multipath key than are expanded.
    #[error("key at position {position} has {found} paths, expected at most {max}")]
    TooManyPaths {
        /// Where the key starts.
        position: usize,
        /// How many it has.
        found: usize,
        /// [`super::PATHS_MAX`].
        max: usize,
    },
    /// A multipath descriptor where a single-path one is needed.
    #[error("multipath descriptor of {paths} paths, expected a single path; expand it first")]
    Multipath {
        /// How many.
        paths: usize,
    },
    /// Parentheses, braces or commas in the wrong place.
    #[error("malformed at position {position}: {reason}")]
    Malformed {
        /// Where it was noticed.
        position: usize,
        /// What was expected.
        reason: &'static str,
    },
    /// Well-formed text that is no valid script.
    #[error("invalid script: {reason}")]
    InvalidScript {
        /// Which rule it breaks.
        reason: &'static str,
    },
}

impl From<&DescriptorError> for RefusalReason {
    fn from(error: &DescriptorError) -> Self {
        match error {
            DescriptorError::WrongNetwork { .. } => Self::WrongNetwork,
            _ => Self::BadDescriptor,
        }
    }
}

fn network_name(network: NetworkKind) -> &'static str {
    match network {
        NetworkKind::Main => "mainnet",
        NetworkKind::Test => "a test network",
    }
}

/// Why there is no script at an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeriveError {
    /// The index is one of a hardened child: 2^31 or above.
    #[error("index {index} is beyond the last unhardened one, 2147483647")]
    IndexTooLarge {
        /// The index.
        index: u32,
    },
    /// BIP 32 gives no key at this index, and has wallets go on with the next. One index in 2^127 is like this.
    #[error("no key exists at index {index}; BIP 32 goes on with the next index")]
    NoSuchChild {
        /// The index.
        index: u32,
    },
    /// The keys at this index make no valid script, although those at index 0 did.
    #[error("the keys at index {index} make no valid script")]
    InvalidScript {
        /// The index.
        index: u32,
    },
}
