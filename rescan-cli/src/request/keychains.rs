//! Given descriptors as keychains, with the labels under which the output names them.

use std::collections::HashMap;

use rayon::prelude::*;
use rescan_client::descriptor::{self, DescriptorError, Interpreted};
use rescan_client::{GAP_LIMIT_DEFAULT, GivenKeychain};

use super::birthdays::Birthdays;
use super::given::{Birthday, GivenDescriptor};
use crate::error::{CliError, DescriptorPosition};
use crate::wallets::Labels;

/// The keychains of one wallet's descriptors: one for each path.
#[derive(Debug, Default)]
pub(crate) struct Keychains {
    pub(crate) list: Vec<GivenKeychain>,
    pub(crate) labels: Labels,
    /// The place of each descriptor.
    pub(crate) positions: Vec<DescriptorPosition>,
    pub(crate) birthdays: Birthdays,
    /// The descriptors that texts which are none stand for, each in a sentence.
    pub(crate) meanings: Vec<String>,
}

impl Keychains {
    /// Interprets descriptors. `gap_limit` is that of the command line.
    ///
    /// # Errors
    ///
    /// If one cannot be watched.
    pub(crate) fn of(given: &[GivenDescriptor], gap_limit: Option<u32>) -> Result<Self, CliError> {
        let mut keychains = Self::default();
        let mut known = HashMap::new();
        // A tenth of a millisecond each, and there may be a hundred thousand.
        let interpreted: Vec<Result<Interpreted, DescriptorError>> =
            given.par_iter().map(|given| descriptor::interpret(&given.text)).collect();
        let each = given.iter().zip(interpreted);
        let counts: Vec<u32> = each
            .map(|(given, interpreted)| keychains.add(given, interpreted, gap_limit, &mut known))
            .collect::<Result<_, _>>()?;
        keychains.labels = Labels::new(counts);
        keychains.positions = given.iter().map(|given| given.position.clone()).collect();
        Ok(keychains)
    }

    /// Adds the keychains of a descriptor, and returns how many there are. Of a file that has a descriptor and its paths
    /// too, as Sparrow writes it, the paths add nothing.
    fn add(
        &mut self,
        given: &GivenDescriptor,
        interpreted: Result<Interpreted, DescriptorError>,
        gap_limit: Option<u32>,
        known: &mut HashMap<String, usize>,
    ) -> Result<u32, CliError> {
        let refused = |error| CliError::descriptor(&given.position, &error).spelled_out(&given.text);
        let Interpreted { branches, annotations, meaning } = interpreted.map_err(refused)?;
        self.birthdays.add(annotations.birthday_height.map_or(given.birthday, Birthday::Height));
        // An annotation is a lower bound.
        let gap_limit = gap_limit.max(annotations.gap_limit).unwrap_or(GAP_LIMIT_DEFAULT);
        self.meanings.extend(meaning.map(|meaning| format!("{} is taken as {meaning}", given.position)));
        let last_revealed = given.revealed(gap_limit);
        if given.position.is_of_file() && branches.iter().all(|branch| known.contains_key(branch)) {
            for number in branches.iter().filter_map(|branch| known.get(branch)) {
                let keychain = &mut self.list[*number];
                keychain.last_revealed = keychain.last_revealed.max(last_revealed);
                keychain.gap_limit = keychain.gap_limit.max(gap_limit);
            }
            return Ok(0);
        }
        let count = u32::try_from(branches.len()).unwrap_or(u32::MAX);
        for branch in branches {
            known.insert(branch.clone(), self.list.len());
            let mut keychain = GivenKeychain::new(branch).gap_limit(gap_limit);
            keychain.last_revealed = last_revealed;
            self.list.push(keychain);
        }
        Ok(count)
    }
}

impl GivenDescriptor {
    /// The revealed index with which a keychain of this gap limit is watched as far as its wallet watches it.
    fn revealed(&self, gap_limit: u32) -> Option<u32> {
        self.last_revealed.max(self.last_watched.and_then(|last| last.checked_sub(gap_limit)))
    }
}

#[cfg(test)]
mod tests {
    use rescan_client::RangeStart;
    use rescan_client::position::Height;

    use super::*;

    #[test]
    fn a_keychain_is_watched_as_far_as_its_wallet_watches_it_and_no_less_than_the_gap_limit() {
        let position = DescriptorPosition::Argument(0);
        for (last_revealed, last_watched, gap_limit, due) in [
            (None, None, 20, None),
            (Some(6), None, 20, Some(6)),
            (None, Some(19), 20, None),
            (None, Some(20), 20, Some(0)),
            (Some(6), Some(1_499), 1_000, Some(499)),
            (Some(900), Some(1_499), 1_000, Some(900)),
        ] {
            let given =
                GivenDescriptor { last_revealed, last_watched, ..GivenDescriptor::new("raw(51)", position.clone()) };
            let revealed = given.revealed(gap_limit);
            assert_eq!(revealed, due, "{given:?}");
            // The server's rule (`GivenKeychain::gap_limit`).
            let last = revealed.map_or(gap_limit - 1, |revealed| revealed + gap_limit);
            assert!(last_watched.is_none_or(|watched| watched <= last), "{given:?}");
        }
    }

    #[test]
    fn annotations_are_the_birthday_and_the_least_gap_limit_of_their_keychain() {
        const KEY: &str = "tpubDCBWBScQPGv4Xk3JSbhw6wYYpayMjb2eAYyArpbSqQTbLDpphHGAetB6VQgVeftLML8vDSUEWcC2xDi3qJJ3YCDChJDvqVzpgoYSuT52MhJ";
        let texts = [format!("wpkh({KEY}/<0;1>/*)?bh=90&gl=200"), format!("tr({KEY}/0/*)?bh=70")];
        for (gap_limit, due) in [(None, [200, 200, 1_000]), (Some(20), [200, 200, 20]), (Some(300), [300; 3])] {
            let keychains = Keychains::of(&GivenDescriptor::arguments(&texts), gap_limit).expect("descriptors");
            assert_eq!(keychains.list.iter().map(|keychain| keychain.gap_limit).collect::<Vec<_>>(), due);
            assert_eq!(keychains.birthdays.start(), (RangeStart::Height(Height(70)), None));
            assert!(keychains.list.iter().all(|keychain| !keychain.descriptor.contains('?')));
        }
        let unknown = GivenDescriptor::arguments(&[texts[0].clone(), format!("tr({KEY}/0/*)")]);
        let keychains = Keychains::of(&unknown, None).expect("descriptors");
        assert_eq!(keychains.birthdays.start(), (RangeStart::Height(Height::GENESIS), None));
    }
}
