//! The compilation of a watch set: parses descriptors, derives scripts, builds the tables.
//!
//! All work runs in the worker pool, in jobs of a few milliseconds, and in the share of watch sets: running scans keep theirs.
//! The RPC thread only submits jobs, a few at a time, and collects their results in order.

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
use crate::scan::{DerivationError, GapLimit, IndexRange, WatchedKeychain, WorkerPanicked, WorkerPool, derive};
use crate::session::guard::budget::{Exhausted, Reservation};
use crate::session::guard::limits::KEYCHAIN_WEIGHT;
use crate::session::shared::Shared;
use crate::session::watch_set::builder::{LimitedBuilder, too_many_scripts, too_much_watched};
use crate::session::watch_set::count::first_beyond;
use crate::session::watch_set::progress::DerivationProgress;

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
pub(crate) async fn compile(
    shared: Rc<Shared>,
    builder: LimitedBuilder,
    progress: Rc<DerivationProgress>,
) -> Result<WatchedSet, CompileError> {
    let limits = &shared.limits;
    if let Some(refusal) = builder.refused_by_count(limits) {
        return Err(CompileError::Refused(refusal));
    }
    let count = builder.keychain_count();
    let LimitedBuilder { reservation, entries: builder, keychains, derived, scripts, outpoints, refusal, .. } = builder;
    let entries = u64::from(scripts).saturating_add(outpoints.into());
    let entries = entries.saturating_add(KEYCHAIN_WEIGHT.saturating_mul(count.into()));
    let reserve = |derived: u64| {
        reservation.grow_to(entries.saturating_add(derived)).map_err(|exhausted| {
            let detail = too_much_watched(exhausted, limits);
            CompileError::Refused(Refusal { reason: RefusalReason::TooManyEntries, position: 0, detail })
        })
    };
    reserve(derived)?;
    let pool = shared.pool.for_watch_sets();
    // Keychains first: the refused entry came after all of them.
    let keychains: Arc<[WatchedKeychain]> = parse_keychains(&shared, &pool, keychains).await?.into();
    if let Some(refusal) = refusal {
        return Err(CompileError::Refused(refusal));
    }
    let counts = || keychains.iter().map(scripts_before_use);
    let derived = counts().fold(0, u64::saturating_add);
    if let Some(position) = first_beyond(limits.scripts_per_watch_set_max, scripts, counts()) {
        let found = derived.saturating_add(scripts.into());
        return Err(CompileError::Refused(too_many_scripts(position, found, limits)));
    }
    reserve(derived)?;
    progress.set_total(derived);
    let builder = derive_all(&pool, &keychains, builder, derived, &progress).await?;
    let watch = pool.run(move || builder.build()).await?;
    progress.set_compiled();
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
    let per_index = watched.keychain.scripts_per_index() as u64; // usize has at most 64 bits
    watched.rule.indexes_before_use().saturating_mul(per_index)
}

async fn parse_keychains(
    shared: &Shared,
    pool: &WorkerPool,
    given: Vec<GivenKeychain>,
) -> Result<Vec<WatchedKeychain>, CompileError> {
    let network = shared.chain.network().kind();
    let jobs = given.into_iter().map(|given| {
        let GivenKeychain { descriptor, gap_limit, last_revealed } = given;
        let parsed = pool.run(move || Keychain::parse(&descriptor, network));
        async move { parsed.await.map(|keychain| (keychain, gap_limit, last_revealed)) }
    });
    let mut parsed = stream::iter(jobs).buffered(pool.jobs_in_flight_max());
    let mut keychains = Vec::new();
    while let Some((keychain, gap_limit, last_revealed)) = parsed.try_next().await? {
        let keychain = keychain.map_err(|error| CompileError::Refused(refusal_of(&error, keychains.len())))?;
        let gap_limit = keychain.is_ranged().then_some(gap_limit);
        keychains.push(WatchedKeychain { keychain, rule: GapLimit { gap_limit, last_revealed } });
    }
    Ok(keychains)
}

/// Derives the indexes within the gap limit before any use: `count` scripts.
async fn derive_all(
    pool: &WorkerPool,
    keychains: &Arc<[WatchedKeychain]>,
    builder: WatchSetBuilder,
    count: u64,
    progress: &DerivationProgress,
) -> Result<WatchSetBuilder, CompileError> {
    let before_use = |(keychain, watched): (u32, &WatchedKeychain)| IndexRange {
        keychain,
        first: 0,
        last: watched.rule.limit(KeychainUse::Unused).unwrap_or(0), // without a range, every index is the same script
    };
    let ranges = (0..).zip(keychains.iter()).map(before_use).collect();
    let (jobs_max, show) = (pool.jobs_in_flight_max(), |derived| progress.set_derived(derived));
    let derived = derive(pool, Arc::clone(keychains), ranges, builder, count, jobs_max, show).await;
    derived.map_err(|error| match error {
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
