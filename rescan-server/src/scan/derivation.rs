//! Scripts of keychains, derived by workers in jobs of a few milliseconds, which hardly delay
//! running scans.

use std::sync::Arc;

use bitcoin::ScriptBuf;
use futures::{StreamExt, TryStreamExt, stream};
use rescan_core::report::Origin;
use rescan_core::watching::descriptor::Keychain;
use rescan_core::watching::watch_set::{WatchError, WatchSetBuilder};

use super::gap_rule::{GapLimit, IndexRange};
use super::pool::{WorkerPanicked, WorkerPool};

/// Indexes that one job derives. A script takes 40 to 230 microseconds.
const INDEXES_PER_JOB: u32 = 50;

/// A keychain of a watch set.
#[derive(Clone, Debug)]
pub struct WatchedKeychain {
    /// Its descriptor.
    pub keychain: Keychain,
    /// Its gap limit.
    pub rule: GapLimit,
}

/// The reason why scripts cannot be derived.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DerivationError {
    /// A worker panicked.
    #[error(transparent)]
    Panicked(#[from] WorkerPanicked),
    /// A script cannot be watched.
    #[error("cannot watch a script of keychain {keychain}")]
    Script {
        /// The number of its keychain.
        keychain: u32,
        /// The reason.
        source: WatchError,
    },
    /// The limit of scripts is exceeded.
    #[error("keychain {keychain} exceeds the limit of {max} scripts")]
    TooMany {
        /// The number of the keychain that exceeds it.
        keychain: u32,
        /// The limit.
        max: u64,
    },
}

/// The scripts at one index.
struct Derived {
    index: u32,
    scripts: Vec<ScriptBuf>,
}

/// Derives `ranges` of `keychains` into `builder`: at most `scripts_max` scripts, in at most
/// `jobs_max` jobs at a time. For an unranged descriptor, any range yields its one script. `count`
/// receives the number of scripts so far, after each job.
///
/// # Errors
/// [`DerivationError`].
pub async fn derive(
    pool: &WorkerPool,
    keychains: Arc<[WatchedKeychain]>,
    ranges: Vec<IndexRange>,
    mut builder: WatchSetBuilder,
    scripts_max: u64,
    jobs_max: usize,
    mut count: impl FnMut(u64),
) -> Result<WatchSetBuilder, DerivationError> {
    let mut derived = 0_u64;
    let jobs = ranges.into_iter().flat_map(chunks).filter_map(|chunk| {
        let number = chunk.keychain;
        let keychain = keychains.get(number as usize)?.keychain.clone(); // 32 bits fit
        let is_ranged = keychain.is_ranged();
        let job = pool.run(move || derive_chunk(&keychain, chunk));
        Some(async move { job.await.map(|chunk| (number, is_ranged, chunk)) })
    });
    let mut chunks = stream::iter(jobs).buffered(jobs_max);
    while let Some((keychain, is_ranged, chunk)) = chunks.try_next().await? {
        for Derived { index, scripts } in chunk {
            let origin = Origin::Keychain { keychain, index: is_ranged.then_some(index) };
            // A repeated script counts again: it has another origin.
            derived = derived.saturating_add(scripts.len() as u64); // usize has at most 64 bits
            for script in scripts {
                builder
                    .add_script(script.as_bytes(), origin)
                    .map_err(|source| DerivationError::Script { keychain, source })?;
            }
        }
        if derived > scripts_max {
            return Err(DerivationError::TooMany { keychain, max: scripts_max });
        }
        count(derived);
    }
    Ok(builder)
}

/// Divides a range into chunks of one job each.
fn chunks(range: IndexRange) -> impl Iterator<Item = IndexRange> {
    let firsts = (range.first..=range.last).step_by(INDEXES_PER_JOB as usize); // u32 fits usize wherever this runs
    firsts.map(move |first| IndexRange {
        first,
        last: first.saturating_add(INDEXES_PER_JOB - 1).min(range.last),
        ..range
    })
}

fn derive_chunk(keychain: &Keychain, chunk: IndexRange) -> Vec<Derived> {
    (chunk.first..=chunk.last)
        .filter_map(|index| {
            let mut scripts = Vec::with_capacity(keychain.scripts_per_index());
            // BIP32 skips an index without a valid key: nothing can have been paid to it.
            keychain.scripts(index, &mut scripts).ok()?;
            Some(Derived { index, scripts })
        })
        .collect()
}
