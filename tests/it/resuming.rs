//! Scans that stop and are resumed: together they report the same as a scan that never stopped.

use std::collections::BTreeMap;
use std::time::Duration;

use bitcoin::{Amount, BlockHash, OutPoint, TxOut, Txid};
use rescan_client::coins::CoinLedger;
use rescan_client::history::History;
use rescan_client::position::Height;
use rescan_client::report::{BlockReport, KeychainUse, Origin, Outcome, RefusalReason};
use rescan_client::{Client, GAP_LIMIT_MAX, GivenKeychain, GivenOutpoint, ScanRequest, Scanned};
use rescan_fixtures::chain_builder::{ChainBuilder, Coin};
use rescan_fixtures::closure::random::{Case, random_case};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_fixtures::{assemble, closure};
use rescan_tests::{Manner, ScanRecord, Scene, patiently, scan};

/// The state that a wallet keeps between two scans.
#[derive(Clone)]
struct Kept {
    /// The lowest block that was scanned.
    from: Height,
    history: History,
    last_used: Vec<Option<u32>>,
    watched_through: Vec<Option<u32>>,
    locator: Vec<BlockHash>,
}

impl Kept {
    /// Before the first scan.
    fn nothing(from: Height, keychains: usize) -> Self {
        let none = vec![None; keychains];
        Self { from, history: History::new(), last_used: none.clone(), watched_through: none, locator: Vec::new() }
    }

    /// Applies the events up to a summary or a mark.
    fn take(
        &mut self,
        reports: &[BlockReport],
        keychains: &[KeychainUse],
        watched_through: &[Option<u32>],
        locator: &[BlockHash],
    ) {
        self.history.extend(reports.iter().cloned());
        for (last_used, used) in self.last_used.iter_mut().zip(keychains) {
            if let KeychainUse::LastUsed(index) = used {
                *last_used = (*last_used).max(Some(*index));
            }
        }
        self.watched_through = watched_through.to_vec();
        self.locator = locator.to_vec();
    }

    fn take_all(&mut self, found: &ScanRecord) {
        let summary = found.summary();
        assert_eq!((summary.outcome, summary.range.first()), (Outcome::Complete, self.from));
        self.take(&found.reports, &summary.keychains, &summary.watched_through, &summary.locator);
    }

    /// The resumed request: used indexes count as revealed, and the coins left are earlier coins.
    fn resumed(&self, request: &ScanRequest) -> ScanRequest {
        let mut request = request.clone();
        for (keychain, last_used) in request.keychains.iter_mut().zip(&self.last_used) {
            keychain.last_revealed = keychain.last_revealed.max(*last_used);
        }
        let mut ledger = CoinLedger::new();
        self.history.reports().for_each(|report| ledger.apply(report));
        let live: BTreeMap<OutPoint, TxOut> = ledger
            .sorted()
            .into_iter()
            .map(|coin| (coin.outpoint, TxOut { value: coin.value, script_pubkey: coin.script_pubkey.clone() }))
            .collect();
        request.outpoints.retain(|given| !live.contains_key(&given.outpoint));
        let live = live.into_iter().map(|(outpoint, output)| GivenOutpoint { outpoint, output: Some(output) });
        request.outpoints.extend(live);
        let scanned = Scanned { from: self.from, watched_through: self.watched_through.clone() };
        request.after(self.locator.clone()).scanned(scanned)
    }
}

/// A transaction without the parts that depend on the start of the scan: a spent coin is found in
/// one scan and given to another.
#[derive(Debug, PartialEq, Eq)]
struct Plain {
    height: u32,
    tx_index: u32,
    received: Vec<(u32, Amount, Vec<Origin>)>,
    spent: Vec<(u32, OutPoint, Option<Amount>)>,
}

fn plainly(history: &History) -> BTreeMap<(BlockHash, Txid), Plain> {
    let transactions = history.reports().flat_map(|report| report.transactions.iter().map(move |told| (report, told)));
    transactions
        .map(|(report, told)| {
            let received =
                told.received.iter().map(|received| (received.vout, received.value, received.origins.clone()));
            let spent = told.spent.iter().map(|spent| (spent.vin, spent.prevout, spent.value));
            let (received, spent) = (received.collect(), spent.collect());
            let plain = Plain { height: report.height.0, tx_index: told.tx_index, received, spent };
            ((report.hash, told.txid), plain)
        })
        .collect()
}

fn request_of(case: &Case) -> ScanRequest {
    let mut request = ScanRequest::new();
    for (descriptor, keychain) in case.descriptors.iter().zip(&case.asked.keychains) {
        let mut given = GivenKeychain::new(descriptor.as_str()).gap_limit(keychain.gap_limit);
        given.last_revealed = keychain.last_revealed;
        request = request.keychain(given);
    }
    request = case.asked.scripts.iter().cloned().fold(request, ScanRequest::script);
    let outpoints = case.asked.outpoints.iter().cloned();
    outpoints.map(|(outpoint, output)| GivenOutpoint { outpoint, output }).fold(request, ScanRequest::outpoint)
}

/// Scans from one stop to the next.
async fn in_parts(client: &Client, request: &ScanRequest, from: Height, stops: &[u32]) -> Kept {
    let mut kept = Kept::nothing(from, request.keychains.len());
    for (number, stop) in stops.iter().enumerate() {
        let part = if number == 0 { request.clone().from_height(from) } else { kept.resumed(request) };
        kept.take_all(&scan(client, part.to_height(Height(*stop))).await);
    }
    kept
}

#[test]
fn a_scan_in_two_or_three_parts_tells_what_one_tells_whatever_later_uses_reveal_of_the_earlier_parts() {
    let mut told_of_the_past = 0;
    for seed in 0..16 {
        let case = random_case(1_000 + seed);
        let (from, tip) = (Height(case.from_height), case.chain.tip_height());
        let request = request_of(&case);
        let expected = closure::scan(case.range(), &case.asked).answer;
        let scene = Scene::serve(case.chain, Manner::default());
        patiently(async {
            let client = scene.server.client().await;
            let whole = scan(&client, request.clone().from_height(from)).await;
            let whole_history = whole.history();
            let txids: Vec<Txid> =
                whole_history.reports().flat_map(|r| &r.transactions).map(|told| told.txid).collect();
            assert_eq!(txids, expected.transactions.iter().map(|told| told.txid).collect::<Vec<_>>(), "seed {seed}");
            let last_used: Vec<Option<u32>> = whole.summary().keychains.iter().map(index_of).collect();
            // Mostly among the last blocks, which are those that pay.
            let lowest = from.0.max(tip.saturating_sub(40)).min(tip);
            let stop = |number: u32| lowest + (seed_number(seed) + number * 17) % (tip - lowest + 1);
            for number in 0..5 {
                let mut stops = vec![stop(number), stop(number + 1), tip];
                stops.sort_unstable();
                stops.drain(..(number % 2) as usize);
                let parts = in_parts(&client, &request, from, &stops).await;
                assert_eq!(plainly(&parts.history), plainly(&whole_history), "seed {seed}, stopping at {stops:?}");
                assert_eq!(parts.last_used, last_used, "seed {seed}, stopping at {stops:?}");
                let first = in_parts(&client, &request, from, &stops[..1]).await.history.transaction_count();
                let before = whole_history.reports().filter(|report| report.height.0 <= stops[0]);
                told_of_the_past += before.map(|report| report.transactions.len()).sum::<usize>() - first;
            }
        });
    }
    assert!(told_of_the_past > 50, "later uses revealed {told_of_the_past} transactions of the past only");
}

fn seed_number(seed: u64) -> u32 {
    u32::try_from(seed * 7_919 % 1_000).unwrap()
}

fn index_of(used: &KeychainUse) -> Option<u32> {
    match used {
        KeychainUse::LastUsed(index) => Some(*index),
        KeychainUse::Unused | KeychainUse::UsedSingle => None,
    }
}

/// Sixty blocks of 100 kB, so that a scan settles them in several steps; every fifth pays an index,
/// from 33 down to 0, each within the gap of the one that comes after it, and every other of these
/// coins is spent a few blocks later.
fn laden_upside_down(wallet: &TestWallet) -> ChainBuilder {
    let mut chain = ChainBuilder::new();
    chain.xor([1, 2, 3, 4, 5, 6, 7, 8]).mine(110);
    let mut coins: Vec<Coin> = Vec::new();
    for block in 0..60_u32 {
        chain.fund_outputs(vec![assemble::op_return(&[0; 97_000])]);
        if block % 5 == 0 {
            let index = (55 - block) / 5 * 3;
            coins.push(chain.fund(&wallet.script(ScriptKind::P2wpkh, index), Amount::from_sat(9_000)));
        } else if block % 10 == 3 {
            let coin = coins.pop().unwrap();
            chain.spend([wallet], &[coin], vec![]);
        }
        chain.mine(1);
    }
    chain
}

#[test]
fn every_mark_is_a_place_to_go_on_from() {
    let wallet = TestWallet::new("nina");
    let scene = Scene::serve(laden_upside_down(&wallet), Manner::default());
    let keychain = GivenKeychain::new(wallet.descriptor(ScriptKind::P2wpkh)).gap_limit(3);
    let request = ScanRequest::new().keychain(keychain);
    patiently(async {
        let client = scene.server.client().await;
        let marked = scan(&client, request.clone().mark_every(Duration::from_millis(1))).await;
        let whole = marked.history();
        assert_eq!(whole.transaction_count(), 12 + 6);
        assert!(!marked.marks.is_empty(), "no mark came");
        let tip = Height(scene.chain.tip_height());
        assert!(marked.marks.iter().any(|(_, mark)| mark.block.height < tip), "all marks are at the end");
        for (reports, mark) in &marked.marks {
            assert_eq!(mark.locator.first(), Some(&mark.block.hash));
            assert_eq!(mark.block.hash, scene.chain.hash_at(mark.block.height.0));
            let mut kept = Kept::nothing(mark.from, 1);
            kept.take(&marked.reports[..*reports], &mark.keychains, &mark.watched_through, &mark.locator);
            kept.take_all(&scan(&client, kept.resumed(&request)).await);
            assert_eq!(plainly(&kept.history), plainly(&whole), "from the mark at height {}", mark.block.height);
        }
        // And with every stop that there is.
        for stop in (109..=tip.0).step_by(4) {
            let parts = in_parts(&client, &request, Height(0), &[stop, tip.0]).await;
            assert_eq!(plainly(&parts.history), plainly(&whole), "stopping at {stop}");
        }
    });
}

/// Index 4 is used, and then 1, on a chain of 103 blocks.
fn small() -> (TestWallet, ChainBuilder) {
    let wallet = TestWallet::new("oscar");
    let mut chain = ChainBuilder::new();
    for index in [4, 1] {
        chain.fund(&wallet.script(ScriptKind::P2wpkh, index), Amount::from_sat(9_000));
        chain.mine(1);
    }
    (wallet, chain)
}

#[test]
fn after_the_tip_there_is_nothing_to_walk_and_the_summary_is_complete() {
    let (wallet, chain) = small();
    let scene = Scene::serve(chain, Manner::default());
    let keychain = GivenKeychain::new(wallet.descriptor(ScriptKind::P2wpkh)).gap_limit(2);
    let request = ScanRequest::new().keychain(keychain);
    patiently(async {
        let client = scene.server.client().await;
        let mut kept = Kept::nothing(Height(0), 1);
        kept.take_all(&scan(&client, request.clone()).await);
        assert_eq!(kept.last_used, [Some(1)]);
        let tip = scene.chain.tip_hash();
        for request in [kept.resumed(&request), request.clone().after(vec![tip])] {
            let on = scan(&client, request).await;
            let summary = on.summary();
            assert_eq!((summary.outcome, summary.blocks_scanned, on.reports.len()), (Outcome::Complete, 0, 0));
            assert_eq!((summary.tip.hash, summary.locator.first()), (tip, Some(&tip)));
        }
    });
}

#[test]
fn a_wallet_that_widens_its_gap_is_told_what_the_covered_part_holds_even_at_the_tip() {
    let (wallet, chain) = small();
    let scene = Scene::serve(chain, Manner::default());
    let request = |gap_limit| {
        let keychain = GivenKeychain::new(wallet.descriptor(ScriptKind::P2wpkh)).gap_limit(gap_limit);
        ScanRequest::new().keychain(keychain)
    };
    patiently(async {
        let client = scene.server.client().await;
        let mut kept = Kept::nothing(Height(0), 1);
        kept.take_all(&scan(&client, request(2)).await);
        assert_eq!(kept.history.transaction_count(), 1);
        let on = scan(&client, kept.resumed(&request(3))).await;
        assert!(on.reports.iter().all(|report| report.is_late), "the tip is walked again: {:?}", on.reports);
        assert_eq!((on.summary().transactions, on.summary().blocks_scanned), (1, 0));
        kept.take_all(&on);
        assert_eq!(kept.last_used, [Some(4)]);
        assert_eq!(plainly(&kept.history), plainly(&scan(&client, request(3)).await.history()));
    });
}

#[test]
fn what_cannot_be_gone_on_from_is_refused_and_told_apart() {
    let (wallet, chain) = small();
    let scene = Scene::serve(chain, Manner::default());
    let keychain = || GivenKeychain::new(wallet.descriptor(ScriptKind::P2wpkh));
    let watch = || ScanRequest::new().keychain(keychain());
    let locator = vec![scene.chain.hash_at(50)];
    let scanned = |from, keychains| Scanned { from: Height(from), watched_through: vec![Some(9); keychains] };
    let mut foreign = ChainBuilder::new();
    foreign.coinbase_to(&wallet.script(ScriptKind::P2tr, 0)).mine(3);
    // All but genesis, which all chains of a network share.
    let foreign: Vec<BlockHash> = (1..=3).rev().map(|height| foreign.hash_at(height)).collect();
    let mistakes = [
        ("a foreign locator", watch().after(foreign), RefusalReason::NotInChain),
        ("an empty locator", watch().after(vec![]), RefusalReason::NotInChain),
        ("no keychain scanned", watch().after(locator.clone()).scanned(scanned(0, 0)), RefusalReason::BadCoverage),
        ("one too many scanned", watch().after(locator.clone()).scanned(scanned(0, 2)), RefusalReason::BadCoverage),
        (
            "scanned from where it begins",
            watch().after(locator.clone()).scanned(scanned(51, 1)),
            RefusalReason::BadCoverage,
        ),
        ("no gap", ScanRequest::new().keychain(keychain().gap_limit(0)), RefusalReason::BadGapLimit),
        (
            "too wide a gap",
            ScanRequest::new().keychain(keychain().gap_limit(GAP_LIMIT_MAX + 1)),
            RefusalReason::BadGapLimit,
        ),
    ];
    patiently(async {
        let client = scene.server.client().await;
        for (mistake, request, reason) in mistakes {
            let found = scan(&client, request).await;
            assert_eq!(found.refusal().reason, reason, "{mistake}: {}", found.refusal());
        }
        let on = scan(&client, watch().after(locator).scanned(scanned(50, 1))).await;
        assert_eq!(on.summary().outcome, Outcome::Complete, "one block may be scanned");
    });
}

#[test]
fn after_a_reorganisation_the_fork_is_found_and_gone_on_from() {
    let (wallet, chain) = small();
    let mut scene = Scene::serve(chain, Manner::default());
    let script = wallet.script(ScriptKind::P2wpkh, 0);
    let request = ScanRequest::new().keychain(wallet.descriptor(ScriptKind::P2wpkh));
    patiently(async {
        let client = scene.server.client().await;
        let mut kept = Kept::nothing(Height(0), 1);
        kept.take_all(&scan(&client, request.clone()).await);
        assert_eq!(kept.history.transaction_count(), 2);
        let seen: Vec<BlockHash> =
            (0..=scene.chain.tip_height()).rev().map(|height| scene.chain.hash_at(height)).collect();
        assert_eq!(client.locate(seen.clone()).await.unwrap().unwrap().hash, seen[0]);
        // The block that uses index 1 is left for two, of which the second uses index 0.
        scene.chain.rewind(1).mine(1).coinbase_to(&script).mine(1);
        scene.append();
        let fork = client.locate(seen.clone()).await.unwrap().unwrap();
        assert_eq!((fork.height.0, fork.hash), (scene.chain.tip_height() - 2, seen[1]));
        assert_eq!(fork.time, scene.chain.block_at(fork.height.0).header.time);
        assert_eq!(client.locate(seen[..1].to_vec()).await.unwrap(), None);
        kept.history.truncate(Height(fork.height.0 + 1));
        kept.locator = seen;
        let on = scan(&client, kept.resumed(&request)).await;
        assert_eq!(on.heights(), [scene.chain.tip_height()]);
        kept.take_all(&on);
        assert_eq!(plainly(&kept.history), plainly(&scan(&client, request).await.history()));
    });
}
