//! Extended public keys whose prefix names their function (SLIP 132): `ypub`, `zpub`, `Ypub`,
//! `Zpub`, and their siblings of the test networks.
//!
//! Descriptors name the function themselves, and have `xpub` and `tpub` only. A key is converted by
//! its version bytes. Private keys of SLIP 132 never come here.

use bitcoin::base58;

/// Length of a serialized extended key (BIP 32).
const EXTENDED_KEY_BYTES: usize = 78;

/// Version bytes of `xpub` and `tpub` (BIP 32).
const XPUB: [u8; 4] = [0x04, 0x88, 0xb2, 0x1e];
const TPUB: [u8; 4] = [0x04, 0x35, 0x87, 0xcf];

/// One prefix of SLIP 132.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    /// As in the text.
    pub name: &'static str,
    version: [u8; 4],
    /// The version bytes that descriptors use.
    plain: [u8; 4],
    /// The functions around the key, from the outermost.
    pub functions: &'static [&'static str],
    /// The whole descriptor that it belongs to.
    pub descriptor: &'static str,
    /// Whether the descriptor has further keys.
    pub is_multisig: bool,
}

const fn single(name: &'static str, version: u32, plain: [u8; 4], is_nested: bool) -> Prefix {
    let functions: &[&str] = if is_nested { &["sh", "wpkh"] } else { &["wpkh"] };
    let descriptor = if is_nested { "sh(wpkh(KEY))" } else { "wpkh(KEY)" };
    Prefix { name, version: version.to_be_bytes(), plain, functions, descriptor, is_multisig: false }
}

const fn multi(name: &'static str, version: u32, plain: [u8; 4], is_nested: bool) -> Prefix {
    let functions: &[&str] = if is_nested { &["sh", "wsh"] } else { &["wsh"] };
    let descriptor = if is_nested { "sh(wsh(sortedmulti(k,KEY,KEY,..)))" } else { "wsh(sortedmulti(k,KEY,KEY,..))" };
    Prefix { name, version: version.to_be_bytes(), plain, functions, descriptor, is_multisig: true }
}

/// "Registered HD version bytes" of SLIP 132, without those that equal `xpub` and `tpub`.
const PREFIXES: [Prefix; 8] = [
    single("ypub", 0x049d_7cb2, XPUB, true),
    single("zpub", 0x04b2_4746, XPUB, false),
    multi("Ypub", 0x0295_b43f, XPUB, true),
    multi("Zpub", 0x02aa_7ed3, XPUB, false),
    single("upub", 0x044a_5262, TPUB, true),
    single("vpub", 0x045f_1cf6, TPUB, false),
    multi("Upub", 0x0242_89ef, TPUB, true),
    multi("Vpub", 0x0257_5483, TPUB, false),
];

/// The same key expression with `xpub` or `tpub`, and its former prefix. None for all other text, a
/// mistyped key included.
pub(super) fn converted(expression: &str) -> Option<(String, &'static Prefix)> {
    let start = expression.rfind(']').map_or(0, |end| end.saturating_add(1));
    let (origin, rest) = expression.split_at_checked(start)?;
    let (key, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len()))?;
    let prefix = PREFIXES.iter().find(|prefix| key.starts_with(prefix.name))?;
    let data = base58::decode_check(key).ok()?;
    let payload = data.strip_prefix(&prefix.version).filter(|_| data.len() == EXTENDED_KEY_BYTES)?;
    let plain = base58::encode_check(&[&prefix.plain, payload].concat());
    Some((format!("{origin}{plain}{path}"), prefix))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    /// The vectors of SLIP 132: the account keys of the mnemonic "abandon .. about", the first for
    /// BIP 49, the second for BIP 84.
    const YPUB: &str = "ypub6Ww3ibxVfGzLrAH1PNcjyAWenMTbbAosGNB6VvmSEgytSER9azLDWCxoJwW7Ke7icmizBMXrzBx9979FfaHxHcrArf3zbeJJJUZPf663zsP";
    const ZPUB: &str = "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs";

    #[test]
    fn the_vectors_of_slip_132_are_the_keys_of_its_xpubs() {
        let [ypub, zpub] = [YPUB, ZPUB].map(|key| converted(key).unwrap());
        assert_eq!(
            ypub.0,
            "xpub6C6nQwHaWbSrzs5tZ1q7m5R9cPK9eYpNMFesiXsYrgc1P8bvLLAet9JfHjYXKjToD8cBRswJXXbbFpXgwsswVPAZzKMa1jUp2kVkGVUaJa7"
        );
        assert_eq!(
            zpub.0,
            "xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V"
        );
        assert_eq!((ypub.1.functions, zpub.1.functions), (&["sh", "wpkh"][..], &["wpkh"][..]));
    }

    #[test]
    fn origin_and_path_stay_as_they_are() {
        let (plain, _) = converted(&format!("[deadbeef/84h/0h]{ZPUB}/<0;1>/*")).unwrap();
        assert_eq!(plain, format!("[deadbeef/84h/0h]{}/<0;1>/*", converted(ZPUB).unwrap().0));
    }

    #[test]
    fn every_prefix_is_that_of_its_version_bytes() {
        let payload = &base58::decode_check(ZPUB).unwrap()[4..];
        for prefix in &PREFIXES {
            let key = base58::encode_check(&[&prefix.version, payload].concat());
            assert!(key.starts_with(prefix.name), "{}", prefix.name);
            assert_eq!(converted(&key).unwrap().1, prefix);
        }
    }

    #[test]
    fn keys_with_a_wrong_character_or_another_prefix_are_left_alone() {
        let mistyped = ZPUB.replacen("rFR7", "rFR8", 1);
        for text in [&mistyped, "", "zpub", "xpub", "[zpub", "]", "/", "zpub/0", &converted(ZPUB).unwrap().0] {
            assert_eq!(converted(text), None, "{text}");
        }
    }
}
