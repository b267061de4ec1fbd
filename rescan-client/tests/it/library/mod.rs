//! The library against a server that does as each test tells it, right and wrong.

mod arrivals;
mod blocking;
mod endings;
mod peers;
mod streams;

use futures::StreamExt;
use rescan_client::bitcoin::ScriptBuf;
use rescan_client::report::Summary;
use rescan_client::{Client, ScanError, ScanEvent, ScanRequest};

use rescan_tests::fake::{Fake, Script, serve};

pub(crate) fn without_times(summary: &Summary) -> Summary {
    Summary { prepare_micros: 0, elapsed_micros: 0, ..summary.clone() }
}

pub(crate) fn one_script() -> ScanRequest {
    ScanRequest::new().script(ScriptBuf::from(vec![0x51]))
}

pub(crate) async fn connected(script: Script) -> (Fake, Client) {
    let (fake, socket) = serve(script);
    (fake, Client::from_stream(socket).await.unwrap())
}

/// Everything that a scan gives.
async fn scan_all(client: &Client) -> Vec<Result<ScanEvent, ScanError>> {
    client.scan(one_script()).await.unwrap().collect().await
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
