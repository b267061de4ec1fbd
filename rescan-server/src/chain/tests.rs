//! Traps that have broken other readers of a live node's block files, one per test.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bitcoin::{BlockHash, ScriptBuf};
use rescan_core::chain::network::Network;
use rescan_core::position::{FileNumber, Height};
use rescan_core::server_info::{ChainSource, NodeLink, NodeLinkState};
use rescan_fixtures::chain_builder::{ChainBuilder, Record};
use rescan_fixtures::core_datadir::{CoreDatadir, Which};

use super::indexer::Indexer;
use super::progress::ProgressCounters;
use super::*;
use crate::blocks::block_file::Access;
use crate::blocks::block_files::BlockFiles;
use crate::blocks::blocks_dir::{BlocksDirError, list_block_files, read_key};
use crate::blocks::network_dir::NetworkDirError;
use crate::cancel::Cancel;

mod following;
mod layouts;
mod node;
mod restarts;

#[test]
fn the_error_for_an_unreadable_file_names_the_next_step() {
    let text = |errno: i32| {
        let (path, source) = (PathBuf::from("/blocks/blk00007.dat"), io::Error::from_raw_os_error(errno));
        rescan_core::causes::with_causes(&ChainError::Unreadable { path, offset: 88, source })
    };
    assert!(text(24).starts_with("cannot read /blocks/blk00007.dat near offset 88: raise the limit of open files"));
    assert!(text(13).contains("run rescan-server as the node's user"));
    assert!(text(5).contains("check the disk"));
}

/// A blocks directory and a state directory.
struct Scene {
    dir: tempfile::TempDir,
    access: Access,
}

impl Scene {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), access: Access::read() }
    }

    fn blocks_dir(&self) -> PathBuf {
        self.dir.path().join("blocks")
    }

    fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn config(&self) -> ChainConfig {
        ChainConfig {
            blocks_dir: self.blocks_dir(),
            network: Some(Network::Regtest),
            signet_challenge: None,
            state_dir: self.state_dir(),
            access: self.access,
        }
    }

    fn open(&self) -> Chain {
        Chain::open(self.config()).unwrap()
    }

    /// The chain of a first refresh without a state file.
    fn fresh_chain(&self) -> Arc<ActiveChain> {
        let state_dir = tempfile::tempdir().unwrap();
        let config = ChainConfig { state_dir: state_dir.path().to_owned(), ..self.config() };
        refreshed(&Chain::open(config).unwrap())
    }

    /// Sets one old time on all block files, as if none was written since the last call.
    fn age(&self) {
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for entry in fs::read_dir(self.blocks_dir()).unwrap() {
            File::options().write(true).open(entry.unwrap().path()).unwrap().set_modified(long_ago).unwrap();
        }
    }
}

fn refreshed(chain: &Chain) -> Arc<ActiveChain> {
    chain.refresh(&Cancel::new()).unwrap()
}

/// A chain of `blocks` blocks on regtest's genesis.
fn chain_of(blocks: u32) -> ChainBuilder {
    let mut chain = ChainBuilder::new();
    chain.mine(blocks);
    chain
}

fn tip_of(snapshot: &ActiveChain) -> (u32, BlockHash) {
    let tip = snapshot.tip().expect("the chain is not empty");
    (tip.height.0, tip.hash)
}

/// Asserts that `snapshot` is the builder's active chain from `lowest` on, and that its positions hold the blocks, read
/// and mapped.
fn assert_is_active(scene: &Scene, snapshot: &ActiveChain, chain: &ChainBuilder, lowest: u32) {
    assert_eq!(tip_of(snapshot), (chain.tip_height(), chain.tip_hash()));
    let key = read_key(&scene.blocks_dir()).unwrap();
    let arms = [Access::read(), Access::mapped_in_test()].map(|access| {
        let files = BlockFiles::new(scene.blocks_dir(), key, access);
        let listed = list_block_files(&scene.blocks_dir()).unwrap();
        files.set_mappable(listed.iter().map(|meta| (meta.number, meta.len)).collect());
        files
    });
    for (height, block) in chain.active().filter(|(height, _)| *height >= lowest) {
        let found = snapshot.block(Height(height)).unwrap_or_else(|| panic!("height {height} is missing"));
        assert_eq!((found.hash, found.time), (block.block_hash(), block.header.time), "height {height}");
        for files in &arms {
            let mut bytes = Vec::new();
            let window = files.window(&[found.span]).unwrap();
            window.with_block(found.span, |raw| raw.copy_clear(&mut bytes)).unwrap().unwrap();
            assert_eq!(bytes, bitcoin::consensus::serialize(block), "height {height}");
        }
        assert_eq!(snapshot.height_of(&found.hash), Some(Height(height)));
    }
    for (_, block) in chain.stale() {
        assert_eq!(snapshot.height_of(&block.block_hash()), None, "a stale block is not in the active chain");
    }
    assert_eq!(snapshot.lowest_complete_to(Height(chain.tip_height())), Some(Height(lowest)));
}
