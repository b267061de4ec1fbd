//! From what a wallet gave to a watch set that can be scanned for: reading descriptors, deriving scripts, compiling.
//!
//! All of it happens in the worker pool, in jobs short enough (a few milliseconds) that scans under way hardly notice;
//! the RPC thread only hands out jobs, a few at a time, and gathers what they yield in order.

use std::rc::Rc;
use std::sync::Arc;

use bitcoin::ScriptBuf;
use futures::future::{LocalBoxFuture, Shared as SharedFuture};
use futures::{StreamExt, TryStreamExt, stream};
use rescan_core::causes::with_causes;
use rescan_core::descriptor::{DescriptorError, Keychain};
use rescan_core::report::{Failure, Origin, Refusal, RefusalReason};
use rescan_core::request::WatchSetSize;
use rescan_core::watch::{WatchSet, WatchSetBuilder};

use super::Shared;
use super::refresh::internal;
use super::watch_set::{Filling, too_many_scripts};
use crate::scan::WorkerPanicked;

/// How many indexes of a ranged descriptor are watched, from 0: Bitcoin Core's default keypool.
pub(super) const KEYCHAIN_INDEXES: u32 = 1_000;

/// How many indexes one job derives. A script takes 40 to 230 microseconds.
const INDEXES_PER_JOB: u32 = 50;

/// How many jobs of one watch set are with the pool at a time: enough to keep it busy while the RPC thread gathers, few
/// enough that a large watch set does not stand between other wallets' scans and their workers.
const JOBS_IN_FLIGHT: usize = 32;

/// A watch set that is being sealed, or was. Whoever awaits it moves it on; it comes to the same for all.
pub(super) type Sealing = SharedFuture<LocalBoxFuture<'static, Result<Sealed, SealError>>>;

/// What to scan for.
#[derive(Clone)]
pub(super) struct Sealed {
    pub(super) watch: Arc<WatchSet>,
    pub(super) size: WatchSetSize,
}

/// Why there is nothing to scan for.
#[derive(Clone)]
pub(super) enum SealError {
    Refused(Refusal),
    Failed(Failure),
}

impl From<WorkerPanicked> for SealError {
    fn from(panicked: WorkerPanicked) -> Self {
        Self::Failed(internal(format!("deriving scripts: {}", with_causes(&panicked))))
    }
}

/// Some indexes of one keychain.
struct Stretch {
    number: u32,
    keychain: Keychain,
    first: u32,
    count: u32,
}

/// The scripts at one index.
struct Derived {
    index: u32,
    scripts: Vec<ScriptBuf>,
}

/// Derives and compiles what was given.
pub(super) async fn seal(shared: Rc<Shared>, filling: Filling) -> Result<Sealed, SealError> {
    let Filling { mut builder, descriptors, scripts, refusal, .. } = filling;
    // In the order in which they were given: whatever was refused while filling came after all of these.
    let keychains = read_descriptors(&shared, descriptors).await?;
    if let Some(refusal) = refusal {
        return Err(SealError::Refused(refusal));
    }
    let count = u32::try_from(keychains.len()).unwrap_or(u32::MAX);
    derive(&shared, keychains, &mut builder, scripts).await?;
    let watch = shared.pool.run(move || builder.build()).await?;
    let size = WatchSetSize {
        keychains: count,
        scripts: watch.script_count() as u64,     // usize has at most 64 bits
        outpoints: watch.outpoint_count() as u64, // likewise
    };
    tracing::debug!(size.keychains, size.scripts, size.outpoints, "a watch set is sealed");
    Ok(Sealed { watch: Arc::new(watch), size })
}

async fn read_descriptors(shared: &Shared, descriptors: Vec<String>) -> Result<Vec<Keychain>, SealError> {
    let network = shared.chain.network().kind();
    let jobs = descriptors.into_iter().map(|text| shared.pool.run(move || Keychain::parse(&text, network)));
    let mut read = stream::iter(jobs).buffered(JOBS_IN_FLIGHT);
    let mut keychains = Vec::new();
    while let Some(keychain) = read.try_next().await? {
        keychains.push(keychain.map_err(|error| SealError::Refused(refusal_of(&error, keychains.len())))?);
    }
    Ok(keychains)
}

fn refusal_of(error: &DescriptorError, number: usize) -> Refusal {
    Refusal { reason: RefusalReason::from(error), position: number as u64, detail: with_causes(error) }
}

/// `given` is how many scripts the builder was given before.
async fn derive(
    shared: &Shared,
    keychains: Vec<Keychain>,
    builder: &mut WatchSetBuilder,
    given: u32,
) -> Result<(), SealError> {
    let mut scripts_in_all = u64::from(given);
    let jobs = (0..).zip(keychains).flat_map(|(number, keychain)| stretches(number, &keychain)).map(|stretch| {
        let (number, is_ranged) = (stretch.number, stretch.keychain.is_ranged());
        let derived = shared.pool.run(move || stretch.derive());
        async move { derived.await.map(|derived| (number, is_ranged, derived)) }
    });
    let mut derived = stream::iter(jobs).buffered(JOBS_IN_FLIGHT);
    while let Some((number, is_ranged, stretch)) = derived.try_next().await? {
        for Derived { index, scripts } in stretch {
            let origin = Origin::Keychain { keychain: number, index: is_ranged.then_some(index) };
            scripts_in_all += scripts.len() as u64; // usize has at most 64 bits
            for script in scripts {
                builder.add_script(script.as_bytes(), origin).map_err(|error| {
                    let detail = with_causes(&error);
                    SealError::Refused(Refusal {
                        reason: RefusalReason::BadDescriptor,
                        position: u64::from(number),
                        detail,
                    })
                })?;
            }
        }
        // The same script again counts again: it has another origin.
        if scripts_in_all > shared.limits.scripts_per_watch_set_max {
            return Err(SealError::Refused(Refusal {
                reason: RefusalReason::TooManyEntries,
                position: u64::from(number),
                detail: too_many_scripts(&shared.limits),
            }));
        }
    }
    Ok(())
}

/// What has to be derived of a keychain, in pieces of one job each.
fn stretches(number: u32, keychain: &Keychain) -> Vec<Stretch> {
    let count = if keychain.is_ranged() { KEYCHAIN_INDEXES } else { 1 };
    let firsts = (0..count).step_by(INDEXES_PER_JOB as usize); // u32 fits usize wherever this runs
    firsts
        .map(|first| Stretch { number, keychain: keychain.clone(), first, count: INDEXES_PER_JOB.min(count - first) })
        .collect()
}

impl Stretch {
    fn derive(&self) -> Vec<Derived> {
        let indexes = self.first..self.first.saturating_add(self.count);
        indexes
            .filter_map(|index| {
                let mut scripts = Vec::with_capacity(self.keychain.scripts_per_index());
                // An index without a key is passed over, as BIP32 has it: nothing can have been paid to it.
                self.keychain.scripts(index, &mut scripts).ok()?;
                Some(Derived { index, scripts })
            })
            .collect()
    }
}
