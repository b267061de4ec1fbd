//! The events of a scan, from the first to the last.

use std::time::Duration;

use bitcoin::{Amount, OutPoint, ScriptBuf};
use futures::StreamExt;
use rescan_client::coins::{Coin, CoinLedger};
use rescan_client::history::History;
use rescan_client::report::{BlockReport, Failure, FullBlock, Refusal, ResumePoint, Summary, TransactionReport};
use rescan_client::{BlockEvent, BlockStream, Client, ScanError, ScanEvent, ScanRequest, ScanStream};

/// The time limit of a test: enough for the longest test beside a node, on a busy machine. A test
/// that hangs takes this long.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs a wallet's part of a test, with a time limit.
///
/// # Panics
///
/// At the time limit, or if the runtime cannot be made.
pub fn patiently<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("the test takes for ever") })
}

/// A scan's answer.
#[derive(Debug)]
pub struct ScanRecord {
    /// The reports, as they came.
    pub reports: Vec<BlockReport>,
    /// The coins, as they came, where they were asked for.
    pub coin_events: Vec<Coin>,
    /// The marks, as they came, where they were asked for, each with how many reports came before
    /// it.
    pub marks: Vec<(usize, ResumePoint)>,
    /// The events after all that.
    pub end: Result<Summary, ScanError>,
}

/// Scans to the end.
///
/// # Panics
///
/// If the connection is gone before the scan begins.
pub async fn scan(client: &Client, request: ScanRequest) -> ScanRecord {
    ScanRecord::of(client.scan(request).await.expect("the connection takes a request")).await
}

/// Takes whole blocks to the end.
///
/// # Panics
///
/// If the stream breaks its contract.
pub async fn shipped(mut stream: BlockStream) -> (Vec<FullBlock>, Result<Summary, ScanError>) {
    let mut blocks = Vec::new();
    loop {
        match stream.next().await.expect("a summary or an error ends the stream") {
            Ok(BlockEvent::Block(block)) => blocks.push(block),
            Ok(BlockEvent::Finished(summary)) => return (blocks, Ok(summary)),
            Ok(_) => {}
            Err(error) => return (blocks, Err(error)),
        }
    }
}

impl ScanRecord {
    /// Reads a stream to its end.
    ///
    /// # Panics
    ///
    /// If the stream breaks its contract.
    pub async fn of(mut stream: ScanStream) -> Self {
        let (mut reports, mut coin_events, mut marks) = (Vec::new(), Vec::new(), Vec::new());
        let end = loop {
            match stream.next().await.expect("a summary or an error ends the stream") {
                Ok(ScanEvent::Report(report)) => reports.push(report),
                Ok(ScanEvent::Coin(coin)) => coin_events.push(coin),
                Ok(ScanEvent::Settled(mark)) => marks.push((reports.len(), mark)),
                Ok(ScanEvent::Finished(summary)) => break Ok(summary),
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        };
        assert!(stream.next().await.is_none(), "something follows the end");
        Self { reports, coin_events, marks, end }
    }

    /// Its summary.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        match &self.end {
            Ok(summary) => summary,
            Err(error) => panic!("expected a summary, found {error:?}"),
        }
    }

    /// Why it was refused.
    ///
    /// # Panics
    ///
    /// If it was not.
    #[must_use]
    pub fn refusal(&self) -> &Refusal {
        match &self.end {
            Err(ScanError::Refused(refusal)) => refusal,
            other => panic!("expected a refusal, found {other:?}"),
        }
    }

    /// The error.
    ///
    /// # Panics
    ///
    /// If nothing did.
    #[must_use]
    pub fn failure(&self) -> &Failure {
        match &self.end {
            Err(ScanError::Failed(failure)) => failure,
            other => panic!("expected a failure, found {other:?}"),
        }
    }

    /// The heights of the reports, as they came.
    #[must_use]
    pub fn heights(&self) -> Vec<u32> {
        self.reports.iter().map(|report| report.height.0).collect()
    }

    /// All transactions, as they came.
    pub fn transactions(&self) -> impl Iterator<Item = (&BlockReport, &TransactionReport)> {
        self.reports.iter().flat_map(|report| report.transactions.iter().map(move |transaction| (report, transaction)))
    }

    /// The reports, put together.
    #[must_use]
    pub fn history(&self) -> History {
        self.reports.iter().cloned().collect()
    }

    /// The coins that the reports leave, in chain order: outpoint, value, height, script.
    #[must_use]
    pub fn coins(&self) -> Vec<(OutPoint, Amount, u32, ScriptBuf)> {
        let mut ledger = CoinLedger::new();
        self.history().reports().for_each(|report| ledger.apply(report));
        let coins = ledger.sorted().into_iter();
        coins.map(|coin| (coin.outpoint, coin.value, coin.height.0, coin.script_pubkey.clone())).collect()
    }
}
