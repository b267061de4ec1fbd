//! The watch-set capability: filled in chunks, sealed once, scanned any number of times.

use std::cell::RefCell;
use std::rc::Rc;

use futures::FutureExt;
use rescan_core::report::{Refusal, RefusalReason};
use rescan_core::rescan_capnp::watch_set;
use rescan_core::wire;

use crate::exception::{malformed, too_many_calls};
use crate::session::guard::budget::Budget;
use crate::session::guard::limits::SessionLimits;
use crate::session::guard::permits::{Permit, Permits};
use crate::session::shared::Shared;
use crate::session::watch_set::builder::LimitedBuilder;
use crate::session::watch_set::compile::{CompileError, Compiling, WatchedSet, compile};
use crate::session::watch_set::progress::DerivationProgress;

/// A watch set of one connection.
pub(crate) struct WatchSetServer {
    shared: Rc<Shared>,
    waiting_calls: Rc<Permits>,
    state: RefCell<State>,
    _permit: Permit,
}

#[expect(clippy::large_enum_variant, reason = "one per watch set, and a box would be dereferenced at every upload")]
enum State {
    Building(LimitedBuilder),
    Sealed {
        compiling: Compiling,
        derivation: Rc<DerivationProgress>,
        /// The number of given descriptors.
        keychain_count: u32,
        /// The refusal of an entry that came after `seal`.
        late: Option<Refusal>,
    },
}

impl WatchSetServer {
    pub(crate) fn new(shared: Rc<Shared>, waiting_calls: Rc<Permits>, watched: &Rc<Budget>, permit: Permit) -> Self {
        let builder = LimitedBuilder::new(watched.reserve_nothing());
        Self { shared, waiting_calls, state: RefCell::new(State::Building(builder)), _permit: permit }
    }

    /// Waits for the compiled watch set.
    ///
    /// # Errors
    /// A refusal if `seal` was not called, or the error of compilation.
    pub(crate) async fn compiled(&self) -> Result<WatchedSet, CompileError> {
        let compiling = match &*self.state.borrow() {
            State::Sealed { compiling, .. } => compiling.clone(),
            State::Building(_) => {
                return Err(CompileError::Refused(Refusal {
                    reason: RefusalReason::NotSealed,
                    position: 0,
                    detail: "the watch set is not sealed: call seal before scan".to_owned(),
                }));
            }
        };
        compiling.await
    }

    /// The number of given keychains.
    pub(crate) fn keychain_count(&self) -> u32 {
        match &*self.state.borrow() {
            State::Building(builder) => builder.keychain_count(),
            State::Sealed { keychain_count, .. } => *keychain_count,
        }
    }

    /// The progress of its derivation; none before `seal`.
    pub(crate) fn derivation(&self) -> Option<Rc<DerivationProgress>> {
        match &*self.state.borrow() {
            State::Building(_) => None,
            State::Sealed { derivation, .. } => Some(Rc::clone(derivation)),
        }
    }

    /// Applies `add` to the builder, unless an entry was refused before or the set is sealed.
    fn fill(&self, add: impl FnOnce(&mut LimitedBuilder, &SessionLimits) -> capnp::Result<()>) -> capnp::Result<()> {
        match &mut *self.state.borrow_mut() {
            State::Building(builder) if builder.refusal.is_some() => Ok(()),
            State::Building(builder) => add(builder, &self.shared.limits),
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

    fn begin_compiling(self: &Rc<Self>) -> (Compiling, Option<Refusal>) {
        let mut state = self.state.borrow_mut();
        if let State::Building(builder) = &mut *state {
            let keychain_count = builder.keychain_count();
            let empty = LimitedBuilder::new(builder.reservation.empty());
            let builder = std::mem::replace(builder, empty);
            let derivation = Rc::new(DerivationProgress::new(builder.derived));
            let compiling = compile(Rc::clone(&self.shared), builder, Rc::clone(&derivation)).boxed_local().shared();
            *state = State::Sealed { compiling, derivation, keychain_count, late: None };
        }
        match &*state {
            State::Sealed { compiling, late, .. } => (compiling.clone(), late.clone()),
            State::Building(_) => unreachable!("it was sealed above"),
        }
    }
}

impl watch_set::Server for WatchSetServer {
    async fn add_keychains(self: Rc<Self>, params: watch_set::AddKeychainsParams) -> capnp::Result<()> {
        self.fill(|builder, limits| {
            for keychain in params.get()?.get_keychains()? {
                let given = wire::read_given_keychain(keychain).map_err(|error| malformed(&error))?;
                builder.add_keychain(given, limits);
                if builder.refusal.is_some() {
                    break;
                }
            }
            Ok(())
        })
    }

    async fn add_scripts(self: Rc<Self>, params: watch_set::AddScriptsParams) -> capnp::Result<()> {
        self.fill(|builder, limits| {
            for script in params.get()?.get_scripts()? {
                builder.add_script(script?, limits);
                if builder.refusal.is_some() {
                    break;
                }
            }
            Ok(())
        })
    }

    async fn add_outpoints(self: Rc<Self>, params: watch_set::AddOutpointsParams) -> capnp::Result<()> {
        self.fill(|builder, limits| {
            for outpoint in params.get()?.get_outpoints()? {
                builder.add_outpoint(wire::read_given_outpoint(outpoint), limits);
                if builder.refusal.is_some() {
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
        // Otherwise the message, of any size, would be held while the call waits.
        drop(params);
        let _permit = self.waiting_calls.acquire().ok_or_else(too_many_calls)?;
        let (compiling, late) = self.begin_compiling();
        let compiled = match late {
            Some(refusal) => Err(CompileError::Refused(refusal)),
            None => compiling.await,
        };
        let result = results.get().init_result();
        match compiled {
            Ok(watched) => wire::write_watch_set_size(&watched.size, result.init_sealed()),
            Err(CompileError::Refused(refusal)) => {
                self.shared.counters.refused(&refusal);
                wire::write_refusal(&refusal, result.init_refused()).map_err(|error| malformed(&error))?;
            }
            Err(CompileError::Failed(failure)) => return Err(capnp::Error::failed(failure.detail)),
        }
        Ok(())
    }

    async fn progress(
        self: Rc<Self>,
        _params: watch_set::ProgressParams,
        mut results: watch_set::ProgressResults,
    ) -> capnp::Result<()> {
        let shown = match &*self.state.borrow() {
            State::Building(builder) => DerivationProgress::new(builder.derived).shown(),
            State::Sealed { derivation, .. } => derivation.shown(),
        };
        wire::write_progress(&shown, results.get().init_progress()).map_err(|error| malformed(&error))
    }
}
