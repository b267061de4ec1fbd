//! The circumstances of a comparison, for sceptics: pairs of a name and a text.

use super::figures;
use super::{CacheState, Comparison};
use crate::units;

/// The pairs in reading order. The texts are not escaped.
pub(super) fn circumstances(comparison: &Comparison) -> Vec<(&'static str, String)> {
    let (machine, server, range) = (&comparison.machine, &comparison.server, &comparison.range);
    let memory = machine.memory_bytes.map(|bytes| format!(", {} of memory", units::bytes(bytes))).unwrap_or_default();
    let mut pairs = vec![
        ("Begun", begun(comparison.begun_seconds)),
        (
            "Machine",
            format!(
                "{}, {}{memory}, {}",
                machine.processor,
                units::counted(machine.cores.into(), "core"),
                machine.system
            ),
        ),
        ("Server", server.software.clone()),
        ("Wallet's side", server.client.clone()),
    ];
    pairs.extend(server.node.iter().map(|node| ("Node", node.clone())));
    pairs.extend([
        ("Network", server.network.clone()),
        (
            "Blocks",
            format!(
                "{} to {}: {}, {}",
                units::grouped(range.from_height.into()),
                units::grouped(range.to_height.into()),
                units::counted(range.blocks, "block"),
                units::bytes(range.bytes)
            ),
        ),
        ("Last block", range.tip_hash.clone()),
        ("Wallet", wallet(comparison)),
        ("Cache", cache(comparison.cache).to_owned()),
        ("Runs", runs(comparison)),
    ]);
    pairs
}

/// A date; in seconds if it is too late for `units`.
fn begun(seconds: u64) -> String {
    u32::try_from(seconds)
        .map_or_else(|_| format!("{seconds} s since 1970"), |seconds| format!("{} UTC", units::utc(seconds)))
}

fn wallet(comparison: &Comparison) -> String {
    let wallet = &comparison.wallet;
    format!(
        "{}; {} in {}, {} unspent",
        units::counted(wallet.scripts, "script"),
        units::counted(wallet.transactions, "transaction"),
        units::counted(wallet.matching_blocks, "block"),
        units::counted(wallet.unspent_count, "coin"),
    )
}

fn cache(state: CacheState) -> &'static str {
    match state {
        CacheState::Warm => "warm: the server read next to nothing from disk",
        CacheState::FromDisk => "not warm, or not all of it: the server read from disk",
        CacheState::Unknown => "unknown: the server's process was invisible",
    }
}

fn runs(comparison: &Comparison) -> String {
    let count = |runs: usize| u64::try_from(runs).unwrap_or(u64::MAX);
    match figures::run_counts(comparison) {
        None => "none".to_owned(),
        Some((1, 1)) => "one a method".to_owned(),
        Some((least, most)) if least == most => {
            format!("{} a method; figures are medians", units::grouped(count(most)))
        }
        Some((least, most)) => {
            format!("{} to {} a method; figures are medians", count(least), units::grouped(count(most)))
        }
    }
}
