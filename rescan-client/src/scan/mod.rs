//! Scans and shipments of blocks: the watch set goes up, reports come down, and both ends can cancel.
//!
//! A task on the connection's thread holds the scan's capability, and the server calls a sink there. Between them and the
//! wallet's stream lies a channel of a few batches. When it is full, the server's call waits, and the protocol's flow
//! control then holds the scan: nothing is buffered without bound.

mod answer_check;
mod calls;
mod handle;
mod sink;
mod stream;
mod task;
mod unstarted;
mod upload;
mod watch_set;

pub use handle::ScanHandle;
pub(crate) use stream::blocks;
pub use stream::{BlockEvent, BlockStream, ScanEvent, ScanStream};
pub use watch_set::WatchSet;
