//! The charts of a report, each with its figures as a table.

mod axis;
mod bars;
mod canvas;
mod courses;
mod ink;
mod lines;
mod methods;
mod sides;

pub(super) use canvas::UNIT;
pub(super) use ink::{Ink, style_sheet};

use super::Comparison;

/// One chart, independent of the others.
pub(super) struct Chart {
    /// Unique on the page.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) width: Width,
    /// The content, in a sentence or two.
    pub(super) caption: String,
    /// The meaning of colours and dashes, unless the chart itself names them.
    pub(super) legend: Vec<Key>,
    pub(super) svg: String,
    pub(super) table: Table,
}

/// The width of a chart on a wide page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// Two are side by side.
    Half,
    /// One takes the whole width, with its text beside it.
    Whole,
}

/// One entry of a legend.
pub(super) struct Key {
    pub(super) ink: Ink,
    pub(super) shape: KeyShape,
    pub(super) name: String,
}

/// The sample beside a name in a legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyShape {
    Bar,
    Line,
}

/// Figures as text.
pub(super) struct Table {
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    /// A note on omitted figures.
    pub(super) note: Option<String>,
}

/// All charts that have figures.
pub(super) fn charts(comparison: &Comparison) -> Vec<Chart> {
    [
        methods::time(comparison),
        methods::bytes(comparison),
        sides::processor(comparison),
        sides::memory(comparison),
        courses::bytes_over_blocks(comparison),
        courses::time_over_matches(comparison),
        courses::bytes_over_matches(comparison),
    ]
    .into_iter()
    .flatten()
    .collect()
}
