//! Measures the second start on a blocks directory of mainnet's size: its duration and its memory.
//!
//! ```sh
//! cargo run --release --example second_start -p rescan-server -- [BLOCKS] [DIRECTORY]
//! ```
//!
//! It writes BLOCKS (900,000 by default) regtest headers, shaped like mainnet's history, into DIRECTORY or a temporary one.
//! Block sizes grow from 215 bytes to 1.6 MB. The body of each block is a hole in a sparse file, so a block takes about 4 KiB
//! on disk. Then it opens the directory twice, the second time with the state file of the first. An existing DIRECTORY is
//! opened once, so that the memory is that of a process which did nothing else.

#![expect(clippy::print_stdout, reason = "it prints its measurements")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, TxMerkleNode};
use rescan_core::chain::network::Network;
use rescan_core::position::Height;
use rescan_fixtures::assemble::{block, coinbase, mined_header};
use rescan_fixtures::block_file_writer::{BlockFileLayout, BlockFileWriter};
use rescan_server::blocks::block_file::Access;
use rescan_server::cancel::Cancel;
use rescan_server::chain::{Chain, ChainConfig};

const MAIN_BLOCKS: u32 = 900_000;
/// Size of the largest written block, in bytes.
const LARGEST: u64 = 1_600_000;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let blocks = args.next().map_or(Ok(MAIN_BLOCKS), |blocks| blocks.parse()).context("BLOCKS is a number")?;
    let temporary = tempfile::tempdir()?;
    let directory = args.next().map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let blocks_dir = directory.join("blocks");
    if blocks_dir.is_dir() {
        return start("another", &directory, &blocks_dir);
    }
    let started = Instant::now();
    let files = write_sparse(&blocks_dir, blocks)?;
    println!("wrote {blocks} headers in {files} files in {:.1?}", started.elapsed());
    for which in ["first", "second"] {
        start(which, &directory, &blocks_dir)?;
    }
    Ok(())
}

/// Writes the headers and returns the number of files.
fn write_sparse(blocks_dir: &Path, blocks: u32) -> Result<u32> {
    let layout = BlockFileLayout { xor_key: Some([0x5a, 1, 2, 3, 4, 5, 6, 7]), ..BlockFileLayout::default() };
    let mut writer = BlockFileWriter::create(blocks_dir, layout)?;
    let genesis = bitcoin::constants::genesis_block(bitcoin::Network::Regtest);
    writer.write_block(&bitcoin::consensus::serialize(&genesis))?;
    let (mut parent, mut time) = (genesis.block_hash(), genesis.header.time);
    for height in 1..blocks {
        time += 600;
        let header = mined_header(parent, TxMerkleNode::from_byte_array(filler(height)), time);
        let share = u64::from(height) * u64::from(height) / u64::from(blocks);
        let size = u32::try_from(215 + LARGEST * share / u64::from(blocks))?;
        writer.write_partial_block(size, &bitcoin::consensus::serialize(&header))?;
        parent = header.block_hash();
    }
    writer.write_block(&bitcoin::consensus::serialize(&last_block(parent, time, blocks)))?;
    writer.cut_to_data()?;
    let files = writer.current_file().0 + 1;
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    for entry in std::fs::read_dir(blocks_dir)? {
        std::fs::File::options().write(true).open(entry?.path())?.set_modified(long_ago)?;
    }
    Ok(files)
}

/// A complete block: the walk proves the last record of the last file.
fn last_block(parent: BlockHash, time: u32, height: u32) -> bitcoin::Block {
    block(parent, time + 600, coinbase(height, 0, Vec::new()), Vec::new())
}

fn filler(height: u32) -> [u8; 32] {
    bitcoin::hashes::sha256::Hash::hash(&height.to_le_bytes()).to_byte_array()
}

fn start(which: &str, directory: &Path, blocks_dir: &Path) -> Result<()> {
    let config = ChainConfig {
        blocks_dir: blocks_dir.to_owned(),
        network: Some(Network::Regtest),
        signet_challenge: None,
        state_dir: directory.join("state"),
        access: Access::read(),
    };
    let before = anonymous_kib()?;
    let started = Instant::now();
    let chain = Chain::open(config)?;
    let opened = started.elapsed();
    let snapshot = chain.refresh(&Cancel::new())?;
    let refreshed = started.elapsed();
    let tip = snapshot.tip().context("there is a chain")?;
    let resident = anonymous_kib()?;
    println!(
        "{which} start: open {opened:.0?}, with refresh {refreshed:.0?}; tip {}, {} headers read; RssAnon {} KiB more, {:.1} bytes a block; peak RSS {} KiB",
        tip.height,
        chain.progress().headers_read,
        resident - before,
        (resident - before) as f64 * 1024.0 / f64::from(tip.height.0),
        status("VmHWM")?,
    );
    let started = Instant::now();
    chain.refresh(&Cancel::new())?;
    let again = started.elapsed();
    let started = Instant::now();
    let lowest = snapshot.lowest_complete_to(tip.height);
    let complete = started.elapsed();
    let started = Instant::now();
    let since = snapshot.first_height_since(tip.time);
    println!(
        "  refresh of nothing new {again:.1?}; complete from {:?} in {complete:.1?}; birthday at {:?} in {:.1?}",
        lowest.map(|Height(height)| height),
        since.map(|Height(height)| height),
        started.elapsed()
    );
    let started = Instant::now();
    drop(snapshot);
    drop(chain);
    println!("  drop, with the state file {:.0?}", started.elapsed());
    Ok(())
}

fn anonymous_kib() -> Result<i64> {
    status("RssAnon")
}

fn status(field: &str) -> Result<i64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(field)).context("the kernel reports it")?;
    line.split_whitespace().nth(1).context("it has a value")?.parse().context("the value is a number")
}
