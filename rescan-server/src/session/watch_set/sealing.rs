//! From what a wallet gave to a watch set that can be scanned for: reading descriptors, deriving scripts, compiling.
//!
//! All of it happens in the worker pool, in jobs short enough (a few milliseconds) that scans under way hardly notice;
//! the RPC thread only hands out jobs, a few at a time, and gathers what they yield in order.

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
use crate::session::Shared;
use crate::session::guard::account::{Full, Held};
use crate::session::guard::limits::KEYCHAIN_WEIGHT;
use crate::session::watch_set::server::{Filling, too_many_scripts, too_much_watched};

/// How many jobs of one watch set are with the pool at a time: enough to keep it busy while the RPC thread gathers, few
/// enough that a large watch set does not stand between other wallets' scans and their workers.
const JOBS_IN_FLIGHT: usize = 32;

/// A watch set that is being sealed, or was. Whoever awaits it moves it on; it comes to the same for all.
pub(crate) type Sealing = SharedFuture<LocalBoxFuture<'static, Result<Sealed, SealError>>>;

/// What to scan for.
#[derive(Clone)]
pub(crate) struct Sealed {
    pub(crate) watch: Arc<WatchSet>,
    pub(crate) size: WatchSetSize,
    pub(crate) keychains: Arc<[WatchedKeychain]>,
    pub(crate) held: WatchedShare,
}

/// What a watch set holds of what its connection may watch, and what one of its scans holds beyond that.
#[derive(Clone)]
pub(crate) struct WatchedShare {
    sealed: Rc<Held>,
    /// How many scripts that is for.
    scripts: u64,
    /// Of one scan.
    beyond: Rc<Held>,
}

impl WatchedShare {
    /// Up to how many scripts a scan may grow as things are.
    pub(crate) fn scripts_max(&self) -> u64 {
        self.scripts.saturating_add(self.sealed.room())
    }

    /// Holds what a scan for so many scripts takes. Scans of one watch set share what it holds, and nothing beyond.
    pub(crate) fn grow_to(&mut self, scripts: u64) -> Result<(), Full> {
        if Rc::strong_count(&self.beyond) > 1 {
            self.beyond = Rc::new(self.sealed.nothing());
        }
        self.beyond.grow_to(scripts.saturating_sub(self.scripts))
    }
}

/// Why there is nothing to scan for.
#[derive(Clone)]
pub(crate) enum SealError {
    Refused(Refusal),
    Failed(Failure),
}

impl From<WorkerPanicked> for SealError {
    fn from(panicked: WorkerPanicked) -> Self {
        Self::Failed(internal(format!("deriving scripts: {}", with_causes(&panicked))))
    }
}

/// Derives and compiles what was given.
pub(crate) async fn seal(shared: Rc<Shared>, filling: Filling) -> Result<Sealed, SealError> {
    let Filling { held, builder, keychains, scripts, outpoints, refusal, .. } = filling;
    // In the order in which they were given: whatever was refused while filling came after all of these.
    let keychains: Arc<[WatchedKeychain]> = read_keychains(&shared, keychains).await?.into();
    if let Some(refusal) = refusal {
        return Err(SealError::Refused(refusal));
    }
    let count = u32::try_from(keychains.len()).unwrap_or(u32::MAX);
    let entries = u64::from(scripts).saturating_add(outpoints.into());
    let entries = entries.saturating_add(KEYCHAIN_WEIGHT.saturating_mul(count.into()));
    let derived = keychains.iter().map(scripts_before_use).fold(0, u64::saturating_add);
    let derived_max = shared.limits.scripts_per_watch_set_max.saturating_sub(scripts.into());
    // Where there are more than a watch set holds, deriving them says at which keychain.
    held.grow_to(entries.saturating_add(derived.min(derived_max))).map_err(|full| {
        let detail = too_much_watched(full, &shared.limits);
        SealError::Refused(Refusal { reason: RefusalReason::TooManyEntries, position: 0, detail })
    })?;
    let builder = derive_all(&shared, &keychains, builder, scripts).await?;
    let watch = shared.pool.run(move || builder.build()).await?;
    let size = WatchSetSize {
        keychains: count,
        scripts: watch.script_count() as u64,     // usize has at most 64 bits
        outpoints: watch.outpoint_count() as u64, // likewise
    };
    tracing::debug!(size.keychains, size.scripts, size.outpoints, "a watch set is sealed");
    let beyond = Rc::new(held.nothing());
    let held = WatchedShare { sealed: Rc::new(held), scripts: size.scripts, beyond };
    Ok(Sealed { watch: Arc::new(watch), size, keychains, held })
}

/// How many scripts of a keychain are watched before any use.
fn scripts_before_use(watched: &WatchedKeychain) -> u64 {
    let indexes = watched.rule.limit(KeychainUse::Unused).map_or(1, |last| u64::from(last) + 1);
    indexes.saturating_mul(watched.keychain.scripts_per_index() as u64) // usize has at most 64 bits
}

async fn read_keychains(shared: &Shared, given: Vec<GivenKeychain>) -> Result<Vec<WatchedKeychain>, SealError> {
    let network = shared.chain.network().kind();
    let jobs = given.into_iter().map(|given| {
        let GivenKeychain { descriptor, gap_limit, last_revealed } = given;
        let read = shared.pool.run(move || Keychain::parse(&descriptor, network));
        async move { read.await.map(|keychain| (keychain, gap_limit, last_revealed)) }
    });
    let mut read = stream::iter(jobs).buffered(JOBS_IN_FLIGHT);
    let mut keychains = Vec::new();
    while let Some((keychain, gap_limit, last_revealed)) = read.try_next().await? {
        let keychain = keychain.map_err(|error| SealError::Refused(refusal_of(&error, keychains.len())))?;
        let gap_limit = keychain.is_ranged().then_some(gap_limit);
        keychains.push(WatchedKeychain { keychain, rule: GapLimit { gap_limit, last_revealed } });
    }
    Ok(keychains)
}

/// The indexes that the gap rule reaches before any use. `given` is how many scripts the builder was given before.
async fn derive_all(
    shared: &Shared,
    keychains: &Arc<[WatchedKeychain]>,
    builder: WatchSetBuilder,
    given: u32,
) -> Result<WatchSetBuilder, SealError> {
    let before_use = |(keychain, watched): (u32, &WatchedKeychain)| IndexRange {
        keychain,
        first: 0,
        last: watched.rule.limit(KeychainUse::Unused).unwrap_or(0), // of one that is not ranged, any index is its script
    };
    let ranges = (0..).zip(keychains.iter()).map(before_use).collect();
    let room = shared.limits.scripts_per_watch_set_max.saturating_sub(given.into());
    let derived = derive(&shared.pool, Arc::clone(keychains), ranges, builder, room, JOBS_IN_FLIGHT).await;
    derived.map_err(|error| match error {
        DerivationError::TooMany { keychain, .. } => SealError::Refused(Refusal {
            reason: RefusalReason::TooManyEntries,
            position: keychain.into(),
            detail: too_many_scripts(&shared.limits),
        }),
        DerivationError::Script { keychain, source } => SealError::Refused(Refusal {
            reason: RefusalReason::BadDescriptor,
            position: keychain.into(),
            detail: with_causes(&source),
        }),
        error => SealError::Failed(internal(format!("deriving scripts: {}", with_causes(&error)))),
    })
}

fn refusal_of(error: &DescriptorError, number: usize) -> Refusal {
    Refusal { reason: RefusalReason::from(error), position: number as u64, detail: with_causes(error) }
}
