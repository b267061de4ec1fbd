//! Double SHA-256 of many messages at once: the ids of a block's transactions, and the levels of
//! its merkle tree.
//!
//! A single message leaves the processor idle. The result of SHA-NI's round instruction is ready
//! after four cycles, and the next one can start after two: a processor that hashes one message
//! idles half the time. Two interleaved messages fill the gap. [`Messages`] holds padded messages,
//! so no decision is left while hashing. [`Implementation`] hashes them: with SHA-NI if the
//! processor has it, otherwise with `bitcoin_hashes`.
//!
//! This is no general hash library: it has no streaming and no other hash. It is separate from
//! rescan-core because calling code compiled for SHA-NI is `unsafe`, which rescan-core forbids.
//! That one call is in `sha_ni`.

mod implementation;
mod messages;
#[cfg(target_arch = "x86_64")]
mod sha_ni;

pub use implementation::Implementation;
pub use messages::Messages;

/// A double SHA-256, in the byte order of Bitcoin's structures.
pub type Digest = [u8; 32];
