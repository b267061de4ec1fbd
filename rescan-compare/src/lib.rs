//! One rescan, run by several [`Method`]s, each measured: the figures of `rescan compare`.
//!
//! [`compare`] scans once as any wallet would, and fixes the scripts and blocks. It then runs every
//! method over the same blocks for the same scripts. A method whose answer differs from the others'
//! ends the comparison: the cost of a wrong answer is no figure. Figures are measured and never
//! judged.
//!
//! Modules in the order in which data flows: `request`; `inputs` (blocks, scripts) and the
//! [`Node`]; `measuring`; `methods`, whose `answer`s must agree; `rounds` of runs; the `curve`; the
//! [`Comparison`] and its [`report`].

mod answer;
mod compare;
mod comparison;
mod curve;
mod error;
mod inputs;
mod measuring;
mod method;
mod methods;
mod node;
pub mod report;
mod request;
mod rounds;
pub mod units;

pub use compare::compare;
pub use comparison::{
    BlockRange, CacheState, Comparison, CurvePoint, CurveRun, Machine, MethodReport, MethodResult, ProgressPoint, Run,
    Server, WalletSize,
};
pub use error::CompareError;
pub use method::Method;
pub use node::{Node, NodeError};
pub use request::{BLOCKS_DEFAULT, CompareRequest, Curve, RUNS_DEFAULT, Step};
