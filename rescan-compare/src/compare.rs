//! A comparison from its first scan to its figures.
//!
//! Every answer is compared with that of the summaries, and theirs with the first scan's, in which
//! the server derived the scripts. A difference ends the comparison without figures.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bitcoin::NetworkKind;
use futures::StreamExt;
use rescan_client::{Client, ScanEvent, ScanRequest, ScanStream};
use rescan_core::history::History;
use rescan_core::report::{Phase, Summary};

use crate::answer::Answer;
use crate::comparison::{BlockRange, CacheState, Comparison, Machine, MethodReport, MethodResult, Server, WalletSize};
use crate::curve;
use crate::error::CompareError;
use crate::inputs::{PinnedBlocks, WatchedScripts, choose_range, missing_summary};
use crate::measuring::Meter;
use crate::method::Method;
use crate::methods::{Context, MethodRun};
use crate::request::{CompareRequest, Curve, Step};
use crate::rounds::{Rounds, Steps};
use crate::units;

/// The format of a [`Comparison`] of this version.
const FORMAT: u32 = 1;

const FIRST_SCAN: &str = "a first scan, to find the used indexes of the keychains";

/// Often enough to look alive.
const DERIVATION_SHOWN_EVERY: Duration = Duration::from_millis(150);

/// Makes the comparison. `announce` receives each step before it is made, and how many scripts of
/// how many the server and then this process have derived.
///
/// # Errors
/// [`CompareError`] if any method fails or gives another answer than the rest, or if the chain was
/// reorganised meanwhile.
pub async fn compare(
    client: &Client,
    request: &CompareRequest,
    announce: &mut dyn FnMut(&Step),
) -> Result<Comparison, CompareError> {
    let begun = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let rounds = Rounds { counted: request.runs };
    let mut steps = Steps::new(announce, step_count(request, rounds));
    let (first, summary) = first_scan(client, request, &mut steps).await?;
    let pinned = PinnedBlocks::of(&summary)?;
    let network = client.server_info().network;
    let show = |derived| steps.detail(format!("the same scripts here: {} derived", units::grouped(derived)));
    let watched =
        WatchedScripts::derive(&request.keychains, &summary.keychains, NetworkKind::from(network), show).await?;
    let meter = Meter::of_server(client);
    let mut methods = MethodRun::of_server(Context { peer: client, meter: &meter, pinned, watched: &watched }).to_vec();
    let node_meter = request.node.as_ref().map(Meter::of_node);
    if let Some((node, meter)) = request.node.as_ref().zip(node_meter.as_ref()) {
        node.check(network, pinned.range, pinned.tip).await?;
        methods.extend(MethodRun::of_node(Context { peer: node, meter, pinned, watched: &watched }));
    }
    let mut measured = rounds.run(&methods, "the wallet", &mut steps).await?;
    if request.node.is_none() {
        measured.methods.extend(Method::OF_NODE.map(without_node));
    }
    first.agrees_with(&measured.answer, "the first scan")?;
    let curve = match request.curve {
        Curve::Measured => curve::measure(client, &meter, pinned, rounds, &mut steps).await?,
        Curve::LeftOut => Vec::new(),
    };
    pinned.check_now(client).await?;
    let cache = cache_state(summary.bytes_scanned, &measured.methods);
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
        machine: Machine::this(),
        range,
        wallet: WalletSize {
            scripts: watched.scripts.len() as u64, // usize is at most 64 bits
            matching_blocks: measured.answer.matching_blocks(),
            transactions: measured.answer.transactions(),
            unspent_count: summary.unspent_count,
        },
        cache,
        methods: measured.methods,
        curve,
    })
}

/// The first scan, all runs, and those of the curve.
fn step_count(request: &CompareRequest, rounds: Rounds) -> u64 {
    let of_node = if request.node.is_some() { Method::OF_NODE.len() } else { 0 };
    let curve = match request.curve {
        Curve::Measured => curve::run_count(rounds.run_count(1)),
        Curve::LeftOut => 0,
    };
    1 + rounds.run_count(Method::OF_SERVER.len() + of_node) + curve
}

fn without_node(method: Method) -> MethodReport {
    let reason = "no node's RPC was given (--datadir DIR, or --bitcoin-rpc URL --cookie FILE)".to_owned();
    MethodReport::new(method, MethodResult::LeftOut(reason))
}

/// The scan that any wallet would make: the server derives, by the gap rule.
async fn first_scan(
    client: &Client,
    request: &CompareRequest,
    steps: &mut Steps<'_>,
) -> Result<(Answer, Summary), CompareError> {
    steps.next(FIRST_SCAN.to_owned());
    let range = choose_range(client, request).await?;
    let mut scan = ScanRequest::new();
    scan.keychains = request.keychains.clone();
    scan.range = range;
    let mut stream = client.scan(scan).await?;
    let mut history = History::new();
    let mut ticks = tokio::time::interval(DERIVATION_SHOWN_EVERY);
    let mut is_deriving = true;
    loop {
        let event = tokio::select! {
            event = stream.next() => event,
            _tick = ticks.tick(), if is_deriving => {
                is_deriving = show_derivation(&stream, steps).await;
                continue;
            }
        };
        match event.transpose()? {
            Some(ScanEvent::Report(report)) => history.add(report),
            Some(ScanEvent::Finished(summary)) => {
                let mut answer = Answer::default();
                for report in history.reports() {
                    report.transactions.iter().for_each(|transaction| answer.add(report.height, transaction));
                }
                return Ok((answer, summary));
            }
            Some(_) => {}
            None => return Err(missing_summary()),
        }
    }
}

/// Announces how many scripts are derived. Returns whether there is more to come.
async fn show_derivation(stream: &ScanStream, steps: &mut Steps<'_>) -> bool {
    match stream.progress().await {
        Ok(progress) if progress.phase == Phase::Deriving => {
            let deriving = units::deriving(progress.scripts_derived, progress.scripts_total);
            steps.detail(format!("{FIRST_SCAN}: {deriving}"));
            true
        }
        // The stream has the reason of an error.
        _ => {
            steps.detail(FIRST_SCAN.to_owned());
            false
        }
    }
}

/// From the server's disk reads in the counted runs. The node's methods do not count: the server
/// reads no file for them.
fn cache_state(bytes: u64, methods: &[MethodReport]) -> CacheState {
    let of_server = methods.iter().filter(|report| Method::OF_SERVER.contains(&report.method));
    let mut runs = of_server.flat_map(MethodReport::runs);
    let most: Option<u64> = runs.try_fold(0, |most, run| Some(run.server_disk_bytes?.max(most)));
    match most {
        // A few pages of other files are no read of the blocks.
        Some(most) if most <= bytes / 100 => CacheState::Warm,
        Some(_) => CacheState::FromDisk,
        None => CacheState::Unknown,
    }
}

fn server(client: &Client, request: &CompareRequest) -> Server {
    let info = client.server_info();
    Server {
        software: info.software.clone(),
        client: format!("rescan {}", env!("CARGO_PKG_VERSION")),
        network: info.network.to_core_arg().to_owned(),
        node: request.node.as_ref().map(|node| node.version().to_owned()),
    }
}

/// Figures that are missing, with the reasons: one sentence each.
fn not_measured(
    meter: &Meter,
    node_meter: Option<&Meter>,
    cache: CacheState,
    curve: Curve,
    range: &BlockRange,
) -> Vec<String> {
    let mut sentences = vec![
        "Derivation: all methods look for the same scripts, which were derived, sent to the server and compiled before the \
         clock started. The request for each block alone sends them again with every block."
            .to_owned(),
        "Memory peaks between two samples, which are 10 ms apart: memory is a process's resident memory above that before \
         the first run. It includes neither block files in the page cache nor the scripts compiled beforehand. Memory that \
         the allocator keeps after one method's run counts in the next method's too."
            .to_owned(),
        "Waiting that computing hides: waiting is the wall time less both processor times. Processes that compute at once, \
         or on several cores, spend more processor time than wall time."
            .to_owned(),
    ];
    if !meter.sees_server() {
        sentences.push(
            "The server's processor time and memory: its process is invisible from here, as from within a container."
                .to_owned(),
        );
    }
    if node_meter.is_some_and(|meter| !meter.sees_server()) {
        sentences.push("The node's processor time and memory: its process is invisible from here.".to_owned());
    }
    sentences.push(match cache {
        CacheState::Warm => {
            "Cold files: a run of each method that does not count left the blocks in the page cache.".to_owned()
        }
        CacheState::FromDisk => {
            "The methods at the speed of memory: the server read blocks from disk. A server started with `--page-cache \
             keep` leaves them in the page cache after the first run."
                .to_owned()
        }
        CacheState::Unknown => "The content of the page cache: the server's process is invisible from here.".to_owned(),
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
    use super::*;
    use crate::comparison::Run;

    #[test]
    fn files_are_called_warm_only_if_no_run_read_them_from_disk() {
        let report = |disk: &[Option<u64>]| {
            let runs = disk.iter().map(|read| Run { server_disk_bytes: *read, ..Run::default() });
            MethodReport::new(Method::Summaries, MethodResult::Measured(runs.collect()))
        };
        assert_eq!(cache_state(1_000, &[report(&[Some(0), Some(10)]), report(&[Some(0)])]), CacheState::Warm);
        assert_eq!(cache_state(1_000, &[report(&[Some(0)]), report(&[Some(0), Some(11)])]), CacheState::FromDisk);
        assert_eq!(cache_state(1_000, &[report(&[Some(0), None])]), CacheState::Unknown);
    }
}
