//! The server's cost of a scan for a busy exchange's wallet: a match in every block, 100,000
//! scripts, 500,000 coins.
//!
//! ```sh
//! cargo build --release --bins && cargo run --release -p rescan-tests --example exchange_wallet
//! ```
//!
//! It writes a chain whose every block pays the wallet 900 times and spends 100 of its coins,
//! starts the `rescan-server` beside it, scans for coins and for history, and prints the most
//! anonymous memory that the server had on the way.

#![expect(clippy::print_stdout, reason = "its purpose is its output")]

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bitcoin::consensus::serialize;
use bitcoin::hashes::{Hash, hash160};
use bitcoin::{Amount, Block, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, WPubkeyHash, Witness};
use futures::StreamExt;
use rescan_client::{ScanEvent, ScanRequest};
use rescan_fixtures::assemble::{block, coinbase};
use rescan_fixtures::block_file_writer::{BlockFileLayout, BlockFileWriter};
use rescan_tests::{Manner, ServerProcess, TestServer};

const SCRIPTS: u32 = 100_000;
const BLOCKS: u32 = 625;
const PAID_PER_BLOCK: u32 = 900;
const SPENT_PER_BLOCK: u32 = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let place = TestServer::new(Manner::default());
    write_chain(&place.blocks_dir())?;
    let program =
        std::env::current_exe()?.parent().and_then(|examples| examples.parent()).map(|bin| bin.join("rescan-server"));
    let program: PathBuf = program.ok_or("no directory above the examples")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for coins_only in [true, false] {
        let server = ServerProcess::start(&program, &place, &["--network", "regtest"]);
        runtime.block_on(measure(&server, coins_only))?;
    }
    Ok(())
}

async fn measure(server: &ServerProcess, coins_only: bool) -> Result<(), Box<dyn Error>> {
    let client = server.client().await;
    let before = server.anonymous_memory();
    let mut request = ScanRequest::new();
    request.scripts = (0..SCRIPTS).map(script).collect();
    if coins_only {
        request = request.coins();
    }
    let started = Instant::now();
    let mut scan = client.scan(request).await?;
    let (mut most, mut coins, mut summary) = (0, 0_u64, None);
    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    loop {
        tokio::select! {
            event = scan.next() => match event.transpose()? {
                Some(ScanEvent::Coin(_)) => coins += 1,
                Some(ScanEvent::Finished(end)) => summary = Some(end),
                Some(_) => {}
                None => break,
            },
            _ = ticks.tick() => most = most.max(server.anonymous_memory()),
        }
    }
    let summary = summary.ok_or("no summary")?;
    let allowed =
        (64 << 20) + u64::from(BLOCKS) * 64 + (4 << 20) + u64::from(SCRIPTS) * 100 + summary.unspent_count * 100;
    println!(
        "{}: {} transactions, {} coins left, {coins} told; {:.0?}; {} bytes crossed; RssAnon {} kB at rest, {} kB at most, {} kB allowed",
        if coins_only { "coins" } else { "history" },
        summary.transactions,
        summary.unspent_count,
        started.elapsed(),
        client.bytes_received(),
        before >> 10,
        most >> 10,
        allowed >> 10,
    );
    Ok(())
}

fn script(number: u32) -> ScriptBuf {
    let hash = hash160::Hash::hash(&number.to_le_bytes());
    ScriptBuf::new_p2wpkh(&WPubkeyHash::from_byte_array(hash.to_byte_array()))
}

fn write_chain(blocks_dir: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let mut writer = BlockFileWriter::create(blocks_dir, BlockFileLayout::default())?;
    let genesis = bitcoin::constants::genesis_block(bitcoin::Network::Regtest);
    writer.write_block(&serialize(&genesis))?;
    let mut before = genesis;
    for height in 1..=BLOCKS {
        let block = next_block(&before, height);
        writer.write_block(&serialize(&block))?;
        before = block;
    }
    writer.cut_to_data()?;
    Ok(())
}

/// A block that pays the wallet, in one transaction that spends outputs of the block before.
fn next_block(before: &Block, height: u32) -> Block {
    let paid = (0..PAID_PER_BLOCK).map(|number| TxOut {
        value: Amount::from_sat(u64::from(number) + 1),
        script_pubkey: script((height * PAID_PER_BLOCK + number) % SCRIPTS),
    });
    let previous = before.txdata.last().map(Transaction::compute_txid);
    let spent = (0..SPENT_PER_BLOCK).filter_map(|vout| {
        let previous_output = OutPoint { txid: previous?, vout };
        Some(TxIn { previous_output, script_sig: ScriptBuf::new(), sequence: Sequence::MAX, witness: Witness::new() })
    });
    let transaction = Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: spent.collect(),
        output: paid.collect(),
    };
    block(before.block_hash(), before.header.time + 600, coinbase(height, 0, Vec::new()), vec![transaction])
}
