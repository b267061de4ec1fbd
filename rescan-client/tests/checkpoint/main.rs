//! Interrupted and resumed scans against a real server: the union of all reports equals that of one scan.
#![expect(clippy::unwrap_used, reason = "tests")]

mod blocking;
mod broken_off;
mod reorganised;

use std::collections::BTreeMap;

use futures::StreamExt;
use rescan_client::Reverted;
use rescan_client::bitcoin::{BlockHash, ScriptBuf, Txid};
use rescan_client::position::Height;
use rescan_client::report::{BlockReport, Received, Spent, Summary};
use rescan_client::{Checkpoint, Client, ResumeEvent, ScanRequest};
use rescan_fixtures::chain_builder::{ChainBuilder, Coin};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};

/// The union of all reports of all runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Heard {
    transactions: BTreeMap<(Height, BlockHash, Txid), Matches>,
    withdrawn: usize,
    restarted: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Matches {
    received: BTreeMap<u32, Received>,
    spent: BTreeMap<u32, Spent>,
}

impl Heard {
    fn add(&mut self, report: BlockReport) {
        for transaction in report.transactions {
            let matches = self.transactions.entry((report.height, report.hash, transaction.txid)).or_default();
            matches.received.extend(transaction.received.into_iter().map(|received| (received.vout, received)));
            matches.spent.extend(transaction.spent.into_iter().map(|spent| (spent.vin, spent)));
        }
    }

    fn withdraw(&mut self, withdrawn: &Reverted) {
        let Reverted { height, block_hash, txid, .. } = *withdrawn;
        self.withdrawn += 1;
        assert!(self.transactions.remove(&(height, block_hash, txid)).is_some(), "{txid} was never reported");
    }
}

/// How a run ended.
struct Run {
    /// The content of the file if the wallet dies here.
    saved: Checkpoint,
    /// The content of the file if only the server dies.
    latest: Checkpoint,
    summary: Option<Summary>,
}

/// Resumes, and drops the scan after so many events.
async fn run(client: &Client, request: &ScanRequest, from: Checkpoint, heard: &mut Heard, events_max: usize) -> Run {
    let mut saved = from.clone();
    let mut scan = client.resume(request.clone(), from).unwrap();
    let mut summary = None;
    for _ in 0..events_max {
        match scan.next().await.transpose().unwrap() {
            None => break,
            Some(ResumeEvent::Report(report)) => heard.add(report),
            Some(ResumeEvent::Reverted(withdrawn)) => heard.withdraw(&withdrawn),
            Some(ResumeEvent::Settled) => saved = scan.checkpoint().clone(),
            Some(ResumeEvent::Restarted) => {
                heard.transactions.clear();
                heard.restarted += 1;
            }
            Some(ResumeEvent::Finished(last)) => {
                saved = scan.checkpoint().clone();
                summary = Some(last);
            }
            Some(_) => {}
        }
    }
    Run { saved, latest: scan.checkpoint().clone(), summary }
}

/// A run that nothing breaks off.
async fn run_through(
    client: &Client,
    request: &ScanRequest,
    from: Checkpoint,
    heard: &mut Heard,
) -> (Checkpoint, Summary) {
    let ended = run(client, request, from, heard, usize::MAX).await;
    (ended.saved, ended.summary.unwrap())
}

/// All reports of one scan.
async fn at_once(client: &Client, request: &ScanRequest) -> (Heard, Summary) {
    let mut heard = Heard::default();
    let (_, summary) = run_through(client, request, new(client, request), &mut heard).await;
    (heard, summary)
}

fn new(client: &Client, request: &ScanRequest) -> Checkpoint {
    Checkpoint::new(client.server_info().chain.genesis, request)
}

/// Holds the summary of the last run to that of one scan. Counts and times are of the last run alone.
fn assert_same(summary: &Summary, expected: &Summary) {
    let of = |it: &Summary| (it.outcome, it.range, it.tip, it.unspent_count, it.unspent, it.keychains.clone());
    assert_eq!(of(summary), of(expected));
}

fn wallet() -> TestWallet {
    TestWallet::new("judy")
}

fn script(index: u32) -> ScriptBuf {
    wallet().script(ScriptKind::P2wpkh, index)
}

fn request() -> ScanRequest {
    ScanRequest::new().keychain(wallet().descriptor(ScriptKind::P2wpkh))
}

/// Pays an index in each of `blocks` blocks; every third block spends the oldest coin too, to the next index.
fn busy(chain: &mut ChainBuilder, blocks: u32) {
    let wallet = wallet();
    let mut coins: Vec<Coin> = Vec::new();
    for block in 0..blocks {
        let paid = wallet.script(ScriptKind::P2wpkh, block % 700);
        coins.push(chain.fund(&paid, rescan_client::bitcoin::Amount::from_sat(9_000)));
        if block % 3 == 2 {
            let coin = coins.remove(0);
            let mut output = coin.output.clone();
            output.script_pubkey = wallet.script(ScriptKind::P2wpkh, block % 700 + 1);
            output.value /= 2;
            let spend = chain.spend([&wallet], &[coin], vec![output]);
            coins.push(Coin::of(&spend, 0));
        }
        chain.mine_block();
    }
}
