//! The report as GitHub's Markdown, short enough to paste into an issue.

use std::fmt::Write;

use super::circumstances::circumstances;
use super::columns::{self, COLUMNS, NOT_MEASURED};
use super::escape::{Markdown, markdown_code};
use super::headline::{headline, remarks, scope};
use super::{Comparison, MethodResult};

/// The report as Markdown: the finding, the table, missing figures and the circumstances.
pub fn markdown(comparison: &Comparison) -> String {
    let mut text = String::new();
    build(&mut text, comparison).expect("a String takes all that is written");
    text
}

fn build(out: &mut String, comparison: &Comparison) -> std::fmt::Result {
    writeln!(out, "**{}**\n", headline(comparison))?;
    writeln!(out, "{}", scope(comparison))?;
    for remark in remarks(comparison) {
        writeln!(out, "{remark}")?;
    }
    table(out, comparison)?;
    let left_out = comparison.methods.iter().filter_map(|report| match &report.result {
        MethodResult::LeftOut(reason) => Some(format!("{}: {}", Markdown(&report.title), Markdown(reason))),
        MethodResult::Measured(_) => None,
    });
    list(out, "Left out", left_out)?;
    list(out, "Not measured", comparison.not_measured.iter().map(|reason| Markdown(reason).to_string()))?;
    let pairs = circumstances(comparison).into_iter().map(|(name, text)| format!("{name}: {}", Markdown(text)));
    list(out, "Measured on", pairs)?;
    writeln!(out, "\nMade by {}", markdown_code(&comparison.command))
}

fn table(out: &mut String, comparison: &Comparison) -> std::fmt::Result {
    let rows = columns::rows(comparison);
    if rows.is_empty() {
        return Ok(());
    }
    write!(out, "\n| Method |")?;
    for column in &COLUMNS {
        write!(out, " {} |", column.heading)?;
    }
    writeln!(out, "\n|---|{}", "---:|".repeat(COLUMNS.len()))?;
    for (figures, cells) in rows {
        write!(out, "| {} |", Markdown(&figures.report.title))?;
        for cell in cells {
            write!(out, " {} |", cell.as_deref().unwrap_or(NOT_MEASURED))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn list(out: &mut String, heading: &str, entries: impl Iterator<Item = String>) -> std::fmt::Result {
    let mut entries = entries.peekable();
    if entries.peek().is_some() {
        writeln!(out, "\n{heading}:\n")?;
    }
    entries.try_for_each(|entry| writeln!(out, "- {entry}"))
}
