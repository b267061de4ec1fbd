//! The server's memory for wallets that do not read their results.

use futures::StreamExt;
use rescan_client::{BlockEvent, ScanEvent, ScanRequest};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, ScanRecord, Scene, patiently, scan};

use crate::start;

const BLOCKS: u32 = 600;

/// The limit of one scan: its window, and results that wait in the pool.
const BYTES_A_SCAN_MAX: u64 = 4 << 20;

/// Free memory that the allocator keeps, whatever the number of scans: 8 MiB for each of two threads.
const ALLOCATOR_BYTES: u64 = 16 << 20;

#[test]
fn wallets_that_read_nothing_cost_a_bounded_amount_and_hold_up_nobody() {
    let script = TestWallet::new("rupert").script(ScriptKind::P2tr, 0);
    // 60 MB of blocks and 2 MB of reports, several times what fits into windows and socket buffers.
    let scene = Scene::write(Scene::laden(&script, BLOCKS), Manner::default());
    let server = start(&scene.server, &["--workers", "1"]);
    let watch = || ScanRequest::new().script(script.clone());
    patiently(async {
        let active = server.client().await;
        let scans_as_ever = async || assert_eq!(scan(&active, watch()).await.reports.len(), BLOCKS as usize);
        scans_as_ever().await;
        let before = server.anonymous_memory();
        let mut stalled = Vec::new();
        for _ in 0..4 {
            let client = server.client().await;
            let mut reports = client.scan(watch()).await.unwrap();
            assert!(matches!(reports.next().await, Some(Ok(ScanEvent::Report(_)))));
            let mut blocks = client.blocks(watch().range).await.unwrap();
            assert!(matches!(blocks.next().await, Some(Ok(BlockEvent::Block(_)))));
            stalled.push((reports, blocks));
        }
        scans_as_ever().await;
        let grown = server.anonymous_memory().saturating_sub(before);
        let scans = 2 * stalled.len() as u64;
        assert!(
            grown < ALLOCATOR_BYTES + scans * BYTES_A_SCAN_MAX,
            "{grown} bytes for {scans} scans that nobody reads"
        );
        // The unread results can still be read.
        for (reports, _) in stalled {
            assert_eq!(ScanRecord::of(reports).await.reports.len(), BLOCKS as usize - 1);
        }
    });
}

#[test]
fn a_wallet_to_which_everything_belongs_costs_no_more() {
    let script = TestWallet::new("rupert").script(ScriptKind::P2tr, 0);
    // 150,000 outputs, all of them the wallet's: their reports are many times larger than their blocks.
    let scene = Scene::write(Scene::talkative(&script, 150, 1_000), Manner::default());
    let server = start(&scene.server, &["--workers", "2"]);
    let watch = || ScanRequest::new().script(script.clone());
    patiently(async {
        let active = server.client().await;
        assert_eq!(scan(&active, watch()).await.reports.len(), 150);
        let before = server.anonymous_memory();
        let mut stalled = Vec::new();
        for _ in 0..3 {
            let client = server.client().await;
            let mut reports = client.scan(watch()).await.unwrap();
            assert!(matches!(reports.next().await, Some(Ok(ScanEvent::Report(_)))));
            stalled.push(reports);
        }
        assert_eq!(scan(&active, watch()).await.reports.len(), 150);
        let grown = server.anonymous_memory().saturating_sub(before);
        assert!(grown < ALLOCATOR_BYTES + 3 * BYTES_A_SCAN_MAX, "{grown} bytes for 3 scans that nobody reads");
    });
}
