//! The same rescan done in several ways, and what each costs: the numbers behind `rescan compare`.
//!
//! [`compare`] scans once as any wallet would, fixes what was watched and which blocks, and then goes each way over the same
//! blocks for the same scripts. It says what it measured and judges nothing; a way whose answer differs from the rest ends
//! it, since the cost of a wrong answer is no figure.
//!
//! In the order in which it is used: `pinned` blocks, `watched` scripts, the `ways` with the `meter` (which asks `process`),
//! the `answer` that all must give, the `curve` over scripts that are a `sample` of the blocks, the
//! [`Comparison`], and the [`report`] that is drawn of it.

mod answer;
mod comparing;
mod comparison;
mod curve;
mod error;
mod machine;
mod meter;
pub mod node;
mod pinned;
mod process;
pub mod report;
mod request;
mod sample;
pub mod units;
mod watched;
mod ways;

pub use comparing::compare;
pub use comparison::{
    BlockRange, CacheState, Comparison, CurvePoint, CurveRun, Machine, ProgressPoint, Run, Server, WalletSize, Way,
    WayId, WayResult,
};
pub use error::CompareError;
pub use request::{BLOCKS_DEFAULT, CompareRequest, Curve, RUNS_DEFAULT, Step};
