//! The settings of the system's allocator for buffers of the size of a block.
//!
//! Shipments of whole blocks use buffers of megabytes that live for a millisecond. By default, glibc returns each to the
//! kernel, and every page faults again, which took half of the server's time.

/// The allocator serves buffers up to this many bytes from its own memory, and keeps this much per arena: two of the
/// largest possible blocks, four usual ones. Larger buffers come from the kernel and return to it.
#[cfg(target_env = "gnu")]
const KEPT_BYTES: libc::c_int = 8 << 20;

/// Makes the allocator keep large buffers. Call it once, before other threads start. No-op without glibc.
pub fn keep_large_buffers() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "the C library has no safe interface to its allocator")]
    for parameter in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        // SAFETY: it takes integers, and changes only the allocator's state, under its locks. A refused setting stays
        // unchanged, which costs only speed.
        unsafe { libc::mallopt(parameter, KEPT_BYTES) };
    }
}

/// Returns free memory to the kernel, holes between used blocks included. No-op without glibc.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "the C library has no safe interface to its allocator")]
    {
        // SAFETY: it takes an integer, and returns only free memory, under the allocator's locks.
        unsafe { libc::malloc_trim(0) };
    }
}
