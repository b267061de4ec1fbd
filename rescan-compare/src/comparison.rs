//! What a comparison measured, as plain data: what `report.json` holds, and all that a report is drawn from.
//!
//! Times are microseconds, sizes bytes, and a `None` means "not measured", for the reason that
//! [`Comparison::not_measured`] gives; nothing here is rounded or judged.

use serde::{Deserialize, Serialize};

/// One comparison: the same rescan, done in several ways.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Grows when a reader of an older `report.json` would misread a newer one.
    pub format: u32,
    /// When it was begun, in seconds since 1970.
    pub begun_seconds: u64,
    /// The command that made it, without its descriptors.
    pub command: String,
    /// Where it was measured.
    pub machine: Machine,
    /// Who answered.
    pub server: Server,
    /// Which blocks.
    pub range: BlockRange,
    /// What was looked for, and what all ways agreed on.
    pub wallet: WalletSize,
    /// Whether the block files lay in memory.
    pub cache: CacheState,
    /// The ways, in the order in which a table shows them; the first is the one that the others are held against.
    pub ways: Vec<Way>,
    /// How it goes as more and more blocks match, by ascending share; empty where it was not measured.
    pub curve: Vec<CurvePoint>,
    /// What this report does not say, and why: one sentence each.
    pub not_measured: Vec<String>,
}

/// The machine that client and server ran on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's own name.
    pub processor: String,
    /// Logical processors that this process may use.
    pub cores: u32,
    /// Main memory.
    pub memory_bytes: Option<u64>,
    /// Name and release of the kernel.
    pub system: String,
}

/// The server, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Name and version of the server.
    pub software: String,
    /// Name and version of the client that measured.
    pub client: String,
    /// As Bitcoin Core names it.
    pub network: String,
    /// The node's own version, where its RPC was given.
    pub node: Option<String>,
}

/// The blocks that were scanned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRange {
    /// The first height.
    pub from_height: u32,
    /// The last height.
    pub to_height: u32,
    /// Its block's hash, as people write it.
    pub tip_hash: String,
    /// How many blocks.
    pub blocks: u64,
    /// What they take as serialised with witnesses.
    pub bytes: u64,
}

/// The wallet, by its numbers: no script, key or descriptor is ever part of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletSize {
    /// Scripts watched by every way.
    pub scripts: u64,
    /// Blocks of the range with a match.
    pub matching_blocks: u64,
    /// Transactions that match.
    pub transactions: u64,
    /// Coins left.
    pub unspent_count: u64,
}

/// Whether the files were in the page cache when the clock started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheState {
    /// The server read next to nothing from disk in the runs that count: the files were in the page cache.
    Warm,
    /// It did read from disk, in one of the runs at least: of files that were not cached, a server that leaves the page cache
    /// as it finds it reads the same again in each run.
    FromDisk,
    /// Its process cannot be looked at.
    Unknown,
}

/// One way to rescan, with its runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Way {
    /// Its name in `report.json`; it does not change from version to version.
    pub id: WayId,
    /// What a table calls it, in a few words.
    pub title: String,
    /// What it does, in a sentence.
    pub explanation: String,
    /// What came of it.
    pub result: WayResult,
}

impl Way {
    /// Its runs; none where it was left out.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        match &self.result {
            WayResult::Measured(runs) => runs,
            WayResult::LeftOut(_) => &[],
        }
    }

    /// The middle of what its runs have for a figure, or of an even number the lower of the two. None where it was left out,
    /// or a run has no such figure.
    #[must_use]
    pub fn median(&self, figure: impl Fn(&Run) -> Option<u64>) -> Option<u64> {
        let mut values = self.runs().iter().map(figure).collect::<Option<Vec<u64>>>()?;
        values.sort_unstable();
        values.get(values.len().checked_sub(1)? / 2).copied()
    }
}

/// Names of the ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WayId {
    /// The server filters, and summaries of what matched cross.
    Summaries,
    /// Whole blocks cross, and the wallet filters them with the server's own matcher.
    BlocksMatched,
    /// Whole blocks cross, and the wallet decodes each with the `bitcoin` crate and compares.
    BlocksDecoded,
    /// One request a block, each with the whole script set.
    RequestPerBlock,
    /// The node's `scanblocks` over its block filters, then `getdescriptoractivity`.
    NodeScanBlocks,
    /// The node's `getblock`, block by block, decoded with the `bitcoin` crate.
    NodeGetBlock,
}

/// What came of one way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WayResult {
    /// It gave the answer that all gave, this often; never empty.
    Measured(Vec<Run>),
    /// It was left out, and why.
    LeftOut(String),
}

/// One run of one way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// From the first request to the last of the answer.
    pub wall_us: u64,
    /// From the first request to the first match in the wallet's hands; none where nothing matches.
    pub first_match_us: Option<u64>,
    /// Processor time of this process.
    pub client_cpu_us: Option<u64>,
    /// Processor time of the server, or of the node where it is the one asked.
    pub server_cpu_us: Option<u64>,
    /// The most that this process held at once beyond what it held before (resident, without files mapped).
    pub client_peak_bytes: Option<u64>,
    /// The same of the server or node.
    pub server_peak_bytes: Option<u64>,
    /// What the server or node had read for it from disk, and not from the page cache.
    #[serde(default)]
    pub server_disk_bytes: Option<u64>,
    /// What the wallet read from the socket.
    pub received_bytes: u64,
    /// What it wrote to the socket.
    pub sent_bytes: u64,
    /// Cap'n Proto messages, or HTTP responses, that it read.
    pub received_messages: u64,
    /// The same that it wrote.
    pub sent_messages: u64,
    /// How much had been received as the answer grew: points by ascending height, at most a few hundred.
    pub progress: Vec<ProgressPoint>,
}

/// How much had crossed when the answer had reached a height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressPoint {
    /// The height that was settled.
    pub height: u32,
    /// Received until then.
    pub received_bytes: u64,
}

/// A wallet made up of scripts of the range itself, chosen so that a share of the blocks matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Of a thousand blocks, how many match.
    pub matching_per_mille: u32,
    /// Blocks of the range that match.
    pub matching_blocks: u64,
    /// Each way that was run, with the medians of its runs.
    pub ways: Vec<CurveRun>,
}

/// One way at one point of the curve: medians.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurveRun {
    /// Which.
    pub id: WayId,
    /// As [`Run::wall_us`].
    pub wall_us: u64,
    /// As [`Run::received_bytes`].
    pub received_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(walls: &[u64], last_cpu: Option<u64>) -> Way {
        let run = |(at, wall_us): (usize, &u64)| Run {
            wall_us: *wall_us,
            client_cpu_us: if at + 1 == walls.len() { last_cpu } else { Some(1) },
            ..Run::default()
        };
        let result = WayResult::Measured(walls.iter().enumerate().map(run).collect());
        Way { id: WayId::Summaries, title: String::new(), explanation: String::new(), result }
    }

    #[test]
    fn the_median_is_the_middle_of_the_runs_in_whatever_order() {
        let median = |walls: &[u64]| way(walls, None).median(|run| Some(run.wall_us));
        assert_eq!(median(&[3, 1, 2]), Some(2));
        assert_eq!(median(&[4, 1, 2, 3]), Some(2));
        assert_eq!(median(&[7]), Some(7));
    }

    #[test]
    fn what_one_run_lacks_has_no_median() {
        assert_eq!(way(&[1, 2, 3], None).median(|run| run.client_cpu_us), None);
        assert_eq!(way(&[1, 2, 3], Some(9)).median(|run| run.client_cpu_us), Some(1));
        let left_out = Way { result: WayResult::LeftOut(String::new()), ..way(&[], None) };
        assert_eq!((left_out.runs().len(), left_out.median(|run| Some(run.wall_us))), (0, None));
    }
}
