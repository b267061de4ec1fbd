//! Scans for a correct wallet.

use bitcoin::Network;
use rescan_core::position::Height;
use rescan_core::report::{KeychainUse, Origin, Outcome, Phase};
use rescan_core::request::{RangeEnd, RangeRequest, RangeStart};
use rescan_core::rescan_capnp::scan;
use rescan_core::server_info::{ChainState, PROTOCOL_VERSION};
use rescan_core::wire;
use rescan_fixtures::block_file_writer::BlockFileLayout;
use rescan_server::session::guard::limits::SessionLimits;

use crate::client::{Client, Sink, add_keychain, add_scripts, from_to, progress, run, seal, whole};
use crate::server::{TestServer, script};

#[test]
fn a_server_describes_itself_and_its_chain() {
    let server = TestServer::with_blocks(3);
    run(async {
        let client = Client::connect(&server.socket()).await;
        // A scan waits for the first reading of the chain.
        let sink = Sink::new();
        let _scan = client.scan(&client.watching(&[b"x"]).await, whole(), &sink);
        sink.summary().await;
        let info = client.info().await.unwrap();
        assert_eq!((info.protocol_version, info.network), (PROTOCOL_VERSION, Network::Regtest));
        assert_eq!(info.chain.state, ChainState::Ready);
        assert_eq!(info.chain.tip.map(|tip| (tip.height, tip.hash)), Some((Height(3), server.tip())));
        assert_eq!(info.chain.genesis, server.block(0).block_hash());
        assert_eq!(info.limits, SessionLimits::default().announced());
    });
}

#[test]
fn a_scan_reports_every_match_once_in_height_order_and_then_its_summary() {
    let server = TestServer::with_blocks(40);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let watch_set = client.watching(&[b"nothing pays this", script().as_bytes()]).await;
        let sink = Sink::new();
        let scan = client.scan(&watch_set, whole(), &sink);
        let summary = sink.summary().await;
        assert_eq!(summary.outcome, Outcome::Complete);
        assert_eq!((summary.range.first(), summary.range.last()), (Height(0), Height(40)));
        assert_eq!((summary.tip.hash, summary.blocks_scanned, summary.transactions), (server.tip(), 41, 40));
        assert_eq!(summary.locator.first(), Some(&server.tip()));
        assert_eq!(progress(&scan).await.phase, Phase::Done);
        drop(scan);
        let collected = sink.collected.borrow();
        let heights: Vec<u32> = collected.reports.iter().map(|report| report.height.0).collect();
        assert_eq!(heights, (1..=40).collect::<Vec<_>>());
        let first = &collected.reports[0].transactions[0];
        assert_eq!(first.txid, server.block(1).txdata[0].compute_txid());
        assert_eq!(first.received[0].origins, [Origin::Script(1)]);
        assert_eq!(collected.batches[0], 1, "the first match is sent alone");
        assert!(collected.batches.len() < 10, "the others share messages: {:?}", collected.batches);
        assert_eq!(collected.endings, 1);
    });
}

#[test]
fn a_keychain_is_derived_and_its_use_reported() {
    let server = TestServer::with_blocks(2);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let watch_set = client.watch_set().await.unwrap();
        add_keychain(&watch_set, &format!("raw({:x})", script())).await;
        // A ranged one: 1,000 scripts that nothing pays.
        add_keychain(
            &watch_set,
            "wpkh(tpubD6NzVbkrYhZ4WaWSyoBvQwbpLkojyoTZPRsgXELWz3Popb3qkjcJyJUGLnL4qHHoQvao8ESaAstxYSnhyswJ76uZPStJRJCTKvosUCJZL5B/0/*)",
        )
        .await;
        let size = seal(&watch_set).await.unwrap();
        assert_eq!((size.keychains, size.scripts, size.outpoints), (2, 1_001, 0));
        assert_eq!(seal(&watch_set).await.unwrap(), size, "sealing again returns the same answer");
        let sink = Sink::new();
        let _scan = client.scan(&watch_set, whole(), &sink);
        let summary = sink.summary().await;
        assert_eq!(summary.keychains.len(), 2);
        let collected = sink.collected.borrow();
        assert_eq!(
            collected.reports[0].transactions[0].received[0].origins,
            [Origin::Keychain { keychain: 0, index: None }]
        );
    });
}

#[test]
fn one_watch_set_is_scanned_any_number_of_times_at_once() {
    let server = TestServer::with_blocks(10);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let watch_set = client.watching(&[script().as_bytes()]).await;
        let sinks: Vec<Sink> = (0..4).map(|_| Sink::new()).collect();
        let _scans: Vec<_> = sinks.iter().map(|sink| client.scan(&watch_set, whole(), sink)).collect();
        for sink in &sinks {
            assert_eq!(sink.summary().await.transactions, 10);
        }
    });
}

#[test]
fn a_scan_waits_for_a_sealing_that_has_begun() {
    let server = TestServer::with_blocks(2);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let watch_set = client.watch_set().await.unwrap();
        add_scripts(&watch_set, &[script().as_bytes()]).await;
        let sealed = watch_set.seal_request().send().promise;
        let sink = Sink::new();
        let _scan = client.scan(&watch_set, whole(), &sink);
        sealed.await.unwrap();
        assert_eq!(sink.summary().await.transactions, 2);
    });
}

#[test]
fn blocks_that_were_written_before_the_call_are_scanned() {
    let mut server = TestServer::with_blocks(1);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let watch_set = client.watching(&[script().as_bytes()]).await;
        for blocks in 2..5 {
            server.mine(0);
            let sink = Sink::new();
            let _scan = client.scan(&watch_set, whole(), &sink);
            let summary = sink.summary().await;
            assert_eq!((summary.transactions, summary.tip.hash), (blocks, server.tip()));
        }
    });
}

#[test]
fn a_range_by_height_and_by_birthday_is_made_definite() {
    let server = TestServer::with_blocks(30);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let watch_set = client.watching(&[script().as_bytes()]).await;
        let heights = async |range| {
            let sink = Sink::new();
            let _scan = client.scan(&watch_set, range, &sink);
            let summary = sink.summary().await;
            (summary.range.first().0, summary.range.last().0, sink.collected.borrow().reports.len())
        };
        assert_eq!(heights(from_to(5, Some(7))).await, (5, 7, 3));
        // Blocks are ten minutes apart, and a birthday has a margin of two hours: twelve blocks.
        let birthday = server.block(20).header.time;
        let since = RangeRequest { from: RangeStart::Birthday(birthday), to: RangeEnd::Tip };
        assert_eq!(heights(since).await, (8, 30, 23));
        let later = RangeRequest { from: RangeStart::Birthday(u32::MAX), to: RangeEnd::Tip };
        assert_eq!(heights(later).await, (30, 30, 1));
    });
}

#[test]
fn whole_blocks_arrive_in_order_and_unchanged() {
    let server = TestServer::with_blocks(20);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let sink = Sink::new();
        let _scan = client.blocks(&whole(), &sink);
        let summary = sink.summary().await;
        assert_eq!((summary.outcome, summary.blocks_scanned, summary.transactions), (Outcome::Complete, 21, 0));
        let collected = sink.collected.borrow();
        assert_eq!(collected.blocks.len(), 21);
        for (height, block) in (0..).zip(&collected.blocks) {
            assert_eq!(block.height, Height(height));
            assert_eq!(block.hash, server.block(height).block_hash());
            assert_eq!(block.data, bitcoin::consensus::serialize(server.block(height)));
        }
    });
}

#[test]
fn block_ids_are_those_of_the_pinned_chain() {
    let server = TestServer::with_blocks(5);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let sink = Sink::new();
        let scan = client.scan(&client.watching(&[b"x"]).await, whole(), &sink);
        let mut request = scan.block_ids_request();
        let mut heights = request.get().init_heights(3);
        heights.set(0, 5);
        heights.set(1, 6);
        heights.set(2, 0);
        let response = request.send().promise.await.unwrap();
        let ids: Vec<_> =
            response.get().unwrap().get_ids().unwrap().iter().map(|id| wire::read_block_id(id).unwrap()).collect();
        let hashes: Vec<_> = ids.iter().map(|id| id.map(|id| id.hash)).collect();
        assert_eq!(hashes, [Some(server.tip()), None, Some(server.block(0).block_hash())]);
        assert_eq!(ids[0].unwrap().time, server.block(5).header.time);
    });
}

/// A shipment of all blocks, held after the first batch.
async fn held_shipment(server: &TestServer) -> (Sink, scan::Client) {
    let client = Client::connect(&server.socket()).await;
    let sink = Sink::held();
    let shipment = client.blocks(&whole(), &sink);
    sink.arrived(1).await;
    (sink, shipment)
}

#[test]
fn a_cancelled_scan_has_a_summary_up_to_the_last_block() {
    let server = TestServer::with_long_chain(SessionLimits::default());
    run(async {
        let (sink, scan) = held_shipment(&server).await;
        scan.cancel_request().send().promise.await.unwrap();
        sink.release();
        let summary = sink.summary().await;
        assert_eq!(summary.outcome, Outcome::Cancelled);
        let collected = sink.collected.borrow();
        let last = collected.blocks.last().unwrap();
        assert!(last.height < Height(300), "the scan did not stop");
        assert_eq!(summary.locator.first(), Some(&last.hash), "the locator begins at the last block that was sent");
        assert_eq!(summary.range.last(), Height(300), "the range is the requested one");
    });
}

#[test]
fn a_reorganisation_in_mid_scan_is_reported() {
    let mut server = TestServer::with_long_chain(SessionLimits::default());
    run(async {
        let (sink, _scan) = held_shipment(&server).await;
        server.rewind_to(41);
        (0..270).for_each(|_| server.mine(0));
        sink.release();
        assert_eq!(sink.summary().await.outcome, Outcome::ReorganisedFrom(Height(42)));
    });
}

#[test]
fn a_scan_before_the_chain_is_read_waits_with_that_phase() {
    let mut server = TestServer::new();
    (0..4).for_each(|_| server.mine(0));
    let reading = server.start_held();
    run(async {
        let client = Client::connect(&server.socket()).await;
        let info = client.info().await.unwrap();
        assert_eq!((info.chain.state, info.chain.tip), (ChainState::Reading, None));
        let watch_set = client.watch_set().await.unwrap();
        add_scripts(&watch_set, &[script().as_bytes()]).await;
        add_keychain(&watch_set, "raw(51)").await;
        add_keychain(&watch_set, "raw(52)").await;
        seal(&watch_set).await.unwrap();
        let (sink, cancelled) = (Sink::new(), Sink::new());
        let scan = client.scan(&watch_set, whole(), &sink);
        let impatient = client.scan(&watch_set, from_to(1, Some(3)), &cancelled);
        while progress(&scan).await.phase != Phase::ReadingChain {}

        impatient.cancel_request().send().promise.await.unwrap();
        let summary = cancelled.summary().await;
        assert_eq!((summary.outcome, summary.blocks_scanned), (Outcome::Cancelled, 0));
        assert_eq!(summary.tip.hash, server.block(0).block_hash(), "no range is definite yet");
        assert_eq!((summary.range.first(), summary.range.last()), (Height(1), Height(3)), "the requested range");
        assert_eq!(summary.keychains, [KeychainUse::Unused; 2]);
        assert!(summary.locator.is_empty(), "nothing was scanned");

        let hasty = Sink::new();
        let at_once = client.scan(&watch_set, whole(), &hasty);
        at_once.cancel_request().send().promise.await.unwrap();
        assert_eq!(hasty.summary().await.keychains, [KeychainUse::Unused; 2], "cancelled at once");

        assert_eq!(progress(&scan).await.phase, Phase::ReadingChain);
        tokio::task::spawn_blocking(|| reading.release()).await.unwrap();
        assert_eq!(sink.summary().await.transactions, 4);
        assert_eq!(client.info().await.unwrap().chain.state, ChainState::Ready);
    });
}

#[test]
fn a_stopping_server_does_not_wait_for_the_chain_to_be_read() {
    let mut server = TestServer::new();
    let reading = server.start_held();
    run(async {
        let client = Client::connect(&server.socket()).await;
        let watch_set = client.watching(&[script().as_bytes()]).await;
        let sink = Sink::new();
        let scan = client.scan(&watch_set, whole(), &sink);
        while progress(&scan).await.phase != Phase::ReadingChain {}
        let stopping = server.tell_to_stop().unwrap();
        assert_eq!(sink.summary().await.outcome, Outcome::Cancelled);
        tokio::task::spawn_blocking(move || {
            reading.release();
            stopping.join().unwrap();
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_range_with_missing_blocks_ends_at_once_with_the_lowest_height_that_is_complete() {
    // A file for each block.
    let mut server = TestServer::laid_out(BlockFileLayout { file_bytes_max: 60_000, ..BlockFileLayout::default() });
    (0..30).for_each(|_| server.mine(50_000));
    (0..10).for_each(|file| server.prune(file));
    server.start(SessionLimits::default());
    run(async {
        let client = Client::connect(&server.socket()).await;
        let watch_set = client.watching(&[script().as_bytes()]).await;
        let sink = Sink::new();
        let _scan = client.scan(&watch_set, whole(), &sink);
        let summary = sink.summary().await;
        let info = client.info().await.unwrap();
        let lowest = info.chain.lowest_height;
        assert!((Height(8)..Height(12)).contains(&lowest), "{lowest}");
        assert_eq!((summary.outcome, summary.blocks_scanned), (Outcome::PrunedBelow(lowest), 0));
        assert_eq!((summary.range.first(), summary.range.last()), (Height(0), Height(30)));
        assert!(sink.collected.borrow().reports.is_empty());
        let below = Sink::new();
        let _scan = client.scan(&watch_set, from_to(lowest.0 - 1, None), &below);
        assert_eq!(below.summary().await.outcome, Outcome::PrunedBelow(lowest));
        let rest = Sink::new();
        let _scan = client.scan(&watch_set, from_to(lowest.0, None), &rest);
        let summary = rest.summary().await;
        assert_eq!((summary.outcome, summary.transactions), (Outcome::Complete, u64::from(31 - lowest.0)));
    });
}
