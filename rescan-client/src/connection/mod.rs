//! A connection to a server: the socket, the check of its peer, the greeting, and the thread on which Cap'n Proto runs.
//!
//! Cap'n Proto's objects are neither `Send` nor `Sync`, so each connection has one thread with a current-thread runtime.
//! A handle sends jobs to it through a bounded channel. The thread ends when the last handle is dropped.
//!
//! It knows no call but `info`, which the greeting needs.

mod greeting;
mod handle;
mod socket;
mod thread;
mod traffic;

pub(crate) use greeting::Peer;
pub(crate) use handle::Connection;
pub use traffic::{ByteCount, Traffic};
