//! A vector in chunks. A clone shares every chunk until one side changes it.
//!
//! Snapshots of the chain consist of such vectors: adding one block to a chain of a million, with a
//! snapshot held, copies one chunk and the list of chunks. Elements are removed from the end only.

use std::sync::Arc;

/// A vector of `CHUNK` elements a chunk.
#[derive(Debug)]
pub(super) struct SharedVec<T, const CHUNK: usize> {
    chunks: Vec<Arc<Vec<T>>>,
    len: usize,
}

impl<T, const CHUNK: usize> Clone for SharedVec<T, CHUNK> {
    fn clone(&self) -> Self {
        Self { chunks: self.chunks.clone(), len: self.len }
    }
}

impl<T, const CHUNK: usize> Default for SharedVec<T, CHUNK> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T: Clone, const CHUNK: usize> SharedVec<T, CHUNK> {
    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The element at `index`.
    pub(super) fn get(&self, index: usize) -> Option<&T> {
        self.chunks.get(index / CHUNK)?.get(index % CHUNK)
    }

    /// The element at `index`, mutable. Its chunk is copied if another vector shares it.
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        Arc::make_mut(self.chunks.get_mut(index / CHUNK)?).get_mut(index % CHUNK)
    }

    /// Adds an element at the end.
    pub(super) fn push(&mut self, element: T) {
        if self.len.is_multiple_of(CHUNK) {
            self.chunks.push(Arc::new(Vec::with_capacity(CHUNK)));
        }
        if let Some(last) = self.chunks.last_mut() {
            Arc::make_mut(last).push(element);
            self.len += 1;
        }
    }

    /// Drops the elements from index `len` on.
    pub(super) fn truncate(&mut self, len: usize) {
        if len >= self.len {
            return;
        }
        self.chunks.truncate(len.div_ceil(CHUNK));
        if !len.is_multiple_of(CHUNK)
            && let Some(last) = self.chunks.last_mut()
        {
            Arc::make_mut(last).truncate(len % CHUNK);
        }
        self.len = len;
    }

    /// The elements in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The indexes at which the elements of `self` and `other` may differ, or `other` has none: all
    /// but those in shared chunks.
    pub(super) fn unshared_indexes(&self, other: &Self) -> impl Iterator<Item = usize> {
        let is_shared = |at: usize| {
            let (ours, theirs) = (self.chunks.get(at), other.chunks.get(at));
            ours.zip(theirs).is_some_and(|(ours, theirs)| Arc::ptr_eq(ours, theirs))
        };
        let unshared: Vec<usize> = (0..self.chunks.len()).filter(|at| !is_shared(*at)).collect();
        unshared.into_iter().flat_map(|at| at * CHUNK..(at + 1) * CHUNK).take_while(|index| *index < self.len)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push(u8),
        Set(usize, u8),
        Truncate(usize),
        Snapshot,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => any::<u8>().prop_map(Step::Push),
            2 => (0usize..30, any::<u8>()).prop_map(|(at, value)| Step::Set(at, value)),
            1 => (0usize..30).prop_map(Step::Truncate),
            1 => Just(Step::Snapshot),
        ]
    }

    proptest! {
        #[test]
        fn it_is_a_vector_and_its_snapshots_do_not_change(steps in prop::collection::vec(step(), 0..120)) {
            let mut ours: SharedVec<u8, 4> = SharedVec::default();
            let mut plain: Vec<u8> = Vec::new();
            let mut snapshots: Vec<(SharedVec<u8, 4>, Vec<u8>)> = Vec::new();
            for step in steps {
                match step {
                    Step::Push(value) => { ours.push(value); plain.push(value); }
                    Step::Set(at, value) => {
                        prop_assert_eq!(ours.get_mut(at).map(|old| *old = value), plain.get_mut(at).map(|old| *old = value));
                    }
                    Step::Truncate(len) => { ours.truncate(len); plain.truncate(len); }
                    Step::Snapshot => snapshots.push((ours.clone(), plain.clone())),
                }
                snapshots.push((ours.clone(), plain.clone()));
                if snapshots.len() > 3 { snapshots.remove(0); }
            }
            for (snapshot, as_it_was) in &snapshots {
                prop_assert_eq!(snapshot.len(), as_it_was.len());
                prop_assert_eq!(&snapshot.iter().copied().collect::<Vec<_>>(), as_it_was);
                let unshared: Vec<usize> = snapshot.unshared_indexes(&ours).collect();
                for at in 0..snapshot.len() {
                    prop_assert!(snapshot.get(at) == ours.get(at) || unshared.contains(&at));
                }
            }
        }
    }
}
