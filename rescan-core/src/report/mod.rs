//! Results of a scan as domain types: the matches of each block, progress, and the end.

mod block;
mod ending;
mod progress;

pub use block::{BlockId, BlockReport, FullBlock, Origin, Received, Spent, TransactionReport, merge_origins};
pub use ending::{
    Ending, Failure, FailureKind, FailurePlace, KeychainUse, Outcome, Refusal, RefusalReason, ResumePoint, Summary,
};
pub use progress::{Phase, Progress};
