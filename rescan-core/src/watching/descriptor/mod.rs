//! Output descriptors with public keys only, and the scripts they derive.
//!
//! A [`Keychain`] is one single-path descriptor compiled for derivation; [`expand`] splits a
//! multipath descriptor (BIP 389) into single-path ones; [`interpret`] reads text as a person gives
//! it, which may also be an address or a key with a prefix of SLIP 132. All three accept annotations
//! (BIP 393).
//!
//! The descriptors are those of Bitcoin Core's doc/descriptors.md: `pk`, `pkh`, `wpkh`, `sh`, `wsh`,
//! `tr`, `multi`, `sortedmulti`, `multi_a`, `combo` (BIP 384), `addr`, `raw` (BIP 385), `rawtr`, and
//! miniscript (BIP 379) inside `wsh` and the leaves of `tr`. Core's refusals hold here too:
//! `tests/core_answers.rs` compares them with a node's. The differences are:
//!
//! - private keys and hardened steps below an extended key are refused: scripts cannot be derived;
//! - `musig`, `sortedmulti_a` and `unused` are refused by name;
//! - text, nesting, paths and the script of `raw` have limits;
//! - a leaf `multi_a` has no key twice, and no leaf needs `d:` to be of type `u`, as Core's may;
//! - each path of a multipath descriptor must be sane, where Core looks at the first;
//! - numbers of thresholds and lock times have no leading zeros;
//! - addresses of any test network are accepted for each, and `raw` may have capital letters.
//!
//! This module never holds a private key: text with one is refused before any parser. Two
//! invariants hold: no text and no index causes a panic, and no error contains a piece of a key.
//!
//! Text passes through `text` (length, private keys, characters, checksum), `annotations`, `bare`
//! (text without a function), `outline` (functions, nesting, keys) and `form` (the parsers). The
//! result is compiled into a `template` over shared `keys`, and checked by `sanity`.

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]

mod annotations;
mod bare;
mod branches;
mod error;
mod form;
mod interpret;
mod keys;
mod network_check;
mod outline;
mod placed_key;
mod sanity;
mod slip132;
mod template;
mod text;

use std::fmt;
use std::sync::Arc;

use bitcoin::{NetworkKind, ScriptBuf};

pub use self::annotations::Annotations;
pub use self::bare::spelled_out;
pub use self::branches::expand;
pub use self::error::{DeriveError, DescriptorError};
use self::form::Form;
pub use self::interpret::{Interpreted, interpret};
use self::keys::{KeyTable, KeyTableBuilder};
pub use self::network_check::check_network;
use self::placed_key::PlacedKey;
use self::template::Template;

/// Most bytes of a descriptor. It has room for some 450 keys with origins; the largest script that
/// `wsh` allows holds 105. The text's length bounds the time and memory of parsing.
pub const DESCRIPTOR_BYTES_MAX: usize = 64 * 1024;

/// Most nesting of functions and wrappers together. Parsers recurse once a level; unoptimised ones
/// take 15 KiB of stack each time: 1 MiB at this depth, where a thread has 2 MiB. Spendable scripts
/// seldom reach ten.
pub const NESTING_MAX: usize = 64;

/// Deepest tree of a `tr` (BIP 341). Parsers recurse once a level too, with little stack.
pub const TREE_DEPTH_MAX: usize = 128;

/// Most paths of a multipath key. Wallets use two; the number multiplies with the text's length.
pub const PATHS_MAX: usize = 64;

/// One single-path descriptor, compiled for derivation. Clones share the compiled form.
#[derive(Clone)]
pub struct Keychain {
    inner: Arc<Compiled>,
}

struct Compiled {
    /// The text as given, without annotations, with its checksum.
    text: String,
    keys: KeyTable,
    template: Template,
    is_ranged: bool,
    scripts_per_index: usize,
}

impl Keychain {
    /// Parses and compiles a single-path descriptor for a network. Annotations (BIP 393) are checked
    /// and dropped. Takes about as long as deriving one key for each step of its paths.
    ///
    /// Test networks share their key format, and their addresses are treated alike here: only main
    /// and test are distinguished.
    ///
    /// # Errors
    /// If the text is no descriptor, is one of another network, is multipath, has private keys, or
    /// derives nothing.
    pub fn parse(text: &str, network: NetworkKind) -> Result<Self, DescriptorError> {
        let (body, _) = text::descriptor(text)?;
        let placed = plain_keys(body)?;
        let paths = placed_key::path_count(&placed)?;
        if paths > 1 {
            return Err(DescriptorError::Multipath { paths });
        }
        let form = Form::parse(body)?;
        network_check::check_form(&form, &placed, network)?;
        compile(body, &form)
    }

    /// Whether scripts depend on the index: whether any key ends in `*`.
    #[must_use]
    pub fn is_ranged(&self) -> bool {
        self.inner.is_ranged
    }

    /// Number of scripts at each index: 1, except for `combo`.
    #[must_use]
    pub fn scripts_per_index(&self) -> usize {
        self.inner.scripts_per_index
    }

    /// Appends the scriptPubKeys at `index` to `out`, [`Self::scripts_per_index`] of them in a
    /// fixed order. A descriptor that is not ranged has the same scripts at every index.
    ///
    /// # Errors
    /// If a ranged descriptor has no key at `index`; `out` is then unchanged.
    pub fn scripts(&self, index: u32, out: &mut Vec<ScriptBuf>) -> Result<(), DeriveError> {
        if let Template::Fixed(scripts) = &self.inner.template {
            out.extend_from_slice(scripts);
            return Ok(());
        }
        let keys = self.inner.keys.derive(index)?;
        self.inner.template.scripts(&keys, out).or(Err(DeriveError::InvalidScript { index }))
    }
}

/// The text as given, without annotations, with its checksum. It holds public keys only, but anyone
/// who has it can follow the wallet.
impl fmt::Display for Keychain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.text)
    }
}

impl fmt::Debug for Keychain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keychain").field(&self.inner.text).finish()
    }
}

/// The keys of a descriptor without checksum, in the order of the text.
///
/// # Errors
/// As [`outline::keys`], and if a key has a prefix of SLIP 132, which Bitcoin Core refuses.
fn plain_keys(body: &str) -> Result<Vec<PlacedKey>, DescriptorError> {
    let placed = outline::keys(body)?;
    let Some(other) = placed.iter().find(|placed| placed.plain.is_some()) else { return Ok(placed) };
    let reason = "its prefix is one of SLIP 132; convert it to xpub or tpub, which descriptors use";
    Err(DescriptorError::BadKey { position: other.span.start, reason })
}

fn with_checksum(body: &str) -> Result<String, DescriptorError> {
    let checksum = text::checksum(body)?;
    Ok(format!("{body}#{checksum}"))
}

/// Compiles a descriptor and derives its first scripts: an error that does not depend on the index
/// appears here, not during a scan.
fn compile(body: &str, form: &Form) -> Result<Keychain, DescriptorError> {
    let mut builder = KeyTableBuilder::default();
    let template = template::compile(form, &mut builder)?;
    let keys = builder.finish();
    let mut first = Vec::new();
    let no_script = DescriptorError::InvalidScript { reason: "its keys make no valid script" };
    let derived = keys.derive(0).or(Err(no_script.clone()))?;
    template.check_sanity(&derived)?;
    template.scripts(&derived, &mut first).or(Err(no_script))?;
    let scripts_per_index = first.len();
    let is_ranged = keys.is_ranged();
    let (keys, template) = if is_ranged { (keys, template) } else { (KeyTable::default(), Template::Fixed(first)) };
    let text = with_checksum(body)?;
    Ok(Keychain { inner: Arc::new(Compiled { text, keys, template, is_ranged, scripts_per_index }) })
}

#[cfg(test)]
mod tests;
