//! Keys in a descriptor's text: parsed, checked for public derivation, and kept with their
//! position.
//!
//! Errors describe a key in fixed phrases and never quote it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::str::FromStr;

use bitcoin::NetworkKind;
use bitcoin::bip32::{DerivationPath, Xpub};
use miniscript::MiniscriptKey;
use miniscript::descriptor::{DescriptorPublicKey, Wildcard};

use super::{DescriptorError, PATHS_MAX};

/// Longest derivation path of an extended key (BIP 32: one byte of depth).
const BIP32_DEPTH_MAX: usize = 255;

/// A key in the text.
#[derive(Debug)]
pub(super) struct PlacedKey {
    /// Its position.
    pub span: Range<usize>,
    /// The parsed key.
    pub key: DescriptorPublicKey,
    /// Its text with `xpub` or `tpub`, if it had a prefix of SLIP 132.
    pub plain: Option<String>,
}

impl PlacedKey {
    /// Parses a key and checks that its whole path has public derivation.
    pub(super) fn parse(token: &str, span: Range<usize>) -> Result<Self, DescriptorError> {
        let position = span.start;
        // The parser's error is dropped, because it quotes the text.
        let Ok(key) = DescriptorPublicKey::from_str(token) else {
            return Err(DescriptorError::BadKey { position, reason: fault(token) });
        };
        if wildcard(&key) == Wildcard::Hardened || key.has_hardened_step() {
            return Err(DescriptorError::Hardened { position });
        }
        if depth_of_children(&key) > BIP32_DEPTH_MAX {
            return Err(DescriptorError::BadKey { position, reason: "its derivation is deeper than 255 levels" });
        }
        if let DescriptorPublicKey::MultiXPub(xpub) = &key
            && xpub.derivation_paths.paths().iter().collect::<BTreeSet<_>>().len() < key.num_der_paths()
        {
            return Err(DescriptorError::BadKey { position, reason: "expected each path of <..> once" });
        }
        if token.contains('+') {
            return Err(DescriptorError::BadKey { position, reason: "expected digits without a sign in its path" });
        }
        Ok(Self { span, key, plain: None })
    }

    /// The network of the key; none for hex, which has none.
    pub(super) fn network(&self) -> Option<NetworkKind> {
        match &self.key {
            DescriptorPublicKey::Single(_) => None,
            DescriptorPublicKey::XPub(xpub) => Some(xpub.xkey.network),
            DescriptorPublicKey::MultiXPub(xpub) => Some(xpub.xkey.network),
        }
    }
}

/// Number of single-path descriptors in a text with these keys.
///
/// # Errors
/// If multipath keys differ in their number of paths, or have too many.
pub(super) fn path_count(keys: &[PlacedKey]) -> Result<usize, DescriptorError> {
    let mut multipath = keys.iter().filter(|placed| placed.key.is_multipath());
    let Some(first) = multipath.next() else { return Ok(1) };
    let expected = first.key.num_der_paths();
    if expected > PATHS_MAX {
        return Err(DescriptorError::TooManyPaths { position: first.span.start, found: expected, max: PATHS_MAX });
    }
    for placed in multipath {
        let found = placed.key.num_der_paths();
        if found != expected {
            return Err(DescriptorError::PathCountMismatch { position: placed.span.start, expected, found });
        }
    }
    Ok(expected)
}

fn wildcard(key: &DescriptorPublicKey) -> Wildcard {
    match key {
        DescriptorPublicKey::Single(_) => Wildcard::None,
        DescriptorPublicKey::XPub(xpub) => xpub.wildcard,
        DescriptorPublicKey::MultiXPub(xpub) => xpub.wildcard,
    }
}

/// Depth of the derived keys below their master key.
fn depth_of_children(key: &DescriptorPublicKey) -> usize {
    let (depth, steps) = match key {
        DescriptorPublicKey::Single(_) => return 0,
        DescriptorPublicKey::XPub(xpub) => (xpub.xkey.depth, xpub.derivation_path.len()),
        DescriptorPublicKey::MultiXPub(xpub) => {
            let steps = xpub.derivation_paths.paths().iter().map(DerivationPath::len).max();
            (xpub.xkey.depth, steps.unwrap_or(0))
        }
    };
    usize::from(depth).saturating_add(steps).saturating_add(usize::from(key.has_wildcard()))
}

/// The reason why a key does not parse.
fn fault(token: &str) -> &'static str {
    if token.is_empty() {
        return "expected a key, found nothing";
    }
    let key = if token.starts_with('[') {
        match token.split_once(']') {
            Some((_, key)) if DescriptorPublicKey::from_str(key).is_ok() => {
                return "expected its origin as [fingerprint/path], with a fingerprint of 8 hex digits";
            }
            Some((_, key)) => key,
            None => return "expected its origin to end with ]",
        }
    } else {
        token
    };
    let (base, path) = key.split_once('/').unwrap_or((key, ""));
    match base.get(1..4) {
        Some("pub") if Xpub::from_str(base).is_err() => "the extended key does not decode; a character is wrong",
        Some("pub") if path.contains('*') && !path.ends_with("/*") && path != "*" => {
            "expected * as the last step of its path only"
        }
        Some("pub") => "its origin or derivation path does not parse",
        _ => "expected an extended public key, or 66, 130 or (in taproot) 64 hex digits of a point on the curve",
    }
}
