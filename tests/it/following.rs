//! A node that adds blocks while its files are served.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use rescan_client::position::Height;
use rescan_client::report::Outcome;
use rescan_client::{ScanEvent, ScanRequest, Verify};
use rescan_fixtures::chain_builder::{ChainBuilder, Record};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, ScanRecord, Scene, patiently, scan};

fn wallet() -> TestWallet {
    TestWallet::new("carol")
}

fn script() -> bitcoin::ScriptBuf {
    wallet().script(ScriptKind::P2wpkh, 0)
}

fn watch() -> ScanRequest {
    ScanRequest::new().script(script())
}

fn pay_in_coinbase(chain: &mut ChainBuilder) {
    chain.coinbase_to(&script()).mine(1);
}

/// Ten blocks that pay the script.
fn paid_chain() -> ChainBuilder {
    let mut chain = ChainBuilder::new();
    (0..10).for_each(|_| pay_in_coinbase(&mut chain));
    chain
}

#[test]
fn the_next_scan_sees_what_was_appended_and_what_was_reorganised() {
    let mut scene = Scene::serve(paid_chain(), Manner { is_mapped: true, ..Manner::default() });
    patiently(async {
        let client = scene.server.client().await;
        assert_eq!(scan(&client, watch()).await.heights(), (1..=10).collect::<Vec<_>>());
        pay_in_coinbase(&mut scene.chain);
        scene.append();
        assert_eq!(scan(&client, watch()).await.heights(), (1..=11).collect::<Vec<_>>());
        // Blocks 9 to 11 are left for four that do not pay the script.
        scene.chain.reorg(3);
        scene.append();
        let found = scan(&client, watch()).await;
        assert_eq!(found.heights(), (1..=8).collect::<Vec<_>>());
        let summary = found.summary();
        assert_eq!((summary.outcome, summary.tip.height.0), (Outcome::Complete, 12));
        assert_eq!(summary.tip.hash, scene.chain.tip_hash());
        assert_eq!(summary.locator.first(), Some(&scene.chain.tip_hash()));
    });
}

#[test]
fn a_file_that_is_finished_beneath_the_server_and_its_successor_are_followed() {
    let mut chain = paid_chain();
    chain.preallocate(1 << 16).xor([9, 8, 7, 6, 5, 4, 3, 2]);
    let mut scene = Scene::serve(chain, Manner { is_mapped: true, ..Manner::default() });
    patiently(async {
        let client = scene.server.client().await;
        for finished in 0..3 {
            assert_eq!(scan(&client, watch()).await.reports.len(), 10 + finished);
            scene.files.files().roll_over().unwrap();
            assert_eq!(scan(&client, watch()).await.reports.len(), 10 + finished, "nothing but a cut tail");
            pay_in_coinbase(&mut scene.chain);
            scene.append();
        }
        assert_eq!(scan(&client, watch()).await.heights(), (1..=13).collect::<Vec<_>>());
    });
}

#[test]
fn a_block_that_is_written_by_halves_counts_once_it_is_whole() {
    let mut scene = Scene::serve(paid_chain(), Manner::default());
    let hash = scene.chain.coinbase_to(&script()).mine_block();
    scene.files.write(&scene.chain, &[Record::Torn { block: hash, written: 90 }]).unwrap();
    patiently(async {
        let client = scene.server.client().await;
        let found = scan(&client, watch()).await;
        assert_eq!((found.reports.len(), found.summary().outcome), (10, Outcome::Complete));
        let bytes = bitcoin::consensus::serialize(scene.chain.block(&hash).unwrap());
        let span = scene.span_at(11);
        scene.files.files().overwrite(span.file, span.offset.into(), &bytes).unwrap();
        assert_eq!(scan(&client, watch()).await.heights(), (1..=11).collect::<Vec<_>>());
    });
}

/// Enough to tell of a chain that its scan waits for the wallet before it has come far.
fn talkative(blocks: u32) -> Scene {
    Scene::serve(Scene::talkative(&script(), blocks, 1_000), Manner::default())
}

#[test]
fn a_running_scan_keeps_its_chain_while_another_sees_the_new_one() {
    let mut scene = talkative(150);
    patiently(async {
        let client = scene.server.client().await;
        let mut first = client.scan(watch()).await.unwrap();
        let Some(Ok(ScanEvent::Report(_))) = first.next().await else { panic!("a report comes first") };
        scene.chain.mine(1);
        scene.append();
        let second = scan(&scene.server.client().await, watch().from_height(Height(150))).await;
        assert_eq!(second.summary().tip.hash, scene.chain.hash_at(151));
        // Blocks that arrived in the meantime are not part of the first, and remove nothing from
        // it.
        let rest = ScanRecord::of(first).await;
        assert_eq!((rest.reports.len(), rest.summary().outcome), (149, Outcome::Complete));
        assert_eq!(rest.summary().tip.hash, scene.chain.hash_at(150));
    });
}

#[test]
fn a_scan_whose_chain_is_left_says_from_which_height_and_nothing_false_stands() {
    let mut scene = talkative(150);
    patiently(async {
        let client = scene.server.client().await;
        let mut first = client.scan(watch()).await.unwrap();
        let Some(Ok(ScanEvent::Report(_))) = first.next().await else { panic!("a report comes first") };
        let handle = first.handle();
        let left = scene.chain.hash_at(145);
        scene.chain.reorg(10);
        scene.append();
        // The next scan makes the server look at its files.
        let second = scan(&scene.server.client().await, watch()).await;
        assert_eq!(second.heights(), (1..=140).collect::<Vec<_>>());
        let pinned = handle.block_ids(vec![Height(145)]).await.unwrap();
        assert_eq!(pinned[0].unwrap().hash, left, "the first scan answers for its own chain");
        let rest = ScanRecord::of(first).await;
        assert_eq!(rest.summary().outcome, Outcome::ReorganisedFrom(Height(141)));
        let on = rest.summary().locator.iter().find(|hash| scene.is_active(hash));
        assert!(on.is_some(), "there is something to go on from");
    });
}

#[test]
fn a_scan_that_is_cancelled_after_its_chain_was_left_says_that_it_was() {
    let mut scene = talkative(150);
    patiently(async {
        let client = scene.server.client().await;
        let mut first = client.scan(watch()).await.unwrap();
        for _ in 0..2 {
            let Some(Ok(ScanEvent::Report(_))) = first.next().await else { panic!("reports come first") };
        }
        // Of the reported blocks, only block 1 stays.
        scene.chain.reorg(149);
        scene.append();
        assert_eq!(scan(&scene.server.client().await, watch()).await.heights(), [1]);
        let handle = first.handle();
        let (cancelled, rest) = tokio::join!(handle.cancel(), ScanRecord::of(first));
        cancelled.unwrap();
        assert_eq!(rest.summary().outcome, Outcome::ReorganisedFrom(Height(2)));
    });
}

#[test]
fn a_server_that_is_started_again_goes_by_what_it_remembers() {
    let mut chain = paid_chain();
    chain.file_bytes_max(2_048);
    let mut scene = Scene::write(chain, Manner::default());
    // Files that changed a moment ago are read again anyway.
    fs::read_dir(scene.server.blocks_dir()).unwrap().for_each(|entry| set_time(&entry.unwrap().path()));
    scene.server.start();
    patiently(async { assert_eq!(scan(&scene.server.client().await, watch()).await.reports.len(), 10) });
    scene.server.stop();
    // The magic before block 2 is overwritten, and the file keeps its old modification time. A new
    // walk over the records does not find the block; the server's index does.
    let span = scene.span_at(2);
    assert_eq!(span.file, scene.span_at(3).file, "it is not its file's last, which is always looked at");
    scene.files.files().overwrite(span.file, u64::from(span.offset) - 8, &[0; 4]).unwrap();
    set_time(&scene.files.files().path(span.file));
    pay_in_coinbase(&mut scene.chain);
    scene.append();
    scene.server.start();
    patiently(async {
        let found = scan(&scene.server.client().await, watch().verify(Verify::All)).await;
        assert_eq!(found.heights(), (1..=11).collect::<Vec<_>>());
    });
    // Without its memory it walks, and misses the block.
    scene.server.stop();
    fs::remove_dir_all(scene.server.state_dir()).unwrap();
    scene.server.start();
    patiently(async {
        let found = scan(&scene.server.client().await, watch()).await;
        assert_eq!(found.summary().outcome, Outcome::PrunedBelow(Height(3)));
    });
}

/// Sets a file's modification time to long ago.
fn set_time(path: &Path) {
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    fs::File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
}
