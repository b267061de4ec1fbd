//! What the system's allocator does with buffers of the size of a block.
//!
//! Whole blocks that cross to a wallet fill buffers of megabytes that live for a millisecond. Left to itself, glibc hands
//! those back to the kernel and has every page faulted in anew, which took half of the server's time.

/// Buffers up to this many bytes come from what the allocator keeps, and so much does it keep of each arena: two of the
/// largest blocks there can be, four of the usual ones. What is larger is the kernel's, and goes back to it.
#[cfg(target_env = "gnu")]
const KEPT_BYTES: libc::c_int = 8 << 20;

/// Has the allocator keep large buffers. To be called once, before other threads are there. Does nothing but with glibc.
pub fn keep_large_buffers() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "the C library has no safe door to its allocator")]
    for parameter in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        // SAFETY: it takes integers, and touches nothing but the allocator's own state under its own locks. What it
        // refuses stays as it was, which costs speed.
        unsafe { libc::mallopt(parameter, KEPT_BYTES) };
    }
}

/// Hands what is free back to the kernel, holes between what is in use included. Does nothing but with glibc.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "the C library has no safe door to its allocator")]
    {
        // SAFETY: it takes an integer, and gives back only what nobody holds, under the allocator's own locks.
        unsafe { libc::malloc_trim(0) };
    }
}
