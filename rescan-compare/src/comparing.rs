//! A comparison from its first scan to its figures.
//!
//! Ways take turns, round by round, so that what disturbs the machine disturbs them alike; the first round is not counted.
//! Every answer is held against that of the summaries, and the summaries' against the first scan's, in which the server
//! derived by itself: where one differs, nothing is reported.

use std::num::NonZeroU32;
use std::time::{SystemTime, UNIX_EPOCH};

use bitcoin::NetworkKind;
use futures::StreamExt;
use rescan_core::history::History;
use rescan_core::report::Summary;

use super::answer::Answer;
use super::comparison::{BlockRange, CacheState, Comparison, Machine, Server, WalletSize, Way, WayId, WayResult};
use super::curve;
use super::error::CompareError;
use super::meter::Meter;
use super::node::{Node, NodeWay};
use super::pinned::{self, Pinned};
use super::request::{CompareRequest, Curve, Step};
use super::watched::Watched;
use super::ways::{Gone, Ground, SocketWay, unsaid};
use rescan_client::Client;
use rescan_client::ScanEvent;
use rescan_client::ScanRequest;

/// The form of a [`Comparison`] that this version makes.
const FORMAT: u32 = 1;

/// Makes the comparison; `tell` hears of each run before it is made.
///
/// # Errors
/// [`CompareError`] where any way comes to no answer, or to another than the rest, or the chain was left meanwhile.
pub async fn compare(
    client: &Client,
    request: &CompareRequest,
    tell: &mut dyn FnMut(&Step),
) -> Result<Comparison, CompareError> {
    let begun = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let rounds = Rounds { counted: request.runs };
    let node_ways = if request.node.is_some() { NodeWay::ALL.len() } else { 0 };
    let mut total = 1 + rounds.run_count(SocketWay::ALL.len() + node_ways);
    if request.curve == Curve::Measured {
        total += curve::run_count(rounds.run_count(1));
    }
    let mut steps = Steps { tell, done: 0, total };
    steps.next("a first scan, to find how far the keychains are used".to_owned());
    let (first, summary) = first_scan(client, request).await?;
    let pinned = Pinned::of(&summary)?;
    let network = NetworkKind::from(client.server_info().network);
    let watched = Watched::derive(&request.keychains, &summary.keychains, network).await?;
    let meter = Meter::new(client);
    let ground = Ground { asked: client, meter: &meter, pinned, watched: &watched };
    let mut arms = SocketWay::ALL.map(|way| Arm::Socket(way, ground)).to_vec();
    let node_meter = request.node.as_ref().map(Meter::of_node);
    if let Some((node, meter)) = request.node.as_ref().zip(node_meter.as_ref()) {
        node.check(client.server_info().network, pinned).await?;
        let ground = Ground { asked: node, meter, pinned, watched: &watched };
        arms.extend(NodeWay::ALL.map(|way| Arm::Node(way, ground)));
    }
    let mut measured = rounds.go(&arms, "the wallet", &mut steps).await?;
    if request.node.is_none() {
        let no_node = || WayResult::LeftOut("no node's RPC was given (--bitcoin-rpc URL --cookie FILE)".to_owned());
        measured.ways.extend(NodeWay::ALL.map(|way| shown(way.id(), no_node())));
    }
    first.agrees_with(&measured.answer, "the first scan")?;
    let curve = match request.curve {
        Curve::Measured => curve::measure(client, &meter, pinned, rounds, &mut steps).await?,
        Curve::LeftOut => Vec::new(),
    };
    pinned.check_now(client).await?;
    let machine = Machine::this();
    let cache = cache_state(summary.bytes_scanned, &measured.ways);
    let range = BlockRange {
        from_height: pinned.range.first().0,
        to_height: pinned.range.last().0,
        tip_hash: pinned.tip.to_string(),
        blocks: pinned.range.count(),
        bytes: summary.bytes_scanned,
    };
    Ok(Comparison {
        format: FORMAT,
        begun_seconds: begun,
        command: request.command.clone(),
        server: server(client, request),
        not_measured: not_measured(&meter, node_meter.as_ref(), cache, request.curve, &range),
        machine,
        range,
        wallet: WalletSize {
            scripts: watched.scripts.len() as u64, // usize is at most 64 bits
            matching_blocks: measured.answer.matching_blocks(),
            transactions: measured.answer.transactions(),
            unspent_count: summary.unspent_count,
        },
        cache,
        ways: measured.ways,
        curve,
    })
}

fn shown(id: WayId, result: WayResult) -> Way {
    Way { id, title: id.title().to_owned(), explanation: id.explanation().to_owned(), result }
}

/// The scan that any wallet would make: the server derives, by the gap rule.
async fn first_scan(client: &Client, request: &CompareRequest) -> Result<(Answer, Summary), CompareError> {
    let range = pinned::choose(client, request).await?;
    let mut scan = ScanRequest::new();
    scan.keychains = request.keychains.clone();
    scan.range = range;
    let mut stream = client.scan(scan).await?;
    let mut history = History::new();
    loop {
        match stream.next().await.transpose()? {
            Some(ScanEvent::Report(report)) => history.add(report),
            Some(ScanEvent::Finished(summary)) => {
                let mut answer = Answer::default();
                for report in history.reports() {
                    report.transactions.iter().for_each(|transaction| answer.add(report.height, transaction));
                }
                return Ok((answer, summary));
            }
            Some(_) => {}
            None => return Err(unsaid()),
        }
    }
}

/// A way, with what it is given.
#[derive(Clone, Copy)]
pub(crate) enum Arm<'g> {
    Socket(SocketWay, Ground<'g>),
    Node(NodeWay, Ground<'g, &'g Node>),
}

impl Arm<'_> {
    fn id(self) -> WayId {
        match self {
            Self::Socket(way, _) => way.id(),
            Self::Node(way, _) => way.id(),
        }
    }

    async fn go(self) -> Result<Gone, CompareError> {
        match self {
            Self::Socket(way, ground) => way.go(ground).await,
            Self::Node(way, ground) => way.go(ground).await,
        }
    }
}

/// How often each way is gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounds {
    /// After one that is not counted.
    pub(crate) counted: NonZeroU32,
}

/// What came of some ways, and the answer that all gave.
pub(crate) struct Measured {
    pub(crate) ways: Vec<Way>,
    pub(crate) answer: Answer,
}

impl Rounds {
    fn run_count(self, ways: usize) -> u64 {
        (u64::from(self.counted.get()) + 1).saturating_mul(ways as u64) // usize is at most 64 bits
    }

    /// Goes all of these ways, the first of which gives the answer that the others are held against.
    pub(crate) async fn go(
        self,
        arms: &[Arm<'_>],
        what: &str,
        steps: &mut Steps<'_>,
    ) -> Result<Measured, CompareError> {
        let mut results: Vec<(&Arm<'_>, WayResult)> =
            arms.iter().map(|arm| (arm, WayResult::Measured(Vec::new()))).collect();
        let mut expected: Option<Answer> = None;
        for round in 0..=self.counted.get() {
            for (arm, result) in &mut results {
                let WayResult::Measured(runs) = result else { continue };
                let title = arm.id().title();
                steps.next(match round {
                    0 => format!("{what}: {title}, to warm up"),
                    _ => format!("{what}: {title}, {round} of {}", self.counted),
                });
                let (run, answer) = match arm.go().await? {
                    Gone::Came(run, answer) => (run, answer),
                    Gone::LeftOut(why) => {
                        *result = WayResult::LeftOut(why);
                        continue;
                    }
                };
                match &expected {
                    Some(expected) => answer.agrees_with(expected, title)?,
                    None => expected = Some(answer),
                }
                if round > 0 {
                    runs.push(run);
                }
            }
        }
        let ways = results.into_iter().map(|(arm, result)| shown(arm.id(), result)).collect();
        Ok(Measured { ways, answer: expected.unwrap_or_default() })
    }
}

/// Tells which run is made.
pub(crate) struct Steps<'t> {
    tell: &'t mut dyn FnMut(&Step),
    done: u64,
    total: u64,
}

impl Steps<'_> {
    pub(crate) fn next(&mut self, doing: String) {
        (self.tell)(&Step { done: self.done, total: self.total, doing });
        self.done = self.done.saturating_add(1);
    }
}

/// By what the server read from disk in the runs that count. The node's own ways do not say how the files were read.
fn cache_state(bytes: u64, ways: &[Way]) -> CacheState {
    let asks_server = |way: &&Way| !NodeWay::ALL.iter().any(|node| node.id() == way.id);
    let runs = ways.iter().filter(asks_server).filter_map(|way| match &way.result {
        WayResult::Measured(runs) => Some(runs),
        WayResult::LeftOut(_) => None,
    });
    let most: Option<u64> = runs.flatten().try_fold(0, |most, run| Some(run.server_disk_bytes?.max(most)));
    match most {
        // A page here and there of something else is no read of the files.
        Some(most) if most <= bytes / 100 => CacheState::Warm,
        Some(_) => CacheState::FromDisk,
        None => CacheState::Unknown,
    }
}

fn server(client: &Client, request: &CompareRequest) -> Server {
    let greeting = client.server_info();
    Server {
        software: greeting.software.clone(),
        client: format!("rescan {}", env!("CARGO_PKG_VERSION")),
        network: greeting.network.to_core_arg().to_owned(),
        node: request.node.as_ref().map(|node| node.version().to_owned()),
    }
}

/// What the figures leave out, one sentence each.
fn not_measured(
    meter: &Meter,
    node_meter: Option<&Meter>,
    cache: CacheState,
    curve: Curve,
    range: &BlockRange,
) -> Vec<String> {
    let mut sentences = vec![
        "Derivation: all ways look for the same scripts, which were derived, sent to the server and compiled before the clock \
         started; only the request for each block sends them again with every block."
            .to_owned(),
        "Peaks of memory between two looks, which are 10 ms apart: memory is resident memory of a process's own above what it \
         held before the first run. Block files in the page cache are left out, and so are the scripts compiled beforehand; \
         what the allocator keeps of one way's run counts in the next way's too."
            .to_owned(),
    ];
    if !meter.sees_server() {
        sentences.push(
            "The server's processor time and memory: its process cannot be seen from here, as from within a container."
                .to_owned(),
        );
    }
    if node_meter.is_some_and(|meter| !meter.sees_server()) {
        sentences.push("The node's processor time and memory: its process cannot be seen from here.".to_owned());
    }
    sentences.push(match cache {
        CacheState::Warm => {
            "Cold files: a run of each way that is not counted left the blocks in the page cache.".to_owned()
        }
        CacheState::FromDisk => {
            "The ways at the speed of memory: the server read blocks from disk. Started with `--page-cache keep` it \
             leaves in the page cache what the first run read."
                .to_owned()
        }
        CacheState::Unknown => "What the page cache held: the server's process cannot be looked at.".to_owned(),
    });
    match curve {
        Curve::LeftOut => sentences.push("The curve of busier and busier wallets: it was left out.".to_owned()),
        Curve::Measured if range.blocks > u64::from(curve::BLOCKS_MAX) => sentences.push(format!(
            "The curve of busier and busier wallets beyond the last {} blocks of the range.",
            curve::BLOCKS_MAX
        )),
        Curve::Measured => {}
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::super::comparison::Run;
    use super::*;

    #[test]
    fn files_are_called_warm_only_where_no_run_read_them_from_disk() {
        let way = |disk: &[Option<u64>]| {
            let runs = disk.iter().map(|read| Run { server_disk_bytes: *read, ..Run::default() });
            shown(WayId::Summaries, WayResult::Measured(runs.collect()))
        };
        assert_eq!(cache_state(1_000, &[way(&[Some(0), Some(10)]), way(&[Some(0)])]), CacheState::Warm);
        assert_eq!(cache_state(1_000, &[way(&[Some(0)]), way(&[Some(0), Some(11)])]), CacheState::FromDisk);
        assert_eq!(cache_state(1_000, &[way(&[Some(0), None])]), CacheState::Unknown);
    }
}
