//! Scans that end badly: refused, failed, disconnected, or with an answer that breaks the protocol.

use futures::StreamExt;
use rescan_client::report::{Ending, Failure, FailureKind, KeychainUse, Origin, Outcome, Refusal, RefusalReason};
use rescan_client::{CallError, ScanError, ScanEvent};

use super::{connected, heights, last_error, one_script, scan_all};
use rescan_tests::fake::{self, Script, Seal, Step, complete, report, summary};

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
    let mut stream = client.scan(one_script()).await.unwrap();
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
    let mut stream = client.scan(one_script()).await.unwrap();
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
async fn an_ending_of_a_newer_server_is_an_error_that_says_so() {
    let mut flat = fake::flat_ending(&Ending::Summary(summary(Outcome::Complete)));
    // After the segment table and the root pointer comes the struct; its first 16 bits tell the union's members apart.
    flat[16] = 77;
    let (_fake, client) = connected(Script::new(vec![Step::EndRaw(flat)])).await;
    let error = last_error(scan_all(&client).await);
    assert!(error.to_string().contains("newer than this program"), "{error}");
}
