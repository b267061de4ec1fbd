//! A branch of more work that comes while a scan is under way, at every depth.

use bitcoin::{BlockHash, ScriptBuf};
use futures::StreamExt;
use rescan_client::history::History;
use rescan_client::position::Height;
use rescan_client::report::{BlockReport, Outcome};
use rescan_client::{ScanEvent, ScanRequest};
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, ScanRecord, Scene, patiently, scan};

const DEPTH_MAX: u32 = 100;

/// The number of times that the request names the script. Each match lists all of them, so a few
/// blocks fill every buffer between the server and a wallet that does not read.
const GIVEN: usize = 1_000;

/// Outputs of a block that pay the script, 16 kB of report for each. With this many, the report of
/// the second block above the fork is incomplete before the wallet reads. The first may be
/// complete, since the transport allows one message beyond its window. In that case the scan ends
/// before its chain becomes stale.
const OUTPUTS_ABOVE: u32 = 20;

/// The same below the fork: few, because the scan must pass them before it stalls.
const OUTPUTS_BELOW: u32 = 3;

fn script() -> ScriptBuf {
    TestWallet::new("ivan").script(ScriptKind::P2wpkh, 0)
}

fn watch() -> ScanRequest {
    ScanRequest::new().script(script())
}

fn watch_verbosely() -> ScanRequest {
    vec![script(); GIVEN].into_iter().fold(ScanRequest::new(), ScanRequest::script)
}

/// Every block pays the script with so many outputs.
fn mine_paying(chain: &mut ChainBuilder, blocks: u32, outputs: u32) {
    let script = script();
    for _ in 0..blocks {
        for _ in 0..outputs {
            chain.coinbase_to(&script);
        }
        chain.mine(1);
    }
}

/// The parts of a report that a wallet keeps: block and transactions.
fn kept(reports: &[BlockReport]) -> impl Iterator<Item = (u32, BlockHash, usize)> {
    reports.iter().map(|report| (report.height.0, report.hash, report.transactions.len()))
}

fn blocks_of(chain: &ChainBuilder, heights: impl Iterator<Item = u32>) -> Vec<(u32, BlockHash, usize)> {
    heights.map(|height| (height, chain.hash_at(height), 1)).collect()
}

/// Stalls a scan, replaces the last blocks of its chain at each depth in ascending order, always
/// above `fork`, and lets it run on. Reports below the fork stay valid, reports above do not, and
/// resuming returns the new blocks. Returns the number of reverted reports.
fn every_depth_above(fork: u32, depth_min: u32) -> usize {
    let mut chain = ChainBuilder::new();
    mine_paying(&mut chain, fork, OUTPUTS_BELOW);
    mine_paying(&mut chain, depth_min, OUTPUTS_ABOVE);
    let mut scene = Scene::serve(chain, Manner::default());
    patiently(async {
        let client = scene.server.client().await;
        let mut taken_back = 0;
        for depth in depth_min..=DEPTH_MAX {
            assert_eq!(scene.chain.tip_height(), fork + depth);
            let mut held = client.scan(watch_verbosely()).await.unwrap();
            let Some(Ok(ScanEvent::Report(first))) = held.next().await else { panic!("a report comes first") };
            let left: Vec<BlockHash> = (0..=fork + depth).rev().map(|height| scene.chain.hash_at(height)).collect();
            scene.chain.rewind(depth);
            mine_paying(&mut scene.chain, depth + 1, OUTPUTS_ABOVE);
            scene.append();
            // The next request makes the server look at its files.
            let common = client.locate(left).await.unwrap().unwrap();
            assert_eq!((common.height.0, common.hash), (fork, scene.chain.hash_at(fork)));

            let mut told = ScanRecord::of(held).await;
            told.reports.insert(0, first);
            let summary = told.summary();
            assert_eq!(summary.outcome, Outcome::ReorganisedFrom(Height(fork + 1)), "depth {depth}");
            let last = told.heights().last().copied().unwrap();
            assert_eq!(told.heights(), (1..=last).collect::<Vec<_>>(), "each block once, and none left out");
            let stands = last.min(fork) as usize;
            assert_eq!(
                kept(&told.reports[..stands]).collect::<Vec<_>>(),
                blocks_of(&scene.chain, 1..=last.min(fork)),
                "blocks below the fork stand, at depth {depth}"
            );
            assert!(told.reports[stands..].iter().all(|report| !scene.is_active(&report.hash)));
            taken_back += told.reports.len() - stands;

            let mut history: History = told.history();
            history.truncate(Height(fork + 1));
            let on = scan(&client, watch().after(summary.locator.clone())).await;
            assert_eq!(on.summary().outcome, Outcome::Complete);
            history.extend(on.reports);
            let whole: Vec<BlockReport> = history.into_reports().collect();
            let expected = blocks_of(&scene.chain, 1..=scene.chain.tip_height());
            assert_eq!(kept(&whole).collect::<Vec<_>>(), expected, "depth {depth}");
        }
        taken_back
    })
}

#[test]
fn a_fork_below_what_was_told_takes_back_what_is_above_it_and_nothing_else_at_every_depth() {
    assert!(every_depth_above(12, 2) > 0);
}

#[test]
fn a_fork_above_what_was_told_takes_nothing_back_at_every_depth() {
    assert_eq!(every_depth_above(60, 1), 0);
}
