//! The entries of a watch set until it is sealed.
//!
//! Adding an entry never fails. The builder keeps the first refusal and ignores all entries after it; `seal` reports it.
//! Entries after the first one beyond the limit of scripts are counted still: the refusal names how many there are.
//! Descriptors are kept as text: parsing one takes a millisecond, too long for the RPC thread.

use rescan_core::causes::with_causes;
use rescan_core::report::{Origin, Refusal, RefusalReason};
use rescan_core::request::{GAP_LIMIT_MAX, GivenKeychain, GivenOutpoint, INDEX_MAX};
use rescan_core::watching::watch_set::WatchSetBuilder;
use rescan_core::wire;

use crate::session::guard::budget::{Exhausted, Reservation};
use crate::session::guard::limits::{KEYCHAIN_WEIGHT, SessionLimits};
use crate::session::watch_set::count::{first_beyond, scripts_at_least};

/// A builder that enforces the limits of a watch set.
pub(crate) struct LimitedBuilder {
    /// Its part of the connection's budget.
    pub(crate) reservation: Reservation,
    pub(crate) entries: WatchSetBuilder,
    /// Descriptors, as text.
    pub(crate) keychains: Vec<GivenKeychain>,
    /// The number of scripts that they derive before any use, at least. Repetitions count, because reports name every
    /// entry as an origin.
    pub(crate) derived: u64,
    /// The number of given scripts, repetitions included.
    pub(crate) scripts: u32,
    pub(crate) outpoints: u32,
    /// The bytes of all entries.
    bytes: u64,
    /// The first entry that cannot be watched. The fields above hold all entries before it.
    pub(crate) refusal: Option<Refusal>,
    /// The entries beyond the limit of scripts, likewise.
    beyond: Option<Beyond>,
}

/// Entries beyond the limit of scripts.
struct Beyond {
    /// The number of the first one among those of its kind.
    position: u64,
    /// The number of scripts of that one and all later ones, at least.
    scripts: u64,
}

impl LimitedBuilder {
    pub(crate) fn new(reservation: Reservation) -> Self {
        let entries = WatchSetBuilder::default();
        Self {
            reservation,
            entries,
            keychains: Vec::new(),
            derived: 0,
            scripts: 0,
            outpoints: 0,
            bytes: 0,
            refusal: None,
            beyond: None,
        }
    }

    pub(crate) fn keychain_count(&self) -> u32 {
        u32::try_from(self.keychains.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn add_keychain(&mut self, given: GivenKeychain, limits: &SessionLimits) {
        let number = self.keychains.len() as u64; // usize has at most 64 bits
        let least = scripts_at_least(&given);
        if self.is_beyond(least) || !self.has_room_for_bytes(number, given.descriptor.len(), limits) {
            return;
        }
        if let Some(detail) = out_of_bounds(&given) {
            return self.refuse(RefusalReason::BadGapLimit, number, detail);
        }
        let derived = self.derived.saturating_add(least);
        if derived.saturating_add(self.scripts.into()) > limits.scripts_per_watch_set_max {
            self.beyond = Some(Beyond { position: number, scripts: least });
            return;
        }
        if let Err(exhausted) = self.reservation.grow(KEYCHAIN_WEIGHT) {
            return self.refuse(RefusalReason::TooManyEntries, number, too_much_watched(exhausted, limits));
        }
        self.derived = derived;
        self.keychains.push(given);
    }

    pub(crate) fn add_script(&mut self, script: &[u8], limits: &SessionLimits) {
        let number = u64::from(self.scripts);
        if self.is_beyond(1) || !self.has_room_for_bytes(number, script.len(), limits) {
            return;
        }
        // Where keychains derive the rest, `seal` names one of them.
        let fewest = number.saturating_add(self.keychains.len() as u64); // usize has at most 64 bits
        if fewest >= limits.scripts_per_watch_set_max {
            self.beyond = Some(Beyond { position: number, scripts: 1 });
            return;
        }
        if let Err(exhausted) = self.reservation.grow(1) {
            return self.refuse(RefusalReason::TooManyEntries, number, too_much_watched(exhausted, limits));
        }
        match self.entries.add_script(script, Origin::Script(self.scripts)) {
            Ok(()) => self.scripts += 1,
            Err(error) => self.refuse(RefusalReason::BadScript, number, with_causes(&error)),
        }
    }

    pub(crate) fn add_outpoint(&mut self, given: Result<GivenOutpoint, wire::WireError>, limits: &SessionLimits) {
        if self.is_beyond(0) {
            return;
        }
        let number = u64::from(self.outpoints);
        let given = match given {
            Ok(given) => given,
            Err(error) => return self.refuse(RefusalReason::BadOutpoint, number, with_causes(&error)),
        };
        if number >= limits.outpoints_per_watch_set_max {
            return self.refuse(RefusalReason::TooManyEntries, number, too_many_outpoints(limits));
        }
        if let Err(exhausted) = self.reservation.grow(1) {
            return self.refuse(RefusalReason::TooManyEntries, number, too_much_watched(exhausted, limits));
        }
        let value = given.output.map(|output| output.value);
        self.entries.add_outpoint(given.outpoint, value, Origin::Outpoint(self.outpoints));
        self.outpoints += 1;
    }

    /// The refusal that follows from counts alone, without parsing a descriptor.
    pub(crate) fn refused_by_count(&self, limits: &SessionLimits) -> Option<Refusal> {
        if let Some(refusal) = &self.refusal {
            return (refusal.reason == RefusalReason::TooManyEntries).then(|| refusal.clone());
        }
        let (position, beyond) = match &self.beyond {
            Some(beyond) => (beyond.position, beyond.scripts),
            None => {
                let counts = self.keychains.iter().map(scripts_at_least);
                (first_beyond(limits.scripts_per_watch_set_max, self.scripts, counts)?, 0)
            }
        };
        let found = self.derived.saturating_add(self.scripts.into()).saturating_add(beyond);
        Some(too_many_scripts(position, found, limits))
    }

    /// Whether an earlier entry is beyond the limit of scripts. Those of this one are then counted.
    fn is_beyond(&mut self, scripts: u64) -> bool {
        if let Some(beyond) = &mut self.beyond {
            beyond.scripts = beyond.scripts.saturating_add(scripts);
        }
        self.beyond.is_some()
    }

    fn has_room_for_bytes(&mut self, number: u64, bytes: usize, limits: &SessionLimits) -> bool {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        let max = limits.entry_bytes_per_watch_set_max;
        let fits = self.bytes <= max;
        if !fits {
            self.refuse(
                RefusalReason::TooManyEntries,
                number,
                format!("a watch set takes at most {max} bytes of descriptors and scripts"),
            );
        }
        fits
    }

    fn refuse(&mut self, reason: RefusalReason, position: u64, detail: String) {
        self.refusal.get_or_insert(Refusal { reason, position, detail });
    }
}

/// The refusal of more scripts than a watch set holds. At least `found` were given, and the entry at `position` is the first
/// beyond the limit.
pub(crate) fn too_many_scripts(position: u64, found: u64, limits: &SessionLimits) -> Refusal {
    let max = limits.scripts_per_watch_set_max;
    let detail = format!(
        "a watch set holds at most {max} scripts, found at least {found}, one or more for each index of a ranged \
         descriptor up to its gap limit: scan for the rest in another"
    );
    Refusal { reason: RefusalReason::TooManyEntries, position, detail }
}

/// The refusal of more outpoints than a watch set holds.
pub(crate) fn too_many_outpoints(limits: &SessionLimits) -> String {
    let max = limits.outpoints_per_watch_set_max;
    format!("a watch set holds at most {max} outpoints: scan for the rest in another")
}

/// The refusal of entries beyond the budget of a connection, or of all connections.
pub(crate) fn too_much_watched(exhausted: Exhausted, limits: &SessionLimits) -> String {
    match exhausted {
        Exhausted::Connection => {
            let max = limits.watched_per_connection_max;
            format!(
                "a connection watches at most {max} scripts and outpoints, a descriptor counts as {KEYCHAIN_WEIGHT}: \
                 drop a watch set first"
            )
        }
        Exhausted::Server => {
            "the watched scripts and outpoints of all clients have reached the server's limit: try again later"
                .to_owned()
        }
    }
}

/// The reason why a gap limit or a revealed index is invalid.
fn out_of_bounds(given: &GivenKeychain) -> Option<String> {
    let gap_limit = given.gap_limit;
    if !(1..=GAP_LIMIT_MAX).contains(&gap_limit) {
        return Some(format!("expected a gap limit from 1 to {GAP_LIMIT_MAX}, found {gap_limit}"));
    }
    given
        .last_revealed
        .filter(|last| *last > INDEX_MAX)
        .map(|last| format!("expected a revealed index of at most {INDEX_MAX}, found {last}"))
}
