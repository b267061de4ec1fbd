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
    for parameter in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        ask(Wish::Keep(parameter));
    }
}

/// Hands what is free back to the kernel, holes between what is in use included. Does nothing but with glibc.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    ask(Wish::GiveBack);
}

#[cfg(target_env = "gnu")]
#[derive(Clone, Copy)]
enum Wish {
    /// Up to how many bytes this parameter is to be.
    Keep(libc::c_int),
    GiveBack,
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the C library has no safe door to its allocator")]
fn ask(wish: Wish) {
    // SAFETY: both take integers, and touch nothing but the allocator's own state under its own locks. What it refuses
    // stays as it was, which costs speed or memory.
    unsafe {
        match wish {
            Wish::Keep(parameter) => libc::mallopt(parameter, KEPT_BYTES),
            Wish::GiveBack => libc::malloc_trim(0),
        }
    };
}
