//! Scripts of keychains, derived by the workers in jobs of a few milliseconds, so that scans under way hardly notice.

use std::sync::Arc;

use bitcoin::ScriptBuf;
use futures::{StreamExt, TryStreamExt, stream};
use rescan_core::report::Origin;
use rescan_core::watching::descriptor::Keychain;
use rescan_core::watching::watch_set::{WatchError, WatchSetBuilder};

use super::gap_rule::{GapLimit, IndexRange};
use super::pool::{WorkerPanicked, WorkerPool};

/// How many indexes one job derives. A script takes 40 to 230 microseconds.
const INDEXES_PER_JOB: u32 = 50;

/// A keychain of a watch set.
#[derive(Clone, Debug)]
pub struct WatchedKeychain {
    /// Its descriptor.
    pub keychain: Keychain,
    /// How far it is watched.
    pub rule: GapLimit,
}

/// Why scripts are not derived.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DerivationError {
    /// A worker panicked.
    #[error(transparent)]
    Panicked(#[from] WorkerPanicked),
    /// A script cannot be watched.
    #[error("keychain {keychain}: {source}")]
    Script {
        /// The number of its keychain.
        keychain: u32,
        /// Why.
        source: WatchError,
    },
    /// There are more than may be watched.
    #[error("keychain {keychain} brings more than {max} scripts")]
    TooMany {
        /// The number of the keychain that has one too many.
        keychain: u32,
        /// How many there may be.
        max: u64,
    },
}

/// The scripts at one index.
struct Derived {
    index: u32,
    scripts: Vec<ScriptBuf>,
}

/// Derives `ranges` of `keychains` into `builder`, no more than `scripts_max` scripts and at most `jobs_max` jobs at a
/// time. Of a descriptor that is not ranged, any range is its one script.
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
) -> Result<WatchSetBuilder, DerivationError> {
    let mut count = 0_u64;
    let jobs = ranges.into_iter().flat_map(stretches).filter_map(|stretch| {
        let number = stretch.keychain;
        let keychain = keychains.get(number as usize)?.keychain.clone(); // 32 bits fit
        let is_ranged = keychain.is_ranged();
        let derived = pool.run(move || derive_stretch(&keychain, stretch));
        Some(async move { derived.await.map(|derived| (number, is_ranged, derived)) })
    });
    let mut derived = stream::iter(jobs).buffered(jobs_max);
    while let Some((keychain, is_ranged, stretch)) = derived.try_next().await? {
        for Derived { index, scripts } in stretch {
            let origin = Origin::Keychain { keychain, index: is_ranged.then_some(index) };
            // The same script again counts again: it has another origin.
            count = count.saturating_add(scripts.len() as u64); // usize has at most 64 bits
            for script in scripts {
                builder
                    .add_script(script.as_bytes(), origin)
                    .map_err(|source| DerivationError::Script { keychain, source })?;
            }
        }
        if count > scripts_max {
            return Err(DerivationError::TooMany { keychain, max: scripts_max });
        }
    }
    Ok(builder)
}

/// The range in pieces of one job each.
fn stretches(range: IndexRange) -> impl Iterator<Item = IndexRange> {
    let firsts = (range.first..=range.last).step_by(INDEXES_PER_JOB as usize); // u32 fits usize wherever this runs
    firsts.map(move |first| IndexRange {
        first,
        last: first.saturating_add(INDEXES_PER_JOB - 1).min(range.last),
        ..range
    })
}

fn derive_stretch(keychain: &Keychain, stretch: IndexRange) -> Vec<Derived> {
    (stretch.first..=stretch.last)
        .filter_map(|index| {
            let mut scripts = Vec::with_capacity(keychain.scripts_per_index());
            // An index without a key is passed over, as BIP32 has it: nothing can have been paid to it.
            keychain.scripts(index, &mut scripts).ok()?;
            Some(Derived { index, scripts })
        })
        .collect()
}
