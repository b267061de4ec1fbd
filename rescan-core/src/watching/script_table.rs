//! A hash table of scripts and their origins: the exact half of a watch set.
//!
//! Scripts are stored in one allocation, one after the other, and numbered in order of insertion.
//! The table uses open addressing with tags: an absent script is denied without reading another
//! script.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]
#![expect(clippy::cast_possible_truncation, reason = "each cast says on its line why nothing is lost")]

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::report::Origin;

/// Most origins of one script. Each match of a script carries them all, so this bounds the size of
/// one output in a report: 64 KiB on the wire.
pub(super) const ORIGINS_PER_SCRIPT_MAX: u32 = 2_048;

/// An empty slot.
const EMPTY: u64 = 0;

/// A set of scripts. A script of 34 bytes with one origin takes about 75 bytes.
#[derive(Debug, Default)]
pub(super) struct ScriptTable {
    bytes: Vec<u8>,
    /// The end of each script in `bytes`; it starts at the end of the one before.
    ends: Vec<u32>,
    /// Tag (high half: part of the hash) and number plus one (low half). Its length is a power of
    /// two; at most half of the slots are full.
    slots: Vec<u64>,
    /// The origins that each script was added with.
    origins: Vec<(u32, Origin)>,
    /// For each script that was added more than once, the number of further times.
    repeats: HashMap<u32, u32>,
    /// Seeded, so nobody can choose scripts that collide.
    hasher: RandomState,
}

/// The reason why a script cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TableFull {
    /// The scripts' numbers or offsets exceed 32 bits.
    Scripts,
    /// The script has [`ORIGINS_PER_SCRIPT_MAX`] origins.
    Origins,
}

impl ScriptTable {
    /// Number of distinct scripts.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Adds a script, or another origin of a known one.
    ///
    /// # Errors
    /// [`TableFull`]; nothing was added.
    pub(super) fn insert(&mut self, script: &[u8], origin: Origin) -> Result<(), TableFull> {
        if self.slots.len() < self.len().saturating_add(1).saturating_mul(2) {
            self.grow();
        }
        let hash = self.hasher.hash_one(script);
        let number = match self.probe(hash, script) {
            Ok(number) => {
                let repeats = self.repeats.entry(number).or_insert(0);
                *repeats = repeats.saturating_add(1);
                if *repeats >= ORIGINS_PER_SCRIPT_MAX {
                    return Err(TableFull::Origins);
                }
                number
            }
            Err(free) => self.append(script, hash, free).ok_or(TableFull::Scripts)?,
        };
        self.origins.push((number, origin));
        Ok(())
    }

    /// Adds a new script. None if its number or offset exceeds 32 bits.
    fn append(&mut self, script: &[u8], hash: u64, free: usize) -> Option<u32> {
        let number = u32::try_from(self.len()).ok().filter(|number| *number < u32::MAX)?;
        let end = u32::try_from(self.bytes.len().checked_add(script.len())?).ok()?;
        let place = self.slots.get_mut(free)?;
        self.bytes.extend_from_slice(script);
        self.ends.push(end);
        *place = slot(hash, number);
        Some(number)
    }

    /// Sorts the origins. [`ScriptTable::origins`] must not be called before.
    pub(super) fn seal(&mut self) {
        self.origins.sort_unstable();
        self.origins.dedup();
        self.origins.shrink_to_fit();
        self.repeats = HashMap::new();
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// The number of `script`.
    pub(super) fn find(&self, script: &[u8]) -> Option<u32> {
        self.probe(self.hasher.hash_one(script), script).ok()
    }

    /// The script with that number.
    pub(super) fn get(&self, number: u32) -> Option<&[u8]> {
        let number = number as usize; // 32 bits fit
        let start = match number.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.bytes.get(start as usize..*self.ends.get(number)? as usize) // 32 bits fit
    }

    /// The scripts, by ascending number.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..).map_while(|number| self.get(number))
    }

    /// The origins of the script with that number, ascending.
    pub(super) fn origins(&self, number: u32) -> impl Iterator<Item = &Origin> {
        let start = self.origins.partition_point(|(of, _)| *of < number);
        self.origins.iter().skip(start).take_while(move |(of, _)| *of == number).map(|(_, origin)| origin)
    }

    /// The number of `script`, or the slot for it.
    fn probe(&self, hash: u64, script: &[u8]) -> Result<u32, usize> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = (hash as usize) & mask; // the low bits choose the slot, the high ones are the tag
        loop {
            match self.slots.get(at) {
                None | Some(&EMPTY) => return Err(at),
                Some(found) if found >> 32 == hash >> 32 => {
                    let number = (*found as u32).wrapping_sub(1); // the low half
                    if self.get(number) == Some(script) {
                        return Ok(number);
                    }
                }
                Some(_) => {}
            }
            at = at.wrapping_add(1) & mask;
        }
    }

    fn grow(&mut self) {
        let size = self.slots.len().saturating_mul(2).max(16);
        self.slots = vec![EMPTY; size];
        let mask = size.wrapping_sub(1);
        for number in 0..u32::try_from(self.len()).unwrap_or(u32::MAX) {
            let Some(hash) = self.get(number).map(|script| self.hasher.hash_one(script)) else { break };
            let mut at = (hash as usize) & mask; // as in `probe`
            while self.slots.get(at).is_some_and(|slot| *slot != EMPTY) {
                at = at.wrapping_add(1) & mask;
            }
            if let Some(free) = self.slots.get_mut(at) {
                *free = slot(hash, number);
            }
        }
    }
}

fn slot(hash: u64, number: u32) -> u64 {
    (hash >> 32 << 32) | u64::from(number.wrapping_add(1))
}

#[cfg(test)]
#[expect(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_script_has_no_more_origins_than_a_report_can_carry() {
        let mut table = ScriptTable::default();
        for origin in 0..ORIGINS_PER_SCRIPT_MAX {
            table.insert(b"script", Origin::Script(origin)).expect("there is room");
        }
        assert_eq!(table.insert(b"script", Origin::Outpoint(0)), Err(TableFull::Origins));
        table.insert(b"other", Origin::Outpoint(0)).expect("another script has origins of its own");
        table.seal();
        assert_eq!(table.origins(0).count(), ORIGINS_PER_SCRIPT_MAX as usize);
    }

    proptest! {
        #[test]
        fn it_is_a_map_from_scripts_to_sorted_origins(
            entries in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..4), 0u32..5), 0..300),
            others in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..4), 0..50),
        ) {
            let mut table = ScriptTable::default();
            let mut model: BTreeMap<Vec<u8>, Vec<Origin>> = BTreeMap::new();
            let mut order: Vec<Vec<u8>> = Vec::new();
            for (script, origin) in &entries {
                table.insert(script, Origin::Script(*origin)).expect("there is room");
                if !model.contains_key(script) { order.push(script.clone()); }
                model.entry(script.clone()).or_default().push(Origin::Script(*origin));
            }
            table.seal();
            prop_assert_eq!(table.iter().collect::<Vec<_>>(), order.iter().map(Vec::as_slice).collect::<Vec<_>>());
            for (script, origins) in &mut model {
                origins.sort_unstable();
                origins.dedup();
                let number = table.find(script).expect("it was added");
                prop_assert_eq!(&order[number as usize], script);
                prop_assert_eq!(table.origins(number).copied().collect::<Vec<_>>(), origins.clone());
            }
            for other in others.iter().filter(|other| !model.contains_key(*other)) {
                prop_assert_eq!(table.find(other), None);
            }
        }
    }
}
