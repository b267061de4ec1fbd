//! Buffers that blocks are copied into before they are walked, used again and again.
//!
//! A buffer that was just walked is still in the processor's cache, so that the copy of the next block lands there and the
//! walk reads it from there; a fresh one would cost a page fault for every 4 KiB (6.2 GB/s against 3.3). They lie in huge
//! pages where the kernel has them: a disk that writes to memory itself is given a few addresses, not hundreds.
//!
//! Invariant: no more are lent than [`BUFFERS_MAX`], however many workers there are. Whoever has one waits for nobody.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use memmap2::{Advice, MmapMut, MmapOptions};

/// Buffers lent at once, each as large as the largest block: 32 MiB of blocks that fill their weight limit. Where files
/// are read, more workers than this wait for each other; the copies share one memory anyway.
const BUFFERS_MAX: usize = 8;

/// A buffer has a multiple of this many bytes: what a huge page has on the processors that have them.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Buffers for the blocks of one directory.
#[derive(Debug, Default)]
pub(crate) struct BlockBuffers {
    state: Mutex<State>,
    given_back: Condvar,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<MmapMut>,
    lent: usize,
}

impl BlockBuffers {
    /// Lends a buffer of `bytes` bytes with whatever it held before. Waits where all are lent.
    ///
    /// # Errors
    /// If the system has no memory.
    pub(crate) fn lend(&self, bytes: usize) -> io::Result<Lent<'_>> {
        let mut state = self.lock();
        while state.lent >= BUFFERS_MAX {
            state = self.given_back.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.lent += 1;
        let idle = state.idle.pop();
        drop(state);
        // From here on it counts as lent, and is given back even if there is no memory.
        let mut lent = Lent { buffer: idle, bytes, owner: self };
        if lent.buffer.as_ref().is_none_or(|buffer| buffer.len() < bytes) {
            lent.buffer = None;
            lent.buffer = Some(fresh(bytes)?);
        }
        Ok(lent)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No statement under the lock can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lent buffer, given back when dropped.
#[derive(Debug)]
pub(crate) struct Lent<'a> {
    /// None only while there is no memory for one.
    buffer: Option<MmapMut>,
    bytes: usize,
    owner: &'a BlockBuffers,
}

impl Lent<'_> {
    /// As many bytes as were asked for.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.buffer.as_mut().and_then(|buffer| buffer.get_mut(..self.bytes)).unwrap_or_default()
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut state = self.owner.lock();
        state.lent -= 1;
        state.idle.extend(self.buffer.take());
        drop(state);
        self.owner.given_back.notify_one();
    }
}

fn fresh(bytes: usize) -> io::Result<MmapMut> {
    let buffer = MmapOptions::new().len(bytes.next_multiple_of(HUGE_PAGE_BYTES)).map_anon()?;
    // Advice is only advice.
    let _ = buffer.advise(Advice::HugePage);
    Ok(buffer)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn no_more_are_lent_than_the_limit_and_whoever_waits_gets_one() {
        let buffers = BlockBuffers::default();
        let (lent, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for size in 1..=4 * BUFFERS_MAX {
                let (buffers, lent, most) = (&buffers, &lent, &most);
                scope.spawn(move || {
                    let mut buffer = buffers.lend(size).unwrap();
                    most.fetch_max(lent.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    assert_eq!(buffer.bytes_mut().len(), size);
                    lent.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert!(most.into_inner() <= BUFFERS_MAX);
        let state = buffers.state.into_inner().unwrap();
        assert_eq!(state.lent, 0);
        assert!(state.idle.len() <= BUFFERS_MAX);
    }
}
