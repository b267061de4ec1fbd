//! Double SHA-256 of many messages at once: the ids of a block's transactions, and the levels of its merkle tree.
//!
//! One message alone waits. SHA-NI's round instruction takes four cycles until its result can be used and two until the
//! next one can start, so that a processor that hashes one message idles half the time. Two messages in step
//! fill the gap. [`Messages`] is what is to be hashed, laid out so that nothing is left to decide while it is,
//! and [`Implementation`] hashes it: with SHA-NI where the processor has it, and with `bitcoin_hashes` elsewhere.
//!
//! It is no hash library: there is no streaming, and no other hash. It is apart from rescan-core because the call into
//! code for a processor that has SHA-NI is `unsafe`, and rescan-core has none of that. That one call stands in `sha_ni`.

mod implementation;
mod messages;
#[cfg(target_arch = "x86_64")]
mod sha_ni;

pub use implementation::Implementation;
pub use messages::Messages;

/// A double SHA-256, as the bytes in which Bitcoin's structures hold it.
pub type Digest = [u8; 32];
