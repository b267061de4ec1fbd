//! Given descriptors as `importdescriptors` takes them.

use std::collections::HashSet;

use rescan_client::GivenKeychain;
use rescan_node::{IndexRange, ListedDescriptor, Timestamp};

use super::given::{Birthday, GivenDescriptor};
use crate::wallets::Label;

/// Descriptors of one path each for a wallet of Bitcoin Core.
///
/// Each is as active as its source says. With `activates`, for a wallet that has no other descriptors, the first ranged one
/// of each kind of address and side (receiving, change) is active: the wallet then hands out addresses.
///
/// A birthday that is a height has no time yet: `time_of` returns that of its block.
pub(super) fn imports<'a, E>(
    keychains: impl IntoIterator<Item = (Label, &'a GivenKeychain)>,
    given: &[GivenDescriptor],
    activates: bool,
    mut time_of: impl FnMut(u32) -> Result<u32, E>,
) -> Result<Vec<ListedDescriptor>, E> {
    let earliest = given.iter().filter_map(|given| match given.birthday {
        Birthday::Time(seconds) => Some(seconds),
        _ => None,
    });
    let earliest = earliest.min().unwrap_or(0);
    let mut active: HashSet<(AddressKind, bool)> = HashSet::new();
    let mut all = Vec::new();
    for (label, keychain) in keychains {
        let Some(given) = usize::try_from(label.descriptor).ok().and_then(|number| given.get(number)) else { continue };
        let seconds = match given.birthday {
            Birthday::Time(seconds) => seconds,
            Birthday::Height(height) => time_of(height)?,
            Birthday::Now => earliest,
            Birthday::Unknown => 0,
        };
        let is_ranged = keychain.descriptor.contains('*');
        // BIP389: the second path is that of change.
        let internal = label.branch.map(|branch| branch == 1).or(given.is_internal);
        let side = internal.unwrap_or(false);
        let kind = AddressKind::of(&keychain.descriptor).filter(|_| is_ranged);
        let is_active = kind.is_some_and(|kind| (given.is_active || activates) && active.insert((kind, side)));
        let last = given.last_watched.max(given.last_revealed.map(|last| last.saturating_add(keychain.gap_limit)));
        all.push(ListedDescriptor {
            desc: keychain.descriptor.clone(),
            timestamp: Timestamp::Seconds(seconds.into()),
            active: is_active,
            internal: if is_active { Some(side) } else { None },
            range: last.filter(|_| is_ranged).map(|last| IndexRange::Both([0, last])),
            next_index: given.last_revealed.filter(|_| is_ranged).map(|last| last.saturating_add(1)),
            label: given.label.clone().filter(|_| !is_ranged && !side),
        });
    }
    Ok(all)
}

/// The kinds of address for each of which a wallet has one active descriptor (`OutputType`, Bitcoin Core's
/// `src/outputtype.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum AddressKind {
    Legacy,
    P2shSegwit,
    Bech32,
    Bech32m,
}

impl AddressKind {
    /// None for descriptors without addresses, and for `combo`, which has several kinds.
    fn of(descriptor: &str) -> Option<Self> {
        [
            ("pkh(", Self::Legacy),
            ("sh(wpkh(", Self::P2shSegwit),
            ("sh(wsh(", Self::P2shSegwit),
            ("sh(", Self::Legacy),
            ("wpkh(", Self::Bech32),
            ("wsh(", Self::Bech32),
            ("tr(", Self::Bech32m),
            ("rawtr(", Self::Bech32m),
        ]
        .into_iter()
        .find_map(|(start, kind)| descriptor.starts_with(start).then_some(kind))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::error::DescriptorPosition;

    fn given(birthday: Birthday) -> GivenDescriptor {
        GivenDescriptor { birthday, ..GivenDescriptor::new("", DescriptorPosition::Argument(0)) }
    }

    /// Imports of descriptors by their texts and labels.
    fn of(texts: &[(&str, u32, Option<u32>)], given: &[GivenDescriptor], activates: bool) -> Vec<ListedDescriptor> {
        let keychains: Vec<(Label, GivenKeychain)> = texts
            .iter()
            .map(|(text, descriptor, branch)| {
                (Label { descriptor: *descriptor, branch: *branch }, GivenKeychain::new(*text).gap_limit(20))
            })
            .collect();
        let keychains = keychains.iter().map(|(label, keychain)| (*label, keychain));
        imports(keychains, given, activates, |height| Ok::<u32, Infallible>(height * 600)).expect("no time fails")
    }

    #[test]
    fn the_second_path_is_for_change_and_a_new_wallet_hands_out_addresses_of_the_first_of_each_kind() {
        let all = of(
            &[
                ("wpkh(a/0/*)", 0, Some(0)),
                ("wpkh(a/1/*)", 0, Some(1)),
                ("wsh(b/0/*)", 1, Some(0)),
                ("tr(c/*)", 2, None),
                ("combo(d/*)", 3, None),
                ("tr(e)", 4, None),
            ],
            &[
                given(Birthday::Unknown),
                given(Birthday::Unknown),
                given(Birthday::Unknown),
                given(Birthday::Unknown),
                given(Birthday::Unknown),
            ],
            true,
        );
        let active: Vec<(bool, Option<bool>)> = all.iter().map(|import| (import.active, import.internal)).collect();
        assert_eq!(
            active,
            [(true, Some(false)), (true, Some(true)), (false, None), (true, Some(false)), (false, None), (false, None)]
        );
    }

    #[test]
    fn a_wallet_of_others_gets_none_that_is_active_unless_its_source_says_so() {
        let mut source = given(Birthday::Unknown);
        assert!(!of(&[("wpkh(a/*)", 0, None)], std::slice::from_ref(&source), false)[0].active);
        (source.is_active, source.is_internal) = (true, Some(true));
        let import = &of(&[("wpkh(a/*)", 0, None)], &[source], false)[0];
        assert_eq!((import.active, import.internal), (true, Some(true)));
    }

    #[test]
    fn birthdays_become_times() {
        let births = [Birthday::Time(1_700_000_000), Birthday::Height(3), Birthday::Now, Birthday::Unknown];
        let given = births.map(given);
        let all = of(&[("tr(a)", 0, None), ("tr(b)", 1, None), ("tr(c)", 2, None), ("tr(d)", 3, None)], &given, false);
        let times: Vec<Timestamp> = all.iter().map(|import| import.timestamp).collect();
        assert_eq!(times, [1_700_000_000, 1_800, 1_700_000_000, 0].map(Timestamp::Seconds));
    }

    #[test]
    fn revealed_and_watched_indexes_are_kept_and_the_label_of_an_address() {
        let mut source = given(Birthday::Unknown);
        (source.last_revealed, source.last_watched) = (Some(6), Some(9));
        source.label = Some("shop".to_owned());
        let all = of(&[("wpkh(a/*)", 0, None), ("addr(b)", 0, None)], &[source], false);
        assert_eq!((all[0].range, all[0].next_index), (Some(IndexRange::Both([0, 26])), Some(7)));
        assert_eq!((all[0].label.clone(), all[1].label.as_deref()), (None, Some("shop")));
        assert_eq!((all[1].range, all[1].next_index), (None, None));
    }
}
