//! The size of the look-ahead.

use std::time::Duration;

/// The number of scripts that are derived beyond the gap limit. No choice changes the result of a
/// scan.
#[derive(Clone, Copy, Debug)]
pub struct LookaheadConfig {
    /// Indexes of each keychain the first time; each later time, twice as many.
    pub each: u32,
    /// Indexes of all keychains together the first time, as long as each has `each_min`.
    pub total: u32,
    /// Indexes of each keychain at least.
    pub each_min: u32,
    /// The time that a scan walks before it derives scripts that the gap limit has not reached.
    pub after: Duration,
}

impl Default for LookaheadConfig {
    /// Wide enough that one pass nearly always suffices; a second of work. A wallet without history
    /// pays nothing for it if the walk takes less than the delay.
    fn default() -> Self {
        Self { each: 1_000, total: 20_000, each_min: 20, after: Duration::from_millis(250) }
    }
}

impl LookaheadConfig {
    /// The first width for that many ranged keychains; `None` if there are none.
    pub(super) fn first_width(&self, keychains: usize) -> Option<u32> {
        let share = self.total.checked_div(u32::try_from(keychains).unwrap_or(u32::MAX))?;
        Some(share.min(self.each).max(self.each_min).max(1))
    }

    /// The width, for each of that many keychains, that takes about as long to derive as the walk
    /// has taken.
    pub(super) fn affordable(&self, walk: Duration, keychains: usize) -> u32 {
        const SCRIPT: Duration = Duration::from_micros(50);
        let scripts = walk.as_micros() / SCRIPT.as_micros() / u128::try_from(keychains.max(1)).unwrap_or(u128::MAX);
        u32::try_from(scripts).unwrap_or(u32::MAX).max(self.each_min)
    }
}
