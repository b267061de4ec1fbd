//! The compilation of a watch set: parses descriptors, derives scripts, builds the tables.
//!
//! All work runs in the worker pool, in jobs of a few milliseconds that hardly delay running scans. The RPC thread only
//! submits jobs, a few at a time, and collects their results in order.

use std::rc::Rc;
use std::sync::Arc;

use futures::future::{LocalBoxFuture, Shared as SharedFuture};
use futures::{StreamExt, TryStreamExt, stream};
use rescan_core::causes::with_causes;
use rescan_core::report::{Failure, KeychainUse, Refusal, RefusalReason};
use rescan_core::request::{GivenKeychain, WatchSetSize};
use rescan_core::watching::descriptor::{DescriptorError, Keychain};
use rescan_core::watching::watch_set::{WatchSet, WatchSetBuilder};

use crate::refresh::refresher::internal;
use crate::scan::{DerivationError, GapLimit, IndexRange, WatchedKeychain, WorkerPanicked, derive};
use crate::session::guard::budget::{Exhausted, Reservation};
use crate::session::guard::limits::KEYCHAIN_WEIGHT;
use crate::session::shared::Shared;
use crate::session::watch_set::builder::{LimitedBuilder, too_many_scripts, too_much_watched};

/// Jobs of one watch set in the pool at a time: enough to keep it busy while the RPC thread collects, few enough that a
/// large watch set does not block the scans of other wallets.
const JOBS_IN_FLIGHT: usize = 32;

/// A compilation under way, or its result. Every caller that awaits it drives it, and all receive the same result.
pub(crate) type Compiling = SharedFuture<LocalBoxFuture<'static, Result<WatchedSet, CompileError>>>;

/// A compiled watch set.
#[derive(Clone)]
pub(crate) struct WatchedSet {
    pub(crate) watch: Arc<WatchSet>,
    pub(crate) size: WatchSetSize,
    pub(crate) keychains: Arc<[WatchedKeychain]>,
    pub(crate) reservation: WatchReservation,
}

/// The part of the connection's budget that a watch set uses, and the additional part of one of its scans.
#[derive(Clone)]
pub(crate) struct WatchReservation {
    of_set: Rc<Reservation>,
    /// The number of scripts in the set.
    scripts: u64,
    of_scan: Rc<Reservation>,
}

impl WatchReservation {
    /// The number of scripts up to which a scan can grow at the moment.
    pub(crate) fn scripts_max(&self) -> u64 {
        self.scripts.saturating_add(self.of_set.available())
    }

    /// Reserves room for a scan of this many scripts. Scans of one watch set share only the reservation of the set.
    pub(crate) fn grow_to(&mut self, scripts: u64) -> Result<(), Exhausted> {
        if Rc::strong_count(&self.of_scan) > 1 {
            self.of_scan = Rc::new(self.of_set.empty());
        }
        self.of_scan.grow_to(scripts.saturating_sub(self.scripts))
    }
}

/// A watch set that cannot be compiled.
#[derive(Clone)]
pub(crate) enum CompileError {
    Refused(Refusal),
    Failed(Failure),
}

impl From<WorkerPanicked> for CompileError {
    fn from(panicked: WorkerPanicked) -> Self {
        Self::Failed(internal(format!("deriving scripts: {}", with_causes(&panicked))))
    }
}

/// Derives and compiles the collected entries.
pub(crate) async fn compile(shared: Rc<Shared>, builder: LimitedBuilder) -> Result<WatchedSet, CompileError> {
    let LimitedBuilder { reservation, entries: builder, keychains, scripts, outpoints, refusal, .. } = builder;
    // Keychains first: the refused entry came after all of them.
    let keychains: Arc<[WatchedKeychain]> = parse_keychains(&shared, keychains).await?.into();
    if let Some(refusal) = refusal {
        return Err(CompileError::Refused(refusal));
    }
    let count = u32::try_from(keychains.len()).unwrap_or(u32::MAX);
    let entries = u64::from(scripts).saturating_add(outpoints.into());
    let entries = entries.saturating_add(KEYCHAIN_WEIGHT.saturating_mul(count.into()));
    let derived = keychains.iter().map(scripts_before_use).fold(0, u64::saturating_add);
    let derived_max = shared.limits.scripts_per_watch_set_max.saturating_sub(scripts.into());
    // If they exceed the limit of a watch set, derivation finds the keychain.
    reservation.grow_to(entries.saturating_add(derived.min(derived_max))).map_err(|exhausted| {
        let detail = too_much_watched(exhausted, &shared.limits);
        CompileError::Refused(Refusal { reason: RefusalReason::TooManyEntries, position: 0, detail })
    })?;
    let builder = derive_all(&shared, &keychains, builder, scripts).await?;
    let watch = shared.pool.run(move || builder.build()).await?;
    let size = WatchSetSize {
        keychains: count,
        scripts: watch.script_count() as u64,     // usize has at most 64 bits
        outpoints: watch.outpoint_count() as u64, // likewise
    };
    tracing::debug!(size.keychains, size.scripts, size.outpoints, "a watch set is sealed");
    let of_scan = Rc::new(reservation.empty());
    let reservation = WatchReservation { of_set: Rc::new(reservation), scripts: size.scripts, of_scan };
    Ok(WatchedSet { watch: Arc::new(watch), size, keychains, reservation })
}

/// The number of scripts of a keychain that are watched before any use.
fn scripts_before_use(watched: &WatchedKeychain) -> u64 {
    let indexes = watched.rule.limit(KeychainUse::Unused).map_or(1, |last| u64::from(last) + 1);
    indexes.saturating_mul(watched.keychain.scripts_per_index() as u64) // usize has at most 64 bits
}

async fn parse_keychains(shared: &Shared, given: Vec<GivenKeychain>) -> Result<Vec<WatchedKeychain>, CompileError> {
    let network = shared.chain.network().kind();
    let jobs = given.into_iter().map(|given| {
        let GivenKeychain { descriptor, gap_limit, last_revealed } = given;
        let parsed = shared.pool.run(move || Keychain::parse(&descriptor, network));
        async move { parsed.await.map(|keychain| (keychain, gap_limit, last_revealed)) }
    });
    let mut parsed = stream::iter(jobs).buffered(JOBS_IN_FLIGHT);
    let mut keychains = Vec::new();
    while let Some((keychain, gap_limit, last_revealed)) = parsed.try_next().await? {
        let keychain = keychain.map_err(|error| CompileError::Refused(refusal_of(&error, keychains.len())))?;
        let gap_limit = keychain.is_ranged().then_some(gap_limit);
        keychains.push(WatchedKeychain { keychain, rule: GapLimit { gap_limit, last_revealed } });
    }
    Ok(keychains)
}

/// Derives the indexes within the gap limit before any use. `given` is the number of scripts already in the builder.
async fn derive_all(
    shared: &Shared,
    keychains: &Arc<[WatchedKeychain]>,
    builder: WatchSetBuilder,
    given: u32,
) -> Result<WatchSetBuilder, CompileError> {
    let before_use = |(keychain, watched): (u32, &WatchedKeychain)| IndexRange {
        keychain,
        first: 0,
        last: watched.rule.limit(KeychainUse::Unused).unwrap_or(0), // without a range, every index is the same script
    };
    let ranges = (0..).zip(keychains.iter()).map(before_use).collect();
    let room = shared.limits.scripts_per_watch_set_max.saturating_sub(given.into());
    let derived = derive(&shared.pool, Arc::clone(keychains), ranges, builder, room, JOBS_IN_FLIGHT).await;
    derived.map_err(|error| match error {
        DerivationError::TooMany { keychain, .. } => CompileError::Refused(Refusal {
            reason: RefusalReason::TooManyEntries,
            position: keychain.into(),
            detail: too_many_scripts(&shared.limits),
        }),
        DerivationError::Script { keychain, source } => CompileError::Refused(Refusal {
            reason: RefusalReason::BadDescriptor,
            position: keychain.into(),
            detail: with_causes(&source),
        }),
        error => CompileError::Failed(internal(format!("deriving scripts: {}", with_causes(&error)))),
    })
}

fn refusal_of(error: &DescriptorError, number: usize) -> Refusal {
    Refusal { reason: RefusalReason::from(error), position: number as u64, detail: with_causes(error) }
}
