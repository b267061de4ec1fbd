//! Finished block files that are truncated while they are mapped and scanned: no report is false, the log explains the end
//! of the server, and a resumed scan completes the result of an undisturbed one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

use bitcoin::BlockHash;
use futures::StreamExt;
use rescan_client::position::Height;
use rescan_client::report::{BlockReport, Outcome};
use rescan_client::{CallError, Checkpoint, ResumeEvent, ScanError, ScanRequest};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene, ServerProcess, patiently, scan};

use crate::start;

const BLOCKS: u32 = 240;

/// The signal for a read of a mapped page behind the end of its file.
const SIGBUS: i32 = 7;

/// Of 100 kB, in files of 1 MiB.
const BLOCKS_A_FILE: u64 = 10;

/// After more reports than this, the workers have finished.
const REPORTS_BEFORE_CUT_MAX: u64 = 40;

/// The number of truncations; `RESCAN_CUTS` overrides it.
fn cuts() -> usize {
    std::env::var("RESCAN_CUTS").map_or(6, |cuts| cuts.parse().unwrap())
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        // xorshift64, by Marsaglia.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

type Reports = BTreeMap<(Height, BlockHash), BlockReport>;

/// The outcomes of the runs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    /// The scan completed all the same.
    whole: u32,
    /// The scan ended early because blocks are gone.
    gone: u32,
    /// The scan failed and named the file.
    failed: u32,
    /// The server was killed, as the log of the next one explains.
    ended: u32,
}

/// Resumes from a checkpoint, and calls `cut` after `cut_after` reports.
async fn run(
    server: &ServerProcess,
    request: &ScanRequest,
    checkpoint: &mut Option<Checkpoint>,
    received: &mut Reports,
    (cut_after, mut cut): (u64, impl FnMut()),
) -> Result<Outcome, ScanError> {
    let client = server.client().await;
    let from = checkpoint.take().unwrap_or_else(|| Checkpoint::new(client.server_info().chain.genesis, request));
    let mut scan = client.resume(request.clone(), from).unwrap();
    let mut reports = 0;
    let ended = loop {
        if reports == cut_after {
            cut();
        }
        reports += 1;
        match scan.next().await {
            Some(Ok(ResumeEvent::Report(report))) => drop(received.insert((report.height, report.hash), report)),
            Some(Ok(ResumeEvent::Finished(summary))) => break Ok(summary.outcome),
            Some(Ok(_)) => {}
            None => panic!("a summary or an error ends a scan"),
            Some(Err(error)) => break Err(error),
        }
    };
    *checkpoint = Some(scan.checkpoint().clone());
    ended
}

#[test]
#[expect(clippy::print_stdout, reason = "the outcomes differ from run to run")]
fn a_finished_file_that_is_cut_under_its_map_costs_an_answer_at_most_and_says_so() {
    let script = TestWallet::new("quentin").script(ScriptKind::P2tr, 0);
    let mut chain = Scene::laden(&script, BLOCKS);
    chain.file_bytes_max(1 << 20);
    let scene = Scene::write(chain, Manner::default());
    // Many messages, so that a wallet has received some before the end.
    let request = ScanRequest::new().script(script).mark_every(std::time::Duration::ZERO);
    let start = || start(&scene.server, &["--workers", "2", "--page-cache", "keep"]);
    let server = start();
    let truth: Reports = patiently(async {
        let found = scan(&server.client().await, request.clone()).await;
        assert_eq!(found.summary().outcome, Outcome::Complete);
        found.reports.into_iter().map(|report| ((report.height, report.hash), report)).collect()
    });
    assert_eq!(truth.len(), BLOCKS as usize);
    let mut files: Vec<PathBuf> =
        fs::read_dir(scene.server.blocks_dir()).unwrap().map(|it| it.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "dat"));
    files.sort();
    files.pop();
    assert!(files.len() > 10, "they are finished, and mapped");
    drop(server);
    let wholes: Vec<(PathBuf, Vec<u8>)> = files.iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut counts = Counts::default();
    for _ in 0..cuts() {
        // A new server each time: a modified file is not mapped any more.
        let server = start();
        // Workers are ahead of the received reports, so they read one of these files.
        let after = dice.below(REPORTS_BEFORE_CUT_MAX);
        let first = usize::try_from(after / BLOCKS_A_FILE).unwrap();
        let lengths: Vec<u64> = wholes.iter().map(|(_, bytes)| dice.below(bytes.len() as u64)).collect();
        let cut = || {
            for (path, left) in files.iter().zip(&lengths).skip(first) {
                fs::File::options().write(true).open(path).unwrap().set_len(*left).unwrap();
            }
        };
        let mut checkpoint = None;
        let mut received = Reports::new();
        let ended = patiently(run(&server, &request, &mut checkpoint, &mut received, (after, cut)));
        assert!(received.iter().all(|(place, report)| truth.get(place) == Some(report)), "a false report");
        match &ended {
            Ok(Outcome::Complete) => {
                assert_eq!(received, truth);
                counts.whole += 1;
            }
            Ok(Outcome::PrunedBelow(_) | Outcome::ReorganisedFrom(_)) => counts.gone += 1,
            Ok(other) => panic!("{other:?}"),
            Err(ScanError::Failed(failure)) => {
                let text = failure.to_string();
                assert!(
                    files.iter().any(|path| text.contains(&path.display().to_string())),
                    "no file is named: {text}"
                );
                counts.failed += 1;
            }
            Err(ScanError::Call(CallError::Disconnected { .. })) => counts.ended += 1,
            Err(other) => panic!("{other}"),
        }
        // The operator restores the files.
        for (path, whole) in &wholes {
            fs::write(path, whole).unwrap();
        }
        let server = if matches!(ended, Err(ScanError::Call(_))) {
            let (status, log) = server.wait();
            assert_eq!(status.signal(), Some(SIGBUS), "{status}: {log}");
            let next = start();
            let log = next.log();
            assert!(log.contains("WARN") && log.contains("SIGBUS") && log.contains("--access read"), "{log}");
            next
        } else {
            server
        };
        // A resumed scan returns the rest.
        let on = patiently(run(&server, &request, &mut checkpoint, &mut received, (u64::MAX, || {}))).unwrap();
        assert_eq!(on, Outcome::Complete);
        assert_eq!(received, truth);
    }
    println!("{} cuts: {counts:?}", cuts());
    assert!(cuts() < 40 || counts.ended > 0, "no cut was met under a map: {counts:?}");
}
