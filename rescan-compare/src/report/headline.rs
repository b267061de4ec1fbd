//! The finding in one sentence, and what a reader must know to believe it.
//!
//! The sentence is made of medians alone, and says as plainly that the first way lost as that it won. Where the runs do
//! not tell two ways apart, it names no winner.

use super::figures::{self, Figures};
use super::{Comparison, WayId, WayResult};
use crate::units;

/// What the first way is held against, the most usual way of wallets first.
const RIVALS: [WayId; 6] = [
    WayId::BlocksDecoded,
    WayId::BlocksMatched,
    WayId::NodeGetBlock,
    WayId::RequestPerBlock,
    WayId::NodeScanBlocks,
    WayId::Summaries,
];

/// The finding: how the first way did against the one that most wallets go today, or else the next best known.
pub fn headline(comparison: &Comparison) -> String {
    let Some(first) = figures::first(comparison) else { return nothing_measured(comparison) };
    let ours = doing(first.way.id);
    let Some(rival) = rival(comparison, first) else {
        return format!("{} took {}; nothing else was measured.", capital(ours), wall(first));
    };
    format!("{} {}{}.", capital(ours), times_as_fast(first, rival), bytes_against(first, rival))
}

/// What qualifies the headline, one sentence each: few runs, a wallet without history, ways that were left out.
pub(super) fn remarks(comparison: &Comparison) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(first) = figures::first(comparison)
        && let Some(rival) = rival(comparison, first)
        && first.wall.overlaps(rival.wall)
    {
        remarks.push(
            "The slowest run of the one took no less than the fastest of the other: more runs may tell them apart."
                .to_owned(),
        );
    }
    if let Some((1, most)) = figures::run_counts(comparison) {
        let of = if most == 1 { "Each way" } else { "A way" };
        remarks.push(format!("{of} was run once, so how far its figures vary is not known."));
    }
    if comparison.wallet.matching_blocks == 0 && comparison.ways.iter().any(|way| Figures::of(way).is_some()) {
        remarks.push("Nothing matched: this is what it costs a wallet to learn that it has no history.".to_owned());
    }
    let left_out = comparison.ways.iter().filter(|way| matches!(way.result, WayResult::LeftOut(_))).count();
    if left_out > 0 {
        let were = if left_out == 1 { "was" } else { "were" };
        let count = u64::try_from(left_out).unwrap_or(u64::MAX);
        remarks.push(format!("{} {were} left out; the reasons stand below.", units::counted(count, "way")));
    }
    remarks
}

/// Sums up what was scanned, and what all ways found.
pub(super) fn scope(comparison: &Comparison) -> String {
    let (range, wallet) = (&comparison.range, &comparison.wallet);
    let found = if wallet.transactions == 0 {
        "no transaction".to_owned()
    } else {
        let blocks = units::counted(wallet.matching_blocks, "block");
        format!("{} in {blocks}", units::counted(wallet.transactions, "transaction"))
    };
    format!(
        "{} ({}), {}: {found}, the same by every way measured.",
        units::counted(range.blocks, "block"),
        units::bytes(range.bytes),
        units::counted(wallet.scripts, "script"),
    )
}

fn nothing_measured(comparison: &Comparison) -> String {
    match comparison.ways.first().map(|way| (way.id, &way.result)) {
        Some((id, WayResult::LeftOut(_))) => {
            format!("{} was left out, so there is nothing to hold the other ways against.", capital(doing(id)))
        }
        _ => "Nothing was measured.".to_owned(),
    }
}

/// The best known of the other ways that were run.
fn rival<'a>(comparison: &'a Comparison, first: Figures<'_>) -> Option<Figures<'a>> {
    RIVALS.into_iter().filter(|id| *id != first.way.id).find_map(|id| figures::named(comparison, id))
}

fn times_as_fast(first: Figures<'_>, rival: Figures<'_>) -> String {
    let other = doing(rival.way.id);
    let (ours, theirs) = (first.wall.median, rival.wall.median);
    if first.wall.overlaps(rival.wall) {
        return format!("took about as long as {other}: {} against {}", wall(first), wall(rival));
    }
    // Both sides of what is shown as 1.0.
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

/// `, with 5,000 times fewer bytes`; nothing where one of them moved none.
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

/// What one does who goes this way, as the subject or the object of a sentence.
fn doing(id: WayId) -> &'static str {
    match id {
        WayId::Summaries => "asking the server for summaries",
        WayId::BlocksMatched => "shipping blocks and matching them in the wallet",
        WayId::BlocksDecoded => "shipping blocks and decoding them",
        WayId::RequestPerBlock => "asking block by block with all scripts",
        WayId::NodeScanBlocks => "the node's scanblocks and getdescriptoractivity",
        WayId::NodeGetBlock => "fetching each block by the node's RPC",
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
}
