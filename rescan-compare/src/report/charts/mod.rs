//! The charts of a report: which there are, what each says, and its figures once more as a table.

mod axis;
mod bars;
mod canvas;
mod courses;
mod ink;
mod lines;
mod sides;
mod ways;

pub(super) use canvas::UNIT;
pub(super) use ink::{Ink, style_sheet};

use super::Comparison;

/// One chart, whole: nothing of it needs another.
pub(super) struct Chart {
    /// Unique on the page.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) width: Width,
    /// What there is to see, in a sentence or two.
    pub(super) says: String,
    /// What colours and dashes mean, where the chart itself does not say it.
    pub(super) legend: Vec<Key>,
    pub(super) svg: String,
    pub(super) table: Table,
}

/// How much of the page a chart takes where there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// Two stand side by side.
    Half,
    /// It stands alone, with its words beside it.
    Whole,
}

/// One entry of a legend.
pub(super) struct Key {
    pub(super) ink: Ink,
    pub(super) shape: KeyShape,
    pub(super) name: String,
}

/// What a legend shows beside a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyShape {
    Bar,
    Line,
}

/// Figures as text.
pub(super) struct Table {
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    /// What it leaves out.
    pub(super) note: Option<String>,
}

/// Every chart that there are figures for.
pub(super) fn charts(comparison: &Comparison) -> Vec<Chart> {
    [
        ways::time(comparison),
        ways::bytes(comparison),
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
