//! The measured figures as plain data: the content of `report.json`, and everything that a report
//! is drawn from.
//!
//! Times are microseconds, sizes bytes. `None` means "not measured", for the reason in
//! [`Comparison::not_measured`]. Nothing is rounded or judged. Names in `report.json` keep the
//! words of the first version: a method is a "way" there.

use serde::{Deserialize, Serialize};

use crate::method::Method;

/// One comparison: the same rescan by several methods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Comparison {
    /// Grows when a reader of an older `report.json` would misread a newer one.
    pub format: u32,
    /// The start, in seconds since 1970.
    pub begun_seconds: u64,
    /// The command that made it, without its descriptors.
    pub command: String,
    /// The machine of client and server.
    pub machine: Machine,
    /// The server, the client and the node.
    pub server: Server,
    /// The scanned blocks.
    pub range: BlockRange,
    /// The wallet, and the answer that all methods agree on.
    pub wallet: WalletSize,
    /// Whether the block files were in memory.
    pub cache: CacheState,
    /// The methods in the order of a table; the others are compared with the first.
    #[serde(rename = "ways")]
    pub methods: Vec<MethodReport>,
    /// Costs as more and more blocks match, by ascending share; empty if not measured.
    pub curve: Vec<CurvePoint>,
    /// Figures that are missing, with the reasons: one sentence each.
    pub not_measured: Vec<String>,
}

/// The machine of client and server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Logical processors that this process may use.
    pub cores: u32,
    /// Main memory.
    pub memory_bytes: Option<u64>,
    /// Name and release of the kernel.
    pub system: String,
}

/// The programs that took part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Server {
    /// Name and version of the server.
    pub software: String,
    /// Name and version of the client that measured.
    pub client: String,
    /// The network, as Bitcoin Core names it.
    pub network: String,
    /// Name and version of the node, if its RPC was given.
    pub node: Option<String>,
}

/// The scanned blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BlockRange {
    /// The first height.
    pub from_height: u32,
    /// The last height.
    pub to_height: u32,
    /// The last block's hash, in the usual hexadecimal.
    pub tip_hash: String,
    /// The number of blocks.
    pub blocks: u64,
    /// Their size as serialised with witnesses.
    pub bytes: u64,
}

/// The wallet, by its numbers: no script, key or descriptor is ever part of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WalletSize {
    /// Scripts watched by every method.
    pub scripts: u64,
    /// Blocks of the range with a match.
    pub matching_blocks: u64,
    /// Transactions that match.
    pub transactions: u64,
    /// Unspent coins at the end.
    pub unspent_count: u64,
}

/// Whether the files were in the page cache when the clock started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheState {
    /// The server read next to nothing from disk in the counted runs: the files were in the page
    /// cache.
    Warm,
    /// The server read from disk in at least one counted run. A server that leaves the page cache
    /// as it finds it reads uncached files from disk in each run.
    FromDisk,
    /// The server's process is invisible.
    Unknown,
}

/// One method with its runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MethodReport {
    /// The method.
    #[serde(rename = "id")]
    pub method: Method,
    /// Its name in a table, in a few words.
    pub title: String,
    /// Its steps, in a sentence.
    pub explanation: String,
    /// Its runs, or the reason that there are none.
    pub result: MethodResult,
}

impl MethodReport {
    /// A report with the method's own words.
    pub(crate) fn new(method: Method, result: MethodResult) -> Self {
        Self { method, title: method.title().to_owned(), explanation: method.explanation().to_owned(), result }
    }

    /// Its runs; none if it was left out.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        match &self.result {
            MethodResult::Measured(runs) => runs,
            MethodResult::LeftOut(_) => &[],
        }
    }

    /// The median of a figure over its runs; of an even number, the lower of the middle two. None
    /// if it was left out, or a run lacks the figure.
    #[must_use]
    pub fn median(&self, figure: impl Fn(&Run) -> Option<u64>) -> Option<u64> {
        let mut values = self.runs().iter().map(figure).collect::<Option<Vec<u64>>>()?;
        values.sort_unstable();
        values.get(values.len().checked_sub(1)? / 2).copied()
    }
}

/// The runs of a method, or the reason that there are none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MethodResult {
    /// Runs that gave the common answer; never empty.
    Measured(Vec<Run>),
    /// The method was left out, for this reason.
    LeftOut(String),
}

/// One run of one method.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Run {
    /// From the first request to the last of the answer.
    pub wall_us: u64,
    /// From the first request to the first match in the wallet's hands; none if nothing matches.
    pub first_match_us: Option<u64>,
    /// Processor time of this process.
    pub client_cpu_us: Option<u64>,
    /// Processor time of the server, or of the node if the method calls it.
    pub server_cpu_us: Option<u64>,
    /// Waiting: the wall time less both processor times, or 0 if they exceed it.
    ///
    /// It is a lower bound. Time in which both processes computed at once, or one on several cores,
    /// counts more than once as processor time, and hides as much waiting. None without both
    /// processor times.
    #[serde(default)]
    pub waiting_us: Option<u64>,
    /// Peak memory of this process above its memory before the first run (resident, without mapped
    /// files).
    pub client_peak_bytes: Option<u64>,
    /// The same of the server or node.
    pub server_peak_bytes: Option<u64>,
    /// Bytes read from disk for the server or node, beside reads from the page cache.
    #[serde(default)]
    pub server_disk_bytes: Option<u64>,
    /// Bytes that the wallet read from the socket: Cap'n Proto, or HTTP with its heads.
    pub received_bytes: u64,
    /// Bytes that it wrote to the socket.
    pub sent_bytes: u64,
    /// Cap'n Proto messages, or HTTP responses, that it read.
    pub received_messages: u64,
    /// Cap'n Proto messages, or HTTP requests, that it wrote.
    pub sent_messages: u64,
    /// Bytes received as the answer grew: points by ascending height, at most a few hundred.
    pub progress: Vec<ProgressPoint>,
}

/// Bytes received when the answer had reached a height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProgressPoint {
    /// The settled height.
    pub height: u32,
    /// Bytes received until then.
    pub received_bytes: u64,
}

/// A wallet of scripts sampled from the range, which make a chosen share of the blocks match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CurvePoint {
    /// Matching blocks of a thousand.
    pub matching_per_mille: u32,
    /// Matching blocks of the range.
    pub matching_blocks: u64,
    /// The methods that were run, with medians of their runs.
    #[serde(rename = "ways")]
    pub methods: Vec<CurveRun>,
}

/// One method at one point of the curve: medians.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CurveRun {
    /// The method.
    #[serde(rename = "id")]
    pub method: Method,
    /// As [`Run::wall_us`].
    pub wall_us: u64,
    /// As [`Run::received_bytes`].
    pub received_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(walls: &[u64], last_cpu: Option<u64>) -> MethodReport {
        let run = |(at, wall_us): (usize, &u64)| Run {
            wall_us: *wall_us,
            client_cpu_us: if at + 1 == walls.len() { last_cpu } else { Some(1) },
            ..Run::default()
        };
        MethodReport::new(Method::Summaries, MethodResult::Measured(walls.iter().enumerate().map(run).collect()))
    }

    #[test]
    fn the_median_is_the_middle_of_the_runs_in_any_order() {
        let median = |walls: &[u64]| report(walls, None).median(|run| Some(run.wall_us));
        assert_eq!(median(&[3, 1, 2]), Some(2));
        assert_eq!(median(&[4, 1, 2, 3]), Some(2));
        assert_eq!(median(&[7]), Some(7));
    }

    #[test]
    fn a_figure_that_one_run_lacks_has_no_median() {
        assert_eq!(report(&[1, 2, 3], None).median(|run| run.client_cpu_us), None);
        assert_eq!(report(&[1, 2, 3], Some(9)).median(|run| run.client_cpu_us), Some(1));
        let left_out = MethodReport { result: MethodResult::LeftOut(String::new()), ..report(&[], None) };
        assert_eq!((left_out.runs().len(), left_out.median(|run| Some(run.wall_us))), (0, None));
    }
}
