//! Scripts compiled for derivation: a descriptor whose keys are slots, filled at each index.
//!
//! Common single-key and multisig forms are built directly. All others go through `miniscript`,
//! whose translation checks the type of every fragment again, at a few per cent of the cost of key
//! derivation. Taproot is tweaked here: `miniscript` would create a secp256k1 context and a map of
//! control blocks for each script.

use bitcoin::hashes::Hash;
use bitcoin::key::TweakedPublicKey;
use bitcoin::opcodes::all::OP_CHECKMULTISIG;
use bitcoin::script::Builder;
use bitcoin::secp256k1::XOnlyPublicKey;
use bitcoin::taproot::{LeafVersion, TapNodeHash};
use bitcoin::{PublicKey, ScriptBuf};
use miniscript::descriptor::{DescriptorPublicKey, ShInner, SortedMultiVec, Tr, WshInner};
use miniscript::{Descriptor, Miniscript, ScriptContext, Tap, TranslatePk, Translator, translate_hash_clone};

use super::form::Form;
use super::keys::{DerivedKeys, KeySlot, KeyTableBuilder, SECP};
use super::{DescriptorError, sanity};

/// A descriptor's script with open keys.
#[derive(Debug)]
pub(super) enum Template {
    /// The same scripts at every index.
    Fixed(Vec<ScriptBuf>),
    Combo(KeySlot),
    RawTr(KeySlot),
    Pkh(KeySlot),
    Wpkh(KeySlot),
    ShWpkh(KeySlot),
    Tr(TrTemplate),
    SortedMulti(SortedMulti),
    Miniscript(Descriptor<KeySlot>),
}

/// The reason why a template has no script for keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoScript;

/// Compiles a parsed descriptor, and adds its keys to `keys`.
///
/// # Errors
/// If a key has no public derivation, or the script is invalid with its actual keys.
pub(super) fn compile(form: &Form, keys: &mut KeyTableBuilder) -> Result<Template, DescriptorError> {
    let mut slot = |key: &DescriptorPublicKey| keys.slot(key).ok_or(NO_DERIVATION);
    Ok(match form {
        Form::Address(script, _) | Form::Raw(script) => Template::Fixed(vec![script.clone()]),
        Form::Combo(key) => Template::Combo(slot(key)?),
        Form::RawTr(key) => Template::RawTr(slot(key)?),
        Form::BareSortedMulti(threshold, multi) => {
            let slots = multi.iter().map(slot).collect::<Result<_, _>>()?;
            Template::SortedMulti(SortedMulti { threshold: *threshold, slots, wrapper: Wrapper::Bare })
        }
        Form::Miniscript(descriptor) => {
            let slots = descriptor.translate_pk(&mut ToSlots(keys)).or(Err(NO_DERIVATION))?;
            from_miniscript(slots)
        }
    })
}

const NO_DERIVATION: DescriptorError = DescriptorError::InvalidScript { reason: "a key has no public derivation" };

fn from_miniscript(descriptor: Descriptor<KeySlot>) -> Template {
    match descriptor {
        Descriptor::Pkh(pkh) => Template::Pkh(pkh.into_inner()),
        Descriptor::Wpkh(wpkh) => Template::Wpkh(wpkh.into_inner()),
        Descriptor::Tr(tr) => Template::Tr(TrTemplate::new(&tr)),
        Descriptor::Wsh(wsh) => match wsh.as_inner() {
            WshInner::SortedMulti(multi) => Template::SortedMulti(SortedMulti::new(multi, Wrapper::Wsh)),
            WshInner::Ms(_) => Template::Miniscript(Descriptor::Wsh(wsh)),
        },
        Descriptor::Sh(sh) => match sh.as_inner() {
            ShInner::Wpkh(wpkh) => Template::ShWpkh(*wpkh.as_inner()),
            ShInner::SortedMulti(multi) => Template::SortedMulti(SortedMulti::new(multi, Wrapper::Sh)),
            ShInner::Wsh(wsh) => match wsh.as_inner() {
                WshInner::SortedMulti(multi) => Template::SortedMulti(SortedMulti::new(multi, Wrapper::ShWsh)),
                WshInner::Ms(_) => Template::Miniscript(Descriptor::Sh(sh)),
            },
            ShInner::Ms(_) => Template::Miniscript(Descriptor::Sh(sh)),
        },
        bare @ Descriptor::Bare(_) => Template::Miniscript(bare),
    }
}

impl Template {
    /// Checks the rules of miniscript with the keys at index 0.
    ///
    /// # Errors
    /// If a script breaks one, or is invalid with these keys.
    pub(super) fn check_sanity(&self, keys: &DerivedKeys) -> Result<(), DescriptorError> {
        let no_script = DescriptorError::InvalidScript { reason: "its keys make no valid script" };
        match self {
            Self::Miniscript(descriptor) => {
                sanity::check(&descriptor.translate_pk(&mut ToKeys(keys)).or(Err(no_script))?)
            }
            Self::Tr(tr) => tr.leaves.iter().try_for_each(|(_, leaf)| {
                sanity::check_script(&leaf.translate_pk(&mut ToKeys(keys)).or(Err(no_script.clone()))?)
            }),
            Self::SortedMulti(SortedMulti { threshold, slots, wrapper: Wrapper::Sh }) => {
                let bare = SortedMulti { threshold: *threshold, slots: slots.clone(), wrapper: Wrapper::Bare };
                sanity::check_redeem_script(bare.script(keys).len())
            }
            _ => Ok(()),
        }
    }

    /// Appends the scripts for these keys.
    pub(super) fn scripts(&self, keys: &DerivedKeys, out: &mut Vec<ScriptBuf>) -> Result<(), NoScript> {
        match self {
            Self::Fixed(scripts) => out.extend_from_slice(scripts),
            Self::Combo(slot) => combo(&keys.get(*slot), out),
            Self::RawTr(slot) => {
                let output_key = TweakedPublicKey::dangerous_assume_tweaked(x_only(&keys.get(*slot)));
                out.push(ScriptBuf::new_p2tr_tweaked(output_key));
            }
            Self::Pkh(slot) => out.push(ScriptBuf::new_p2pkh(&keys.get(*slot).pubkey_hash())),
            Self::Wpkh(slot) => out.push(p2wpkh(&keys.get(*slot)).ok_or(NoScript)?),
            Self::ShWpkh(slot) => out.push(p2wpkh(&keys.get(*slot)).ok_or(NoScript)?.to_p2sh()),
            Self::Tr(tr) => out.push(tr.script(keys)?),
            Self::SortedMulti(multi) => out.push(multi.script(keys)),
            Self::Miniscript(descriptor) => {
                out.push(descriptor.translate_pk(&mut ToKeys(keys)).or(Err(NoScript))?.script_pubkey());
            }
        }
        Ok(())
    }
}

/// BIP 384: P2PK and P2PKH, and for a compressed key also P2WPKH and that in P2SH.
fn combo(key: &PublicKey, out: &mut Vec<ScriptBuf>) {
    out.push(ScriptBuf::new_p2pk(key));
    out.push(ScriptBuf::new_p2pkh(&key.pubkey_hash()));
    if let Some(witness) = p2wpkh(key) {
        let nested = witness.to_p2sh();
        out.extend([witness, nested]);
    }
}

/// The P2WPKH script of a key; none if it is uncompressed.
fn p2wpkh(key: &PublicKey) -> Option<ScriptBuf> {
    key.wpubkey_hash().ok().map(|hash| ScriptBuf::new_p2wpkh(&hash))
}

fn x_only(key: &PublicKey) -> XOnlyPublicKey {
    key.inner.x_only_public_key().0
}

/// A taproot output with its internal key and script leaves.
#[derive(Debug)]
pub(super) struct TrTemplate {
    internal_key: KeySlot,
    /// The leaves from left to right, with their depths in the tree. BIP 341 limits the depth to
    /// 128.
    leaves: Vec<(u8, Miniscript<KeySlot, Tap>)>,
}

impl TrTemplate {
    fn new(tr: &Tr<KeySlot>) -> Self {
        let leaves = tr.iter_scripts().map(|(depth, leaf)| (depth, leaf.clone())).collect();
        Self { internal_key: *tr.internal_key(), leaves }
    }

    fn script(&self, keys: &DerivedKeys) -> Result<ScriptBuf, NoScript> {
        let internal_key = x_only(&keys.get(self.internal_key));
        let tweak = bitcoin::TapTweakHash::from_key_and_tweak(internal_key, self.merkle_root(keys)?);
        let tweak = bitcoin::secp256k1::Scalar::from_be_bytes(tweak.to_byte_array()).or(Err(NoScript))?;
        let (output_key, _parity) = internal_key.add_tweak(&SECP, &tweak).or(Err(NoScript))?;
        Ok(ScriptBuf::new_p2tr_tweaked(TweakedPublicKey::dangerous_assume_tweaked(output_key)))
    }

    /// Folds the leaves from the left: two neighbours of equal depth are the children of a node one
    /// level up.
    fn merkle_root(&self, keys: &DerivedKeys) -> Result<Option<TapNodeHash>, NoScript> {
        let mut open: Vec<(u8, TapNodeHash)> = Vec::new();
        for (depth, leaf) in &self.leaves {
            let script = leaf.translate_pk(&mut ToKeys(keys)).or(Err(NoScript))?.encode();
            let mut node = (*depth, TapNodeHash::from_script(&script, LeafVersion::TapScript));
            while let Some((_, left)) = open.pop_if(|left| left.0 == node.0) {
                node = (node.0.saturating_sub(1), TapNodeHash::from_node_hashes(left, node.1));
            }
            open.push(node);
        }
        Ok(open.pop().map(|(_, root)| root))
    }
}

/// A multisig whose keys are sorted at each index (BIP 67).
#[derive(Debug)]
pub(super) struct SortedMulti {
    threshold: usize,
    slots: Vec<KeySlot>,
    wrapper: Wrapper,
}

/// The wrapper of a script.
#[derive(Clone, Copy, Debug)]
enum Wrapper {
    Bare,
    Sh,
    Wsh,
    ShWsh,
}

impl SortedMulti {
    fn new<Context: ScriptContext>(multi: &SortedMultiVec<KeySlot, Context>, wrapper: Wrapper) -> Self {
        Self { threshold: multi.k(), slots: multi.pks().to_vec(), wrapper }
    }

    fn script(&self, keys: &DerivedKeys) -> ScriptBuf {
        // Sorted by serialisation: Bitcoin Core puts uncompressed keys last, where `miniscript`
        // sorts them by their compressed form. Scripts must equal those of Core's wallets.
        let mut keys: Vec<PublicKey> = self.slots.iter().map(|slot| keys.get(*slot)).collect();
        keys.sort_by_cached_key(|key| key.to_bytes());
        let mut script = Builder::new().push_int(script_int(self.threshold));
        for key in &keys {
            script = script.push_key(key);
        }
        let script = script.push_int(script_int(keys.len())).push_opcode(OP_CHECKMULTISIG).into_script();
        match self.wrapper {
            Wrapper::Bare => script,
            Wrapper::Sh => script.to_p2sh(),
            Wrapper::Wsh => script.to_p2wsh(),
            Wrapper::ShWsh => script.to_p2wsh().to_p2sh(),
        }
    }
}

/// A count of at most 20 (`MAX_PUBKEYS_PER_MULTISIG`), checked by the parser.
fn script_int(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Replaces keys by slots of a table.
struct ToSlots<'a>(&'a mut KeyTableBuilder);

impl Translator<DescriptorPublicKey, KeySlot, NoScript> for ToSlots<'_> {
    fn pk(&mut self, key: &DescriptorPublicKey) -> Result<KeySlot, NoScript> {
        self.0.slot(key).ok_or(NoScript)
    }

    translate_hash_clone!(DescriptorPublicKey, KeySlot, NoScript);
}

/// Replaces slots by the keys of one index.
struct ToKeys<'a>(&'a DerivedKeys);

impl Translator<KeySlot, PublicKey, NoScript> for ToKeys<'_> {
    fn pk(&mut self, slot: &KeySlot) -> Result<PublicKey, NoScript> {
        Ok(self.0.get(*slot))
    }

    translate_hash_clone!(KeySlot, PublicKey, NoScript);
}
