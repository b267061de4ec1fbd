//! One block per call: the answer, its chain, refusals, and the quota of calls.

use std::time::Duration;

use bitcoin::{OutPoint, consensus};
use capnp::capability::Promise;
use rescan_core::block_match::{BlockMatch, MatchContent, MatchedBlock};
use rescan_core::position::Height;
use rescan_core::report::{Refusal, RefusalReason};
use rescan_core::wire;
use rescan_fixtures::block_file_writer::BlockFileLayout;
use rescan_server::session::guard::limits::SessionLimits;

use crate::client::{Client, run};
use crate::server::{TestServer, script};

type Answer = Promise<BlockMatch, capnp::Error>;

/// Calls about a height, and a hash unless it is empty, with unchecked entries.
fn ask(client: &Client, height: u32, hash: &[u8], scripts: &[&[u8]], txids: &[&[u8]]) -> Answer {
    let mut call = client.rescan.match_block_request();
    let mut params = call.get();
    params.set_height(height);
    params.set_hash(hash);
    let mut list = params.reborrow().init_scripts(u32::try_from(scripts.len()).unwrap());
    for (index, script) in (0..).zip(scripts) {
        list.set(index, script);
    }
    let mut list = params.init_outpoints(u32::try_from(txids.len()).unwrap());
    for (index, txid) in (0..).zip(txids) {
        list.reborrow().get(index).set_txid(txid);
    }
    let answer = call.send().promise;
    Promise::from_future(async move {
        let response = answer.await?;
        Ok(wire::read_block_match(response.get()?.get_result()?).unwrap())
    })
}

fn answered(found: BlockMatch) -> MatchedBlock {
    match found {
        BlockMatch::Answered(matched) => matched,
        other => panic!("expected an answer, found {other:?}"),
    }
}

fn refused(found: BlockMatch) -> Refusal {
    match found {
        BlockMatch::Refused(refusal) => refusal,
        other => panic!("expected a refusal, found {other:?}"),
    }
}

#[test]
fn a_matching_block_comes_whole_and_another_not_at_all() {
    let server = TestServer::with_blocks(3);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let hash: &[u8] = &server.block(2).block_hash()[..];
        let paying = answered(ask(&client, 2, hash, &[b"another", script().as_bytes()], &[]).await.unwrap());
        assert_eq!((paying.block.height, paying.block.hash), (Height(2), server.block(2).block_hash()));
        assert_eq!(paying.block.time, server.block(2).header.time);
        assert_eq!(paying.next.map(|next| next.hash), Some(server.tip()));
        assert_eq!(paying.content, MatchContent::Block(consensus::serialize(server.block(2))));

        let quiet = answered(ask(&client, 2, hash, &[b"another"], &[&[9; 32]]).await.unwrap());
        assert_eq!(quiet, MatchedBlock { content: MatchContent::Nothing, ..paying });

        // The null prevout of a coinbase, with index 2^32 - 1, stands for any spent outpoint.
        let mut call = client.rescan.match_block_request();
        call.get().set_height(2);
        let spent = OutPoint::null();
        let mut outpoint = call.get().init_outpoints(1).get(0);
        outpoint.set_txid(&spent.txid[..]);
        outpoint.set_vout(spent.vout);
        let response = call.send().promise.await.unwrap();
        let found = wire::read_block_match(response.get().unwrap().get_result().unwrap()).unwrap();
        assert_eq!(answered(found).content, MatchContent::Block(consensus::serialize(server.block(2))));
    });
}

#[test]
fn following_next_walks_the_chain_and_ends_at_its_tip() {
    let server = TestServer::with_blocks(20);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let mut walked = vec![answered(ask(&client, 0, &[], &[], &[]).await.unwrap())];
        while let Some(next) = walked.last().unwrap().next {
            walked.push(answered(ask(&client, next.height.0, &next.hash[..], &[], &[]).await.unwrap()));
        }
        let expected: Vec<_> = (0..=20).map(|height| server.block(height).block_hash()).collect();
        assert_eq!(walked.iter().map(|matched| matched.block.hash).collect::<Vec<_>>(), expected);
    });
}

/// The known chain is fresh for the whole test, so only the promise about the tip causes a refresh.
fn never_refreshed() -> SessionLimits {
    SessionLimits { chain_age_max: Duration::from_secs(3_600), ..SessionLimits::default() }
}

#[test]
fn a_walk_over_a_stale_chain_learns_of_it_at_its_end_at_the_latest() {
    let mut server = TestServer::new();
    (0..6).for_each(|_| server.mine(0));
    server.start(never_refreshed());
    run(async {
        let client = Client::connect(&server.socket()).await;
        let mut walked = vec![answered(ask(&client, 0, &[], &[], &[]).await.unwrap())];
        server.rewind_to(3);
        (0..4).for_each(|_| server.mine(0));
        let refusal = loop {
            let next = walked.last().unwrap().next.expect("a tip is never that of a stale chain");
            match ask(&client, next.height.0, &next.hash[..], &[], &[]).await.unwrap() {
                BlockMatch::Answered(matched) => walked.push(matched),
                other => break refused(other),
            }
        };
        assert_eq!(refusal.reason, RefusalReason::NotInChain);
        let at_six = answered(ask(&client, 6, &[], &[], &[]).await.unwrap());
        assert_eq!(at_six.next.map(|next| next.hash), Some(server.tip()));
    });
}

#[test]
fn a_stale_block_is_refused_if_every_call_refreshes() {
    let mut server = TestServer::new();
    (0..6).for_each(|_| server.mine(0));
    server.start(SessionLimits { chain_age_max: Duration::ZERO, ..SessionLimits::default() });
    run(async {
        let client = Client::connect(&server.socket()).await;
        let stale = server.block(5).block_hash();
        let watched = script();
        let by_hash = || ask(&client, 5, &stale[..], &[watched.as_bytes()], &[]);
        assert!(matches!(answered(by_hash().await.unwrap()).content, MatchContent::Block(_)));
        server.rewind_to(3);
        (0..4).for_each(|_| server.mine(0));
        let refusal = refused(by_hash().await.unwrap());
        assert_eq!(refusal.reason, RefusalReason::NotInChain);
        assert!(refusal.detail.contains(&stale.to_string()), "{refusal}");
        assert!(refusal.detail.contains(&server.block(5).block_hash().to_string()), "{refusal}");
        let there = answered(ask(&client, 5, &[], &[], &[]).await.unwrap());
        assert_eq!(there.block.hash, server.block(5).block_hash());
    });
}

#[test]
fn a_block_that_was_written_before_the_call_is_found_however_fresh_the_known_chain() {
    let mut server = TestServer::new();
    server.mine(0);
    server.start(never_refreshed());
    run(async {
        let client = Client::connect(&server.socket()).await;
        assert_eq!(answered(ask(&client, 1, &[], &[], &[]).await.unwrap()).next, None);
        server.mine(0);
        let tip = server.tip();
        assert_eq!(answered(ask(&client, 2, &tip[..], &[], &[]).await.unwrap()).block.hash, tip);
        let below = server.block(1).block_hash();
        assert_eq!(
            answered(ask(&client, 1, &below[..], &[], &[]).await.unwrap()).next.map(|next| next.hash),
            Some(tip)
        );
    });
}

#[test]
fn an_entry_that_cannot_be_matched_is_refused_by_its_number() {
    let mut server = TestServer::new();
    (0..2).for_each(|_| server.mine(0));
    server.start(SessionLimits {
        scripts_per_watch_set_max: 3,
        outpoints_per_watch_set_max: 1,
        ..SessionLimits::default()
    });
    run(async {
        let client = Client::connect(&server.socket()).await;
        let refused = async |height, hash: &[u8], scripts: &[&[u8]], txids: &[&[u8]]| {
            let refusal = refused(ask(&client, height, hash, scripts, txids).await.unwrap());
            (refusal.reason, refusal.position)
        };
        assert_eq!(refused(1, &[], &[b"good", b"", b"good"], &[]).await, (RefusalReason::BadScript, 1));
        assert_eq!(refused(1, &[], &[&[1; 10_001]], &[]).await, (RefusalReason::BadScript, 0));
        assert_eq!(refused(1, &[], &[], &[&[1; 31]]).await, (RefusalReason::BadOutpoint, 0));
        assert_eq!(refused(1, &[], &[b"a", b"b", b"c", b"d"], &[]).await, (RefusalReason::TooManyEntries, 3));
        assert_eq!(refused(1, &[], &[], &[&[1; 32], &[2; 32]]).await, (RefusalReason::TooManyEntries, 1));
        assert_eq!(refused(3, &[], &[], &[]).await, (RefusalReason::BadRange, 0));
        assert_eq!(refused(u32::MAX, &[7; 32], &[], &[]).await, (RefusalReason::BadRange, 0));
        let elsewhere = server.block(2).block_hash();
        assert_eq!(refused(1, &elsewhere[..], &[], &[]).await, (RefusalReason::NotInChain, 0));

        let Err(error) = ask(&client, 1, &[7; 31], &[], &[]).await else { panic!("expected an exception") };
        assert!(error.extra.contains("hash is 31 bytes long, expected 32"), "{error}");
        assert!(matches!(ask(&client, 1, &[], &[b"good"], &[]).await.unwrap(), BlockMatch::Answered(_)));
    });
}

#[test]
fn running_calls_count_as_scans_and_a_dropped_call_releases_its_permit() {
    let mut server = TestServer::new();
    server.mine(0);
    let reading = server.start_held();
    run(async {
        let client = Client::connect(&server.socket()).await;
        let watched = script();
        let ask = || ask(&client, 1, &[], &[watched.as_bytes()], &[]);
        let max = SessionLimits::default().scans_per_connection_max;
        let mut waiting: Vec<_> = (0..max).map(|_| Box::pin(ask())).collect();
        for call in &mut waiting {
            assert!(futures::poll!(call).is_pending());
        }
        let refusal = refused(ask().await.unwrap());
        assert_eq!(refusal.reason, RefusalReason::TooManyScans);
        assert!(futures::poll!(&mut waiting[0]).is_pending(), "the chain is not read yet");
        drop(waiting);
        let again: Vec<_> = (0..max).map(|_| ask()).collect();
        // The server handles messages of one connection in order, so it sees the drops first.
        client.info().await.unwrap();
        reading.release();
        for found in futures::future::join_all(again).await {
            assert!(matches!(answered(found.unwrap()).content, MatchContent::Block(_)));
        }
    });
}

#[test]
fn a_pruned_block_is_reported_as_not_on_disk_with_its_id() {
    let layout = BlockFileLayout { file_bytes_max: 3_000, ..BlockFileLayout::default() };
    let mut server = TestServer::laid_out(layout);
    (0..20).for_each(|_| server.mine(1_000));
    server.start(never_refreshed());
    run(async {
        let client = Client::connect(&server.socket()).await;
        let watched = script();
        let ask = || ask(&client, 1, &[], &[watched.as_bytes()], &[]);
        let before = answered(ask().await.unwrap());
        assert!(matches!(before.content, MatchContent::Block(_)));
        server.prune(0);
        let after = answered(ask().await.unwrap());
        assert_eq!(after, MatchedBlock { content: MatchContent::NotOnDisk, ..before });
    });
}
