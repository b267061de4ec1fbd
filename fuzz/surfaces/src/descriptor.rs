//! Descriptors: any text is refused or compiled, and no refusal repeats a key.
//!
//! Input: one byte for the network, four for an index, and the text. The bytes 1 to 7, which no
//! text may hold, are replaced by keys that a fuzzer would not guess.

use std::str::FromStr;

use bitcoin::NetworkKind;
use miniscript::descriptor::{Descriptor, DescriptorPublicKey};
use rescan_core::watching::descriptor::{DescriptorError, Interpreted, Keychain, expand, interpret, spelled_out};

/// A published key of each kind, by the byte that it replaces. From [`FIRST_PRIVATE`] on, they are
/// private: those of Bitcoin Core's descriptor tests and of BIP 32's vectors.
const KEYS: [&str; 7] = [
    "tpubD6NzVbkrYhZ4XgiXtGrdW5XDAPFCL9h7we1vwNCpn8tGbBcgfVYjXyhWo4E1xkh56hjod1RhGjxbaTLV3X4FyWuejifB9jusQ46QzG87VKp",
    "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8",
    "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5",
    "c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5",
    "cTpB4YiyKiBcPxnefsDpbnDxFDffjqJob8wGCEDXxgQ7zQoMXJdH",
    "L4rK1yDtCWekvXuE6oXD9jCYfFNV2cWRpVuPLBcCU2z8TrisoyY1",
    "tprv8ZgxMBicQKsPd7Uf69XL1XwhmjHopUGep8GuEiJDZmbQz6o58LninorQAfcKZWARbtRtfnLcJ5MQ2AtHcQJCCRUcMRvmDUjyEmNUWwx8UbK",
];

/// The first byte of a private key.
const FIRST_PRIVATE: u8 = 5;

/// This many bytes of a private key in a row are a leak.
const LEAK_BYTES: usize = 6;

/// Parses, expands, interprets and derives.
///
/// # Panics
/// If a refusal repeats a piece of a private key, a text with one is accepted, or a script differs
/// from that of `miniscript`.
pub fn descriptor(data: &[u8]) {
    let Some((&[network, index @ ..], text)) = data.split_first_chunk::<5>() else { return };
    let network = if network & 1 == 0 { NetworkKind::Test } else { NetworkKind::Main };
    let index = u32::from_le_bytes(index);
    let text = with_keys(&String::from_utf8_lossy(text));
    let parsed = Keychain::parse(&text, network);
    if let Err(error) = &parsed {
        assert_tells_nothing(&text, error);
    }
    match expand(&text) {
        Ok(branches) => assert_expanded(&branches, &parsed, network),
        Err(error) => assert_tells_nothing(&text, &error),
    }
    assert_interpreted(&text);
    if let Ok(keychain) = &parsed {
        assert_derives(keychain, &text, network, index);
    }
}

/// The text with the bytes 1 to 7 replaced by keys.
fn with_keys(text: &str) -> String {
    let mut full = String::new();
    for character in text.chars() {
        match usize::try_from(u32::from(character)).ok().and_then(|byte| KEYS.get(byte.checked_sub(1)?)) {
            Some(key) => full.push_str(key),
            None => full.push(character),
        }
    }
    full
}

fn private_keys() -> impl Iterator<Item = &'static str> {
    KEYS.into_iter().skip(usize::from(FIRST_PRIVATE) - 1)
}

fn assert_tells_nothing(text: &str, error: &DescriptorError) {
    let (shown, debug) = (error.to_string(), format!("{error:?}"));
    for key in private_keys().filter(|key| text.contains(key)) {
        for piece in key.as_bytes().windows(LEAK_BYTES) {
            let piece = std::str::from_utf8(piece).expect("keys are ASCII");
            assert!(!shown.contains(piece) && !debug.contains(piece), "{piece} is told by {debug}");
        }
    }
    assert!(std::error::Error::source(error).is_none());
    assert!(shown.len() < 500, "a refusal is short: {shown}");
}

fn assert_expanded(branches: &[String], parsed: &Result<Keychain, DescriptorError>, network: NetworkKind) {
    assert!(!branches.is_empty());
    for branch in branches {
        assert_eq!(expand(branch).as_deref(), Ok(&[branch.clone()][..]), "a branch expands to itself");
        match Keychain::parse(branch, network) {
            Ok(keychain) => assert_eq!(&keychain.to_string(), branch),
            Err(error) => assert!(matches!(error, DescriptorError::WrongNetwork { .. }), "{error} in {branch}"),
        }
    }
    if let Ok(keychain) = parsed {
        assert_eq!(branches, [keychain.to_string()]);
    }
}

fn assert_interpreted(text: &str) {
    let expanded = expand(text);
    match interpret(text) {
        Ok(Interpreted { branches, meaning: Some(meaning), .. }) => assert_eq!(expand(&meaning), Ok(branches)),
        Ok(Interpreted { branches, meaning: None, .. }) => assert_eq!(expanded, Ok(branches)),
        Err(error) => {
            assert!(expanded.is_err(), "{error}, but it expands");
            assert_tells_nothing(text, &error);
        }
    }
    if let Some(whole) = spelled_out(text) {
        assert!(private_keys().all(|key| !text.contains(key)), "a private key is spelled out");
        assert!(expand(&whole).is_ok(), "{whole} is a descriptor");
        assert_eq!(interpret(text), Err(DescriptorError::BareKey));
    }
}

fn assert_derives(keychain: &Keychain, text: &str, network: NetworkKind, index: u32) {
    assert!(private_keys().all(|key| !text.contains(key)), "a private key is accepted");
    let again = Keychain::parse(&keychain.to_string(), network).expect("what it says it is");
    let known = Descriptor::<DescriptorPublicKey>::from_str(text).ok();
    for index in [0, index, index >> 1] {
        let mut scripts = Vec::new();
        let derived = keychain.scripts(index, &mut scripts);
        let mut scripts_again = Vec::new();
        assert_eq!(derived, again.scripts(index, &mut scripts_again));
        assert_eq!(scripts, scripts_again);
        if derived.is_err() {
            assert!(scripts.is_empty() && keychain.is_ranged());
            continue;
        }
        assert_eq!(scripts.len(), keychain.scripts_per_index());
        if let Some(expected) = known.as_ref().and_then(|known| known.at_derivation_index(index).ok()) {
            assert_eq!(scripts, [expected.script_pubkey()]);
        }
    }
}
