//! What a report says, of comparisons made up for it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod any;
mod charts;
mod example;
mod files;
mod wording;

use super::super::{BlockRange, CurvePoint, CurveRun, Machine, ProgressPoint, Server, WalletSize};
use super::{CacheState, Comparison, Run, Way, WayId, WayResult};
