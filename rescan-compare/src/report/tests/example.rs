//! Invented comparisons in the form of `report.json`, also for the test that opens the page in a
//! browser.

use serde_json::{Value, json};

use super::{Comparison, Method, MethodResult};

/// Blocks of the example.
pub(crate) const BLOCKS: u32 = 588;
const BYTES: u64 = 1_077_814_507;

/// Points of each line of bytes over blocks.
pub(crate) const PROGRESS_POINTS: u32 = 98;

/// Shares of the busy-wallet curve, of a thousand.
pub(crate) const SHARES: [u32; 6] = [0, 10, 100, 250, 500, 1_000];

/// The cost of a run: milliseconds of wall and both processor times, megabytes of both peaks, bytes
/// received.
type Cost = (u64, u64, u64, u64, u64, u64);

/// A comparison with every figure: four methods of the server and two of the node, three runs each,
/// and curves that cross.
pub(crate) fn full() -> Comparison {
    let methods = [
        method_report(
            "summaries",
            "summaries",
            "The server filters the blocks and sends the matches.",
            (94, 3, 151, 1, 9, 3_830),
        ),
        method_report(
            "blocks_matched",
            "blocks, matched by the wallet",
            "Every block crosses the socket, and the wallet filters it with the matcher that the server uses.",
            (402, 371, 285, 14, 22, BYTES + 62_000),
        ),
        method_report(
            "blocks_decoded",
            "blocks, decoded by the wallet",
            "Every block crosses the socket, and the wallet decodes it with the bitcoin crate and compares each output and \
             input. It hashes only matching transactions, where wallets today hash every transaction.",
            (2_164, 2_090, 290, 19, 22, BYTES + 62_000),
        ),
        method_report(
            "request_per_block",
            "a request for each block",
            "One request after another, one for each block, each with all scripts; a block that matches comes back whole.",
            (1_310, 644, 911, 3, 11, 612_000),
        ),
        method_report(
            "node_scan_blocks",
            "the node's scanblocks",
            "The node searches its block filters for blocks that may match, and returns their activity.",
            (2_870, 2, 2_805, 1, 48, 18_944),
        ),
        method_report(
            "node_get_block",
            "the node's getblock",
            "The node is asked for one block after another over its RPC, and the wallet decodes each with the bitcoin crate.",
            (25_480, 6_110, 9_020, 9, 31, 2 * BYTES),
        ),
    ];
    let comparison = json!({
        "format": 1,
        "begun_seconds": 1_795_437_000,
        "command": "rescan compare --socket /run/rescan/rescan.sock --report report",
        "machine": {
            "processor": "AMD EPYC 9R14",
            "cores": 2,
            "memory_bytes": 16_374_562_816_u64,
            "system": "Linux 6.1.0-31-amd64",
        },
        "server": {
            "software": "rescan-server 0.1.0",
            "client": "rescan 0.1.0",
            "network": "main",
            "node": "Satoshi:29.0.0",
        },
        "range": {
            "from_height": 878_001,
            "to_height": 878_000 + BLOCKS,
            "tip_hash": "0000000000000000000141ac29ddf7b5f1a2c1c3d8b1c2d2b0f6a6b5a7e6f1d2",
            "blocks": BLOCKS,
            "bytes": BYTES,
        },
        "wallet": { "scripts": 4_000, "matching_blocks": 5, "transactions": 6, "unspent_count": 3 },
        "cache": "warm",
        "ways": methods,
        "curve": SHARES.map(point),
        "not_measured": [
            "Cold files: dropping the page cache needs root, and would slow the node down.",
            "Other machines: client and server shared this one.",
        ],
    });
    serde_json::from_value(comparison).expect("it is a comparison")
}

/// One run a method, without optional figures, curve or match, and without the node's methods.
pub(crate) fn scant() -> Comparison {
    let mut comparison = full();
    let wallet = json!({ "scripts": 1, "matching_blocks": 0, "transactions": 0, "unspent_count": 0 });
    comparison.wallet = serde_json::from_value(wallet).expect("it is a wallet");
    comparison.curve.clear();
    comparison.machine.memory_bytes = None;
    comparison.server.node = None;
    comparison.cache = serde_json::from_value(json!("unknown")).expect("it is a state");
    for report in &mut comparison.methods {
        if let MethodResult::Measured(runs) = &mut report.result {
            runs.truncate(1);
            for run in runs {
                run.first_match_us = None;
                (run.client_cpu_us, run.server_cpu_us, run.waiting_us) = (None, None, None);
                (run.client_peak_bytes, run.server_peak_bytes) = (None, None);
                run.progress.clear();
            }
        }
        if matches!(report.method, Method::NodeScanBlocks | Method::NodeGetBlock) {
            report.result = MethodResult::LeftOut("no RPC of a node was given (--bitcoin-rpc, --cookie)".to_owned());
        }
    }
    comparison
}

/// The full one with these times in milliseconds, a run each, for its first and its third method.
pub(crate) fn with_times(first: &[u64], third: &[u64]) -> Comparison {
    let mut comparison = full();
    for (at, times) in [(0, first), (2, third)] {
        let MethodResult::Measured(runs) = &mut comparison.methods[at].result else { panic!("it is measured") };
        let run = runs[0].clone();
        *runs = vec![run; times.len()];
        runs.iter_mut().zip(times).for_each(|(run, time)| run.wall_us = time * 1_000);
    }
    comparison
}

fn method_report(id: &str, title: &str, explanation: &str, cost: Cost) -> Value {
    // Thousandths of the cost: the middle one is exact.
    let runs = [1_040, 1_000, 985].map(|share| run(cost, share));
    json!({ "id": id, "title": title, "explanation": explanation, "result": { "measured": runs } })
}

fn run((wall, client, server, client_peak, server_peak, received): Cost, share: u64) -> Value {
    let progress: Vec<Value> = (1..=PROGRESS_POINTS).map(|point| progress(point, received)).collect();
    json!({
        "wall_us": wall * share,
        "first_match_us": wall * share / 9,
        "client_cpu_us": client * share,
        "server_cpu_us": server * share,
        "waiting_us": wall.saturating_sub(client + server) * share,
        "client_peak_bytes": client_peak * 1_050_000,
        "server_peak_bytes": server_peak * 1_050_000,
        "server_disk_bytes": 0,
        "received_bytes": received,
        "sent_bytes": 576,
        "received_messages": received / 100_000 + 9,
        "sent_messages": received / 400_000 + 7,
        "progress": progress,
    })
}

fn progress(point: u32, received: u64) -> Value {
    let height = 878_000 + point * (BLOCKS / PROGRESS_POINTS);
    // Not quite a straight line: blocks differ.
    let uneven = u64::from(point % 7) * received / 2_000 * u64::from(point != PROGRESS_POINTS);
    json!({
        "height": height,
        "received_bytes": received * u64::from(point) / u64::from(PROGRESS_POINTS) - uneven,
    })
}

fn point(matching_per_mille: u32) -> Value {
    let share = u64::from(matching_per_mille);
    json!({
        "matching_per_mille": matching_per_mille,
        "matching_blocks": share * u64::from(BLOCKS) / 1_000,
        "ways": [
            { "id": "summaries", "wall_us": 94_000 + share * 420, "received_bytes": 41_000 + share * 104_000 },
            { "id": "blocks_matched", "wall_us": 402_000 + share * 16, "received_bytes": BYTES + 62_000 },
        ],
    })
}
