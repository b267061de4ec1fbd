//! Answers that the library accepts from a server, and those it rejects: coins, resume points, proofs, block ids.

use std::time::Duration;

use futures::StreamExt;
use rescan_client::bitcoin::absolute::LockTime;
use rescan_client::bitcoin::block::{Header, Version};
use rescan_client::bitcoin::hashes::Hash;
use rescan_client::bitcoin::{
    Amount, BlockHash, CompactTarget, OutPoint, ScriptBuf, Transaction, TxIn, TxMerkleNode, TxOut, consensus,
    transaction,
};
use rescan_client::coins::Coin;
use rescan_client::position::Height;
use rescan_client::report::{
    BlockId, BlockReport, KeychainUse, Origin, Outcome, Received, ResumePoint, Spent, TransactionReport,
};
use rescan_client::{CallError, Deliver, LOCATE_HASHES_MAX, RangeStart, ScanError, ScanEvent, ScanRequest, Scanned};

use crate::library::{connected, last_error, one_script};
use rescan_tests::fake::{Script, Step, complete, report};

type Event = Result<ScanEvent, ScanError>;

async fn told(request: ScanRequest, steps: Vec<Step>) -> Vec<Event> {
    let (_fake, client) = connected(Script::new(steps)).await;
    client.scan(request).await.unwrap().collect().await
}

fn coin(height: u32, origin: Origin) -> Coin {
    Coin {
        height: Height(height),
        block_hash: BlockHash::all_zeros(),
        tx_index: 1,
        outpoint: OutPoint::null(),
        value: Amount::from_sat(height.into()),
        script_pubkey: ScriptBuf::from(vec![0x51]),
        origins: vec![origin],
    }
}

fn mark(height: u32, keychains: usize) -> ResumePoint {
    let hash = BlockHash::from_byte_array([3; 32]);
    ResumePoint {
        from: Height(1),
        block: BlockId { height: Height(height), hash, time: 4 },
        locator: vec![hash],
        keychains: vec![KeychainUse::Unused; keychains],
        watched_through: vec![Some(999); keychains],
    }
}

fn assert_breach(events: Vec<Event>, says: &str) {
    let error = last_error(events);
    assert!(matches!(&error, ScanError::Call(CallError::Protocol { detail }) if detail.contains(says)), "{error}");
}

#[tokio::test]
async fn coins_come_in_the_order_in_which_they_were_told_and_then_the_summary() {
    let coins: Vec<Coin> = (0..5).map(|height| coin(height, Origin::Script(0))).collect();
    let steps = vec![Step::Coins(coins[..2].to_vec()), Step::Coins(coins[2..].to_vec()), complete()];
    let events = told(one_script().coins(), steps).await;
    let found: Vec<_> = events
        .iter()
        .filter_map(|event| if let Ok(ScanEvent::Coin(coin)) = event { Some(coin.clone()) } else { None })
        .collect();
    assert_eq!(found, coins);
    assert!(matches!(events.last(), Some(Ok(ScanEvent::Finished(_)))) && events.len() == 6, "{events:?}");
}

#[tokio::test]
async fn what_was_not_asked_for_is_refused() {
    let coins = || vec![Step::Coins(vec![coin(1, Origin::Script(0))]), complete()];
    assert_breach(told(one_script(), coins()).await, "asked for history only");
    let reports = vec![Step::Reports(vec![report(1, 1)]), complete()];
    assert_breach(told(one_script().coins(), reports).await, "asked for coins only");
    assert_breach(told(one_script(), vec![Step::Settled(mark(1, 0)), complete()]).await, "asked for none");
}

#[tokio::test]
async fn a_coin_or_a_mark_of_something_never_sent_is_refused() {
    let steps = vec![Step::Coins(vec![coin(1, Origin::Script(1))]), complete()];
    assert_breach(told(one_script().coins(), steps).await, "which is not in the watch set");
    let marked = one_script().mark_every(Duration::from_secs(1));
    assert_breach(told(marked, vec![Step::Settled(mark(1, 1)), complete()]).await, "a mark of 1 keychains");
}

#[tokio::test]
async fn marks_come_between_the_reports_that_they_are_about() {
    let late = BlockReport { is_late: true, ..report(1, 1) };
    let steps = vec![
        Step::Reports(vec![report(2, 1)]),
        Step::Settled(mark(2, 0)),
        Step::Reports(vec![late.clone()]),
        Step::Settled(mark(3, 0)),
        complete(),
    ];
    let mut events = told(one_script().mark_every(Duration::from_millis(1)), steps).await;
    assert!(matches!(events.pop(), Some(Ok(ScanEvent::Finished(_)))));
    let events: Vec<ScanEvent> = events.into_iter().map(Result::unwrap).collect();
    let due = [
        ScanEvent::Report(report(2, 1)),
        ScanEvent::Settled(mark(2, 0)),
        ScanEvent::Report(late),
        ScanEvent::Settled(mark(3, 0)),
    ];
    assert_eq!(events, due);
}

#[tokio::test]
async fn everything_that_a_request_says_reaches_the_server() {
    let (fake, client) = connected(Script::new(vec![complete()])).await;
    let scanned = Scanned { from: Height(2), watched_through: vec![] };
    let locator = vec![BlockHash::from_byte_array([1; 32]), BlockHash::from_byte_array([2; 32])];
    let request = one_script()
        .after(locator.clone())
        .coins()
        .raw_transactions()
        .merkle_branches()
        .mark_every(Duration::from_secs(5))
        .scanned(scanned.clone());
    assert_eq!(client.scan(request).await.unwrap().count().await, 1);
    let seen = fake.seen.lock().unwrap().request.clone().unwrap();
    assert_eq!((seen.range.from, seen.deliver), (RangeStart::After(locator), Deliver::Coins));
    assert!(seen.extras.raw_transactions && seen.extras.merkle_branches);
    assert_eq!((seen.mark_every, seen.scanned), (Some(Duration::from_secs(5)), Some(scanned)));
}

#[tokio::test]
async fn the_highest_block_of_a_locator_is_found_or_none() {
    let (fake, client) = connected(Script::new(vec![])).await;
    let hash = |byte: u8| BlockHash::from_byte_array([byte; 32]);
    let found = client.locate(vec![hash(1), hash(7), hash(2)]).await.unwrap();
    assert_eq!(found, Some(BlockId { height: Height(7), hash: hash(7), time: 70 }));
    assert_eq!(fake.seen.lock().unwrap().located, [hash(1), hash(7), hash(2)]);
    assert_eq!(client.locate(vec![hash(1)]).await.unwrap(), None);
    let many = vec![hash(1); LOCATE_HASHES_MAX + 1];
    let found = LOCATE_HASHES_MAX + 1;
    assert!(matches!(client.locate(many).await, Err(CallError::TooManyHashes { found: it }) if it == found));
    assert_eq!(fake.seen.lock().unwrap().located, [hash(1)], "it was not asked");
}

#[tokio::test]
async fn a_scan_after_a_locator_that_is_cancelled_at_once_can_be_gone_on_with_from_there() {
    let script = Script { seal: rescan_tests::fake::Seal::Never, ..Script::new(vec![]) };
    let (_fake, client) = connected(script).await;
    let locator = vec![BlockHash::from_byte_array([7; 32])];
    let mut stream = client.scan(one_script().after(locator.clone())).await.unwrap();
    stream.cancel().await.unwrap();
    let Some(Ok(ScanEvent::Finished(end))) = stream.next().await else { panic!("a summary follows") };
    assert_eq!((end.outcome, end.range.first(), end.locator), (Outcome::Cancelled, Height(8), locator));
}

// --- Proofs -------------------------------------------------------------------------------------------------------

/// A transaction that spends one coin and pays two scripts.
fn whole(value: u64) -> Transaction {
    let previous_output = OutPoint { vout: 4, ..OutPoint::null() };
    let output = |value| TxOut { value: Amount::from_sat(value), script_pubkey: ScriptBuf::from(vec![0x51]) };
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn { previous_output, ..TxIn::default() }],
        output: vec![output(value), output(value + 1)],
    }
}

/// A block of three transactions, the middle one of which is reported with its bytes and its branch.
fn proven() -> BlockReport {
    let [left, middle, right] = [1, 10, 20].map(whole);
    let node = |it: &Transaction| TxMerkleNode::from_byte_array(it.compute_txid().to_byte_array());
    let pair = |left: TxMerkleNode, right: TxMerkleNode| {
        let both = [left.to_byte_array(), right.to_byte_array()].concat();
        TxMerkleNode::hash(&both)
    };
    let far = pair(node(&right), node(&right));
    let header = Header {
        version: Version::TWO,
        prev_blockhash: BlockHash::all_zeros(),
        merkle_root: pair(pair(node(&left), node(&middle)), far),
        time: 1_700_000_000,
        bits: CompactTarget::from_consensus(0x207f_ffff),
        nonce: 0,
    };
    let (value, script_pubkey, origins) = (Amount::from_sat(11), ScriptBuf::from(vec![0x51]), vec![Origin::Script(0)]);
    let spent = Spent { vin: 0, prevout: middle.input[0].previous_output, value: None, origins: origins.clone() };
    BlockReport {
        height: Height(5),
        hash: header.block_hash(),
        time: header.time,
        is_late: false,
        header: Some(header),
        transactions: vec![TransactionReport {
            tx_index: 1,
            txid: middle.compute_txid(),
            received: vec![Received { vout: 1, value, script_pubkey, origins }],
            spent: vec![spent],
            raw: Some(consensus::serialize(&middle)),
            merkle_branch: Some(vec![node(&left), far]),
        }],
    }
}

async fn asked_with_proofs(report: BlockReport) -> Vec<Event> {
    told(one_script().merkle_branches().raw_transactions(), vec![Step::Reports(vec![report]), complete()]).await
}

#[tokio::test]
async fn a_report_that_proves_what_it_says_is_taken() {
    let events = asked_with_proofs(proven()).await;
    assert!(
        matches!(&events[..], [Ok(ScanEvent::Report(it)), Ok(ScanEvent::Finished(_))] if *it == proven()),
        "{events:?}"
    );
}

#[tokio::test]
async fn a_report_that_does_not_prove_what_it_says_is_refused() {
    let other = || consensus::serialize(&whole(9));
    type Lie = fn(&mut BlockReport);
    let lies: [(&str, Lie); 9] = [
        ("no header", |report| report.header = None),
        ("of another block", |report| report.hash = BlockHash::all_zeros()),
        ("of another block", |report| report.time += 1),
        ("of block", |report| report.transactions[0].tx_index = 0),
        ("of block", |report| report.transactions[0].merkle_branch = None),
        ("without its bytes", |report| report.transactions[0].raw = None),
        ("do not decode", |report| report.transactions[0].raw = Some(vec![1, 2, 3])),
        ("contradict", |report| report.transactions[0].received[0].value = Amount::from_sat(10)),
        ("contradict", |report| report.transactions[0].spent[0].prevout.vout = 5),
    ];
    for (says, lie) in lies {
        let mut report = proven();
        lie(&mut report);
        assert_breach(asked_with_proofs(report).await, says);
    }
    let mut report = proven();
    report.transactions[0].raw = Some(other());
    assert_breach(asked_with_proofs(report).await, "hash to");
}

#[tokio::test]
async fn proofs_that_were_not_asked_for_are_not_looked_at() {
    let events = told(one_script(), vec![Step::Reports(vec![report(1, 1)]), complete()]).await;
    assert!(events.iter().all(Result::is_ok), "{events:?}");
}
