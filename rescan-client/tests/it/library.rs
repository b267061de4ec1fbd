//! The library against a server that does as each test tells it, right and wrong.

use std::io::Write;
use std::os::unix::net::UnixStream;

use futures::StreamExt;
use rescan_client::bitcoin::hashes::Hash;
use rescan_client::bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, TxOut, Txid};
use rescan_client::position::{Height, HeightRange};
use rescan_client::report::{
    BlockId, BlockReport, Ending, Failure, FailureKind, FullBlock, KeychainUse, Origin, Outcome, Received, Refusal,
    RefusalReason, Summary, TransactionReport,
};
use rescan_client::server_info::Feature;
use rescan_client::{
    BlockEvent, CallError, Client, ConnectError, GivenKeychain, GivenOutpoint, RangeEnd, RangeRequest, RangeStart,
    ScanError, ScanEvent, ScanRequest, Verify,
};
use rescan_core::rescan_capnp::watch_set;

use crate::fake::{self, Fake, Script, Seal, Step, serve};

pub(crate) fn report(height: u32, script_bytes: usize) -> BlockReport {
    let received = Received {
        vout: 0,
        value: Amount::from_sat(1),
        script_pubkey: ScriptBuf::from(vec![0x51; script_bytes]),
        origins: vec![Origin::Script(0)],
    };
    let (tx_index, txid, raw, merkle_branch) = (0, Txid::all_zeros(), None, None);
    let transaction = TransactionReport { tx_index, txid, received: vec![received], spent: vec![], raw, merkle_branch };
    BlockReport {
        height: Height(height),
        hash: BlockHash::all_zeros(),
        time: 0,
        is_late: false,
        header: None,
        transactions: vec![transaction],
    }
}

pub(crate) fn summary(outcome: Outcome) -> Summary {
    Summary {
        outcome,
        range: HeightRange::new(Height(0), Height(9)).unwrap(),
        tip: BlockId { height: Height(9), hash: BlockHash::all_zeros(), time: 0 },
        transactions: 2,
        unspent_count: 2,
        unspent: Amount::from_sat(2),
        keychains: vec![],
        watched_through: vec![],
        blocks_scanned: 10,
        bytes_scanned: 1_000,
        prepare_micros: 0,
        elapsed_micros: 1,
        locator: vec![],
        passes: 1,
    }
}

pub(crate) fn without_times(summary: &Summary) -> Summary {
    Summary { prepare_micros: 0, elapsed_micros: 0, ..summary.clone() }
}

pub(crate) fn complete() -> Step {
    Step::End(Ending::Summary(summary(Outcome::Complete)))
}

fn watch_one_script() -> ScanRequest {
    ScanRequest::new().script(ScriptBuf::from(vec![0x51]))
}

pub(crate) async fn connected(script: Script) -> (Fake, Client) {
    let (fake, socket) = serve(script);
    (fake, Client::over(socket).await.unwrap())
}

/// Everything that a scan gives.
async fn scan_all(client: &Client) -> Vec<Result<ScanEvent, ScanError>> {
    client.scan(watch_one_script()).await.unwrap().collect().await
}

fn heights(events: &[Result<ScanEvent, ScanError>]) -> Vec<u32> {
    let height = |event: &Result<ScanEvent, ScanError>| match event {
        Ok(ScanEvent::Report(report)) => Some(report.height.0),
        _ => None,
    };
    events.iter().filter_map(height).collect()
}

pub(crate) fn last_error(events: Vec<Result<ScanEvent, ScanError>>) -> ScanError {
    events.into_iter().last().expect("something came").expect_err("the last is an error")
}

#[tokio::test]
async fn reports_arrive_in_order_and_then_the_summary() {
    let steps = vec![Step::Reports(vec![report(1, 1), report(4, 1)]), Step::Reports(vec![report(7, 1)]), complete()];
    let (_fake, client) = connected(Script::new(steps)).await;
    let events = scan_all(&client).await;
    assert_eq!(heights(&events), [1, 4, 7]);
    let Some(Ok(ScanEvent::Finished(last))) = events.last() else { panic!("{events:?}") };
    assert_eq!(without_times(last), without_times(&summary(Outcome::Complete)));
    assert_eq!(events.len(), 4);
}

#[tokio::test]
async fn a_large_watch_set_arrives_whole_in_order_and_in_chunks() {
    let (fake, client) = connected(Script::new(vec![complete()])).await;
    let mut request = ScanRequest::new().from_height(Height(3)).to_height(Height(8)).verify(Verify::All);
    request.scripts = (0..20_000u32).map(|i| ScriptBuf::from(i.to_le_bytes().repeat(6))).collect();
    request.outpoints = (0..3_000u32)
        .map(|vout| GivenOutpoint {
            outpoint: OutPoint { txid: Txid::all_zeros(), vout },
            output: (vout % 2 == 0)
                .then(|| TxOut { value: Amount::from_sat(vout.into()), script_pubkey: ScriptBuf::new() }),
        })
        .collect();
    let events: Vec<_> = client.scan(request.clone()).await.unwrap().collect().await;
    assert!(matches!(events[..], [Ok(ScanEvent::Finished(_))]), "{events:?}");
    let seen = fake.seen.lock().unwrap();
    assert_eq!(seen.scripts, request.scripts.iter().map(|script| script.to_bytes()).collect::<Vec<_>>());
    assert_eq!(seen.outpoints, request.outpoints);
    assert!(seen.uploads > 10, "{} uploads", seen.uploads);
    let scan = seen.request.clone().unwrap();
    assert_eq!((scan.range, scan.verify), (request.range, Verify::All));
}

#[tokio::test]
async fn keychains_arrive_as_they_were_written_and_the_summary_names_each() {
    let mut end = summary(Outcome::Complete);
    end.keychains = vec![KeychainUse::Unused, KeychainUse::LastUsed(3)];
    end.watched_through = vec![Some(999), None];
    let (fake, client) = connected(Script::new(vec![Step::End(Ending::Summary(end.clone()))])).await;
    let given = [GivenKeychain::new("wpkh(a)"), GivenKeychain::new("tr(b)").gap_limit(20).revealed(7)];
    let request = ScanRequest::new().keychain("wpkh(a)").keychain(given[1].clone());
    let events: Vec<_> = client.scan(request).await.unwrap().collect().await;
    let [Ok(ScanEvent::Finished(found))] = &events[..] else { panic!("{events:?}") };
    assert_eq!(without_times(found), without_times(&end));
    assert_eq!(fake.seen.lock().unwrap().keychains, given);
}

#[tokio::test]
async fn the_times_of_a_summary_have_in_them_what_the_wallet_waited_before() {
    let mut end = summary(Outcome::Complete);
    (end.prepare_micros, end.elapsed_micros) = (1_000_000, 5_000_000);
    let (_fake, client) = connected(Script::new(vec![Step::End(Ending::Summary(end))])).await;
    let began = std::time::Instant::now();
    let events = scan_all(&client).await;
    let waited = u64::try_from(began.elapsed().as_micros()).unwrap();
    let Some(Ok(ScanEvent::Finished(found))) = events.last() else { panic!("{events:?}") };
    let (prepare, elapsed) = (found.prepare_micros - 1_000_000, found.elapsed_micros - 5_000_000);
    assert!(0 < prepare && prepare < elapsed && elapsed <= waited, "{prepare}, {elapsed}, {waited}");
}

fn refusal(reason: RefusalReason) -> Refusal {
    Refusal { reason, position: 3, detail: "expected another".to_owned() }
}

#[tokio::test]
async fn a_refused_watch_set_is_a_refusal_and_the_connection_lives() {
    let script = Script { seal: Seal::Refused(refusal(RefusalReason::BadScript)), ..Script::new(vec![]) };
    let (_fake, client) = connected(script).await;
    let error = last_error(scan_all(&client).await);
    assert!(matches!(&error, ScanError::Refused(found) if *found == refusal(RefusalReason::BadScript)), "{error}");
    assert_eq!(client.info().await.unwrap(), fake::info());
}

#[tokio::test]
async fn a_refused_scan_is_a_refusal() {
    let (_fake, client) =
        connected(Script::new(vec![Step::End(Ending::Refused(refusal(RefusalReason::BadRange)))])).await;
    let error = last_error(scan_all(&client).await);
    assert!(matches!(&error, ScanError::Refused(found) if found.reason == RefusalReason::BadRange), "{error}");
}

#[tokio::test]
async fn a_failure_comes_after_what_was_reported() {
    let failure = Failure { kind: FailureKind::CorruptBlock, detail: "a flipped bit".to_owned(), at: None };
    let steps = vec![Step::Reports(vec![report(1, 1)]), Step::End(Ending::Failed(failure.clone()))];
    let (_fake, client) = connected(Script::new(steps)).await;
    let events = scan_all(&client).await;
    assert_eq!(heights(&events), [1]);
    assert!(matches!(last_error(events), ScanError::Failed(found) if found == failure));
}

#[tokio::test]
async fn a_server_that_hangs_up_in_mid_scan_is_an_error_after_what_it_reported() {
    let steps = vec![Step::Reports(vec![report(1, 1)]), Step::UntilCancelled, Step::HangUp];
    let (fake, client) = connected(Script::new(steps)).await;
    let mut stream = client.scan(watch_one_script()).await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(ScanEvent::Report(_)))));
    // The cue for the server to leave; whether it still answers is its own affair.
    drop(stream.cancel().await);
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(matches!(&error, ScanError::Call(CallError::Disconnected { .. })), "{error:?}");
    assert!(stream.next().await.is_none());
    assert!(matches!(client.info().await, Err(CallError::Disconnected { .. })));
    fake.thread.join().unwrap();
}

#[tokio::test]
async fn a_server_that_forgets_to_say_how_a_scan_ended_is_found_out() {
    let (_fake, client) = connected(Script::new(vec![Step::Reports(vec![report(1, 1)]), Step::LetGo])).await;
    let error = last_error(scan_all(&client).await);
    assert!(matches!(&error, ScanError::Call(CallError::Protocol { .. })), "{error:?}");
}

#[tokio::test]
async fn garbage_in_mid_scan_ends_it_with_an_error() {
    let steps = vec![Step::Reports(vec![report(1, 1)]), Step::UntilCancelled, Step::Garbage];
    let (_fake, client) = connected(Script::new(steps)).await;
    let mut stream = client.scan(watch_one_script()).await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(ScanEvent::Report(_)))));
    drop(stream.cancel().await);
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(matches!(&error, ScanError::Call(_)), "{error:?}");
    assert!(client.info().await.is_err());
}

#[tokio::test]
async fn a_report_of_something_never_sent_is_refused() {
    let mut stranger = report(1, 1);
    stranger.transactions[0].received[0].origins = vec![Origin::Script(1)];
    let (_fake, client) = connected(Script::new(vec![Step::Reports(vec![stranger]), complete()])).await;
    let events = scan_all(&client).await;
    assert_eq!(events.len(), 1, "nothing follows an error");
    assert!(matches!(last_error(events), ScanError::Call(CallError::Protocol { .. })));
}

#[tokio::test]
async fn a_summary_of_keychains_never_sent_is_refused() {
    let mut end = summary(Outcome::Complete);
    end.keychains = vec![KeychainUse::Unused];
    let (_fake, client) = connected(Script::new(vec![Step::End(Ending::Summary(end))])).await;
    assert!(matches!(last_error(scan_all(&client).await), ScanError::Call(CallError::Protocol { .. })));
}

#[tokio::test]
async fn dropping_the_stream_drops_the_scan_and_not_the_connection() {
    let (fake, client) =
        connected(Script::new(vec![Step::Reports(vec![report(1, 1)]), Step::UntilCancelled, complete()])).await;
    let mut stream = client.scan(watch_one_script()).await.unwrap();
    stream.next().await.unwrap().unwrap();
    let handle = stream.handle();
    drop(stream);
    // The sender is dropped with the scan, unused.
    fake.scan_dropped.await.unwrap_err();
    assert!(matches!(handle.progress().await, Err(CallError::Ended)));
    client.info().await.unwrap();
}

#[tokio::test]
async fn a_cancelled_scan_still_gives_its_summary() {
    let steps = vec![
        Step::Reports(vec![report(1, 1)]),
        Step::UntilCancelled,
        Step::End(Ending::Summary(summary(Outcome::Cancelled))),
    ];
    let (_fake, client) = connected(Script::new(steps)).await;
    let mut stream = client.scan(watch_one_script()).await.unwrap();
    stream.next().await.unwrap().unwrap();
    stream.cancel().await.unwrap();
    let Some(Ok(ScanEvent::Finished(end))) = stream.next().await else { panic!("a summary follows") };
    assert_eq!(end.outcome, Outcome::Cancelled);
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_scan_that_is_cancelled_while_its_scripts_are_derived_gives_a_summary_of_nothing() {
    let script = Script { seal: Seal::Never, ..Script::new(vec![]) };
    let (_fake, client) = connected(script).await;
    let mut stream = client.scan(watch_one_script().from_height(Height(7))).await.unwrap();
    stream.cancel().await.unwrap();
    let Some(Ok(ScanEvent::Finished(end))) = stream.next().await else { panic!("a summary follows") };
    assert_eq!((end.outcome, end.blocks_scanned, end.transactions), (Outcome::Cancelled, 0, 0));
    assert_eq!(end.range.first(), Height(7));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_scan_answers_for_its_chain_during_and_after() {
    let (_fake, client) = connected(Script::new(vec![Step::UntilCancelled, complete()])).await;
    let mut stream = client.scan(watch_one_script()).await.unwrap();
    let asked = vec![Height(3), Height(1_000), Height(4)];
    let expected: Vec<_> = asked.iter().copied().map(fake::block_id).collect();
    assert_eq!(stream.handle().block_ids(asked.clone()).await.unwrap(), expected);
    // Having begun, for it has just answered, it speaks for itself.
    assert_eq!(stream.progress().await.unwrap(), fake::progress());
    stream.cancel().await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(ScanEvent::Finished(_)))));
    assert_eq!(stream.handle().block_ids(asked).await.unwrap(), expected);
}

#[tokio::test]
async fn a_wallet_that_does_not_read_holds_the_server_back() {
    const BATCHES: u32 = 400;
    const BATCH_BYTES: usize = 64 * 1024;
    let mut steps: Vec<Step> = (0..BATCHES).map(|height| Step::Reports(vec![report(height, BATCH_BYTES)])).collect();
    steps.push(complete());
    let (fake, client) = connected(Script::new(steps)).await;
    let stream = client.scan(watch_one_script()).await.unwrap();
    // Calls on one connection keep their order, so a server that could still push would do it between the answers.
    let pushed = || fake.seen.lock().unwrap().pushed;
    let mut before = usize::MAX;
    while pushed() == 0 || pushed() != before {
        before = pushed();
        for _ in 0..50 {
            client.info().await.unwrap();
        }
    }
    assert!(pushed() < 20, "{} batches pushed to a wallet that reads none", pushed());
    let events: Vec<_> = stream.collect().await;
    assert_eq!(heights(&events), (0..BATCHES).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stream_outlives_its_client_and_the_connection_ends_with_the_last_of_them() {
    let (fake, client) = connected(Script::new(vec![Step::Reports(vec![report(1, 1)]), complete()])).await;
    let mut stream = client.scan(watch_one_script()).await.unwrap();
    drop(client);
    assert!(matches!(stream.next().await, Some(Ok(ScanEvent::Report(_)))));
    assert!(matches!(stream.next().await, Some(Ok(ScanEvent::Finished(_)))));
    drop(stream);
    // The server's system ends when its peer is gone.
    fake.thread.join().unwrap();
}

#[tokio::test]
async fn blocks_arrive_whole_and_are_counted_at_the_socket() {
    let block = |height: u32| FullBlock {
        height: Height(height),
        hash: BlockHash::all_zeros(),
        data: vec![height.to_le_bytes()[0]; 700_000],
    };
    let steps = vec![Step::Blocks(vec![block(1)]), Step::Blocks(vec![block(2), block(3)]), complete()];
    let (_fake, client) = connected(Script::new(steps)).await;
    let before = client.bytes_received();
    let range = RangeRequest { from: RangeStart::Birthday(9), to: RangeEnd::Tip };
    let mut stream = client.blocks(range).await.unwrap();
    for height in 1..=3 {
        let Some(Ok(BlockEvent::Block(found))) = stream.next().await else { panic!("block {height} comes") };
        assert_eq!(found, block(height));
    }
    assert!(matches!(stream.next().await, Some(Ok(BlockEvent::Finished(_)))));
    let received = client.bytes_received() - before;
    assert!((2_100_000..2_110_000).contains(&received), "{received} bytes");
}

#[tokio::test]
async fn what_a_newer_server_can_do_beyond_this_version_is_unknown_and_no_error() {
    let mut script = Script::new(vec![]);
    // The list of features as it lies in the message: three numbers of 16 bits, padded to a word.
    let at = script.info.windows(8).position(|word| word == [0, 0, 1, 0, 2, 0, 0, 0]).unwrap();
    script.info[at + 3] = 0x7f;
    let (_fake, client) = connected(script).await;
    assert_eq!(client.greeting().features, [Feature::Scan, Feature::Unknown, Feature::Birthday]);
}

#[tokio::test]
async fn an_ending_of_a_newer_server_is_an_error_that_says_so() {
    let mut flat = fake::flat_ending(&Ending::Summary(summary(Outcome::Complete)));
    // After the segment table and the root pointer comes the struct; its first 16 bits tell the union's members apart.
    flat[16] = 77;
    let (_fake, client) = connected(Script::new(vec![Step::EndRaw(flat)])).await;
    let error = last_error(scan_all(&client).await);
    assert!(error.to_string().contains("newer than this program"), "{error}");
}

#[tokio::test]
async fn a_server_of_a_newer_protocol_is_not_talked_to() {
    let mut newer = fake::info();
    newer.protocol_version = 2;
    let (_fake, socket) = serve(Script { info: fake::flat_info(&newer), ..Script::new(vec![]) });
    let error = Client::over(socket).await.unwrap_err();
    assert!(matches!(error, ConnectError::NewerProtocol { found: 2, known: 1 }), "{error}");
}

#[tokio::test]
async fn a_peer_that_speaks_no_capn_proto_is_told_apart() {
    let (mut peer, socket) = UnixStream::pair().unwrap();
    peer.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: keep-alive\r\n\r\n").unwrap();
    let error = Client::over(socket).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotCapnProto { .. }), "{error:?}");
}

#[tokio::test]
async fn a_peer_that_hangs_up_at_once_is_told_apart() {
    let (peer, socket) = UnixStream::pair().unwrap();
    drop(peer);
    let error = Client::over(socket).await.unwrap_err();
    assert!(matches!(error, ConnectError::HungUp), "{error:?}");
}

#[tokio::test]
async fn a_capn_proto_server_of_another_kind_is_told_apart() {
    struct Other;
    impl watch_set::Server for Other {}
    let (peer, socket) = UnixStream::pair().unwrap();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let other: watch_set::Client = capnp_rpc::new_client(Other);
        tokio::task::LocalSet::new().block_on(&runtime, async { fake::speak(peer, other.client).await }).unwrap();
    });
    let error = Client::over(socket).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotRescan { .. }), "{error:?}");
    thread.join().unwrap();
}
