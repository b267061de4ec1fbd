//! Keys compiled for derivation: the path before the wildcard is derived once, and a child costs
//! one point addition.
//!
//! BIP 32's public child derivation is `point(HMAC-SHA512(chain code, parent || index)[..32]) +
//! parent`. The HMAC state after the parent's bytes is kept, which saves two of its four
//! compressions and the parent's serialisation. The parent's fingerprint and the child's depth,
//! which `Xpub::ckd_pub` computes, are never needed for a script.

use std::collections::HashMap;
use std::sync::LazyLock;

use bitcoin::PublicKey;
use bitcoin::bip32::{ChainCode, ChildNumber};
use bitcoin::hashes::{Hash, HashEngine, Hmac, HmacEngine, sha512};
use bitcoin::secp256k1::{self, Scalar, Secp256k1, VerifyOnly};
use miniscript::descriptor::{DescriptorPublicKey, SinglePubKey, Wildcard};

use super::DeriveError;

/// The first index of hardened children (BIP 32).
const HARDENED_INDEX_FIRST: u32 = 1 << 31;

/// Shared by all: creation takes as long as hashing a script, and its state never changes.
pub(super) static SECP: LazyLock<Secp256k1<VerifyOnly>> = LazyLock::new(Secp256k1::verification_only);

/// The position of a key in a [`KeyTable`], with the facts that `miniscript` needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct KeySlot {
    index: u32,
    kind: KeyKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum KeyKind {
    Compressed,
    Uncompressed,
    XOnly,
}

impl std::fmt::Display for KeySlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "@{}", self.index)
    }
}

impl miniscript::MiniscriptKey for KeySlot {
    type Sha256 = bitcoin::hashes::sha256::Hash;
    type Hash256 = miniscript::hash256::Hash;
    type Ripemd160 = bitcoin::hashes::ripemd160::Hash;
    type Hash160 = bitcoin::hashes::hash160::Hash;

    fn is_uncompressed(&self) -> bool {
        self.kind == KeyKind::Uncompressed
    }

    fn is_x_only_key(&self) -> bool {
        self.kind == KeyKind::XOnly
    }

    fn num_der_paths(&self) -> usize {
        0
    }
}

/// Collects the distinct keys of one descriptor.
#[derive(Default)]
pub(super) struct KeyTableBuilder {
    table: KeyTable,
    /// Slots by derivation source and by whether only the x coordinate counts. Origins are ignored.
    slots: HashMap<(PublicKey, Option<ChainCode>, bool), KeySlot>,
}

impl KeyTableBuilder {
    /// The slot of a key, added if it is new. None if the key has no public derivation or more than
    /// one path.
    pub(super) fn slot(&mut self, key: &DescriptorPublicKey) -> Option<KeySlot> {
        let (public_key, chain_code, kind) = match key {
            DescriptorPublicKey::Single(single) => match single.key {
                SinglePubKey::FullKey(key) if key.compressed => (key, None, KeyKind::Compressed),
                SinglePubKey::FullKey(key) => (key, None, KeyKind::Uncompressed),
                // Of the two points, the even one (BIP 340).
                SinglePubKey::XOnly(key) => {
                    (PublicKey::new(key.public_key(secp256k1::Parity::Even)), None, KeyKind::XOnly)
                }
            },
            DescriptorPublicKey::XPub(xpub) => {
                let mut parent = Parent::new(xpub.xkey.public_key, xpub.xkey.chain_code);
                for step in &xpub.derivation_path {
                    let ChildNumber::Normal { index } = step else { return None };
                    parent = parent.child_parent(*index).ok()?;
                }
                let chain_code = match xpub.wildcard {
                    Wildcard::None => None,
                    Wildcard::Unhardened => Some(parent.chain_code),
                    Wildcard::Hardened => return None,
                };
                (PublicKey::new(parent.public_key), chain_code, KeyKind::Compressed)
            }
            DescriptorPublicKey::MultiXPub(_) => return None,
        };
        let index = u32::try_from(self.table.sources.len()).ok()?;
        let identity = (public_key, chain_code, kind == KeyKind::XOnly);
        Some(*self.slots.entry(identity).or_insert_with(|| {
            self.table.sources.push(match chain_code {
                None => KeySource::Fixed(public_key),
                Some(chain_code) => KeySource::Child(Box::new(Parent::new(public_key.inner, chain_code))),
            });
            KeySlot { index, kind }
        }))
    }

    /// The table.
    pub(super) fn finish(self) -> KeyTable {
        self.table
    }
}

/// The distinct keys of one descriptor, each derived down to its wildcard.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyTable {
    sources: Vec<KeySource>,
}

#[derive(Clone, Debug)]
enum KeySource {
    Fixed(PublicKey),
    Child(Box<Parent>),
}

impl KeyTable {
    /// Whether any key has a wildcard.
    pub(super) fn is_ranged(&self) -> bool {
        self.sources.iter().any(|source| matches!(source, KeySource::Child(_)))
    }

    /// All keys of the table at `index`.
    pub(super) fn derive(&self, index: u32) -> Result<DerivedKeys, DeriveError> {
        if index >= HARDENED_INDEX_FIRST {
            return Err(DeriveError::IndexTooLarge { index });
        }
        let derive = |source: &KeySource| match source {
            KeySource::Fixed(key) => Ok(*key),
            KeySource::Child(parent) => parent.child(index).map(PublicKey::new),
        };
        self.sources.iter().map(derive).collect::<Result<_, _>>().map(DerivedKeys)
    }
}

/// The keys of a descriptor at one index.
pub(super) struct DerivedKeys(Vec<PublicKey>);

impl DerivedKeys {
    /// The key in a slot.
    #[expect(clippy::indexing_slicing, reason = "a slot is made by the table whose keys these are")]
    pub(super) fn get(&self, slot: KeySlot) -> PublicKey {
        self.0[slot.index as usize] // widening
    }
}

/// An extended public key, its HMAC begun.
#[derive(Clone)]
struct Parent {
    public_key: secp256k1::PublicKey,
    chain_code: ChainCode,
    /// The HMAC state after the chain code and the public key, before the index.
    hmac: HmacEngine<sha512::Hash>,
}

impl Parent {
    fn new(public_key: secp256k1::PublicKey, chain_code: ChainCode) -> Self {
        let mut hmac = HmacEngine::new(chain_code.as_bytes());
        hmac.input(&public_key.serialize());
        Self { public_key, chain_code, hmac }
    }

    fn child(&self, index: u32) -> Result<secp256k1::PublicKey, DeriveError> {
        self.child_and_chain_code(index).map(|(public_key, _)| public_key)
    }

    fn child_parent(&self, index: u32) -> Result<Self, DeriveError> {
        let (public_key, chain_code) = self.child_and_chain_code(index)?;
        Ok(Self::new(public_key, chain_code))
    }

    fn child_and_chain_code(&self, index: u32) -> Result<(secp256k1::PublicKey, ChainCode), DeriveError> {
        let mut engine = self.hmac.clone();
        engine.input(&index.to_be_bytes());
        let hmac = Hmac::<sha512::Hash>::from_engine(engine).to_byte_array();
        let (left, right) = halves(hmac);
        // Either step fails for a left half that BIP 32 calls invalid: not below the order, or the
        // negated parent.
        let no_such_child = DeriveError::NoSuchChild { index };
        let tweak = Scalar::from_be_bytes(left).or(Err(no_such_child))?;
        let public_key = self.public_key.add_exp_tweak(&SECP, &tweak).or(Err(no_such_child))?;
        Ok((public_key, ChainCode::from(right)))
    }
}

impl std::fmt::Debug for Parent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parent").field("public_key", &self.public_key).finish_non_exhaustive()
    }
}

fn halves(hmac: [u8; 64]) -> ([u8; 32], [u8; 32]) {
    let (mut left, mut right) = ([0; 32], [0; 32]);
    left.copy_from_slice(&hmac[..32]);
    right.copy_from_slice(&hmac[32..]);
    (left, right)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::str::FromStr;

    use super::*;

    #[test]
    fn a_repeated_key_is_derived_once() {
        const XPUB: &str = "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8";
        let mut builder = KeyTableBuilder::default();
        let mut slot = |text: String| builder.slot(&DescriptorPublicKey::from_str(&text).unwrap()).unwrap();
        let first = slot(format!("{XPUB}/0/*"));
        assert_eq!(slot(format!("[00000000/84h]{XPUB}/0/*")), first, "an origin makes no difference");
        assert_ne!(slot(format!("{XPUB}/0")), first, "a parent is not its child");
        assert_ne!(slot(format!("{XPUB}/1/*")), first);
        let table = builder.finish();
        assert_eq!(table.sources.len(), 3);
        assert!(table.is_ranged());
    }
}
