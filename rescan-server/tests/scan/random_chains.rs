//! Random chains against the slow oracle: reorganisations, spends in the same block, duplicate
//! scripts, huge blocks and every kind of script, for any obfuscation key, any number of workers
//! and any segment size.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bitcoin::{Amount, OutPoint, ScriptBuf, TxOut};
use proptest::prelude::*;
use rescan_core::report::{BlockReport, Origin, Outcome};
use rescan_core::request::Verify;
use rescan_core::watching::watch_set::{WatchSet, WatchSetBuilder};
use rescan_fixtures::chain_builder::{ChainBuilder, Coin};
use rescan_fixtures::oracle::{self, Watched};
use rescan_fixtures::private_access::mapped_access;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_server::blocks::block_file::Access;
use rescan_server::scan::SegmentSize;

use crate::{Answer, ReadChain, RunConfig, WatchInput, scan};

/// One step of a scenario.
#[derive(Clone, Debug)]
enum Step {
    /// Pays scripts in one transaction, some of them twice.
    Pay(Vec<(prop::sample::Index, u32)>),
    /// Spends some of the wallet's coins to itself, including coins of the same block.
    Spend(u8, prop::sample::Index),
    Mine(u32),
    CoinbaseToWallet(prop::sample::Index),
    Reorg(u32),
    StaleBranch(u32),
    /// A transaction with that many bytes of witness.
    Inscribe(usize),
    /// One transaction with many outputs, one of them the wallet's.
    Crowd(usize, prop::sample::Index),
    OpReturn,
}

fn step() -> impl Strategy<Value = Step> {
    let script = || any::<prop::sample::Index>();
    prop_oneof![
        4 => prop::collection::vec((script(), 1_000u32..100_000), 1..6).prop_map(Step::Pay),
        5 => (1u8..5, script()).prop_map(|(coins, to)| Step::Spend(coins, to)),
        5 => (1u32..3).prop_map(Step::Mine),
        1 => script().prop_map(Step::CoinbaseToWallet),
        1 => (1u32..4).prop_map(Step::Reorg),
        1 => (1u32..3).prop_map(Step::StaleBranch),
        1 => (100usize..300_000).prop_map(Step::Inscribe),
        1 => (200usize..400, script()).prop_map(|(size, to)| Step::Crowd(size, to)),
        1 => Just(Step::OpReturn),
    ]
}

struct Scenario {
    chain: ChainBuilder,
    wallet: TestWallet,
    scripts: Vec<ScriptBuf>,
    spent: HashSet<OutPoint>,
}

impl Scenario {
    /// Two scripts of every kind.
    fn play(steps: &[Step]) -> Self {
        let wallet = TestWallet::new("random chains");
        let kinds = ScriptKind::ALL.iter().flat_map(|kind| [(*kind, 0), (*kind, 1)]);
        let scripts: Vec<ScriptBuf> = kinds.map(|(kind, index)| wallet.script(kind, index)).collect();
        let mut scenario = Self { chain: ChainBuilder::new(), wallet, scripts, spent: HashSet::new() };
        steps.iter().for_each(|step| scenario.take(step));
        scenario.chain.mine(2);
        scenario
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Pay(outputs) => {
                let outputs = outputs.iter().map(|(to, sat)| self.output(to, u64::from(*sat))).collect();
                self.chain.fund_outputs(outputs);
            }
            Step::Spend(count, to) => self.spend(usize::from(*count), to),
            Step::Mine(blocks) => drop(self.chain.mine(*blocks)),
            Step::CoinbaseToWallet(to) => {
                let script = to.get(&self.scripts).clone();
                self.chain.coinbase_to(&script).mine(1);
            }
            Step::Reorg(depth) => drop(self.chain.mine(depth + 1).reorg(*depth)),
            Step::StaleBranch(depth) => {
                self.chain.mine(depth + 1);
                self.chain.side_branch(*depth, *depth);
            }
            Step::Inscribe(bytes) => {
                let script = self.scripts[0].clone();
                self.chain.inscribe(*bytes, &script);
                self.chain.mine(1);
            }
            Step::Crowd(size, to) => {
                let mut outputs: Vec<TxOut> = (0..*size).map(stranger).collect();
                outputs.insert(size / 2, self.output(to, 5_000));
                self.chain.fund_outputs(outputs);
            }
            Step::OpReturn => {
                let script_pubkey = ScriptBuf::new_op_return([7; 20]);
                self.chain.fund_outputs(vec![TxOut { value: Amount::ZERO, script_pubkey }]);
            }
        }
    }

    fn output(&self, to: &prop::sample::Index, sat: u64) -> TxOut {
        TxOut { value: Amount::from_sat(sat), script_pubkey: to.get(&self.scripts).clone() }
    }

    /// Spends up to `count` coins, if any are spendable; a second transaction spends the first.
    fn spend(&mut self, count: usize, to: &prop::sample::Index) {
        let coins = self.scripts.iter().flat_map(|script| self.chain.coins_of(script));
        // Coinbase outputs mature only after a hundred blocks.
        let is_reward = |coin: &Coin| self.chain.confirmed(&coin.outpoint.txid).is_some_and(|tx| tx.tx_index == 0);
        let coins: Vec<Coin> =
            coins.filter(|coin| !self.spent.contains(&coin.outpoint) && !is_reward(coin)).take(count).collect();
        self.spent.extend(coins.iter().map(|coin| coin.outpoint));
        let total: Amount = coins.iter().map(|coin| coin.output.value).sum();
        let Some(kept) = total.checked_sub(Amount::from_sat(500)).filter(|kept| kept.to_sat() > 1_000) else { return };
        let first = self.chain.spend([&self.wallet], &coins, vec![self.output(to, kept.to_sat())]);
        let again = Coin::of(&first, 0);
        let script_pubkey = self.scripts[3].clone();
        let output = TxOut { value: kept - Amount::from_sat(300), script_pubkey };
        self.chain.spend([&self.wallet], &[again], vec![output]);
    }
}

/// An output to an unwatched script.
fn stranger(number: usize) -> TxOut {
    let mut program = [7; 20];
    program[..8].copy_from_slice(&number.to_le_bytes());
    let script_pubkey = ScriptBuf::from_bytes([&[0, 20][..], &program].concat());
    TxOut { value: Amount::from_sat(600), script_pubkey }
}

/// The answer of the oracle, as reports.
fn expected(chain: &ChainBuilder, watched: &Watched, watch: &WatchSet) -> (Vec<BlockReport>, u64, u64) {
    use rescan_core::position::Height;
    use rescan_core::report::{Received, Spent, TransactionReport};

    let answer = oracle::scan(chain.active(), watched);
    let scripts: HashMap<OutPoint, ScriptBuf> = answer
        .transactions
        .iter()
        .flat_map(|tx| tx.received.iter().map(|r| (OutPoint::new(tx.txid, r.vout), r.output.script_pubkey.clone())))
        .collect();
    let origins_of_prevout = |prevout: &OutPoint| {
        let mut origins: Vec<Origin> =
            scripts.get(prevout).map(|script| watch.origins(script.as_bytes())).unwrap_or_default();
        let given = watched.outpoints.iter().position(|(outpoint, _)| outpoint == prevout);
        origins.extend(given.map(|number| Origin::Outpoint(u32::try_from(number).unwrap())));
        origins
    };
    let mut reports: Vec<BlockReport> = Vec::new();
    for tx in &answer.transactions {
        if reports.last().is_none_or(|report| report.hash != tx.block_hash) {
            let (height, hash, time) = (Height(tx.height), tx.block_hash, tx.block_time);
            reports.push(BlockReport { height, hash, time, is_late: false, header: None, transactions: Vec::new() });
        }
        let received = tx.received.iter().map(|r| Received {
            vout: r.vout,
            value: r.output.value,
            script_pubkey: r.output.script_pubkey.clone(),
            origins: watch.origins(r.output.script_pubkey.as_bytes()),
        });
        let spent = tx.spent.iter().map(|s| Spent {
            vin: s.vin,
            prevout: s.prevout,
            value: s.output.as_ref().map(|output| output.value),
            origins: origins_of_prevout(&s.prevout),
        });
        let (received, spent) = (received.collect(), spent.collect());
        let report =
            TransactionReport { tx_index: tx.tx_index, txid: tx.txid, received, spent, raw: None, merkle_branch: None };
        reports.last_mut().unwrap().transactions.push(report);
    }
    (reports, answer.coins.len() as u64, answer.coins_total().to_sat())
}

fn check(answer: &Answer, expected: &(Vec<BlockReport>, u64, u64), context: &str) -> Result<(), TestCaseError> {
    prop_assert_eq!(&answer.reports, &expected.0, "{}", context);
    prop_assert_eq!(answer.totals.coins.count, expected.1, "{}", context);
    prop_assert_eq!(answer.totals.coins.total_sat, expected.2, "{}", context);
    prop_assert_eq!(answer.outcome, Outcome::Complete);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_scan_of_any_chain_is_the_oracles(
        steps in prop::collection::vec(step(), 5..40),
        watched in prop::collection::vec(any::<bool>(), 16),
        given in prop::option::of(any::<prop::sample::Index>()),
        key: Option<[u8; 8]>,
        shuffle: Option<u64>,
    ) {
        let mut scenario = Scenario::play(&steps);
        if let Some(key) = key {
            scenario.chain.xor(key);
        }
        if let Some(seed) = shuffle {
            scenario.chain.shuffle_window(seed, 8).file_bytes_max(100_000);
        }
        let dir = tempfile::tempdir().unwrap();
        scenario.chain.write(dir.path()).unwrap();
        let scripts: Vec<ScriptBuf> =
            scenario.scripts.iter().zip(&watched).filter(|(_, watched)| **watched).map(|(script, _)| script.clone()).collect();
        let spends: Vec<OutPoint> = scenario.chain.active().flat_map(|(_, block)| block.txdata.iter().skip(1))
            .flat_map(|tx| tx.input.iter().map(|input| input.previous_output)).collect();
        let outpoints: Vec<(OutPoint, Option<TxOut>)> = given
            .filter(|_| !spends.is_empty()).map(|given| (*given.get(&spends), None)).into_iter().collect();
        let mut builder = WatchSetBuilder::new();
        for (number, script) in (0..).zip(&scripts) {
            builder.add_script(script.as_bytes(), Origin::Script(number)).unwrap();
        }
        outpoints.iter().for_each(|(outpoint, _)| builder.add_outpoint(*outpoint, None, Origin::Outpoint(0)));
        let watch = Arc::new(builder.build());
        let expected = expected(&scenario.chain, &Watched { scripts, outpoints }, &watch);

        for access in [mapped_access(), Access::read()] {
            let chain = ReadChain::open(dir.path(), access);
            for (workers, verify, blocks_max) in
                [(1, Verify::All, 1_000), (2, Verify::Reported, 3), (4, Verify::Reported, 1), (3, Verify::None, 10)]
            {
                let size = SegmentSize { blocks_max, ..SegmentSize::default() };
                let config = RunConfig { verify, size, ..RunConfig::with_workers(workers) };
                let input = WatchInput { watch: Arc::clone(&watch), keychains: Arc::new([]) };
                let answer = scan(&chain, &input, config).unwrap();
                check(&answer, &expected, &format!("{config:?}"))?;
            }
        }
    }
}
