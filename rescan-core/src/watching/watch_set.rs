//! The watch set: every script and outpoint that a scan looks for, compiled for lookup.
//!
//! A lookup has two steps. A [`WordFilter`] over eight bytes of a script denies nearly all scripts
//! from the L2 cache; the rest are compared byte for byte. A watch set does not change once it is
//! built. [`WatchSet::extended`] makes a larger one that shares its contents, and a scan continues
//! with that.
//!
//! Invariant: extensions keep the numbers of scripts.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::sync::Arc;

use bitcoin::{Amount, OutPoint};

use crate::blocks::walk::SHORT_SCRIPT_BYTES;
use crate::report::Origin;
use crate::watching::filter::{WordFilter, scattered};
use crate::watching::script_table::{ORIGINS_PER_SCRIPT_MAX, ScriptTable, TableFull};

/// The longest script that can be watched, in bytes: longer ones are unspendable (`MAX_SCRIPT_SIZE`
/// in Bitcoin Core's `src/script/script.h`) and never coins.
pub const SCRIPT_BYTES_MAX: usize = 10_000;

/// A watched script: its number in the watch set, from 0 in the order in which scripts were first
/// added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScriptId(pub u32);

/// Collects scripts and outpoints to watch.
#[derive(Debug, Default)]
pub struct WatchSetBuilder {
    scripts: ScriptTable,
    outpoints: HashMap<OutPoint, GivenCoin>,
}

/// A coin given by the wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenCoin {
    /// Its value, if the wallet gave it.
    pub value: Option<Amount>,
    /// The entries of the watch set that it belongs to, ascending.
    pub origins: Vec<Origin>,
}

/// The reason why an entry cannot be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// An empty script, which would match indistinguishable outputs.
    #[error("the script is empty")]
    EmptyScript,
    /// A script that no coin can have.
    #[error("the script has {bytes} bytes; a coin's script has at most {SCRIPT_BYTES_MAX}")]
    ScriptTooLong {
        /// Its size in bytes.
        bytes: usize,
    },
    /// The scripts exceed 32 bits of numbers or offsets.
    #[error("a watch set holds no more than 4 GiB of scripts")]
    Full,
    /// A script added too often.
    #[error("the script was added {ORIGINS_PER_SCRIPT_MAX} times before, which is the limit for one script")]
    TooManyOrigins,
}

impl WatchSetBuilder {
    /// An empty builder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Watches a script for `origin`. The same script may have several origins.
    ///
    /// # Errors
    /// [`WatchError`] if no coin can have such a script, or no room is left.
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

    /// Watches for the spend of a coin for `origin`. `value` is reported with the spend.
    pub fn add_outpoint(&mut self, outpoint: OutPoint, value: Option<Amount>, origin: Origin) {
        let coin = self.outpoints.entry(outpoint).or_insert(GivenCoin { value: None, origins: Vec::new() });
        coin.value = coin.value.or(value);
        if let Err(place) = coin.origins.binary_search(&origin) {
            coin.origins.insert(place, origin);
        }
    }

    /// Number of distinct scripts added.
    #[must_use]
    pub fn script_count(&self) -> usize {
        self.scripts.len()
    }

    /// Number of distinct outpoints added.
    #[must_use]
    pub fn outpoint_count(&self) -> usize {
        self.outpoints.len()
    }

    /// Compiles the watch set.
    #[must_use]
    pub fn build(self) -> WatchSet {
        WatchSet { layers: Vec::new(), filter: WordFilter::with_capacity(0), outpoints: Arc::default() }.extended(self)
    }
}

/// A compiled watch set. Cheap to share, never changed.
#[derive(Debug)]
pub struct WatchSet {
    /// One layer for each extension, the oldest first.
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
    /// This watch set with more entries. Scripts keep their numbers; a script in both has two
    /// numbers and the origins of both.
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

    /// The entries of the last extension alone, with the same numbers: for blocks scanned before
    /// it.
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

    /// Number of watched scripts.
    #[must_use]
    pub fn script_count(&self) -> usize {
        self.layers.iter().map(|layer| layer.scripts.len()).sum()
    }

    /// Number of watched outpoints.
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

    /// Whether a script with `word` at bytes [len - 10, len - 2) may be watched.
    #[inline(always)]
    #[must_use]
    pub fn may_contain(&self, word: u64) -> bool {
        self.filter.may_contain(word)
    }

    /// The number of `script`, if it is watched.
    #[must_use]
    pub fn find(&self, script: &[u8]) -> Option<ScriptId> {
        // The filter is cheaper: it denies most outputs even of a candidate transaction.
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

    /// The origins of `script`, ascending; empty if it is not watched.
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

/// The word that represents a script in the filter: eight of its bytes, or all bytes and their
/// number if it is too short.
fn script_word(script: &[u8]) -> u64 {
    let word = script.len().checked_sub(SHORT_SCRIPT_BYTES).and_then(|at| script.get(at..)?.first_chunk());
    word.map_or_else(|| short_script_word(script), |bytes| u64::from_le_bytes(*bytes))
}

fn short_script_word(script: &[u8]) -> u64 {
    let digits = script.iter().fold(script.len() as u64, |digits, byte| digits.rotate_left(7) ^ u64::from(*byte));
    scattered(digits)
}
