//! How fast is a block proven: the ids of its transactions, and the merkle tree over them?
//!
//! One block, repeated: its bytes are in the processor's caches, as they are after a walk. One
//! thread. Bytes are those of the block, witnesses included, though only the `witnesses` arm hashes
//! them; elements are double hashes. `bitcoin_hashes` only hashes, one message at a time: each
//! transaction without witnesses and in the clear. `bitcoin` decodes the block and checks its
//! merkle root, like a wallet that receives whole blocks; `bitcoin-decoded` omits the decoding.

#![expect(clippy::print_stdout, reason = "a bench names its inputs")]

use std::hint::black_box;

use bitcoin::consensus::{deserialize, serialize};
use bitcoin::hashes::{Hash, sha256d};
use bitcoin::{Block, Transaction, Witness};
use bitcoin_test_data::blocks::mainnet_702861;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rescan_benches::KEY;
use rescan_core::blocks::obfuscation::{ObfuscationKey, RawBlock};
use rescan_core::blocks::proof::Prover;
use rescan_fixtures::bulk::{BulkBlocks, BulkSpec, ChainLength, Shape};
use rescan_hash::{Digest, Implementation};

fn proof(criterion: &mut Criterion) {
    println!("hashing: {}", Implementation::fastest());
    prove(criterion, "mainnet-702861", mainnet_702861());
    prove(criterion, "mainnet-shape", &bulk_block(Shape::Mainnet));
    prove(criterion, "small-transactions", &bulk_block(Shape::SmallTransactions));
}

fn prove(criterion: &mut Criterion, name: &str, clear: &[u8]) {
    let block: Block = deserialize(clear).expect("inputs are whole blocks");
    let messages: Vec<Vec<u8>> = block.txdata.iter().map(without_witness).collect();
    let (root, hashes) = root_one_by_one(&messages);
    assert_eq!(root, block.header.merkle_root.to_byte_array());
    println!("{name}: {} bytes, {} transactions, {hashes} double hashes", clear.len(), messages.len());

    let key = ObfuscationKey::from_bytes(KEY);
    let mut masked = clear.to_vec();
    key.apply(&mut masked);
    let (clear_block, masked_block) = (RawBlock::clear(clear), RawBlock::new(&masked, key));

    let mut group = criterion.benchmark_group(format!("proof/{name}"));
    group.throughput(Throughput::ElementsAndBytes { elements: hashes, bytes: clear.len() as u64 });
    let mut prover = Prover::default();
    for (arm, raw) in [("clear", clear_block), ("xored", masked_block)] {
        group.bench_function(arm, |bencher| bencher.iter(|| prover.prove(black_box(raw), &[]).expect("it is whole")));
    }
    group.bench_function("witnesses-xored", |bencher| {
        bencher.iter(|| prover.prove_witnesses(black_box(masked_block)).expect("it is whole"));
    });
    group.bench_function("bitcoin_hashes", |bencher| bencher.iter(|| root_one_by_one(black_box(&messages))));
    group.bench_function("bitcoin-decoded", |bencher| bencher.iter(|| assert!(black_box(&block).check_merkle_root())));
    group.bench_function("bitcoin", |bencher| {
        bencher.iter(|| {
            let block: Block = deserialize(black_box(clear)).expect("it is a block");
            assert!(block.check_merkle_root());
        });
    });
    group.finish();
}

/// The last of three blocks: its inputs spend outputs of the earlier ones.
fn bulk_block(shape: Shape) -> Vec<u8> {
    let mut spec = BulkSpec::new(ChainLength::Blocks(3));
    spec.shape = shape;
    BulkBlocks::new(spec).iter().last().expect("there are three").to_vec()
}

/// The bytes that a txid commits to.
fn without_witness(transaction: &Transaction) -> Vec<u8> {
    let mut transaction = transaction.clone();
    transaction.input.iter_mut().for_each(|input| input.witness = Witness::new());
    serialize(&transaction)
}

/// The merkle root over the ids of `messages`, and the number of double hashes.
fn root_one_by_one(messages: &[Vec<u8>]) -> (Digest, u64) {
    let hash = |message: &[u8]| sha256d::Hash::hash(message).to_byte_array();
    let mut level: Vec<Digest> = messages.iter().map(|message| hash(message)).collect();
    let mut hashes = level.len() as u64;
    while level.len() > 1 {
        level = level.chunks(2).map(|pair| hash([pair[0], *pair.last().unwrap_or(&pair[0])].as_flattened())).collect();
        hashes += level.len() as u64;
    }
    (level[0], hashes)
}

criterion_group!(benches, proof);
criterion_main!(benches);
