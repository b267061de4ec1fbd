//! Errors of descriptors and of deriving their scripts.
//!
//! No error here can hold a key. Messages consist of positions, counts, fixed phrases, checksums
//! and short lower-case names. Errors of the parsers below are not kept as sources, because they
//! quote their input. An error may therefore be printed, logged or sent, in `Display` and in
//! `Debug`, whatever secret the text held.

use bitcoin::NetworkKind;

use crate::report::RefusalReason;

/// The reason why a descriptor is refused. Positions are in bytes from the start of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptorError {
    /// The text is empty.
    #[error("expected a descriptor such as wpkh(..), found no text")]
    Empty,
    /// The text is longer than the longest descriptor.
    #[error("descriptor of {found} bytes, expected at most {max}; split it, or watch its scripts with raw(..)")]
    TooLong {
        /// Length of the text in bytes.
        found: usize,
        /// [`super::DESCRIPTOR_BYTES_MAX`].
        max: usize,
    },
    /// A character that is not printable ASCII.
    #[error("byte 0x{byte:02x} at position {position}, expected printable ASCII")]
    Character {
        /// Its position.
        position: usize,
        /// The byte.
        byte: u8,
    },
    /// The checksum after `#` does not match the text before it.
    #[error("checksum mismatch: the text has {expected}, found {found}; copy the descriptor again, or leave out #..")]
    Checksum {
        /// The checksum of the text.
        expected: String,
        /// The text after `#`, or its length if it cannot be a checksum.
        found: String,
    },
    /// The text holds a private key.
    #[error(
        "private key at position {position}; a scan needs public keys only, and this one should not leave your wallet: \
         export the descriptor without private keys"
    )]
    PrivateKey {
        /// Its position.
        position: usize,
    },
    /// Functions and wrappers, or the braces of a tree, are nested too deep.
    #[error("nested more than {max} deep at position {position}")]
    TooDeep {
        /// The position of the first function or brace beyond the limit.
        position: usize,
        /// [`super::NESTING_MAX`], or [`super::TREE_DEPTH_MAX`] for braces.
        max: usize,
    },
    /// An unknown function.
    #[error("unknown function {name} at position {position}; expected one of Bitcoin Core's descriptor functions")]
    UnknownFunction {
        /// Its name, or its length if it must not be shown.
        name: String,
        /// Its position.
        position: usize,
    },
    /// A known function whose scripts this version does not derive.
    #[error("{function}() at position {position} is not supported; watch its scripts with raw(..) or addr(..)")]
    Unsupported {
        /// Its name.
        function: &'static str,
        /// Its position.
        position: usize,
    },
    /// A function that is allowed only as the outermost one.
    #[error("{function}() at position {position} is inside another function, expected only outermost")]
    NotOutermost {
        /// Its name.
        function: &'static str,
        /// Its position.
        position: usize,
    },
    /// A fragment or wrapper of miniscript outside `wsh` and `tr`.
    #[error("miniscript at position {position}, expected inside wsh() or a leaf of tr() only")]
    MisplacedMiniscript {
        /// Its position.
        position: usize,
    },
    /// A key alone, which does not name its function.
    #[error("a key alone does not name its addresses; expected a whole descriptor, such as wpkh(KEY)")]
    BareKey,
    /// The key of one cosigner alone (SLIP 132).
    #[error("{prefix}.. alone is the key of one cosigner; expected the keys of all: {expected}")]
    CosignersMissing {
        /// Its prefix.
        prefix: &'static str,
        /// The form of the whole descriptor.
        expected: &'static str,
    },
    /// A key in another function than its prefix means (SLIP 132).
    #[error(
        "the key at position {position} is in another function than its prefix means: {prefix}.. belongs in {expected}; \
         convert it to xpub or tpub for any other function"
    )]
    OtherFunction {
        /// Position of the key.
        position: usize,
        /// Its prefix.
        prefix: &'static str,
        /// The descriptor that it belongs to.
        expected: &'static str,
    },
    /// A hardened step or range after an extended public key.
    #[error(
        "hardened derivation after the extended key at position {position} needs the private key; give the extended \
         public key from below the hardened steps, or the scripts themselves as raw(..) or addr(..)"
    )]
    Hardened {
        /// Position of the key.
        position: usize,
    },
    /// A key or address of another network.
    #[error("{what} of {}, expected {}", network_name(*.found), network_name(*.expected))]
    WrongNetwork {
        /// `key` or `address`.
        what: &'static str,
        /// The scanned network.
        expected: NetworkKind,
        /// The network of the text.
        found: NetworkKind,
    },
    /// A range in a function that derives nothing.
    #[error("{function}() holds one script and has no range, found *")]
    Ranged {
        /// `addr` or `raw`.
        function: &'static str,
    },
    /// An uncompressed key where segwit allows only compressed ones.
    #[error("uncompressed key at position {position}, expected a compressed one inside {function}()")]
    UncompressedKey {
        /// Position of the key.
        position: usize,
        /// The enclosing function.
        function: &'static str,
    },
    /// An x-only key outside taproot.
    #[error("x-only key (64 hex digits) at position {position}, expected 66 hex digits outside tr() and rawtr()")]
    XOnlyKey {
        /// Position of the key.
        position: usize,
    },
    /// A key that does not parse.
    #[error("bad key at position {position}: {reason}")]
    BadKey {
        /// Its position.
        position: usize,
        /// The expected form.
        reason: &'static str,
    },
    /// An address that does not parse.
    #[error("the address does not decode; a character is wrong or missing")]
    BadAddress,
    /// A `raw()` without a valid script.
    #[error("bad raw(): {reason}")]
    BadRaw {
        /// The expected form.
        reason: &'static str,
    },
    /// Multipath keys with different numbers of paths.
    #[error("key at position {position} has {found} paths, expected {expected} as in the multipath key before it")]
    PathCountMismatch {
        /// Position of the key.
        position: usize,
        /// Number of paths of the first multipath key.
        expected: usize,
        /// Number of paths of this one.
        found: usize,
    },
    /// Too many paths in one multipath key.
    #[error("key at position {position} has {found} paths, expected at most {max}")]
    TooManyPaths {
        /// Position of the key.
        position: usize,
        /// Number of its paths.
        found: usize,
        /// [`super::PATHS_MAX`].
        max: usize,
    },
    /// A multipath descriptor instead of a single-path one.
    #[error("multipath descriptor of {paths} paths, expected a single path; expand it with descriptor::expand")]
    Multipath {
        /// Number of paths.
        paths: usize,
    },
    /// An annotation that breaks the grammar of BIP 393.
    #[error("bad annotation at position {position}: {reason}, as in ?bh=890000&gl=200")]
    BadAnnotation {
        /// Position of its key.
        position: usize,
        /// The expected form.
        reason: &'static str,
    },
    /// An annotation whose value is beyond the range of its meaning.
    #[error("annotation at position {position} is too large, expected at most {max}")]
    AnnotationTooLarge {
        /// Position of its key.
        position: usize,
        /// The largest height, label or gap limit.
        max: u32,
    },
    /// A misplaced parenthesis, brace or comma.
    #[error("malformed at position {position}: {reason}")]
    Malformed {
        /// Its position.
        position: usize,
        /// The expected form.
        reason: &'static str,
    },
    /// Well-formed text that is not a valid script.
    #[error("invalid script: {reason}")]
    InvalidScript {
        /// The broken rule.
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

/// The reason why there is no script at an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeriveError {
    /// The index is that of a hardened child: 2^31 or above.
    #[error("index {index} is beyond the last unhardened one, 2147483647")]
    IndexTooLarge {
        /// The index.
        index: u32,
    },
    /// BIP 32 defines no key at this index; wallets skip it. One index in 2^127 is like this.
    #[error("no key exists at index {index}; BIP 32 skips it")]
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
