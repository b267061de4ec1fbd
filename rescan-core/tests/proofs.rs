//! Branches, witness commitments and raw transactions against the `bitcoin` crate: on random
//! blocks, on blocks written by Bitcoin Core, and on forged ones.

#![expect(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests")]

use std::fs;

use bitcoin::absolute::LockTime;
use bitcoin::consensus::{deserialize, serialize};
use bitcoin::hashes::Hash;
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, Block, BlockHash, MerkleBlock, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode, TxOut, Txid,
    Witness,
};
use proptest::prelude::*;
use proptest::sample::Index;
use rescan_core::blocks::merkle::{BranchError, root_from_branch, verify_branch};
use rescan_core::blocks::obfuscation::{ObfuscationKey, RawBlock};
use rescan_core::blocks::proof::{Prover, Unproven};
use rescan_fixtures::assemble;
use rescan_fixtures::core_datadir::{CoreDatadir, Which};
use rescan_fixtures::plain_reader::read_blocks;

const REGTEST_MAGIC: [u8; 4] = [0xfa, 0xbf, 0xb5, 0xda];
const COMMITMENT_PREFIX: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];

/// A transaction that spends an outpoint made of `number`, and so differs from all others of the
/// block.
fn transaction(number: u8, witness: &[Vec<u8>], script: &[u8]) -> Transaction {
    let previous_output = OutPoint { txid: Txid::from_byte_array([number; 32]), vout: 3 };
    let witness = Witness::from_slice(witness);
    let script_pubkey = ScriptBuf::from_bytes(script.to_vec());
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn { previous_output, script_sig: ScriptBuf::new(), sequence: Sequence::MAX, witness }],
        output: vec![TxOut { value: Amount::from_sat(7), script_pubkey }],
    }
}

/// A block of `coinbase` and `others` with their merkle root in its header; the header meets no
/// proof of work.
fn block_of(coinbase: Transaction, others: Vec<Transaction>) -> Block {
    let txdata: Vec<Transaction> = std::iter::once(coinbase).chain(others).collect();
    let root = assemble::merkle_root(txdata.iter().map(Transaction::compute_txid));
    let header = assemble::mined_header(BlockHash::all_zeros(), root, 7);
    Block { header, txdata }
}

fn coinbase() -> Transaction {
    assemble::coinbase(5, 0, vec![TxOut { value: Amount::ONE_BTC, script_pubkey: ScriptBuf::from_bytes(vec![0x51]) }])
}

fn committing(others: Vec<Transaction>) -> Block {
    let mut coinbase = coinbase();
    assemble::commit_to_witnesses(&mut coinbase, others.iter().map(Transaction::compute_wtxid));
    block_of(coinbase, others)
}

fn others() -> impl Strategy<Value = Vec<Transaction>> {
    let item = prop::collection::vec(any::<u8>(), 0..70);
    let parts = (prop::collection::vec(item, 0..3), prop::collection::vec(any::<u8>(), 0..40));
    prop::collection::vec(parts, 0..40).prop_map(|parts| {
        let numbered = (1..).zip(parts);
        numbered.map(|(number, (witness, script))| transaction(number, &witness, &script)).collect()
    })
}

/// A coinbase output with a commitment, or nearly one.
fn near_commitment() -> impl Strategy<Value = Vec<u8>> {
    (prop::collection::vec(any::<u8>(), 30..35), any::<bool>()).prop_map(|(tail, is_prefixed)| {
        let mut script = COMMITMENT_PREFIX.to_vec();
        script[5] ^= u8::from(!is_prefixed);
        script.extend(tail);
        script
    })
}

/// All results for a block, compared with those of the `bitcoin` crate.
fn assert_answers_are_right(raw: RawBlock<'_>, block: &Block, prover: &mut Prover) {
    assert_eq!(prover.prove(raw, &[]), Ok(()));
    let txids: Vec<Txid> = block.txdata.iter().map(Transaction::compute_txid).collect();
    let tx_indexes: Vec<u32> = (0..txids.len() as u32).collect();
    let branches = prover.branches(&tx_indexes).unwrap();
    assert_eq!(branches.len(), txids.len());
    for ((tx_index, txid), branch) in (0..).zip(&txids).zip(&branches) {
        assert_eq!(verify_branch(&block.header, *txid, tx_index, branch), Ok(()));
        assert_eq!(Some(root_from_branch(*txid, tx_index, branch)), block.compute_merkle_root());
        assert_eq!(prover.branch(tx_index).as_ref(), Some(branch));
    }
    assert_eq!(prover.branch(txids.len() as u32), None);
    let raw_transactions = prover.raw_transactions(raw, &tx_indexes).unwrap();
    assert_eq!(raw_transactions, block.txdata.iter().map(serialize).collect::<Vec<_>>());
    assert_eq!(prover.prove_witnesses(raw).is_ok(), block.check_witness_commitment());
}

proptest! {
    #[test]
    fn every_branch_leads_to_the_root_and_raw_transactions_are_exact_under_any_key(
        others in others(), commits in any::<bool>(), key: [u8; 8]
    ) {
        let block = if commits { committing(others) } else { block_of(coinbase(), others) };
        let key = ObfuscationKey::from_bytes(key);
        let mut bytes = serialize(&block);
        key.apply(&mut bytes);
        assert_answers_are_right(RawBlock::new(&bytes, key), &block, &mut Prover::default());
    }

    /// BIP37's partial tree of one transaction holds its id and the siblings on its path, without
    /// repeated nodes.
    #[test]
    fn a_branch_holds_what_a_merkle_block_holds(others in others(), which: Index) {
        let block = block_of(coinbase(), others);
        let tx_index = which.index(block.txdata.len());
        let txid = block.txdata[tx_index].compute_txid();
        let merkle_block = MerkleBlock::from_block_with_predicate(&block, |it| *it == txid);
        let mut expected: Vec<TxMerkleNode> = merkle_block.txn.hashes().clone();
        expected.sort();

        let bytes = serialize(&block);
        let mut prover = Prover::default();
        prover.prove(RawBlock::clear(&bytes), &[]).unwrap();
        let branch = prover.branch(tx_index as u32).unwrap();
        let mut found = vec![TxMerkleNode::from_byte_array(txid.to_byte_array())];
        for (level, beside) in branch.iter().enumerate() {
            let path = root_from_branch(txid, tx_index as u32, &branch[..level]);
            found.extend(Some(*beside).filter(|beside| *beside != path));
        }
        found.sort();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_branch_shows_one_transaction_at_one_place_in_one_block(
        others in others(), which: Index, at in any::<u32>(), flipped: Index, bit in 0u8..8
    ) {
        let block = block_of(coinbase(), others);
        let bytes = serialize(&block);
        let mut prover = Prover::default();
        prover.prove(RawBlock::clear(&bytes), &[]).unwrap();
        let tx_index = which.index(block.txdata.len()) as u32;
        let txid = block.txdata[tx_index as usize].compute_txid();
        let branch = prover.branch(tx_index).unwrap();
        let places = 1u32 << branch.len();

        for elsewhere in (0..places).filter(|place| *place != tx_index) {
            let refused = verify_branch(&block.header, txid, elsewhere, &branch);
            let is_told = matches!(refused, Err(BranchError::WrongRoot { .. } | BranchError::RepeatedNode(_)));
            prop_assert!(is_told, "{elsewhere}: {refused:?}");
        }
        let outside = at | places;
        prop_assert_eq!(
            verify_branch(&block.header, txid, outside, &branch),
            Err(BranchError::NoSuchPlace { tx_index: outside, nodes: branch.len() })
        );

        let mut path = vec![txid.to_byte_array()];
        path.extend(branch.iter().map(|node| node.to_byte_array()));
        path[flipped.index(branch.len() + 1)][at as usize % 32] ^= 1 << bit;
        let lie: Vec<TxMerkleNode> = path[1..].iter().copied().map(TxMerkleNode::from_byte_array).collect();
        let lied = Txid::from_byte_array(path[0]);
        let refused = verify_branch(&block.header, lied, tx_index, &lie);
        let expected = block.header.merkle_root;
        prop_assert_eq!(refused, Err(BranchError::WrongRoot { expected, found: root_from_branch(lied, tx_index, &lie) }));
    }

    /// Coinbases with any mix of commitments and near-commitments, and with witnesses that may be
    /// reserved values.
    #[test]
    fn witnesses_are_proven_where_the_bitcoin_crate_finds_them_committed(
        others in others(),
        before in prop::collection::vec(near_commitment(), 0..3),
        after in prop::option::weighted(0.3, near_commitment()),
        padding in prop::collection::vec(any::<u8>(), 0..3),
        witness in prop::option::weighted(0.4, prop::collection::vec(prop::collection::vec(any::<u8>(), 31..34), 0..3)),
    ) {
        let output = |script: Vec<u8>| TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::from_bytes(script) };
        let mut coinbase = coinbase();
        coinbase.output.extend(before.into_iter().map(output));
        assemble::commit_to_witnesses(&mut coinbase, others.iter().map(Transaction::compute_wtxid));
        let commitment = coinbase.output.last_mut().unwrap();
        let padded: Vec<u8> = commitment.script_pubkey.as_bytes().iter().copied().chain(padding).collect();
        commitment.script_pubkey = ScriptBuf::from_bytes(padded);
        coinbase.output.extend(after.into_iter().map(output));
        if let Some(items) = witness {
            coinbase.input[0].witness = Witness::from_slice(&items);
        }
        let block = block_of(coinbase, others);
        let bytes = serialize(&block);
        let proven = Prover::default().prove_witnesses(RawBlock::clear(&bytes));
        prop_assert_eq!(proven.is_ok(), block.check_witness_commitment(), "{:?}", proven);
    }

    #[test]
    fn with_the_witnesses_proven_no_byte_after_the_header_can_change(
        others in others(), at: Index, flip in 1u8..=255
    ) {
        let mut bytes = serialize(&committing(others));
        let mut prover = Prover::default();
        prop_assert_eq!(prover.prove_witnesses(RawBlock::clear(&bytes)), Ok(()));
        let behind_header = bytes.len() - 80;
        bytes[80 + at.index(behind_header)] ^= flip;
        prop_assert!(prover.prove_witnesses(RawBlock::clear(&bytes)).is_err());
        prop_assert!(Prover::default().prove_witnesses(RawBlock::clear(&bytes)).is_err());
    }

    #[test]
    fn no_bytes_make_a_proof_of_witnesses_or_a_raw_transaction_panic(
        others in others(), cut: Index, flips in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4)
    ) {
        let mut bytes = serialize(&committing(others));
        for (at, byte) in &flips {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        bytes.truncate(cut.index(bytes.len() + 1).max(bytes.len() / 2));
        let raw = RawBlock::clear(&bytes);
        let mut prover = Prover::default();
        if prover.prove_witnesses(raw).is_ok() {
            let read: Block = deserialize(&bytes).unwrap();
            prop_assert!(read.check_merkle_root() && read.check_witness_commitment());
        }
        if let Ok(transactions) = prover.raw_transactions(raw, &[0]) {
            prop_assert_eq!(Some(&transactions[0][..4]), bytes.get(81..85), "from the version on");
        }
    }
}

#[test]
fn blocks_of_bitcoin_core_are_proven_as_on_disk() {
    for which in Which::ALL {
        let dir = tempfile::tempdir().unwrap();
        let blocks_dir = CoreDatadir::unpack(which, dir.path()).unwrap().blocks_dir();
        let xor = fs::read(blocks_dir.join("xor.dat")).unwrap();
        let key = ObfuscationKey::from_bytes(xor.try_into().unwrap());
        let blocks = read_blocks(&blocks_dir, REGTEST_MAGIC).unwrap();
        let mut prover = Prover::default();
        let mut largest = 0;
        for (span, block) in &blocks {
            let file = fs::read(blocks_dir.join(span.file.file_name())).unwrap();
            let (start, end) = (span.offset as usize, (span.offset + span.size) as usize);
            let raw = RawBlock::new(&file[start..end], key.advanced(start as u64));
            assert_answers_are_right(raw, block, &mut prover);
            assert_eq!(prover.prove_witnesses(raw), Ok(()), "Core checked it");
            largest = largest.max(block.txdata.len());
        }
        assert!(blocks.len() > 380 && largest > 3, "{} blocks, {largest} transactions at most", blocks.len());
    }
}

#[test]
fn wrong_witnesses_are_refused_with_the_expected_and_the_found() {
    let others = || vec![transaction(1, &[], &[9; 22]), transaction(2, &[vec![8; 64]], &[9; 22])];
    let proven = |block: &Block| Prover::default().prove_witnesses(RawBlock::clear(&serialize(block)));

    let mut changed = committing(others());
    changed.txdata[2].input[0].witness = Witness::from_slice(&[[7; 64]]);
    let script = changed.txdata[0].output.last().unwrap().script_pubkey.clone();
    let (expected, reserved) = (&script.as_bytes()[6..38], [0; 32]);
    let found = Block::compute_witness_commitment(&changed.witness_root().unwrap(), &reserved);
    let told = proven(&changed);
    let is_told = matches!(told, Err(Unproven::WitnessCommitment { expected: e, found: f }) if e.as_byte_array() == expected && f == found);
    assert!(is_told, "{told:?}");

    let uncommitted = block_of(coinbase(), others());
    assert_eq!(proven(&uncommitted), Err(Unproven::UncommittedWitness { tx_index: 2 }));

    for (witness, items, bytes) in [(vec![], 0, 0), (vec![vec![0; 31]], 1, 31), (vec![vec![0; 32], vec![]], 2, 32)] {
        let mut block = committing(others());
        block.txdata[0].input[0].witness = Witness::from_slice(&witness);
        assert_eq!(proven(&block), Err(Unproven::ReservedValue { items, bytes }));
    }
}

#[test]
fn a_commitment_without_any_witness_passes_as_before_segwit() {
    let mut block = committing(vec![transaction(1, &[], &[9; 22])]);
    block.txdata[0].input[0].witness = Witness::new();
    assert_eq!(Prover::default().prove_witnesses(RawBlock::clear(&serialize(&block))), Ok(()));
}

/// The witnesses match the coinbase, but the coinbase is not that of the header.
#[test]
fn witnesses_under_a_coinbase_that_is_not_the_headers_are_not_proven() {
    let mut prover = Prover::default();
    let genuine = committing(vec![transaction(1, &[vec![8; 64]], &[9; 22])]);
    prover.prove(RawBlock::clear(&serialize(&genuine)), &[]).unwrap();

    let mut forged = committing(vec![transaction(1, &[vec![7; 64]], &[9; 22])]);
    forged.header = genuine.header;
    let told = prover.prove_witnesses(RawBlock::clear(&serialize(&forged)));
    assert!(matches!(told, Err(Unproven::MerkleRoot { .. })), "{told:?}");

    // The same coinbase under another header.
    prover.prove(RawBlock::clear(&serialize(&genuine)), &[]).unwrap();
    let mut moved = genuine;
    moved.header.merkle_root = TxMerkleNode::all_zeros();
    let told = prover.prove_witnesses(RawBlock::clear(&serialize(&moved)));
    assert!(matches!(told, Err(Unproven::MerkleRoot { .. })), "{told:?}");
}

/// Three transactions: the branch of the last one begins with itself, and fits a fourth position as
/// well (CVE-2012-2459).
#[test]
fn a_position_after_the_last_transaction_is_refused() {
    let block = block_of(coinbase(), vec![transaction(1, &[], &[]), transaction(2, &[], &[])]);
    let mut prover = Prover::default();
    prover.prove(RawBlock::clear(&serialize(&block)), &[]).unwrap();
    let branch = prover.branch(2).unwrap();
    let txid = block.txdata[2].compute_txid();
    let repeated = TxMerkleNode::from_byte_array(txid.to_byte_array());
    assert_eq!(branch[0], repeated);
    assert_eq!(root_from_branch(txid, 3, &branch), block.header.merkle_root, "the lie keeps the root");
    assert_eq!(verify_branch(&block.header, txid, 3, &branch), Err(BranchError::RepeatedNode(repeated)));
}

#[test]
fn a_branch_too_deep_for_an_index_is_refused() {
    let header = block_of(coinbase(), Vec::new()).header;
    let (txid, node) = (coinbase().compute_txid(), TxMerkleNode::all_zeros());
    let refused = |nodes: usize| verify_branch(&header, txid, u32::MAX, &vec![node; nodes]);
    assert_eq!(refused(33), Err(BranchError::TooLong { nodes: 33 }));
    assert!(matches!(refused(32), Err(BranchError::WrongRoot { .. })));
    assert_eq!(refused(31), Err(BranchError::NoSuchPlace { tx_index: u32::MAX, nodes: 31 }));
}

#[test]
fn only_the_block_proven_last_has_branches() {
    let block = block_of(coinbase(), vec![transaction(1, &[], &[])]);
    let bytes = serialize(&block);
    let mut prover = Prover::default();
    assert_eq!(prover.branches(&[]), Ok(Vec::new()));
    assert_eq!(prover.branches(&[0]), Err(Unproven::NoSuchTransaction { tx_index: 0, count: 0 }));
    prover.prove(RawBlock::clear(&bytes), &[]).unwrap();
    assert_eq!(prover.branches(&[1, 2]), Err(Unproven::NoSuchTransaction { tx_index: 2, count: 2 }));
    assert_eq!(
        prover.raw_transactions(RawBlock::clear(&bytes), &[1, 2]),
        Err(Unproven::NoSuchTransaction { tx_index: 2, count: 2 })
    );
    assert_eq!(prover.branches(&[1, 0, 1]).unwrap().len(), 3, "in any order, and as often as asked");
    assert!(prover.prove(RawBlock::clear(&bytes[..bytes.len() - 1]), &[]).is_err());
    assert_eq!(prover.branch(0), None);
}
