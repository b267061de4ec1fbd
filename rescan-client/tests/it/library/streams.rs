//! A scan in the wallet's hands: asked, cancelled, dropped, left unread.

use futures::StreamExt;
use rescan_client::position::Height;
use rescan_client::report::{Ending, Outcome, Phase, Progress};
use rescan_client::{CallError, ScanEvent};

use super::{connected, heights, one_script};
use rescan_tests::fake::{self, Script, Seal, Step, complete, report, summary};

#[tokio::test]
async fn dropping_the_stream_drops_the_scan_and_not_the_connection() {
    let (fake, client) =
        connected(Script::new(vec![Step::Reports(vec![report(1, 1)]), Step::UntilCancelled, complete()])).await;
    let mut stream = client.scan(one_script()).await.unwrap();
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
    let mut stream = client.scan(one_script()).await.unwrap();
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
    let mut stream = client.scan(one_script().from_height(Height(7))).await.unwrap();
    stream.cancel().await.unwrap();
    let Some(Ok(ScanEvent::Finished(end))) = stream.next().await else { panic!("a summary follows") };
    assert_eq!((end.outcome, end.blocks_scanned, end.transactions), (Outcome::Cancelled, 0, 0));
    assert_eq!(end.range.first(), Height(7));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_scan_shows_how_many_of_its_scripts_are_derived_before_it_starts() {
    let counted = Progress { scripts_derived: 120, scripts_total: 1_000, ..Progress::at_start_of(Phase::Deriving) };
    let script = Script { seal: Seal::Never, derivation: Some(counted), ..Script::new(vec![]) };
    let (_fake, client) = connected(script).await;
    let watch_set = client.watch(one_script()).await.unwrap();
    let stream = watch_set.scan(one_script().range).await.unwrap();
    // Nothing is counted until the server has made the watch set.
    let mut progress = stream.progress().await.unwrap();
    while progress.scripts_total == 0 {
        assert_eq!(progress, Progress::at_start_of(Phase::Deriving));
        progress = stream.progress().await.unwrap();
    }
    assert_eq!(progress, counted);
    assert_eq!(watch_set.progress().await.unwrap(), counted);
}

#[tokio::test]
async fn a_server_that_does_not_count_scripts_is_no_error() {
    let script = Script { seal: Seal::Never, ..Script::new(vec![]) };
    let (fake, client) = connected(script).await;
    let watch_set = client.watch(one_script()).await.unwrap();
    let stream = watch_set.scan(one_script().range).await.unwrap();
    while fake.seen.lock().unwrap().uploads == 0 {
        client.info().await.unwrap();
    }
    // The watch set exists now, and the call to it is answered as unimplemented.
    assert_eq!(stream.progress().await.unwrap(), Progress::at_start_of(Phase::Deriving));
    assert_eq!(watch_set.progress().await.unwrap(), Progress::at_start_of(Phase::Deriving));
}

#[tokio::test]
async fn a_compiled_watch_set_is_done_and_its_scan_is_not() {
    let all = Progress { scripts_derived: 9, scripts_total: 9, ..Progress::at_start_of(Phase::Done) };
    let script = Script { derivation: Some(all), ..Script::new(vec![Step::UntilCancelled, complete()]) };
    let (_fake, client) = connected(script).await;
    let watch_set = client.watch(one_script()).await.unwrap();
    watch_set.ready().await.unwrap();
    assert_eq!(watch_set.progress().await.unwrap(), all);
    let stream = watch_set.scan(one_script().range).await.unwrap();
    assert_ne!(stream.progress().await.unwrap().phase, Phase::Done);
}

#[tokio::test]
async fn a_scan_answers_for_its_chain_during_and_after() {
    let (_fake, client) = connected(Script::new(vec![Step::UntilCancelled, complete()])).await;
    let mut stream = client.scan(one_script()).await.unwrap();
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
    let stream = client.scan(one_script()).await.unwrap();
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
    let mut stream = client.scan(one_script()).await.unwrap();
    drop(client);
    assert!(matches!(stream.next().await, Some(Ok(ScanEvent::Report(_)))));
    assert!(matches!(stream.next().await, Some(Ok(ScanEvent::Finished(_)))));
    drop(stream);
    // The server's system ends when its peer is gone.
    fake.thread.join().unwrap();
}
