//! A comparison for people: one page without network access, Markdown to paste, and the figures for
//! machines.
//!
//! A [`Comparison`] is its one source; nothing is measured here. Any comparison can be drawn,
//! whatever its numbers. Text from outside stays text.

mod charts;
mod circumstances;
mod columns;
mod crossover;
mod escape;
mod figures;
mod files;
mod headline;
mod markdown;
mod page;
#[cfg(test)]
mod tests;

use crate::comparison::{CacheState, Comparison, MethodReport, MethodResult, Run};
use crate::method::Method;

pub use files::{ReportError, WrittenReport, write};
pub use headline::headline;
pub use markdown::markdown;
