//! Checks of a descriptor's text before any parser: length, characters, checksum, private keys.
//!
//! The order matters. Length comes first, to bound all later work. Private keys come before any
//! text can be echoed: the refusal then names the problem, and no later stage sees one.

use bitcoin::base58;
use miniscript::descriptor::checksum::desc_checksum;

use super::annotations::{self, Annotations};
use super::{DESCRIPTOR_BYTES_MAX, DescriptorError};

/// Length of a checksum in characters (BIP 380).
const CHECKSUM_LENGTH: usize = 8;

/// Checks the whole text, its checksum and its annotations. Returns the descriptor alone, and the
/// annotations.
///
/// # Errors
/// As [`body`], and if the annotations are wrong.
pub(super) fn descriptor(text: &str) -> Result<(&str, Annotations), DescriptorError> {
    annotations::split(body(text)?)
}

/// Checks the whole text and its checksum, if it has one. Returns the text without the checksum.
///
/// # Errors
/// If the text is empty, too long or not printable ASCII, holds a private key, or its checksum is
/// wrong.
fn body(text: &str) -> Result<&str, DescriptorError> {
    if text.is_empty() {
        return Err(DescriptorError::Empty);
    }
    if text.len() > DESCRIPTOR_BYTES_MAX {
        return Err(DescriptorError::TooLong { found: text.len(), max: DESCRIPTOR_BYTES_MAX });
    }
    if let Some(position) = private_key(text) {
        return Err(DescriptorError::PrivateKey { position });
    }
    if let Some((position, byte)) = text.bytes().enumerate().find(|(_, byte)| !(b' '..=b'~').contains(byte)) {
        return Err(DescriptorError::Character { position, byte });
    }
    let Some((body, found)) = text.split_once('#') else { return Ok(text) };
    let expected = checksum(body)?;
    if found == expected {
        return Ok(body);
    }
    Err(DescriptorError::Checksum { expected, found: shown(found, CHECKSUM_LENGTH) })
}

/// The checksum of a descriptor's text (BIP 380).
///
/// # Errors
/// If the text holds characters that no descriptor may have.
pub(super) fn checksum(body: &str) -> Result<String, DescriptorError> {
    // The cause would quote the character. The caller has checked all of them, so this never
    // happens.
    desc_checksum(body).or(Err(DescriptorError::Malformed { position: 0, reason: "expected descriptor characters" }))
}

/// `text` itself if it is short and plain enough to be no key, else its length.
pub(super) fn shown(text: &str, length_max: usize) -> String {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !text.is_empty() && text.len() <= length_max && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("of {} characters", text.chars().count())
    }
}

/// Position of the first private key, well-formed or not.
fn private_key(text: &str) -> Option<usize> {
    let is_delimiter = |c: char| !c.is_ascii_alphanumeric();
    let mut start = 0;
    for token in text.split(is_delimiter) {
        if is_extended_private_key(token) || is_wif(token) {
            return Some(start);
        }
        start = start.saturating_add(token.len()).saturating_add(1);
        // A delimiter outside ASCII takes more bytes than the one counted; positions are exact in
        // ASCII text only.
    }
    None
}

/// Whether this starts like an extended private key: `xprv`, `tprv`, and the prefixes of SLIP 132.
/// One checksum in 32,768 does too, but a text that short is no key.
fn is_extended_private_key(token: &str) -> bool {
    token.get(1..4) == Some("prv") && token.len() > CHECKSUM_LENGTH
}

/// Whether this is a private key in wallet import format, possibly mistyped.
fn is_wif(token: &str) -> bool {
    const BASE58: &str = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    if !matches!(token.len(), 50..=53) {
        return false;
    }
    if base58::decode_check(token).is_ok_and(|data| matches!(data.first(), Some(0x80 | 0xef))) {
        return true;
    }
    // All-hex text of this length is data, for example 25 or 26 bytes in raw().
    token.starts_with(['5', 'K', 'L', '9', 'c'])
        && token.chars().all(|c| BASE58.contains(c))
        && !token.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_verified_where_given() {
        // The vector of BIP 380.
        assert_eq!(body("raw(deadbeef)#89f8spxm").unwrap(), "raw(deadbeef)");
        assert_eq!(body("raw(deadbeef)").unwrap(), "raw(deadbeef)");
        let wrong = [("#", "of 0 characters"), ("#89f8spxmx", "of 9 characters"), ("#89f8spx", "89f8spx")];
        for (suffix, shown) in wrong {
            assert_eq!(
                body(&format!("raw(deadbeef){suffix}")),
                Err(DescriptorError::Checksum { expected: "89f8spxm".into(), found: shown.into() })
            );
        }
        assert!(matches!(body("raw(dedbeef)#89f8spxm"), Err(DescriptorError::Checksum { .. })));
        assert!(matches!(body("raw(deadbeef)##9f8spxm"), Err(DescriptorError::Checksum { .. })));
    }

    #[test]
    fn hex_that_has_the_length_of_a_private_key_is_not_one() {
        let hex = "5".repeat(52);
        assert_eq!(private_key(&format!("raw({hex})")), None);
    }

    #[test]
    fn characters_outside_descriptors_are_refused_with_their_position() {
        assert_eq!(body("raw(\u{dc})"), Err(DescriptorError::Character { position: 4, byte: 0xc3 }));
        assert_eq!(body("raw(00)\n"), Err(DescriptorError::Character { position: 7, byte: b'\n' }));
        assert_eq!(body("\u{7f}"), Err(DescriptorError::Character { position: 0, byte: 0x7f }));
    }
}
