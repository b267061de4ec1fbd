//! Text without a function: an address, or a key alone.
//!
//! An address is `addr(..)`. A key with a prefix of SLIP 132 names its function. Any other key could
//! mean several descriptors, so it is refused, and [`spelled_out`] gives the likeliest one.

use std::str::FromStr;

use bitcoin::Address;
use bitcoin::address::NetworkUnchecked;
use bitcoin::bip32::ChildNumber;
use miniscript::MiniscriptKey;
use miniscript::descriptor::DescriptorPublicKey;

use super::placed_key::PlacedKey;
use super::{DescriptorError, expand, slip132, text};

/// The descriptor, without checksum, that text without a function stands for.
///
/// # Errors
/// If it stands for none, or for more than one.
pub(super) fn meaning(body: &str) -> Result<String, DescriptorError> {
    if Address::<NetworkUnchecked>::from_str(body).is_ok() {
        return Ok(format!("addr({body})"));
    }
    if resembles_address(body) {
        return Err(DescriptorError::BadAddress);
    }
    let Some((plain, prefix)) = slip132::converted(body) else {
        return Err(if resembles_key(body) {
            match PlacedKey::parse(body, 0..body.len()) {
                Ok(_) => DescriptorError::BareKey,
                Err(error) => error,
            }
        } else {
            DescriptorError::Malformed { position: 0, reason: "expected a function, such as wpkh(..)" }
        });
    };
    if prefix.is_multisig {
        return Err(DescriptorError::CosignersMissing { prefix: prefix.name, expected: prefix.descriptor });
    }
    PlacedKey::parse(&plain, 0..body.len())?;
    Ok(within(prefix.functions, &with_range(&plain)))
}

/// The likeliest descriptor of a public key that stands alone, for a hint: [`super::interpret`]
/// refuses such text. The function is that of the purpose in its origin (BIP 44, 49, 84, 86), else
/// `wpkh`. None for any other text, and for 64 hex digits, which could be a private key.
#[must_use]
pub fn spelled_out(text: &str) -> Option<String> {
    let (body, _) = text::descriptor(text).ok()?;
    if !resembles_key(body) {
        return None;
    }
    let key = PlacedKey::parse(body, 0..body.len()).ok()?.key;
    let functions: &[&str] = match (&key, purpose(&key)) {
        (DescriptorPublicKey::Single(_), _) if key.is_x_only_key() => return None,
        (DescriptorPublicKey::Single(_), _) if key.is_uncompressed() => &["pkh"],
        (_, Some(44)) => &["pkh"],
        (_, Some(49)) => &["sh", "wpkh"],
        (_, Some(86)) => &["tr"],
        _ => &["wpkh"],
    };
    let is_extended = !matches!(key, DescriptorPublicKey::Single(_));
    let whole = within(functions, &if is_extended { with_range(body) } else { body.to_owned() });
    // A key at the end of its depth, or with too many paths, has no descriptor.
    expand(&whole).is_ok().then_some(whole)
}

fn within(functions: &[&str], key: &str) -> String {
    format!("{}({key}{}", functions.join("("), ")".repeat(functions.len()))
}

/// A key expression with a range: `/<0;1>/*` behind an account's key or a fixed path.
fn with_range(key: &str) -> String {
    let missing = if key.ends_with("/*") {
        ""
    } else if key.ends_with('>') {
        "/*"
    } else {
        "/<0;1>/*"
    };
    format!("{key}{missing}")
}

/// The first step of the origin, without its hardening.
fn purpose(key: &DescriptorPublicKey) -> Option<u32> {
    let origin = match key {
        DescriptorPublicKey::Single(single) => &single.origin,
        DescriptorPublicKey::XPub(xpub) => &xpub.origin,
        DescriptorPublicKey::MultiXPub(xpub) => &xpub.origin,
    };
    match origin.as_ref()?.1.into_iter().next()? {
        ChildNumber::Hardened { index } => Some(*index),
        ChildNumber::Normal { .. } => None,
    }
}

/// Whether this is meant as a public key: hex of its length, or `xpub..`, with or without origin.
fn resembles_key(body: &str) -> bool {
    let key = body.rsplit_once(']').map_or(body, |(_, key)| key);
    let is_hex = matches!(key.len(), 64 | 66 | 130) && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex || key.get(1..4) == Some("pub")
}

/// Whether this is meant as an address: a prefix of segwit, or the length and letters of base58.
fn resembles_address(body: &str) -> bool {
    let lower = body.to_ascii_lowercase();
    let is_plain = body.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_segwit = ["bc1", "tb1", "bcrt1"].iter().any(|prefix| lower.starts_with(prefix));
    is_plain && (is_segwit || matches!(body.len(), 26..=35) && body.starts_with(['1', '2', '3', 'm', 'n']))
}
