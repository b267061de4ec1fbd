//! The watch set: every script and outpoint that a scan looks for, compiled for lookup.
//!
//! Two steps answer whether a script is watched. A [`WordFilter`] over eight of its bytes denies nearly all of them
//! from the L2 cache; the rest are compared byte for byte. A watch set does not change once it is built; it grows by
//! [`WatchSet::extended`], which shares what the old one holds, so that a scan can go on with more scripts.
//!
//! Invariant: the number of a script stays what it is through every extension.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::sync::Arc;

use bitcoin::{Amount, OutPoint};

use crate::blocks::walk::SHORT_SCRIPT_BYTES;
use crate::report::Origin;
use crate::watching::filter::{WordFilter, scattered};
use crate::watching::script_table::{ORIGINS_PER_SCRIPT_MAX, ScriptTable, TableFull};

/// The longest script that can be watched, in bytes: longer ones are unspendable (`MAX_SCRIPT_SIZE` in Bitcoin Core's
/// `src/script/script.h`) and never coins.
pub const SCRIPT_BYTES_MAX: usize = 10_000;

/// A watched script: its number in the watch set, from 0 in the order in which scripts were first added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScriptId(pub u32);

/// Collects what to watch.
#[derive(Debug, Default)]
pub struct WatchSetBuilder {
    scripts: ScriptTable,
    outpoints: HashMap<OutPoint, GivenCoin>,
}

/// A coin that the wallet named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenCoin {
    /// What it carries, if the wallet said so.
    pub value: Option<Amount>,
    /// The entries of the watch set that it belongs to, ascending.
    pub origins: Vec<Origin>,
}

/// Why an entry cannot be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// An empty script: it would match nothing that can be told apart.
    #[error("the script is empty")]
    EmptyScript,
    /// A script that no coin can have.
    #[error("the script has {bytes} bytes; a coin's script has at most {SCRIPT_BYTES_MAX}")]
    ScriptTooLong {
        /// Its size in bytes.
        bytes: usize,
    },
    /// The numbers of scripts or the room for them are used up.
    #[error("a watch set holds no more than 4 GiB of scripts")]
    Full,
    /// A script that was added too often.
    #[error("the script was added {ORIGINS_PER_SCRIPT_MAX} times before, which is as often as one script may be")]
    TooManyOrigins,
}

impl WatchSetBuilder {
    /// With nothing to watch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Watches a script on behalf of `origin`. The same script may have several origins.
    ///
    /// # Errors
    /// [`WatchError`] where no coin can have such a script, or there is no more room.
    pub fn add_script(&mut self, script: &[u8], origin: Origin) -> Result<(), WatchError> {
        match script.len() {
            0 => Err(WatchError::EmptyScript),
            bytes if bytes > SCRIPT_BYTES_MAX => Err(WatchError::ScriptTooLong { bytes }),
            _ => self.scripts.insert(script, origin).map_err(|full| match full {
                TableFull::Scripts => WatchError::Full,
                TableFull::Origins => WatchError::TooManyOrigins,
            }),
        }
    }

    /// Watches for the spend of a coin on behalf of `origin`. `value` is what comes back with the spend.
    pub fn add_outpoint(&mut self, outpoint: OutPoint, value: Option<Amount>, origin: Origin) {
        let coin = self.outpoints.entry(outpoint).or_insert(GivenCoin { value: None, origins: Vec::new() });
        coin.value = coin.value.or(value);
        if let Err(place) = coin.origins.binary_search(&origin) {
            coin.origins.insert(place, origin);
        }
    }

    /// How many distinct scripts were added.
    #[must_use]
    pub fn script_count(&self) -> usize {
        self.scripts.len()
    }

    /// How many distinct outpoints were added.
    #[must_use]
    pub fn outpoint_count(&self) -> usize {
        self.outpoints.len()
    }

    /// Compiles what was added.
    #[must_use]
    pub fn build(self) -> WatchSet {
        WatchSet { layers: Vec::new(), filter: WordFilter::with_capacity(0), outpoints: Arc::default() }.extended(self)
    }
}

/// What a scan looks for, compiled. Cheap to share, never changed.
#[derive(Debug)]
pub struct WatchSet {
    /// One layer an extension, the oldest first.
    layers: Vec<Layer>,
    /// The words of the scripts of all layers.
    filter: WordFilter,
    outpoints: Arc<HashMap<OutPoint, GivenCoin>>,
}

#[derive(Clone, Debug)]
struct Layer {
    scripts: Arc<ScriptTable>,
    /// The number of its first script.
    first: u32,
}

impl WatchSet {
    /// This watch set with more to watch. Scripts keep their numbers; one that is in both has two, and its origins are
    /// those of both.
    #[must_use]
    pub fn extended(&self, more: WatchSetBuilder) -> WatchSet {
        let mut layers = self.layers.clone();
        let first = u32::try_from(self.script_count()).unwrap_or(u32::MAX);
        let mut scripts = more.scripts;
        scripts.seal();
        layers.push(Layer { scripts: Arc::new(scripts), first });
        let outpoints = if more.outpoints.is_empty() {
            Arc::clone(&self.outpoints)
        } else {
            let mut outpoints = HashMap::clone(&self.outpoints);
            outpoints.extend(more.outpoints);
            Arc::new(outpoints)
        };
        Self::of_layers(layers, outpoints)
    }

    /// Only what the last extension brought, with the same numbers: for what was passed before it came.
    #[must_use]
    pub fn newest_only(&self) -> WatchSet {
        Self::of_layers(self.layers.last().cloned().into_iter().collect(), Arc::default())
    }

    fn of_layers(layers: Vec<Layer>, outpoints: Arc<HashMap<OutPoint, GivenCoin>>) -> Self {
        let filter = WordFilter::with_capacity(layers.iter().map(|layer| layer.scripts.len()).sum());
        for script in layers.iter().flat_map(|layer| layer.scripts.iter()) {
            filter.insert(script_word(script));
        }
        Self { layers, filter, outpoints }
    }

    /// How many scripts are watched.
    #[must_use]
    pub fn script_count(&self) -> usize {
        self.layers.iter().map(|layer| layer.scripts.len()).sum()
    }

    /// How many given outpoints are watched.
    #[must_use]
    pub fn outpoint_count(&self) -> usize {
        self.outpoints.len()
    }

    /// The given outpoints.
    pub fn outpoints(&self) -> impl Iterator<Item = &OutPoint> {
        self.outpoints.keys()
    }

    /// The given coin at `outpoint`.
    #[must_use]
    pub fn given_coin(&self, outpoint: &OutPoint) -> Option<&GivenCoin> {
        self.outpoints.get(outpoint)
    }

    /// Whether a script with `word` at [len - 10, len - 2) may be watched.
    #[inline(always)]
    #[must_use]
    pub fn may_contain(&self, word: u64) -> bool {
        self.filter.may_contain(word)
    }

    /// The number of `script`, if it is watched.
    #[must_use]
    pub fn find(&self, script: &[u8]) -> Option<ScriptId> {
        // Of a transaction that is looked at again, most outputs are still denied by the filter, and that is cheaper.
        if !self.filter.may_contain(script_word(script)) {
            return None;
        }
        self.layers.iter().find_map(|layer| Some(ScriptId(layer.scripts.find(script)?.wrapping_add(layer.first))))
    }

    /// The script with that number.
    #[must_use]
    pub fn script(&self, id: ScriptId) -> Option<&[u8]> {
        let layer = self.layers.iter().rev().find(|layer| layer.first <= id.0)?;
        layer.scripts.get(id.0.wrapping_sub(layer.first))
    }

    /// Everything that `script` belongs to, ascending; empty if it is not watched.
    #[must_use]
    pub fn origins(&self, script: &[u8]) -> Vec<Origin> {
        let mut origins: Vec<Origin> = self
            .layers
            .iter()
            .filter_map(|layer| Some(layer.scripts.origins(layer.scripts.find(script)?)))
            .flatten()
            .copied()
            .collect();
        origins.sort_unstable();
        origins.dedup();
        origins
    }
}

/// The word that the filter knows a script by: eight of its bytes, or, where it is too short to have them, all of them and
/// their number.
fn script_word(script: &[u8]) -> u64 {
    let word = script.len().checked_sub(SHORT_SCRIPT_BYTES).and_then(|at| script.get(at..)?.first_chunk());
    word.map_or_else(|| short_script_word(script), |bytes| u64::from_le_bytes(*bytes))
}

fn short_script_word(script: &[u8]) -> u64 {
    let digits = script.iter().fold(script.len() as u64, |digits, byte| digits.rotate_left(7) ^ u64::from(*byte));
    scattered(digits)
}
