//! Seeds: small, generated here, and each close to something that a fuzzer would not find by
//! itself.

use std::fs;
use std::time::Duration;

use bitcoin::consensus::serialize;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, TxMerkleNode, TxOut, Txid};
use capnp::message::Builder;
use capnp::serialize::write_message_to_words;
use rescan_core::chain::network::Network;
use rescan_core::coins::Coin;
use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{
    BlockId, BlockReport, Ending, Failure, FailureKind, FailurePlace, KeychainUse, Origin, Outcome, Received, Refusal,
    RefusalReason, ResumePoint, Spent, Summary, TransactionReport,
};
use rescan_core::request::{
    Deliver, Extras, GivenKeychain, GivenOutpoint, RangeEnd, RangeRequest, RangeStart, ScanOptions, Scanned, Verify,
};
use rescan_core::wire;
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_server::blocks::block_file::Access;
use rescan_server::cancel::Cancel;
use rescan_server::chain::{Chain, ChainConfig};

/// A surface: its name, its function, and its seeds.
pub struct Surface {
    /// The name of its fuzz target.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]),
    /// Its seeds.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All surfaces.
pub const SURFACES: [Surface; 5] = [
    Surface { name: "block_walk", run: crate::block_walk, seeds: block_walk },
    Surface { name: "record_walk", run: crate::record_walk, seeds: record_walk },
    Surface { name: "state_file", run: crate::state_file, seeds: state_file },
    Surface { name: "wire", run: crate::wire, seeds: wire },
    Surface { name: "descriptor", run: crate::descriptor, seeds: descriptor },
];

/// A chain with payments to every kind of script, and their spends.
fn chain() -> ChainBuilder {
    let alice = TestWallet::new("alice");
    let mut chain = ChainBuilder::new();
    for kind in ScriptKind::ALL {
        let coin = chain.fund(&alice.script(kind, 0), Amount::from_sat(10_000));
        let change = TxOut { value: Amount::from_sat(9_000), script_pubkey: alice.script(kind, 1) };
        chain.spend([&alice], &[coin], vec![change]);
    }
    chain.mine(1);
    chain
}

/// Blocks with payments of every kind, without obfuscation and under keys.
#[must_use]
pub fn block_walk() -> Vec<Vec<u8>> {
    let chain = chain();
    let keys = [[0; 8], [1, 2, 3, 4, 5, 6, 7, 8], [0xff, 0, 0xff, 0, 0x80, 1, 0, 0x7f]];
    let blocks = (0..=chain.tip_height()).rev().map(|height| chain.block_at(height));
    let busy = blocks.clone().filter(|block| block.txdata.len() > 1);
    let blocks = busy.take(3).chain(blocks.take(1));
    blocks.zip(keys.iter().cycle()).map(|(block, key)| [&key[..], &[5], &serialize(block)].concat()).collect()
}

/// Directories: plain, torn, with holes, over several files, with duplicates, rewritten between two
/// refreshes.
#[must_use]
pub fn record_walk() -> Vec<Vec<u8>> {
    const KEY: [u8; 8] = [0x9b, 0x94, 0xee, 0x94, 0xad, 0x7f, 0x26, 0x11];
    let whole = |heights: std::ops::Range<u8>| heights.flat_map(|which| [3, which]).collect::<Vec<u8>>();
    let steps: [Vec<u8>; 9] = [
        whole(0..24),
        [whole(0..5), vec![1, 9], whole(5..24)].concat(),
        [whole(0..9), vec![2], whole(9..15), vec![2 | 3 << 3], whole(15..27)].concat(),
        [whole(0..6), vec![4, 6, 130, 0], whole(7..12), whole(6..7)].concat(),
        [whole(0..6), vec![4, 6, 60, 0]].concat(),
        [whole(0..6), vec![5, 6, 90, 0, 1], whole(7..9), vec![6, 9, 0xff, 0xff, 0xff, 0xff], whole(9..12)].concat(),
        [whole(0..6), vec![0, 4], Network::Regtest.magic().0.to_vec(), vec![1, 2], whole(6..6), whole(2..12)].concat(),
        [whole(10..20), vec![7, 0, 0, 3], whole(0..20)].concat(),
        [whole(0..8), vec![2], whole(8..20), vec![7, 0, 0xff, 0xff], vec![2], whole(20..29)].concat(),
    ];
    let keys = [[0; 8], KEY].into_iter().cycle();
    steps.iter().zip(keys).map(|(steps, key)| [&key[..], steps].concat()).collect()
}

/// State files of a plain chain, of one with stale blocks and copies, and of a pruned one.
///
/// # Panics
/// If there is no room for temporary files.
#[must_use]
pub fn state_file() -> Vec<Vec<u8>> {
    let mut plain = ChainBuilder::new();
    plain.mine(3);
    let mut forked = ChainBuilder::new();
    forked.mine(6).reorg(2);
    forked.side_branch(2, 1);
    let twice = forked.hash_at(2);
    forked.append(rescan_fixtures::chain_builder::Record::Block(twice));
    let mut pruned = ChainBuilder::new();
    pruned.mine(12).file_bytes_max(1200).prune_below(8);
    let kept = [plain, forked, pruned].iter().map(kept_state).collect::<Vec<_>>();
    kept.iter().flat_map(|file| [0, 1].map(|choice| [&[choice], &file[..]].concat())).collect()
}

fn kept_state(chain: &ChainBuilder) -> Vec<u8> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (blocks_dir, state_dir) = (directory.path().join("blocks"), directory.path().join("state"));
    chain.write(&blocks_dir).expect("room for a chain");
    let config = ChainConfig {
        blocks_dir,
        network: Some(Network::Regtest),
        signet_challenge: None,
        state_dir: state_dir.clone(),
        access: Access::read(),
    };
    let opened = Chain::open(config).expect("a blocks directory");
    opened.refresh(&Cancel::new()).expect("it can be read");
    drop(opened);
    let mut entries = fs::read_dir(state_dir).expect("it was made").map(|entry| entry.expect("an entry").path());
    let path = entries.find(|path| path.extension().is_some_and(|kind| kind == "chain")).expect("a state was kept");
    fs::read(path).expect("it can be read")
}

/// A non-empty message of each kind.
///
/// # Panics
/// Never: these values can be written.
#[must_use]
pub fn wire() -> Vec<Vec<u8>> {
    const WRITTEN: &str = "it can be said";
    let mut messages: Vec<Builder<_>> = (0..10).map(|_| Builder::new_default()).collect();
    let [report, summary, refusal, failure, request, given, id, keychain, mark, coin] = &mut messages[..] else {
        return Vec::new();
    };
    let hash = BlockHash::from_byte_array([3; 32]);
    let tip = BlockId { height: Height(9), hash, time: 1_700_000_000 };
    wire::write_report(&block_report(), report.init_root()).expect(WRITTEN);
    let ended = Summary {
        outcome: Outcome::ReorganisedFrom(Height(4)),
        range: HeightRange::new(Height(1), Height(9)).expect("it ascends"),
        tip,
        transactions: 1,
        unspent_count: 1,
        unspent: Amount::from_sat(5),
        keychains: vec![KeychainUse::LastUsed(4), KeychainUse::Unused, KeychainUse::UsedSingle],
        blocks_scanned: 9,
        bytes_scanned: 900,
        prepare_micros: 1,
        elapsed_micros: 2,
        locator: vec![hash; 2],
        watched_through: vec![Some(9), None, None],
        passes: 2,
    };
    wire::write_ending(&Ending::Summary(ended), summary.init_root()).expect(WRITTEN);
    let refused = Refusal { reason: RefusalReason::BadRange, position: 3, detail: "no".to_owned() };
    wire::write_ending(&Ending::Refused(refused), refusal.init_root()).expect(WRITTEN);
    let at = Some(FailurePlace { height: Height(2), path: "/blk00000.dat".into(), offset: 8 });
    let failed = Failure { kind: FailureKind::CorruptBlock, detail: "bad".to_owned(), at };
    wire::write_ending(&Ending::Failed(failed), failure.init_root()).expect(WRITTEN);
    let range = RangeRequest { from: RangeStart::Birthday(1_700_000_000), to: RangeEnd::Height(Height(7)) };
    let asked = ScanOptions {
        deliver: Deliver::Coins,
        extras: Extras { raw_transactions: true, merkle_branches: true },
        mark_every: Some(Duration::from_secs(1)),
        scanned: Some(Scanned { from: Height(1), watched_through: vec![Some(9), None] }),
        ..ScanOptions::history(range, Verify::All)
    };
    wire::write_scan_request(&asked, request.init_root()).expect(WRITTEN);
    let output = TxOut { value: Amount::from_sat(7), script_pubkey: ScriptBuf::from_bytes(vec![0x51; 22]) };
    let outpoint = OutPoint { txid: Txid::from_byte_array([9; 32]), vout: 1 };
    let known = GivenOutpoint { outpoint, output: Some(output) };
    wire::write_given_outpoint(&known, given.init_root()).expect(WRITTEN);
    wire::write_block_id(&tip, id.init_root());
    wire::write_given_keychain(&GivenKeychain::new("wpkh(02)").gap_limit(20).revealed(7), keychain.init_root());
    let (from, keychains) = (Height(1), vec![KeychainUse::LastUsed(4)]);
    let settled = ResumePoint { from, block: tip, locator: vec![hash; 2], keychains, watched_through: vec![Some(9)] };
    wire::write_resume_point(&settled, mark.init_root()).expect(WRITTEN);
    let (value, script_pubkey) = (Amount::from_sat(7), ScriptBuf::from_bytes(vec![0x51; 22]));
    let origins = vec![Origin::Keychain { keychain: 0, index: Some(5) }];
    let left = Coin { height: Height(9), block_hash: hash, tx_index: 4, outpoint, value, script_pubkey, origins };
    wire::write_coin(&left, coin.init_root()).expect(WRITTEN);
    let flat = messages.iter().map(write_message_to_words);
    (0..).zip(flat).map(|(choice, words)| [&[choice][..], &words].concat()).collect()
}

fn block_report() -> BlockReport {
    let origins = vec![Origin::Keychain { keychain: 0, index: Some(5) }, Origin::Script(1), Origin::Outpoint(2)];
    let script_pubkey = ScriptBuf::from_bytes(vec![0x51; 22]);
    let prevout = OutPoint { txid: Txid::from_byte_array([9; 32]), vout: 1 };
    let received = Received { vout: 1, value: Amount::from_sat(6), script_pubkey, origins: origins.clone() };
    let spent = Spent { vin: 2, prevout, value: Some(Amount::from_sat(7)), origins };
    let txid = Txid::from_byte_array([8; 32]);
    let transaction = TransactionReport {
        tx_index: 4,
        txid,
        received: vec![received],
        spent: vec![spent],
        raw: Some(vec![1; 61]),
        merkle_branch: Some(vec![TxMerkleNode::all_zeros()]),
    };
    let hash = BlockHash::from_byte_array([3; 32]);
    BlockReport {
        height: Height(9),
        hash,
        time: 1_700_000_000,
        is_late: true,
        header: None,
        transactions: vec![transaction],
    }
}

/// Descriptors of every function; the bytes 1 to 7 are replaced by keys.
#[must_use]
pub fn descriptor() -> Vec<Vec<u8>> {
    const TEXTS: [&str; 24] = [
        "wpkh([d34db33f/84h/1h/0h]\x01/0/*)",
        "pkh(\x02/<0;1>/*)",
        "sh(wpkh(\x01/1/*))",
        "wsh(sortedmulti(2,\x01/0/*,\x01/1/*,\x03))",
        "sh(multi(1,\x03,\x01/*))",
        "tr(\x01/0/*,{pk(\x04),{and_v(v:pk(\x01/3/*),older(144)),multi_a(1,\x04,\x01/5)}})",
        "combo(\x03)",
        "combo(\x01/*)",
        "rawtr(\x04)",
        "raw(76a914000102030405060708090a0b0c0d0e0f1011121388ac)",
        "addr(mfWxJ45yp2SFn7UciZyNpvDKrzbhyfKrY8)",
        "sortedmulti(1,\x03,\x01/*)",
        "wsh(or_d(pk(\x01/0/*),and_v(v:pkh(\x01/1/*),after(500000))))",
        "wsh(thresh(2,pk(\x03),s:pk(\x01/*),sln:older(10)))",
        "wpkh(\x05)",
        "pkh(\x07/0/*)",
        "tr(\x06,pk(\x05))#00000000",
        "wpkh(\x01/0'/*)",
        "wpkh(\x01/<0;1>/*)?bh=890000&gl=200",
        "\x01/0/*",
        "\x03",
        "mfWxJ45yp2SFn7UciZyNpvDKrzbhyfKrY8",
        "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs",
        "wpkh(zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs/*)",
    ];
    TEXTS.iter().map(|text| [&[0, 7, 0, 0, 0], text.as_bytes()].concat()).collect()
}
