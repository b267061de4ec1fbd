//! The number of scripts of a keychain, from its text and limits alone: too many are refused before
//! any is derived.

use rescan_core::request::GivenKeychain;

use crate::scan::GapLimit;

/// Scripts of `combo` at each index of a ranged key, which is always compressed (BIP 384).
const COMBO_SCRIPTS: u64 = 4;

/// The number of scripts that a keychain derives before any use, at least. It is exact for every
/// ranged descriptor.
///
/// Only the last step of an extended key's path can be `*` (BIP 380), so that a valid text is
/// ranged if it has one.
pub(super) fn scripts_at_least(given: &GivenKeychain) -> u64 {
    // Neither annotations (BIP 393) nor a checksum say anything about scripts.
    let body = given.descriptor.split(['?', '#']).next().unwrap_or_default();
    let is_ranged = body.contains('*');
    let rule = GapLimit { gap_limit: is_ranged.then_some(given.gap_limit), last_revealed: given.last_revealed };
    let per_index = if is_ranged && body.starts_with("combo(") { COMBO_SCRIPTS } else { 1 };
    rule.indexes_before_use().saturating_mul(per_index)
}

/// The number of the first keychain with which there are more than `max` scripts, beside those that
/// were `given`.
pub(super) fn first_beyond(max: u64, given: u32, counts: impl Iterator<Item = u64>) -> Option<u64> {
    let mut total = u64::from(given);
    let number = counts.into_iter().position(|count| {
        total = total.saturating_add(count);
        total > max
    });
    Some(number? as u64) // usize has at most 64 bits
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use bitcoin::NetworkKind;
    use proptest::prelude::*;
    use rescan_core::request::INDEX_MAX;
    use rescan_core::watching::descriptor::Keychain;

    use super::*;

    const KEY: &str = "tpubDCBWBScQPGv4Xk3JSbhw6wYYpayMjb2eAYyArpbSqQTbLDpphHGAetB6VQgVeftLML8vDSUEWcC2xDi3qJJ3YCDChJDvqVzpgoYSuT52MhJ";
    const HEX: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

    /// Descriptors of all kinds, ranged and not.
    fn descriptors() -> Vec<String> {
        let functions = ["pk", "pkh", "wpkh", "combo", "tr"];
        let keys = [format!("{KEY}/0/*"), format!("{KEY}/*"), format!("{KEY}/0/5"), HEX.to_owned()];
        let single = functions.iter().flat_map(|function| keys.iter().map(move |key| format!("{function}({key})")));
        let multi = [format!("wsh(multi(1,{HEX},{KEY}/*))"), "raw(51)".to_owned(), format!("sh(wpkh({KEY}/1/*))")];
        single.chain(multi).collect()
    }

    /// The scripts of each index before any use, derived one by one.
    fn derived(given: &GivenKeychain) -> u64 {
        let keychain = Keychain::parse(&given.descriptor, NetworkKind::Test).unwrap();
        let mut scripts = Vec::new();
        let last = match given.last_revealed {
            _ if !keychain.is_ranged() => 0,
            Some(last) => (last + given.gap_limit).min(INDEX_MAX),
            None => given.gap_limit - 1,
        };
        for index in 0..=last {
            keychain.scripts(index, &mut scripts).unwrap();
        }
        scripts.len() as u64
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn the_bound_is_the_number_of_derived_scripts_or_less(
            descriptor in prop::sample::select(descriptors()),
            gap_limit in 1_u32..20,
            revealed in prop::option::of(0_u32..20),
        ) {
            let given = GivenKeychain { descriptor, gap_limit, last_revealed: revealed };
            let (bound, exact) = (scripts_at_least(&given), derived(&given));
            prop_assert!(bound >= 1 && bound <= exact, "{bound} of {exact}");
            if given.descriptor.contains('*') {
                prop_assert_eq!(bound, exact);
            }
        }
    }

    #[test]
    fn no_index_is_counted_that_no_key_has() {
        let given = GivenKeychain::new(format!("wpkh({KEY}/*)")).gap_limit(1_000_000).revealed(INDEX_MAX);
        assert_eq!(scripts_at_least(&given), u64::from(INDEX_MAX) + 1);
    }

    #[test]
    fn annotations_and_a_checksum_are_no_part_of_a_range() {
        assert_eq!(scripts_at_least(&GivenKeychain::new(format!("wpkh({HEX})?note=*#********"))), 1);
        assert_eq!(scripts_at_least(&GivenKeychain::new(format!("wpkh({KEY}/*)?gl=5#abcdefgh")).gap_limit(5)), 5);
    }
}
