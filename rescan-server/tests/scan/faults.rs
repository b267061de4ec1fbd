//! Damaged blocks, and cancelled scans.

use std::num::NonZeroUsize;
use std::sync::Arc;

use bitcoin::consensus::serialize;
use bitcoin::{Amount, BlockHash, ScriptBuf, TxOut};
use rescan_core::position::{Height, RecordSpan};
use rescan_core::report::{FailureKind, FailurePlace, Outcome};
use rescan_core::request::Verify;
use rescan_fixtures::chain_builder::{ChainBuilder, Coin, Record};
use rescan_fixtures::private_access::mapped_access;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_server::blocks::block_file::Access;
use rescan_server::cancel::Cancel;
use rescan_server::scan::{BlockReader, Scan, SegmentSize, WorkerPool};

use crate::{ReadChain, RunConfig, plan, scan, watch_scripts};

/// A chain with one payment to the wallet, at `height`.
struct PaidChain {
    chain: ChainBuilder,
    script: ScriptBuf,
    height: u32,
}

impl PaidChain {
    fn new() -> Self {
        let script = TestWallet::new("faults").script(ScriptKind::P2wpkh, 0);
        let mut chain = ChainBuilder::new();
        chain.mine(3);
        let coin = chain.fund(&script, Amount::from_sat(50_000));
        chain.mine(5).xor([3, 1, 4, 1, 5, 9, 2, 6]);
        let height = chain.confirmed(&coin.outpoint.txid).unwrap().height;
        Self { chain, script, height }
    }

    /// The offset of the paid script in its block.
    fn script_offset(&self) -> u32 {
        let block = serialize(self.chain.block_at(self.height));
        let at = block.windows(self.script.len()).position(|bytes| bytes == self.script.as_bytes()).unwrap();
        u32::try_from(at).unwrap()
    }
}

/// The distance from an output's value to its script: 8 bytes of value and one of script length.
const VALUE_BEFORE_SCRIPT: u32 = 9;

#[test]
fn a_flipped_bit_in_a_matched_block_is_a_corrupt_block_at_its_file_and_offset() {
    for access in [mapped_access(), Access::read()] {
        let paid = PaidChain::new();
        let dir = tempfile::tempdir().unwrap();
        let mut written = paid.chain.write(dir.path()).unwrap();
        let span = written.span(&paid.chain.hash_at(paid.height)).unwrap();
        written.files().flip(span, paid.script_offset() - VALUE_BEFORE_SCRIPT, 1).unwrap();
        let chain = ReadChain::open(dir.path(), access);
        let watch = watch_scripts(std::slice::from_ref(&paid.script));
        for verify in [Verify::Reported, Verify::All] {
            let failure = scan(&chain, &watch, RunConfig { verify, ..RunConfig::with_workers(2) }).unwrap_err();
            let path = written.files().path(span.file);
            let place = FailurePlace { height: Height(paid.height), path, offset: u64::from(span.offset) };
            assert_eq!((failure.kind, failure.at), (FailureKind::CorruptBlock, Some(place)), "{}", failure.detail);
        }
        let believed = scan(&chain, &watch, RunConfig { verify: Verify::None, ..RunConfig::with_workers(2) }).unwrap();
        assert_eq!(believed.totals.coins.total_sat, 50_001, "a trusted disk is believed");
    }
}

#[test]
fn a_flipped_bit_that_hides_a_match_is_detected_only_if_every_block_is_proven() {
    let paid = PaidChain::new();
    let dir = tempfile::tempdir().unwrap();
    let mut written = paid.chain.write(dir.path()).unwrap();
    let span = written.span(&paid.chain.hash_at(paid.height)).unwrap();
    written.files().flip(span, paid.script_offset() + 5, 1).unwrap();
    let chain = ReadChain::open(dir.path(), Access::read());
    let watch = watch_scripts(std::slice::from_ref(&paid.script));
    let reported = scan(&chain, &watch, RunConfig::with_workers(2)).unwrap();
    assert_eq!((reported.reports.len(), reported.outcome), (0, Outcome::Complete));
    let failure = scan(&chain, &watch, RunConfig { verify: Verify::All, ..RunConfig::with_workers(2) }).unwrap_err();
    assert_eq!(failure.kind, FailureKind::CorruptBlock);
}

#[test]
fn a_block_with_a_damaged_copy_is_read_from_the_other() {
    let mut paid = PaidChain::new();
    let hash = paid.chain.hash_at(paid.height);
    paid.chain.insert_after(hash, Record::Block(hash));
    for damaged in [0, 1] {
        let dir = tempfile::tempdir().unwrap();
        let mut written = paid.chain.write(dir.path()).unwrap();
        let copies: Vec<RecordSpan> =
            written.placed().iter().filter(|placed| placed.block == hash).map(|placed| placed.span).collect();
        assert_eq!(copies.len(), 2);
        written.files().flip(copies[damaged], paid.script_offset() - VALUE_BEFORE_SCRIPT, 1).unwrap();
        let chain = ReadChain::open(dir.path(), Access::read());
        let answer =
            scan(&chain, &watch_scripts(std::slice::from_ref(&paid.script)), RunConfig::with_workers(2)).unwrap();
        assert_eq!((answer.outcome, answer.totals.coins.total_sat), (Outcome::Complete, 50_000), "copy {damaged}");
    }
}

/// Every block spends the coin of the one before. Workers that run ahead miss coins, and their
/// blocks are matched again; the bytes of that match are proven too.
#[test]
fn a_block_that_is_matched_again_is_not_believed_from_its_damaged_copy() {
    let wallet = TestWallet::new("faults");
    let script = wallet.script(ScriptKind::P2wpkh, 0);
    let mut chain = ChainBuilder::new();
    let mut coin = chain.fund(&script, Amount::from_sat(90_000));
    chain.mine(1);
    let first = chain.tip_height();
    for _ in 0..60 {
        let value = coin.output.value - Amount::from_sat(200);
        let output = TxOut { value, script_pubkey: script.clone() };
        coin = Coin::of(&chain.spend([&wallet], &[coin], vec![output]), 0);
        chain.mine(1);
    }
    let paying: Vec<BlockHash> = (first..=chain.tip_height()).map(|height| chain.hash_at(height)).collect();
    for hash in &paying {
        chain.insert_after(*hash, Record::Block(*hash));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut written = chain.write(dir.path()).unwrap();
    for hash in &paying {
        let block = serialize(chain.block(hash).unwrap());
        let at = block.windows(script.len()).position(|bytes| bytes == script.as_bytes()).unwrap();
        let copy = written.placed().iter().find(|placed| placed.block == *hash).unwrap().span;
        written.files().flip(copy, u32::try_from(at).unwrap() - VALUE_BEFORE_SCRIPT, 1).unwrap();
    }
    let read = ReadChain::open(dir.path(), Access::read());
    let watch = watch_scripts(std::slice::from_ref(&script));
    let size = SegmentSize { blocks_max: 1, ..SegmentSize::default() };
    for workers in [1, 2, 4] {
        let answer = scan(&read, &watch, RunConfig { size, ..RunConfig::with_workers(workers) }).unwrap();
        assert_eq!(answer.outcome, Outcome::Complete);
        assert_eq!((answer.totals.coins.count, answer.totals.coins.total_sat), (1, coin.output.value.to_sat()));
        assert_eq!(answer.totals.transactions, 61);
        for (report, hash) in answer.reports.iter().zip(&paying) {
            let paid = &chain.block(hash).unwrap().txdata[1].output[0];
            assert_eq!(report.transactions[0].received[0].value, paid.value, "at {}", report.height);
        }
    }
}

#[test]
fn a_cancelled_scan_and_a_cancelled_reader_end_as_cancelled_with_nothing_settled() {
    let paid = PaidChain::new();
    let dir = tempfile::tempdir().unwrap();
    paid.chain.write(dir.path()).unwrap();
    let read = ReadChain::open(dir.path(), Access::read());
    let pool = WorkerPool::new(NonZeroUsize::MIN).unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    let plan = plan(&read, &watch_scripts(std::slice::from_ref(&paid.script)), RunConfig::with_workers(1));
    let (snapshot, range) = (Arc::clone(&plan.snapshot), plan.range);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut scan = Scan::start(&pool, Arc::clone(&read.chain), plan, cancel.clone());
        assert_eq!(scan.next().await.unwrap(), None);
        assert_eq!((scan.outcome(), scan.settled()), (Some(Outcome::Cancelled), None));
        let mut reader = BlockReader::start(&pool, Arc::clone(&read.chain), snapshot, range, cancel);
        assert_eq!(reader.next().await.unwrap(), None);
        assert_eq!((reader.outcome(), reader.settled()), (Some(Outcome::Cancelled), None));
    });
}
