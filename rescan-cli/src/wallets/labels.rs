//! Labels of keychains: the server numbers keychains, the person typed `--descriptor` options.
//!
//! A multipath descriptor is several keychains, each labelled with the descriptor's position and its own branch.

use rescan_client::report::Origin;

/// A keychain by its place on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Label {
    /// The position of the `--descriptor`, from 0.
    pub(crate) descriptor: u32,
    /// The path of a multipath descriptor, from 0; none if it has only one.
    pub(crate) branch: Option<u32>,
}

/// The keychain and index that own an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    pub(crate) label: Label,
    /// The derivation index; none if the descriptor is not ranged.
    pub(crate) index: Option<u32>,
}

/// The labels of all keychains, by keychain number: ascending.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labels(Vec<Label>);

impl Labels {
    /// Numbers the keychains of descriptors that have `branch_counts` paths each.
    pub(crate) fn new(branch_counts: impl IntoIterator<Item = u32>) -> Self {
        let mut labels = Vec::new();
        for (descriptor, branches) in (0..).zip(branch_counts) {
            let multipath = branches > 1;
            labels.extend((0..branches).map(|branch| Label { descriptor, branch: multipath.then_some(branch) }));
        }
        Self(labels)
    }

    /// The labels, by keychain number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Label> {
        self.0.iter().copied()
    }

    /// The lowest of several origins by (descriptor, branch, index); none if no descriptor is among them.
    pub(crate) fn owner(&self, origins: &[Origin]) -> Option<Owner> {
        origins
            .iter()
            .filter_map(|origin| match *origin {
                Origin::Keychain { keychain, index } => {
                    let label = usize::try_from(keychain).ok().and_then(|number| self.0.get(number))?;
                    Some(Owner { label: *label, index })
                }
                Origin::Script(_) | Origin::Outpoint(_) => None,
            })
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keychain(keychain: u32, index: u32) -> Origin {
        Origin::Keychain { keychain, index: Some(index) }
    }

    #[test]
    fn only_a_multipath_descriptor_has_branches() {
        let labels: Vec<_> = Labels::new([1, 2, 1]).iter().map(|label| (label.descriptor, label.branch)).collect();
        assert_eq!(labels, [(0, None), (1, Some(0)), (1, Some(1)), (2, None)]);
    }

    #[test]
    fn the_owner_is_the_lowest_descriptor_then_branch_then_index() {
        let labels = Labels::new([1, 2]);
        let owner = |origins: &[Origin]| labels.owner(origins).map(|o| (o.label.descriptor, o.label.branch, o.index));
        assert_eq!(owner(&[keychain(2, 0), keychain(1, 9)]), Some((1, Some(0), Some(9))));
        assert_eq!(owner(&[keychain(0, 7), keychain(0, 3), keychain(1, 0)]), Some((0, None, Some(3))));
    }

    #[test]
    fn a_given_outpoint_has_no_owner_unless_a_descriptor_matches_too() {
        let labels = Labels::new([1]);
        assert_eq!(labels.owner(&[Origin::Outpoint(0)]), None);
        assert!(labels.owner(&[Origin::Outpoint(0), keychain(0, 4)]).is_some());
    }

    #[test]
    fn a_descriptor_that_is_not_ranged_has_no_index() {
        let labels = Labels::new([1]);
        let owner = labels.owner(&[Origin::Keychain { keychain: 0, index: None }]).expect("it has an owner");
        assert_eq!(owner.index, None);
    }
}
