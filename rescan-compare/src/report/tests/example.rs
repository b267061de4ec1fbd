//! Comparisons made up for tests, in the shape of real ones. Also part of the test that opens the page in a browser.

use super::{
    BlockRange, CacheState, Comparison, CurvePoint, CurveRun, Machine, ProgressPoint, Run, Server, WalletSize, Way,
    WayId, WayResult,
};

/// Blocks of the example, and what they take.
pub(crate) const BLOCKS: u32 = 588;
const BYTES: u64 = 1_077_814_507;

/// Points of each line of bytes over blocks.
pub(crate) const PROGRESS_POINTS: u32 = 98;

/// Shares of the busy-wallet curve, of a thousand.
pub(crate) const SHARES: [u32; 6] = [0, 10, 100, 250, 500, 1_000];

/// What a run measures: milliseconds of time and of both processors, megabytes of both peaks, bytes in.
type Cost = (u64, u64, u64, u64, u64, u64);

/// A comparison with all that there can be: four ways of the server's and two of the node's, three runs each, and a curve
/// that crosses.
pub(crate) fn full() -> Comparison {
    Comparison {
        format: 1,
        begun_seconds: 1_795_437_000,
        command: "rescan compare --socket /run/rescan/rescan.sock --report report".to_owned(),
        machine: Machine {
            processor: "AMD EPYC 9R14".to_owned(),
            cores: 2,
            memory_bytes: Some(16_374_562_816),
            system: "Linux 6.1.0-31-amd64".to_owned(),
        },
        server: Server {
            software: "rescan-server 0.1.0".to_owned(),
            client: "rescan 0.1.0".to_owned(),
            network: "main".to_owned(),
            node: Some("Satoshi:29.0.0".to_owned()),
        },
        range: BlockRange {
            from_height: 878_001,
            to_height: 878_000 + BLOCKS,
            tip_hash: "0000000000000000000141ac29ddf7b5f1a2c1c3d8b1c2d2b0f6a6b5a7e6f1d2".to_owned(),
            blocks: BLOCKS.into(),
            bytes: BYTES,
        },
        wallet: WalletSize { scripts: 4_000, matching_blocks: 5, transactions: 6, unspent_count: 3 },
        cache: CacheState::Warm,
        ways: vec![
            way(
                WayId::Summaries,
                "summaries",
                "The server looks through the blocks and sends what matched.",
                (94, 3, 151, 1, 9, 3_830),
            ),
            way(
                WayId::BlocksMatched,
                "blocks, matched by the wallet",
                "Every block crosses the socket, and the wallet looks through it with the matcher that the server uses.",
                (402, 371, 285, 14, 22, BYTES + 62_000),
            ),
            way(
                WayId::BlocksDecoded,
                "blocks, decoded by the wallet",
                "Every block crosses the socket, and the wallet decodes it with the bitcoin crate and compares each output and \
                 input. It hashes only what matches, where wallets today hash every transaction.",
                (2_164, 2_090, 290, 19, 22, BYTES + 62_000),
            ),
            way(
                WayId::RequestPerBlock,
                "a request for each block",
                "One request after another, one for each block, each with all scripts; a block that matches comes back whole.",
                (1_310, 644, 911, 3, 11, 612_000),
            ),
            way(
                WayId::NodeScanBlocks,
                "the node's scanblocks",
                "The node looks through its block filters for blocks that may match, and says what those hold.",
                (2_870, 2, 2_805, 1, 48, 18_944),
            ),
            way(
                WayId::NodeGetBlock,
                "the node's getblock",
                "The node is asked for one block after another over its RPC, and the wallet decodes each with the bitcoin crate.",
                (25_480, 6_110, 19_020, 9, 31, 2 * BYTES),
            ),
        ],
        curve: SHARES.into_iter().map(point).collect(),
        not_measured: vec![
            "Cold files: dropping the page cache needs root, and would slow the node down.".to_owned(),
            "Other machines: client and server shared this one.".to_owned(),
        ],
    }
}

/// One run a way, nothing of what may be missing, no curve, a wallet that nothing matches; the node's ways left out.
pub(crate) fn scant() -> Comparison {
    let mut comparison = full();
    comparison.wallet = WalletSize { scripts: 1, matching_blocks: 0, transactions: 0, unspent_count: 0 };
    comparison.curve.clear();
    comparison.machine.memory_bytes = None;
    comparison.server.node = None;
    comparison.cache = CacheState::Unknown;
    for way in &mut comparison.ways {
        if let WayResult::Measured(runs) = &mut way.result {
            runs.truncate(1);
            for run in runs {
                run.first_match_us = None;
                (run.client_cpu_us, run.server_cpu_us) = (None, None);
                (run.client_peak_bytes, run.server_peak_bytes) = (None, None);
                run.progress.clear();
            }
        }
        if matches!(way.id, WayId::NodeScanBlocks | WayId::NodeGetBlock) {
            way.result = WayResult::LeftOut("no RPC of a node was given (--bitcoin-rpc, --cookie)".to_owned());
        }
    }
    comparison
}

/// The full one with these times in milliseconds, a run each, for its first and its third way.
pub(crate) fn with_times(first: &[u64], third: &[u64]) -> Comparison {
    let mut comparison = full();
    for (at, times) in [(0, first), (2, third)] {
        let WayResult::Measured(runs) = &comparison.ways[at].result else { panic!("it is measured") };
        let run = runs[0].clone();
        let runs = times.iter().map(|time| Run { wall_us: time * 1_000, ..run.clone() }).collect();
        comparison.ways[at].result = WayResult::Measured(runs);
    }
    comparison
}

fn way(id: WayId, title: &str, explanation: &str, cost: Cost) -> Way {
    // Thousandths of the cost: the middle one is exact.
    let runs = [1_040, 1_000, 985].into_iter().map(|share| run(cost, share)).collect();
    Way { id, title: title.to_owned(), explanation: explanation.to_owned(), result: WayResult::Measured(runs) }
}

fn run((wall, client, server, client_peak, server_peak, received): Cost, share: u64) -> Run {
    Run {
        wall_us: wall * share,
        first_match_us: Some(wall * share / 9),
        client_cpu_us: Some(client * share),
        server_cpu_us: Some(server * share),
        client_peak_bytes: Some(client_peak * 1_050_000),
        server_peak_bytes: Some(server_peak * 1_050_000),
        server_disk_bytes: Some(0),
        received_bytes: received,
        sent_bytes: 576,
        received_messages: received / 100_000 + 9,
        sent_messages: received / 400_000 + 7,
        progress: (1..=PROGRESS_POINTS).map(|point| progress(point, received)).collect(),
    }
}

fn progress(point: u32, received: u64) -> ProgressPoint {
    let height = 878_000 + point * (BLOCKS / PROGRESS_POINTS);
    // Not quite a straight line: blocks differ.
    let uneven = u64::from(point % 7) * received / 2_000 * u64::from(point != PROGRESS_POINTS);
    ProgressPoint { height, received_bytes: received * u64::from(point) / u64::from(PROGRESS_POINTS) - uneven }
}

fn point(matching_per_mille: u32) -> CurvePoint {
    let share = u64::from(matching_per_mille);
    let summaries =
        CurveRun { id: WayId::Summaries, wall_us: 94_000 + share * 420, received_bytes: 41_000 + share * 104_000 };
    let blocks = CurveRun { id: WayId::BlocksMatched, wall_us: 402_000 + share * 16, received_bytes: BYTES + 62_000 };
    CurvePoint { matching_per_mille, matching_blocks: share * u64::from(BLOCKS) / 1_000, ways: vec![summaries, blocks] }
}
