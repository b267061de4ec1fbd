//! The library against a server that does as each test tells it, right and wrong.

mod arrivals;
mod endings;
mod peers;
mod streams;

use futures::StreamExt;
use rescan_client::bitcoin::hashes::Hash;
use rescan_client::bitcoin::{Amount, BlockHash, ScriptBuf, Txid};
use rescan_client::position::{Height, HeightRange};
use rescan_client::report::{BlockId, BlockReport, Ending, Origin, Outcome, Received, Summary, TransactionReport};
use rescan_client::{Client, ScanError, ScanEvent, ScanRequest};

use crate::fake::{Fake, Script, Step, serve};

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

pub(crate) fn one_script() -> ScanRequest {
    ScanRequest::new().script(ScriptBuf::from(vec![0x51]))
}

pub(crate) async fn connected(script: Script) -> (Fake, Client) {
    let (fake, socket) = serve(script);
    (fake, Client::over(socket).await.unwrap())
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
