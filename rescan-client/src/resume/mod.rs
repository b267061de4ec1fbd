//! Scans that resume from a checkpoint, on any chain that the checkpoint's may have become.
//!
//! Before it scans, it asks the server which of the checkpoint's blocks is still in the active chain, and reverts everything
//! above. If the chain changes between that question and the scan, it asks again. The reports equal those of a scan that was
//! never interrupted, apart from repeats where one scan resumed after another, and from reverted ones.
//!
//! It saves nothing: only its caller knows which events are stored.

mod scanner;
mod stream;

pub(crate) use scanner::{ATTEMPTS_MAX, ResumedScan, Scanner, is_not_in_chain, locate_below};
pub use stream::{ResumableScan, ResumeEvent};
