//! The same rescan done in several ways, and what each costs: the numbers behind `rescan compare`.

mod comparison;
pub mod report;
pub mod units;

pub use comparison::{
    BlockRange, CacheState, Comparison, CurvePoint, CurveRun, Machine, ProgressPoint, Run, Server, WalletSize, Way,
    WayId, WayResult,
};
