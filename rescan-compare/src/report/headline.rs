//! The finding in one sentence, and the remarks that qualify it.
//!
//! The sentence uses medians alone, and states a loss of the first method as plainly as a win. If
//! the runs do not tell two methods apart, it names no winner.

use super::figures::{self, Figures};
use super::{Comparison, Method, MethodResult};
use crate::units;

/// The methods that the first one is compared with, the most usual of wallets first.
const RIVALS: [Method; 6] = [
    Method::BlocksDecoded,
    Method::BlocksMatched,
    Method::NodeGetBlock,
    Method::RequestPerBlock,
    Method::NodeScanBlocks,
    Method::Summaries,
];

/// The finding: the first method against the most usual one that was measured.
pub fn headline(comparison: &Comparison) -> String {
    let Some(first) = figures::first(comparison) else { return nothing_measured(comparison) };
    let ours = doing(first.report.method);
    let Some(rival) = rival(comparison, first) else {
        return format!("{} took {}; nothing else was measured.", capital(ours), wall(first));
    };
    format!("{} {}{}.", capital(ours), times_as_fast(first, rival), bytes_against(first, rival))
}

/// Remarks that qualify the headline, one sentence each: few runs, a wallet without history,
/// methods left out.
pub(super) fn remarks(comparison: &Comparison) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(first) = figures::first(comparison)
        && let Some(rival) = rival(comparison, first)
        && first.wall.overlaps(rival.wall)
    {
        remarks.push("The runs of the two overlap: more runs may tell them apart.".to_owned());
    }
    if let Some((1, most)) = figures::run_counts(comparison) {
        let of = if most == 1 { "Each method" } else { "A method" };
        remarks.push(format!("{of} was run once, so the spread of its figures is unknown."));
    }
    if comparison.wallet.matching_blocks == 0 && comparison.methods.iter().any(|report| Figures::of(report).is_some()) {
        remarks.push("Nothing matched: this is what it costs a wallet to learn that it has no history.".to_owned());
    }
    let left_out = comparison.methods.iter().filter(|report| matches!(report.result, MethodResult::LeftOut(_))).count();
    if left_out > 0 {
        let were = if left_out == 1 { "was" } else { "were" };
        let count = u64::try_from(left_out).unwrap_or(u64::MAX);
        remarks.push(format!("{} {were} left out; the reasons are below.", units::counted(count, "method")));
    }
    remarks
}

/// The scanned blocks and scripts, and the common answer.
pub(super) fn scope(comparison: &Comparison) -> String {
    let (range, wallet) = (&comparison.range, &comparison.wallet);
    let found = if wallet.transactions == 0 {
        "no transaction".to_owned()
    } else {
        let blocks = units::counted(wallet.matching_blocks, "block");
        format!("{} in {blocks}", units::counted(wallet.transactions, "transaction"))
    };
    format!(
        "{} ({}), {}: {found}, the same by every method measured.",
        units::counted(range.blocks, "block"),
        units::bytes(range.bytes),
        units::counted(wallet.scripts, "script"),
    )
}

fn nothing_measured(comparison: &Comparison) -> String {
    match comparison.methods.first().map(|report| (report.method, &report.result)) {
        Some((id, MethodResult::LeftOut(_))) => {
            format!("{} was left out, so there is nothing to compare the other methods with.", capital(doing(id)))
        }
        _ => "Nothing was measured.".to_owned(),
    }
}

/// The most usual of the other measured methods.
fn rival<'a>(comparison: &'a Comparison, first: Figures<'_>) -> Option<Figures<'a>> {
    RIVALS.into_iter().filter(|id| *id != first.report.method).find_map(|id| figures::of_method(comparison, id))
}

fn times_as_fast(first: Figures<'_>, rival: Figures<'_>) -> String {
    let other = doing(rival.report.method);
    let (ours, theirs) = (first.wall.median, rival.wall.median);
    if first.wall.overlaps(rival.wall) {
        return format!("took about as long as {other}: {} against {}", wall(first), wall(rival));
    }
    // Ratios slightly below and above 1 are both shown so.
    let equal = |times: &str| times == "1.0";
    if ours <= theirs {
        match units::times(theirs, ours) {
            Some(times) if equal(&times) => format!("took as long as {other}"),
            Some(times) => format!("was {times} times as fast as {other}"),
            None => format!("took no time that could be measured, and {other} {}", wall(rival)),
        }
    } else {
        match units::times(ours, theirs) {
            Some(times) if equal(&times) => format!("took as long as {other}"),
            Some(times) => format!("took {times} times as long as {other}"),
            None => format!("took {}, and {other} no time that could be measured", wall(first)),
        }
    }
}

/// `, with 5,000 times fewer bytes`; empty if one of them moved none.
fn bytes_against(first: Figures<'_>, rival: Figures<'_>) -> String {
    let (ours, theirs) = (first.crossed_bytes(), rival.crossed_bytes());
    let (most, least, word) = if ours <= theirs { (theirs, ours, "fewer") } else { (ours, theirs, "more") };
    match units::times(most, least) {
        None => String::new(),
        Some(times) if times == "1.0" => ", with as many bytes".to_owned(),
        Some(times) => format!(", with {times} times {word} bytes"),
    }
}

fn wall(figures: Figures<'_>) -> String {
    units::duration(std::time::Duration::from_micros(figures.wall.median))
}

/// The method as the subject or the object of a sentence.
fn doing(id: Method) -> &'static str {
    match id {
        Method::Summaries => "asking the server for summaries",
        Method::BlocksMatched => "shipping blocks and matching them in the wallet",
        Method::BlocksDecoded => "shipping blocks and decoding them",
        Method::RequestPerBlock => "asking block by block with all scripts",
        Method::NodeScanBlocks => "the node's scanblocks and getdescriptoractivity",
        Method::NodeGetBlock => "fetching each block by the node's RPC",
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
}
