//! A pool of buffers that blocks are copied into before they are walked.
//!
//! A reused buffer is still in the processor's cache: the next block is copied into the cache, and the walk reads it from
//! there. A fresh buffer would cost a page fault for every 4 KiB (6.2 GB/s against 3.3). Buffers lie in huge pages if the
//! kernel has them, so a disk with direct memory access needs a few addresses instead of hundreds.
//!
//! Invariant: at most [`BUFFERS_MAX`] buffers are in use, whatever the number of workers. The holder of a buffer waits for
//! no one.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use memmap2::{Advice, MmapMut, MmapOptions};

/// Buffers in use at once, each as large as the largest block: 32 MiB for blocks at their weight limit. If files are
/// read, more workers than this wait for each other; memory bandwidth limits their copies anyway.
const BUFFERS_MAX: usize = 8;

/// The length of a buffer is a multiple of this: the size of a huge page on most processors.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Buffers for the blocks of one directory.
#[derive(Debug, Default)]
pub(crate) struct BlockBuffers {
    pool: Mutex<Pool>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct Pool {
    idle: Vec<MmapMut>,
    in_use: usize,
}

impl BlockBuffers {
    /// A buffer of `bytes` bytes with arbitrary content. Waits while all buffers are in use.
    ///
    /// # Errors
    /// The error of the operating system, if there is no memory.
    pub(crate) fn acquire(&self, bytes: usize) -> io::Result<Buffer<'_>> {
        let mut pool = self.lock();
        while pool.in_use >= BUFFERS_MAX {
            pool = self.released.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
        pool.in_use += 1;
        let memory = pool.idle.pop();
        drop(pool);
        // Dropping the buffer releases it, also after a failed allocation.
        let mut buffer = Buffer { memory, bytes, owner: self };
        if buffer.memory.as_ref().is_none_or(|memory| memory.len() < bytes) {
            buffer.memory = None;
            buffer.memory = Some(allocate(bytes)?);
        }
        Ok(buffer)
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        // No statement under the lock can panic half-way.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer in use; released when dropped.
#[derive(Debug)]
pub(crate) struct Buffer<'a> {
    /// None only if the allocation failed.
    memory: Option<MmapMut>,
    bytes: usize,
    owner: &'a BlockBuffers,
}

impl Buffer<'_> {
    /// The requested number of bytes.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory.as_mut().and_then(|memory| memory.get_mut(..self.bytes)).unwrap_or_default()
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        let mut pool = self.owner.lock();
        pool.in_use -= 1;
        pool.idle.extend(self.memory.take());
        drop(pool);
        self.owner.released.notify_one();
    }
}

fn allocate(bytes: usize) -> io::Result<MmapMut> {
    let memory = MmapOptions::new().len(bytes.next_multiple_of(HUGE_PAGE_BYTES)).map_anon()?;
    // The kernel may ignore advice.
    let _ = memory.advise(Advice::HugePage);
    Ok(memory)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn no_more_buffers_are_in_use_than_the_limit_and_every_waiter_gets_one() {
        let buffers = BlockBuffers::default();
        let (in_use, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for size in 1..=4 * BUFFERS_MAX {
                let (buffers, in_use, most) = (&buffers, &in_use, &most);
                scope.spawn(move || {
                    let mut buffer = buffers.acquire(size).unwrap();
                    most.fetch_max(in_use.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    assert_eq!(buffer.bytes_mut().len(), size);
                    in_use.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert!(most.into_inner() <= BUFFERS_MAX);
        let pool = buffers.pool.into_inner().unwrap();
        assert_eq!(pool.in_use, 0);
        assert!(pool.idle.len() <= BUFFERS_MAX);
    }
}
