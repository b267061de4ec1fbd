//! The client without a runtime.

use rescan_client::blocking::Client;
use rescan_client::report::Outcome;
use rescan_client::{ScanEvent, ScanHandle};

use super::one_script;
use rescan_client::report::Ending;
use rescan_tests::fake::{self, Script, Step, complete, report, serve, summary};

fn connected(script: Script) -> (fake::Fake, Client) {
    let (fake, socket) = serve(script);
    // The fake's own runtime has no part in it: the greeting is on the connection's thread.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let client = runtime.block_on(rescan_client::Client::from_stream(socket)).unwrap();
    (fake, client.into())
}

#[test]
fn a_scan_is_an_iterator_that_needs_no_runtime() {
    let (_fake, client) = connected(Script::new(vec![Step::Reports(vec![report(1, 1), report(4, 1)]), complete()]));
    assert_eq!(client.info().unwrap(), *client.server_info());
    let events: Vec<ScanEvent> = client.scan(one_script()).unwrap().map(Result::unwrap).collect();
    assert!(matches!(&events[..], [ScanEvent::Report(_), ScanEvent::Report(_), ScanEvent::Finished(_)]), "{events:?}");
}

#[test]
fn another_thread_cancels_a_scan_that_blocks_this_one() {
    let end = Step::End(Ending::Summary(summary(Outcome::Cancelled)));
    let (_fake, client) = connected(Script::new(vec![Step::UntilCancelled, end]));
    let mut scan = client.scan(one_script()).unwrap();
    let handle: ScanHandle = scan.stream().handle();
    let other = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(handle.cancel())
    });
    let Some(Ok(ScanEvent::Finished(end))) = scan.next() else { panic!("a summary follows") };
    assert_eq!(end.outcome, Outcome::Cancelled);
    other.join().unwrap().unwrap();
    assert!(scan.next().is_none());
}
