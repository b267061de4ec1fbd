//! The fast walk and the filters against the slow oracle, on random blocks and on damaged ones.

#![expect(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests")]

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::consensus::serialize;
use bitcoin::hashes::Hash;
use bitcoin::transaction::Version as TxVersion;
use bitcoin::{
    Amount, Block, BlockHash, CompactTarget, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode, TxOut,
    Txid, Witness,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rescan_core::blocks::cursor::Malformed;
use rescan_core::blocks::obfuscation::{ObfuscationKey, RawBlock};
use rescan_core::blocks::proof::{Prover, Unproven};
use rescan_core::blocks::transaction::TxView;
use rescan_core::report::{Origin, TransactionReport};
use rescan_core::watching::coin_map::CoinMap;
use rescan_core::watching::matching::{BlockPlace, Matcher};
use rescan_core::watching::watch_set::{WatchSet, WatchSetBuilder};
use rescan_fixtures::oracle::{self, Watched};

/// A script of any length, often a short, standard or long one.
fn script() -> impl Strategy<Value = ScriptBuf> {
    let bytes = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..12),
        8 => prop::collection::vec(any::<u8>(), 22..=35),
        1 => prop::collection::vec(any::<u8>(), 250..=260),
        1 => (any::<u8>(), 65_530usize..65_540).prop_map(|(byte, size)| vec![byte; size]),
    ];
    bytes.prop_map(ScriptBuf::from_bytes)
}

fn witness() -> impl Strategy<Value = Witness> {
    let item = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..80),
        2 => prop::collection::vec(any::<u8>(), 64),
        2 => prop::collection::vec(any::<u8>(), 33),
        1 => prop::collection::vec(any::<u8>(), 250..600),
    ];
    prop::collection::vec(item, 0..4).prop_map(|items| Witness::from_slice(&items))
}

/// Description of a random transaction: the earlier output that each input spends (none: an output
/// from before), and scripts as positions in a common pool.
#[derive(Clone, Debug)]
struct TxPlan {
    inputs: Vec<(Option<prop::sample::Index>, ScriptBuf, Witness)>,
    outputs: Vec<(u64, prop::sample::Index)>,
}

fn tx_plan() -> impl Strategy<Value = TxPlan> {
    let input = (prop::option::weighted(0.7, any::<prop::sample::Index>()), script(), witness());
    (prop::collection::vec(input, 1..4), prop::collection::vec((0u64..1 << 50, any::<prop::sample::Index>()), 0..5))
        .prop_map(|(inputs, outputs)| TxPlan { inputs, outputs })
}

prop_compose! {
    fn chain()(
        pool in prop::collection::vec(script(), 1..12),
        plans in prop::collection::vec(prop::collection::vec(tx_plan(), 1..6), 1..8),
    ) -> (Vec<ScriptBuf>, Vec<Block>) {
        let mut unspent: Vec<OutPoint> = Vec::new();
        let blocks = plans.into_iter().map(|plans| block(plans, &pool, &mut unspent)).collect();
        (pool, blocks)
    }
}

fn block(plans: Vec<TxPlan>, pool: &[ScriptBuf], unspent: &mut Vec<OutPoint>) -> Block {
    let txdata = plans.into_iter().map(|plan| transaction(plan, pool, unspent)).collect();
    let mut block = Block {
        header: Header {
            version: Version::ONE,
            prev_blockhash: BlockHash::all_zeros(),
            merkle_root: TxMerkleNode::all_zeros(),
            time: 7,
            bits: CompactTarget::from_consensus(0x207f_ffff),
            nonce: 0,
        },
        txdata,
    };
    block.header.merkle_root = block.compute_merkle_root().unwrap();
    block
}

fn transaction(plan: TxPlan, pool: &[ScriptBuf], unspent: &mut Vec<OutPoint>) -> Transaction {
    let inputs = plan.inputs.into_iter().enumerate().map(|(vin, (spends, script_sig, witness))| {
        let previous_output = match spends {
            Some(which) if !unspent.is_empty() => unspent.swap_remove(which.index(unspent.len())),
            _ => OutPoint { txid: Txid::from_byte_array([vin as u8 + 1; 32]), vout: vin as u32 },
        };
        TxIn { previous_output, script_sig, sequence: Sequence::MAX, witness }
    });
    let input = inputs.collect();
    let output = plan
        .outputs
        .iter()
        .map(|(sat, script)| TxOut { value: Amount::from_sat(*sat), script_pubkey: script.get(pool).clone() });
    let output = output.collect();
    // Each transaction needs its own id, or a spend of one would be a spend of its twin.
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let lock_time = LockTime::from_consensus(number);
    let transaction = Transaction { version: TxVersion::TWO, lock_time, input, output };
    let txid = transaction.compute_txid();
    unspent.extend((0..transaction.output.len() as u32).map(|vout| OutPoint { txid, vout }));
    transaction
}

fn watch(scripts: &[ScriptBuf], outpoints: &[OutPoint]) -> WatchSet {
    let mut builder = WatchSetBuilder::new();
    for (position, script) in (0..).zip(scripts) {
        // Scripts that no coin can have are refused, so the oracle does not get them either.
        let _ = builder.add_script(script.as_bytes(), Origin::Script(position));
    }
    for (position, outpoint) in (0..).zip(outpoints) {
        builder.add_outpoint(*outpoint, None, Origin::Outpoint(position));
    }
    builder.build()
}

fn fast(blocks: &[Block], watch: &WatchSet, key: ObfuscationKey) -> Vec<(u32, TransactionReport)> {
    let mut coins = CoinMap::new(watch);
    let mut matcher = Matcher::new(watch);
    let mut prover = Prover::default();
    let mut reports = Vec::new();
    for (height, block) in (0u32..).zip(blocks) {
        let mut bytes = serialize(block);
        let key = key.advanced(u64::from(height) * 3);
        key.apply(&mut bytes);
        let raw = RawBlock::new(&bytes, key);
        let place = if height == 0 { BlockPlace::Genesis } else { BlockPlace::Later };
        let matched = matcher.match_block(raw, place, &mut coins).unwrap();
        prover.prove(raw, &matched).unwrap();
        reports.extend(matched.into_iter().map(|report| (height, report)));
    }
    reports
}

/// The oracle's answer as reports, without origins.
fn slow(blocks: &[Block], watched: &Watched) -> Vec<String> {
    let answer = oracle::scan((0u32..).zip(blocks), watched);
    let lines = answer.transactions.iter().map(|tx| {
        let received: Vec<_> =
            tx.received.iter().map(|r| (r.vout, r.output.value, r.output.script_pubkey.to_hex_string())).collect();
        let spent: Vec<_> =
            tx.spent.iter().map(|s| (s.vin, s.prevout, s.output.as_ref().map(|output| output.value))).collect();
        format!("{} {} {} {received:?} {spent:?}", tx.height, tx.tx_index, tx.txid)
    });
    lines.collect()
}

fn told(reports: &[(u32, TransactionReport)]) -> Vec<String> {
    let lines = reports.iter().map(|(height, tx)| {
        let received: Vec<_> = tx.received.iter().map(|r| (r.vout, r.value, r.script_pubkey.to_hex_string())).collect();
        let spent: Vec<_> = tx.spent.iter().map(|s| (s.vin, s.prevout, s.value)).collect();
        format!("{height} {} {} {received:?} {spent:?}", tx.tx_index, tx.txid)
    });
    lines.collect()
}

proptest! {
    #[test]
    fn matches_are_those_of_the_oracle_under_any_key(
        (pool, blocks) in chain(), watched in any::<prop::sample::Index>(), given in any::<bool>(), key: [u8; 8]
    ) {
        let scripts: Vec<ScriptBuf> = pool[..=watched.index(pool.len())]
            .iter().filter(|script| (1..=10_000).contains(&script.len())).cloned().collect();
        let outpoints: Vec<OutPoint> =
            if given { vec![OutPoint { txid: Txid::from_byte_array([1; 32]), vout: 0 }] } else { Vec::new() };
        let watched = Watched {
            scripts: scripts.clone(),
            outpoints: outpoints.iter().map(|outpoint| (*outpoint, None)).collect(),
        };
        let watch = watch(&scripts, &outpoints);
        let expected = slow(&blocks, &watched);
        prop_assert_eq!(told(&fast(&blocks, &watch, ObfuscationKey::CLEAR)), expected.clone());
        prop_assert_eq!(told(&fast(&blocks, &watch, ObfuscationKey::from_bytes(key))), expected);
    }

    #[test]
    fn no_bytes_make_the_walk_or_the_proof_panic(
        (pool, blocks) in chain(), cut in any::<prop::sample::Index>(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6)
    ) {
        let watch = watch(&pool, &[]);
        for block in &blocks {
            let mut bytes = serialize(block);
            for (at, byte) in &flips {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            bytes.truncate(cut.index(bytes.len() + 1).max(bytes.len() / 2));
            let raw = RawBlock::clear(&bytes);
            let matched = Matcher::new(&watch).match_block(raw, BlockPlace::Later, &mut CoinMap::new(&watch));
            let proven = Prover::default().prove(raw, matched.as_deref().unwrap_or_default());
            // The proof covers all bytes under the txids; witnesses are not among them.
            if proven.is_ok() {
                let read: Block = bitcoin::consensus::deserialize(&bytes).unwrap();
                prop_assert!(read.check_merkle_root());
            }
        }
    }

    #[test]
    fn a_flipped_bit_under_a_txid_is_never_proven((_, blocks) in chain(), which in any::<prop::sample::Index>()) {
        let block = &blocks[0];
        let mut flipped = block.clone();
        let transaction = which.index(flipped.txdata.len());
        flipped.txdata[transaction].lock_time = LockTime::from_consensus(block.txdata[transaction].lock_time.to_consensus_u32() ^ 1 << 20);
        let bytes = serialize(&flipped);
        let proven = Prover::default().prove(RawBlock::clear(&bytes), &[]);
        let refused = matches!(proven, Err(Unproven::MerkleRoot { expected, .. }) if expected == block.header.merkle_root);
        prop_assert!(refused, "{proven:?}");
    }
}

#[test]
fn a_repeated_transaction_that_keeps_the_root_is_detected() {
    let plan = || TxPlan { inputs: vec![(None, ScriptBuf::new(), Witness::new())], outputs: Vec::new() };
    let mut block = block(vec![plan(), plan(), plan()], &[ScriptBuf::new()], &mut Vec::new());
    let last = block.txdata[2].clone();
    block.txdata.push(last);
    assert!(block.check_merkle_root(), "the attack keeps the root (CVE-2012-2459)");
    let bytes = serialize(&block);
    let proven = Prover::default().prove(RawBlock::clear(&bytes), &[]);
    assert!(matches!(proven, Err(Unproven::RepeatedNode(_))), "{proven:?}");
}

/// A transaction after those of a valid block: version 1, marker 0, flag 1, no inputs, no outputs,
/// lock time 0; and the same without marker and flag, its input count in three bytes. A probe sees
/// nothing of either, and so neither would be part of the merkle root.
#[test]
fn a_transaction_without_inputs_is_refused() {
    let plan = TxPlan { inputs: vec![(None, ScriptBuf::new(), Witness::new())], outputs: Vec::new() };
    let block = block(vec![plan], &[ScriptBuf::new()], &mut Vec::new());
    for hidden in [&[1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &[1, 0, 0, 0, 0xfd, 0, 0, 0, 0, 0, 0, 0]] {
        let mut bytes = serialize(&block);
        assert_eq!(bytes[80], 1, "the transaction count");
        bytes[80] = 2;
        let at = bytes.len();
        bytes.extend(hidden);
        let proven = Prover::default().prove(RawBlock::clear(&bytes), &[]);
        assert_eq!(proven, Err(Unproven::Malformed(Malformed::NoInputs { at })));
        assert_eq!(TxView::parse(hidden).unwrap_err(), Malformed::NoInputs { at: 0 });
    }
}

/// A block of one transaction. Each of its counts and lengths in turn is replaced by an absurd one:
///
/// ```text
///  0 header   80 transactions: 1   81 version, marker, flag   87 inputs: 1   88 outpoint   124 script: 0 bytes
/// 125 sequence   129 outputs: 1   130 value   138 script: 22 bytes   161 witness items: 2   162 item: 1 byte
/// 164 item: 33 bytes   198 lock time
/// ```
#[test]
fn an_absurd_count_or_length_anywhere_is_too_short_under_any_key() {
    let input = (None, ScriptBuf::new(), Witness::from_slice(&[&[7][..], &[8; 33]]));
    let index = any::<prop::sample::Index>().new_tree(&mut TestRunner::deterministic()).unwrap().current();
    let plan = TxPlan { inputs: vec![input], outputs: vec![(5, index)] };
    let block = block(vec![plan], &[ScriptBuf::from_bytes(vec![9; 22])], &mut Vec::new());
    let whole = serialize(&block);
    assert_eq!(whole.len(), 202);
    for (at, is) in [(80, 1), (87, 1), (124, 0), (129, 1), (138, 22), (161, 2), (162, 1), (164, 33)] {
        assert_eq!(whole[at], is);
        for absurd in [&[0xff; 9][..], &[0xff, 0, 0, 0, 0, 0, 0, 0, 0x80], &[0xfe; 5], &[0xfd, 0xff, 0xff], &[0xfc]] {
            for key in [[0; 8], [0xff, 1, 2, 3, 4, 5, 6, 0x80]].map(ObfuscationKey::from_bytes) {
                let mut bytes = whole.clone();
                bytes.splice(at..=at, absurd.iter().copied());
                key.apply(&mut bytes);
                let proven = Prover::default().prove(RawBlock::new(&bytes, key), &[]);
                let is_told = matches!(proven, Err(Unproven::Malformed(Malformed::TooShort { .. })));
                assert!(is_told, "{absurd:?} at {at}: {proven:?}");
            }
        }
    }
}
