//! Reports of invented comparisons.
#![expect(clippy::unwrap_used, reason = "tests")]

mod any;
mod charts;
mod example;
mod files;
mod wording;

use super::{CacheState, Comparison, Method, MethodReport, MethodResult, Run};
use crate::comparison::{BlockRange, CurvePoint, CurveRun, Machine, ProgressPoint, Server, WalletSize};
