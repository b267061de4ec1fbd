//! The start of a scan for descriptors with birthdays of their own: the earliest of them.

use rescan_client::RangeStart;
use rescan_client::position::Height;

use super::given::Birthday;

/// The birthdays of all descriptors of a scan.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Birthdays {
    is_unknown: bool,
    is_now: bool,
    time: Option<u32>,
    height: Option<u32>,
}

impl Birthdays {
    pub(crate) fn add(&mut self, birthday: Birthday) {
        match birthday {
            Birthday::Unknown => self.is_unknown = true,
            Birthday::Now => self.is_now = true,
            Birthday::Time(seconds) => self.time = earlier(self.time, Some(seconds)),
            Birthday::Height(height) => self.height = earlier(self.height, Some(height)),
        }
    }

    /// Adds those of another wallet.
    pub(crate) fn merge(&mut self, other: Self) {
        self.is_unknown |= other.is_unknown;
        self.is_now |= other.is_now;
        self.time = earlier(self.time, other.time);
        self.height = earlier(self.height, other.height);
    }

    /// The start of the scan, and a note if it is the first block although birthdays are known. Times and heights cannot
    /// be compared without the chain. Each `now` is left out: it is no earlier than the others, and of a wallet that has
    /// nothing else it would hide any history.
    pub(crate) fn start(self) -> (RangeStart, Option<&'static str>) {
        let first = RangeStart::Height(Height::GENESIS);
        match (self.time, self.height) {
            _ if self.is_unknown => (first, None),
            (Some(time), None) => (RangeStart::Birthday(time), None),
            (None, Some(height)) => (RangeStart::Height(Height(height)), None),
            (Some(_), Some(_)) => (
                first,
                Some(
                    "some birthdays are times and some are heights, so the scan begins at the first block; --birthday \
                     or --from-height begins it later",
                ),
            ),
            (None, None) if self.is_now => (
                first,
                Some(
                    "every timestamp is \"now\", so the scan begins at the first block; --birthday or --from-height \
                     begins it later",
                ),
            ),
            (None, None) => (first, None),
        }
    }
}

/// The lower of two; one that is none is no bound.
fn earlier(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(birthdays: &[Birthday]) -> (RangeStart, bool) {
        let mut all = Birthdays::default();
        birthdays.iter().for_each(|birthday| all.add(*birthday));
        let (start, note) = all.start();
        (start, note.is_some())
    }

    #[test]
    fn the_earliest_birthday_begins_the_scan_and_an_unknown_one_the_first_block() {
        use Birthday::{Height as AtHeight, Now, Time, Unknown};
        let first = RangeStart::Height(Height::GENESIS);
        for (birthdays, due) in [
            (&[][..], (first.clone(), false)),
            (&[Time(9), Time(7), Time(8)], (RangeStart::Birthday(7), false)),
            (&[AtHeight(9), AtHeight(7)], (RangeStart::Height(Height(7)), false)),
            (&[Time(9), Unknown], (first.clone(), false)),
            (&[Now, Time(9)], (RangeStart::Birthday(9), false)),
            (&[Now, Now], (first.clone(), true)),
            (&[Now, Unknown], (first.clone(), false)),
            (&[AtHeight(9), Time(9)], (first.clone(), true)),
        ] {
            assert_eq!(start(birthdays), due, "{birthdays:?}");
        }
    }
}
