//! Entry numbers by block hash: sorted lists of numbers, sharded by hash, four bytes an entry.
//!
//! The index stores no hashes: the caller looks up the hash of an entry number. A clone shares each
//! shard until one side changes it.

use std::sync::Arc;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;

/// Number of shards. A shard is the unit of copying: at a million blocks it holds a thousand
/// numbers, 4 KiB.
const SHARDS: usize = 1024;

/// Entry numbers by block hash.
#[derive(Clone, Debug)]
pub(super) struct HashIndex {
    shards: Vec<Arc<Vec<u32>>>,
}

impl Default for HashIndex {
    fn default() -> Self {
        Self { shards: vec![Arc::default(); SHARDS] }
    }
}

impl HashIndex {
    /// The index of the entries below `len`, whose hashes differ.
    ///
    /// Numbers are first grouped by shard in one allocation, which returns to the system whole. One
    /// list for each shard left half as much again behind in the heap.
    pub(super) fn of_all<'a>(len: u32, hash_of: impl Fn(u32) -> Option<&'a BlockHash>) -> Self {
        let shard = |id: u32| hash_of(id).map_or(0, shard_of);
        let mut ends = vec![0usize; SHARDS];
        (0..len).for_each(|id| ends[shard(id)] += 1);
        let mut start = 0;
        for end in &mut ends {
            start += std::mem::replace(end, start);
        }
        let mut grouped = vec![0u32; start];
        for id in 0..len {
            let next = &mut ends[shard(id)];
            grouped[*next] = id;
            *next += 1;
        }
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let groups = starts.zip(&ends).map(|(start, end)| &grouped[start..*end]);
        Self { shards: groups.map(|ids| Arc::new(sorted(ids, &hash_of))).collect() }
    }

    /// The entry with `hash`.
    pub(super) fn get<'a>(&self, hash: &BlockHash, hash_of: impl Fn(u32) -> Option<&'a BlockHash>) -> Option<u32> {
        let shard = self.shards.get(shard_of(hash))?;
        let at = shard.binary_search_by(|id| hash_of(*id).cmp(&Some(hash))).ok()?;
        shard.get(at).copied()
    }

    /// Adds entry `id` with `hash`, which is not in the index.
    pub(super) fn insert<'a>(&mut self, hash: &BlockHash, id: u32, hash_of: impl Fn(u32) -> Option<&'a BlockHash>) {
        let Some(shard) = self.shards.get_mut(shard_of(hash)) else { return };
        if let Err(at) = shard.binary_search_by(|id| hash_of(*id).cmp(&Some(hash))) {
            let shard = Arc::make_mut(shard);
            if shard.len() == shard.capacity() {
                // An eighth of slack: doubling would leave a quarter of all bytes unused.
                shard.reserve_exact((shard.len() / 8).max(8));
            }
            shard.insert(at, id);
        }
    }

    /// Removes the entry with `hash`.
    pub(super) fn remove<'a>(&mut self, hash: &BlockHash, hash_of: impl Fn(u32) -> Option<&'a BlockHash>) {
        let Some(shard) = self.shards.get_mut(shard_of(hash)) else { return };
        if let Ok(at) = shard.binary_search_by(|id| hash_of(*id).cmp(&Some(hash))) {
            Arc::make_mut(shard).remove(at);
        }
    }
}

/// Sorts by the first eight bytes of the hash, copied beside the number; hashes that share them are
/// compared whole.
fn sorted<'a>(ids: &[u32], hash_of: &impl Fn(u32) -> Option<&'a BlockHash>) -> Vec<u32> {
    let word = |hash: &BlockHash| {
        let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = hash.to_byte_array();
        u64::from_be_bytes([b0, b1, b2, b3, b4, b5, b6, b7])
    };
    let mut keyed: Vec<(u64, u32)> = ids.iter().map(|id| (hash_of(*id).map_or(0, word), *id)).collect();
    keyed.sort_unstable_by(|(a, a_id), (b, b_id)| a.cmp(b).then_with(|| hash_of(*a_id).cmp(&hash_of(*b_id))));
    // A new list: an in-place collect would keep the capacity of the pairs.
    let mut ids = Vec::with_capacity(keyed.len());
    ids.extend(keyed.iter().map(|(_, id)| *id));
    ids
}

/// The first bytes of a hash in internal order are random; the zeros of proof of work are in the
/// last ones.
fn shard_of(hash: &BlockHash) -> usize {
    let [low, high, ..] = hash.to_byte_array();
    usize::from(u16::from_le_bytes([low, high])) % SHARDS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map_from_hash_to_number(names in prop::collection::vec(any::<u16>(), 1..200), gone in 0usize..200) {
            let hashes: Vec<BlockHash> = {
                let distinct: std::collections::BTreeSet<u16> = names.iter().copied().collect();
                // Most of them in one shard: the first two bytes are the same.
                distinct.iter().map(|name| {
                    let mut bytes = [7; 32];
                    bytes[5..7].copy_from_slice(&name.to_le_bytes());
                    bytes[0] = u8::from(name % 5 == 0);
                    BlockHash::from_byte_array(bytes)
                }).collect()
            };
            let hash_of = |id: u32| hashes.get(id as usize);
            let mut grown = HashIndex::default();
            let mut plain = BTreeMap::new();
            for (id, hash) in (0u32..).zip(&hashes).collect::<Vec<_>>().into_iter().rev() {
                grown.insert(hash, id, hash_of);
                plain.insert(*hash, id);
            }
            let at_once = HashIndex::of_all(u32::try_from(hashes.len()).expect("a few"), hash_of);
            let removed = hashes[gone % hashes.len()];
            grown.remove(&removed, hash_of);
            for hash in &hashes {
                prop_assert_eq!(at_once.get(hash, hash_of), plain.get(hash).copied());
                prop_assert_eq!(grown.get(hash, hash_of), plain.get(hash).copied().filter(|_| *hash != removed));
            }
        }
    }
}
