//! Many wallets in one scan against each of them alone.

use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, OutPoint, Txid};
use rescan_core::position::Height;

use super::*;

/// A small generator of numbers (Knuth's MMIX), so that every run sees the same cases.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// The watch set of a wallet in these tests: keychains of two indexes each, and scripts. Every script is a small number.
#[derive(Clone, Default)]
struct Watched {
    keychains: Vec<[u64; 2]>,
    scripts: Vec<u64>,
}

impl Watched {
    fn random(numbers: &mut Numbers) -> Self {
        let keychains = (0..numbers.below(4)).map(|_| [numbers.below(30), numbers.below(30)]).collect();
        let scripts = (0..numbers.below(4)).map(|_| numbers.below(30)).collect();
        Self { keychains, scripts }
    }

    fn wallet(&self) -> Wallet {
        let wallet =
            (0..self.keychains.len()).fold(Wallet::new(), |wallet, number| wallet.keychain(format!("k{number}")));
        self.scripts.iter().fold(wallet, |wallet, script| wallet.script(script_of(*script)))
    }

    fn and(mut self, other: &Self) -> Self {
        self.keychains.extend(&other.keychains);
        self.scripts.extend(&other.scripts);
        self
    }

    /// By looking at everything: to which of the entries the script belongs.
    fn origins(&self, script: u64) -> Vec<Origin> {
        let mut origins = Vec::new();
        for (keychain, indexes) in (0..).zip(&self.keychains) {
            for (index, own) in (0..).zip(indexes) {
                if *own == script {
                    origins.push(Origin::Keychain { keychain, index: Some(index) });
                }
            }
        }
        for (number, own) in (0..).zip(&self.scripts) {
            if *own == script {
                origins.push(Origin::Script(number));
            }
        }
        origins
    }

    /// The report that a scan for these entries sends of a block whose transactions pay and spend the scripts.
    fn report(&self, block: &[[Vec<u64>; 2]]) -> Option<BlockReport> {
        let transactions = (0..).zip(block).map(|(tx_index, [pays, spends])| {
            let pays = (0..).zip(pays).map(|(vout, script)| Received {
                vout,
                value: Amount::from_sat(*script),
                script_pubkey: script_of(*script),
                origins: self.origins(*script),
            });
            let spends = (0..).zip(spends).map(|(vin, script)| Spent {
                vin,
                prevout: OutPoint { txid: Txid::all_zeros(), vout: vin },
                value: None,
                origins: self.origins(*script),
            });
            TransactionReport {
                tx_index,
                txid: Txid::all_zeros(),
                received: pays.filter(|received| !received.origins.is_empty()).collect(),
                spent: spends.filter(|spent| !spent.origins.is_empty()).collect(),
                raw: Some(vec![1]),
                merkle_branch: Some(Vec::new()),
            }
        });
        let transactions: Vec<_> = transactions.filter(|it| !it.received.is_empty() || !it.spent.is_empty()).collect();
        let (height, hash, time, is_late, header) = (Height(3), BlockHash::all_zeros(), 9, true, None);
        (!transactions.is_empty()).then_some(BlockReport { height, hash, time, is_late, header, transactions })
    }
}

fn script_of(script: u64) -> ScriptBuf {
    ScriptBuf::from(script.to_le_bytes().to_vec())
}

#[test]
fn what_each_wallet_is_given_of_many_is_what_it_would_have_been_given_alone() {
    let mut numbers = Numbers(1);
    let mut shared = 0;
    for case in 0..500 {
        let each: Vec<Watched> = (0..numbers.below(6)).map(|_| Watched::random(&mut numbers)).collect();
        let mut wallets = Wallets::new();
        for (number, watched) in each.iter().enumerate() {
            assert_eq!(wallets.add(number.to_string(), watched.wallet()), Ok(number));
        }
        let mut scripts = || (0..numbers.below(4)).map(|_| numbers.below(30)).collect::<Vec<u64>>();
        let block: Vec<_> = (0..5).map(|_| [scripts(), scripts()]).collect();
        let all = each.iter().fold(Watched::default(), Watched::and);
        let split = all.report(&block).map(|report| wallets.split_report(&report)).unwrap_or_default();
        let alone = each.iter().map(|watched| watched.report(&block)).enumerate();
        let alone: Vec<_> = alone.filter_map(|(number, report)| Some((number, report?))).collect();
        assert_eq!(split, alone, "case {case}");
        shared += usize::from(split.len() > 1);
    }
    assert!(shared > 100, "only {shared} cases have more than one wallet");
}

fn two_that_share_a_script() -> Wallets {
    let mut wallets = Wallets::new();
    wallets.add("a", Wallet::new().keychain("k").keychain("l").script(script_of(1))).expect("a new name");
    wallets.add("b", Wallet::new().script(script_of(2)).script(script_of(1)).keychain("m")).expect("a new name");
    wallets
}

#[test]
fn a_coin_of_two_wallets_goes_to_both_each_with_its_own_numbers() {
    let coin = Coin {
        height: Height(3),
        block_hash: BlockHash::all_zeros(),
        tx_index: 0,
        outpoint: OutPoint::null(),
        value: Amount::ONE_SAT,
        script_pubkey: script_of(1),
        origins: vec![Origin::Keychain { keychain: 2, index: None }, Origin::Script(0), Origin::Script(2)],
    };
    let split: Vec<_> =
        two_that_share_a_script().split_coin(&coin).into_iter().map(|(n, own)| (n, own.origins)).collect();
    let of_b = vec![Origin::Keychain { keychain: 0, index: None }, Origin::Script(1)];
    assert_eq!(split, [(0, vec![Origin::Script(0)]), (1, of_b)]);
}

#[test]
fn a_list_of_keychains_is_told_apart() {
    let wallets = two_that_share_a_script();
    assert_eq!((wallets.keychains_of(0, &[5, 6, 7]), wallets.keychains_of(1, &[5, 6, 7])), (&[5, 6][..], &[7][..]));
    assert!(wallets.keychains_of(2, &[5, 6, 7]).is_empty() && wallets.keychains_of(1, &[5]).is_empty());
    assert_eq!(wallets.names().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_second_wallet_of_a_name_is_refused_and_changes_nothing() {
    let mut wallets = two_that_share_a_script();
    assert_eq!(wallets.add("b", Wallet::new().keychain("n")), Err(DuplicateNameError { earlier: 1, later: 2 }));
    assert_eq!((wallets.len(), wallets.watched_by(ScanRequest::new()).keychains.len()), (2, 3));
}
