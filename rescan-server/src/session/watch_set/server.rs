//! The watch-set capability: filled in chunks, sealed once, scanned any number of times.
//!
//! Filling never fails for what it is given: the first entry that cannot be watched is remembered, nothing after it is
//! kept, and `seal` says which it was. Descriptors are only kept as text here; reading them takes a millisecond each,
//! which the RPC thread does not have.

use std::cell::RefCell;
use std::rc::Rc;

use futures::FutureExt;
use rescan_core::causes::with_causes;
use rescan_core::report::{Origin, Refusal, RefusalReason};
use rescan_core::request::{GAP_LIMIT_MAX, GivenKeychain, GivenOutpoint, INDEX_MAX};
use rescan_core::rescan_capnp::watch_set;
use rescan_core::watching::watch_set::WatchSetBuilder;
use rescan_core::wire;

use crate::session::Shared;
use crate::session::guard::account::{Account, Full, Held};
use crate::session::guard::limits::{KEYCHAIN_WEIGHT, Quota, SessionLimits, Slot};
use crate::session::watch_set::sealing::{SealError, Sealed, Sealing, seal};

/// A watch set of one connection.
pub(crate) struct WatchSetServer {
    shared: Rc<Shared>,
    calls_waiting: Rc<Quota>,
    state: RefCell<State>,
    _slot: Slot,
}

#[expect(clippy::large_enum_variant, reason = "one a watch set, and a box would be opened at every upload")]
enum State {
    Filling(Filling),
    Sealed {
        sealing: Sealing,
        /// How many descriptors were given.
        keychain_count: u32,
        /// An entry that came too late.
        late: Option<Refusal>,
    },
}

/// What was given so far.
pub(crate) struct Filling {
    /// What it holds of what its connection may watch.
    pub(crate) held: Held,
    pub(crate) builder: WatchSetBuilder,
    /// Descriptors are kept as text.
    pub(crate) keychains: Vec<GivenKeychain>,
    /// How many scripts, the same ones again included.
    pub(crate) scripts: u32,
    pub(crate) outpoints: u32,
    /// Bytes of all entries.
    bytes: u64,
    /// The first entry that cannot be watched. All that came before it is above.
    pub(crate) refusal: Option<Refusal>,
}

impl WatchSetServer {
    pub(crate) fn new(shared: Rc<Shared>, calls_waiting: Rc<Quota>, watched: &Rc<Account>, slot: Slot) -> Self {
        let filling = Filling::new(watched.hold_nothing());
        Self { shared, calls_waiting, state: RefCell::new(State::Filling(filling)), _slot: slot }
    }

    /// What to scan for, once it is derived.
    ///
    /// # Errors
    /// A refusal if nobody has begun to seal it, or what sealing it came to.
    pub(crate) async fn sealed(&self) -> Result<Sealed, SealError> {
        let sealing = match &*self.state.borrow() {
            State::Sealed { sealing, .. } => sealing.clone(),
            State::Filling(_) => {
                return Err(SealError::Refused(Refusal {
                    reason: RefusalReason::NotSealed,
                    position: 0,
                    detail: "the watch set is not sealed: call seal before scan".to_owned(),
                }));
            }
        };
        sealing.await
    }

    /// How many keychains were given.
    pub(crate) fn keychain_count(&self) -> u32 {
        match &*self.state.borrow() {
            State::Filling(filling) => filling.keychain_count(),
            State::Sealed { keychain_count, .. } => *keychain_count,
        }
    }

    /// Lets `add` put something in, unless something was refused before or the set is sealed.
    fn fill(&self, add: impl FnOnce(&mut Filling, &SessionLimits) -> capnp::Result<()>) -> capnp::Result<()> {
        match &mut *self.state.borrow_mut() {
            State::Filling(filling) if filling.refusal.is_some() => Ok(()),
            State::Filling(filling) => add(filling, &self.shared.limits),
            State::Sealed { late, .. } => {
                late.get_or_insert_with(|| Refusal {
                    reason: RefusalReason::AlreadySealed,
                    position: 0,
                    detail: "entries were added after the watch set was sealed: make a new one for them".to_owned(),
                });
                Ok(())
            }
        }
    }

    fn begin_sealing(self: &Rc<Self>) -> (Sealing, Option<Refusal>) {
        let mut state = self.state.borrow_mut();
        if let State::Filling(filling) = &mut *state {
            let keychain_count = filling.keychain_count();
            let nothing = Filling::new(filling.held.nothing());
            let sealing = seal(Rc::clone(&self.shared), std::mem::replace(filling, nothing)).boxed_local().shared();
            *state = State::Sealed { sealing, keychain_count, late: None };
        }
        match &*state {
            State::Sealed { sealing, late, .. } => (sealing.clone(), late.clone()),
            State::Filling(_) => unreachable!("it was sealed above"),
        }
    }
}

impl Filling {
    fn new(held: Held) -> Self {
        let builder = WatchSetBuilder::default();
        Self { held, builder, keychains: Vec::new(), scripts: 0, outpoints: 0, bytes: 0, refusal: None }
    }

    fn keychain_count(&self) -> u32 {
        u32::try_from(self.keychains.len()).unwrap_or(u32::MAX)
    }

    fn add_keychain(&mut self, given: GivenKeychain, limits: &SessionLimits) {
        let number = self.keychains.len() as u64; // usize has at most 64 bits
        if !self.has_room(number, given.descriptor.len(), limits) {
            return;
        }
        if let Some(detail) = out_of_bounds(&given) {
            return self.refuse(RefusalReason::BadGapLimit, number, detail);
        }
        if self.scripts_at_least() >= limits.scripts_per_watch_set_max {
            return self.refuse(RefusalReason::TooManyEntries, number, too_many_scripts(limits));
        }
        if let Err(full) = self.held.grow(KEYCHAIN_WEIGHT) {
            return self.refuse(RefusalReason::TooManyEntries, number, too_much_watched(full, limits));
        }
        self.keychains.push(given);
    }

    fn add_script(&mut self, script: &[u8], limits: &SessionLimits) {
        let number = u64::from(self.scripts);
        if !self.has_room(number, script.len(), limits) {
            return;
        }
        if self.scripts_at_least() >= limits.scripts_per_watch_set_max {
            return self.refuse(RefusalReason::TooManyEntries, number, too_many_scripts(limits));
        }
        if let Err(full) = self.held.grow(1) {
            return self.refuse(RefusalReason::TooManyEntries, number, too_much_watched(full, limits));
        }
        match self.builder.add_script(script, Origin::Script(self.scripts)) {
            Ok(()) => self.scripts += 1,
            Err(error) => self.refuse(RefusalReason::BadScript, number, with_causes(&error)),
        }
    }

    fn add_outpoint(&mut self, given: Result<GivenOutpoint, wire::WireError>, limits: &SessionLimits) {
        let number = u64::from(self.outpoints);
        let given = match given {
            Ok(given) => given,
            Err(error) => return self.refuse(RefusalReason::BadOutpoint, number, with_causes(&error)),
        };
        if number >= limits.outpoints_per_watch_set_max {
            return self.refuse(RefusalReason::TooManyEntries, number, too_many_outpoints(limits));
        }
        if let Err(full) = self.held.grow(1) {
            return self.refuse(RefusalReason::TooManyEntries, number, too_much_watched(full, limits));
        }
        let value = given.output.map(|output| output.value);
        self.builder.add_outpoint(given.outpoint, value, Origin::Outpoint(self.outpoints));
        self.outpoints += 1;
    }

    /// How many scripts these are at the least: how many a keychain has, only sealing knows. Every entry counts, also one
    /// that was given before: each has an origin of its own in what is reported.
    fn scripts_at_least(&self) -> u64 {
        (self.keychains.len() as u64).saturating_add(u64::from(self.scripts)) // usize has at most 64 bits
    }

    fn has_room(&mut self, number: u64, bytes: usize, limits: &SessionLimits) -> bool {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        let max = limits.entry_bytes_per_watch_set_max;
        let has_room = self.bytes <= max;
        if !has_room {
            self.refuse(
                RefusalReason::TooManyEntries,
                number,
                format!("a watch set takes at most {max} bytes of descriptors and scripts"),
            );
        }
        has_room
    }

    fn refuse(&mut self, reason: RefusalReason, position: u64, detail: String) {
        self.refusal.get_or_insert(Refusal { reason, position, detail });
    }
}

/// What to say when there are more scripts than one watch set holds.
pub(crate) fn too_many_scripts(limits: &SessionLimits) -> String {
    let max = limits.scripts_per_watch_set_max;
    format!(
        "a watch set holds at most {max} scripts, one or more for each index of a ranged descriptor up to its gap limit: \
         scan for the rest in another"
    )
}

/// What to say when there are more outpoints than one watch set holds.
pub(crate) fn too_many_outpoints(limits: &SessionLimits) -> String {
    let max = limits.outpoints_per_watch_set_max;
    format!("a watch set holds at most {max} outpoints: scan for the rest in another")
}

/// What to say when a connection, or all of them together, would watch too much.
pub(crate) fn too_much_watched(full: Full, limits: &SessionLimits) -> String {
    match full {
        Full::Connection => {
            let max = limits.watched_per_connection_max;
            format!(
                "a connection watches at most {max} scripts and outpoints, a descriptor counts as {KEYCHAIN_WEIGHT}: \
                     drop a watch set first"
            )
        }
        Full::Server => {
            "the server watches as much as it has room for, for all its clients: try again later".to_owned()
        }
    }
}

/// What is wrong with how far a keychain is to be watched.
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

impl watch_set::Server for WatchSetServer {
    async fn add_keychains(self: Rc<Self>, params: watch_set::AddKeychainsParams) -> capnp::Result<()> {
        self.fill(|filling, limits| {
            for keychain in params.get()?.get_keychains()? {
                let given = wire::read_given_keychain(keychain).map_err(|error| crate::session::failed(&error))?;
                filling.add_keychain(given, limits);
                if filling.refusal.is_some() {
                    break;
                }
            }
            Ok(())
        })
    }

    async fn add_scripts(self: Rc<Self>, params: watch_set::AddScriptsParams) -> capnp::Result<()> {
        self.fill(|filling, limits| {
            for script in params.get()?.get_scripts()? {
                filling.add_script(script?, limits);
                if filling.refusal.is_some() {
                    break;
                }
            }
            Ok(())
        })
    }

    async fn add_outpoints(self: Rc<Self>, params: watch_set::AddOutpointsParams) -> capnp::Result<()> {
        self.fill(|filling, limits| {
            for outpoint in params.get()?.get_outpoints()? {
                filling.add_outpoint(wire::read_given_outpoint(outpoint), limits);
                if filling.refusal.is_some() {
                    break;
                }
            }
            Ok(())
        })
    }

    async fn seal(
        self: Rc<Self>,
        params: watch_set::SealParams,
        mut results: watch_set::SealResults,
    ) -> capnp::Result<()> {
        // The message would be held for as long as the call waits, whatever the client put into it.
        drop(params);
        let _waits = self.calls_waiting.take().ok_or_else(crate::session::too_many_calls)?;
        let (sealing, late) = self.begin_sealing();
        let sealed = match late {
            Some(refusal) => Err(SealError::Refused(refusal)),
            None => sealing.await,
        };
        let result = results.get().init_result();
        match sealed {
            Ok(sealed) => wire::write_watch_set_size(&sealed.size, result.init_sealed()),
            Err(SealError::Refused(refusal)) => {
                self.shared.figures.refused(&refusal);
                wire::write_refusal(&refusal, result.init_refused()).map_err(|error| crate::session::failed(&error))?;
            }
            Err(SealError::Failed(failure)) => return Err(capnp::Error::failed(failure.detail)),
        }
        Ok(())
    }
}
