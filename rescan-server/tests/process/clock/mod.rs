//! A wall clock that is set while the server runs: its waits, measurements and results use other clocks.
//!
//! The machine's clock stays as it is: a preloaded library replaces the clock of the server alone.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use bitcoin::ScriptBuf;
use futures::StreamExt;
use rescan_client::position::Height;
use rescan_client::report::Outcome;
use rescan_client::{Checkpoint, Client, ScanEvent, ScanRequest};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, ScanRecord, Scene, ServerProcess, eventually, patiently, say_skipped, scan};

use crate::following::reports_to;
use crate::metrics::{GET, ask_at, value};
use crate::program;

const DAY: i64 = 86_400;

const PATIENCE: Duration = Duration::from_secs(20);

/// Each with a thousand outputs for the wallet: its reports exceed all buffers between server and wallet.
const BLOCKS: u32 = 150;

/// The server's clock.
struct SetClock {
    library: PathBuf,
    ahead: PathBuf,
}

impl SetClock {
    /// None without a C compiler; reports the skip.
    fn build(place: &Scene) -> Option<Self> {
        let (library, ahead) = (place.server.beside("set_clock.so"), place.server.beside("ahead"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/process/clock/set_clock.c");
        let compiler = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status();
        let Ok(status) = compiler else {
            say_skipped("a C compiler called cc");
            return None;
        };
        assert!(status.success(), "cc ended with {status}");
        let clock = Self { library, ahead };
        clock.set(0);
        Some(clock)
    }

    /// Sets the clock ahead of the machine's, atomically for its readers.
    fn set(&self, seconds: i64) {
        let new = self.ahead.with_extension("new");
        fs::write(&new, seconds.to_string()).unwrap();
        fs::rename(new, &self.ahead).unwrap();
    }
}

fn script() -> ScriptBuf {
    TestWallet::new("rupert").script(ScriptKind::P2wpkh, 0)
}

fn watch() -> ScanRequest {
    ScanRequest::new().script(script())
}

/// The year of each log line.
fn years(server: &ServerProcess) -> Vec<i32> {
    server.log().lines().filter_map(|line| line.split_once('-')?.0.parse().ok()).collect()
}

/// Gives files the time of the set clock.
fn set_times(directory: &Path, ahead: i64) {
    let now = SystemTime::now();
    let by = Duration::from_secs(ahead.unsigned_abs());
    let time = if ahead < 0 { now - by } else { now + by };
    for entry in fs::read_dir(directory).unwrap() {
        File::options().write(true).open(entry.unwrap().path()).unwrap().set_modified(time).unwrap();
    }
}

/// Calls `set` in the middle of a scan: its wallet has the first report, and the rest exceeds all buffers.
async fn scan_through(client: &Client, set: impl FnOnce()) -> Vec<u32> {
    let mut running = client.scan(watch()).await.unwrap();
    let first = loop {
        match running.next().await.unwrap().unwrap() {
            ScanEvent::Report(report) => break report.height.0,
            ScanEvent::Finished(_) => panic!("the scan ended before the clock was set"),
            _ => {}
        }
    };
    set();
    let rest = ScanRecord::of(running).await;
    assert_eq!(rest.summary().outcome, Outcome::Complete);
    [first].into_iter().chain(rest.heights()).collect()
}

#[test]
fn a_clock_that_is_set_a_year_ahead_and_ten_years_back_changes_no_answer() {
    let mut scene = Scene::write(Scene::talkative(&script(), BLOCKS, 1_000), Manner::default());
    let Some(clock) = SetClock::build(&scene) else { return };
    let metrics = scene.server.beside("metrics.sock");
    let (library, ahead) = (clock.library.to_str().unwrap(), clock.ahead.to_str().unwrap());
    let arguments = ["--metrics", &format!("unix:{}", metrics.display())];
    let environment = [("LD_PRELOAD", library), ("CLOCK_AHEAD", ahead)];
    let server = ServerProcess::start_in(program(), &scene.server, &arguments, &environment);
    let this_year = years(&server)[0];
    patiently(async {
        let client = server.client().await;
        let checkpoint = Checkpoint::new(client.server_info().chain.genesis, &watch());
        let mut follower = client.follow(watch(), checkpoint).unwrap();
        let mut height = BLOCKS;
        assert_eq!(reports_to(&mut follower, height).await, (1..=height).collect::<Vec<_>>());
        for (set_to, is_shown) in [
            (366 * DAY, Box::new(|year| year > this_year) as Box<dyn Fn(i32) -> bool>),
            ((366 - 3_653) * DAY, Box::new(|year| year < this_year - 7)),
            (0, Box::new(|year| year == this_year)),
        ] {
            let logged = years(&server).len();
            assert_eq!(scan_through(&client, || clock.set(set_to)).await, (1..=height).collect::<Vec<_>>());
            eventually("the log shows the year", PATIENCE, async || {
                years(&server).into_iter().skip(logged).any(&is_shown).then_some(())
            })
            .await;
            // Without node and scan, the file watch finds the block.
            scene.chain.coinbase_to(&script()).mine_block();
            scene.append();
            set_times(&scene.server.blocks_dir(), set_to);
            height += 1;
            assert_eq!(reports_to(&mut follower, height).await, [height]);
            assert_eq!(scan(&client, watch().from_height(Height(height))).await.heights(), [height]);
            let info = client.info().await.unwrap();
            assert_eq!(info.chain.tip.map(|tip| (tip.height.0, tip.hash)), Some((height, scene.chain.tip_hash())));
            let scraped = ask_at(&metrics, GET);
            assert_eq!(value(&scraped, "rescan_chain_height"), u64::from(height));
            assert_eq!(value(&scraped, "rescan_scans_ended_total{outcome=\"complete\"}"), info.metrics.scans_complete);
            let speed = info.metrics.last_scan_bytes_per_second;
            assert!(speed > 0 && speed < 1 << 40, "{speed} bytes a second");
        }
    });
    assert!(!server.log().contains("WARN"), "{}", server.log());
}
