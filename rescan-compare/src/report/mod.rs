//! A comparison as people read it: one page that needs no network, Markdown to paste, and the figures for machines.
//!
//! All of it is drawn from a [`Comparison`] and nothing else: what is written here measures nothing and judges nothing
//! that the figures do not say. Any comparison can be drawn, whatever its numbers; text from outside stays text.

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

use super::comparison::{CacheState, Comparison, Run, Way, WayId, WayResult};

pub use files::{ReportError, WrittenReport, write};
pub use headline::headline;
pub use markdown::markdown;
