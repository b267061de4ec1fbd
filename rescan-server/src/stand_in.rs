//! Stands in for parts that others write, with their signatures, until they land: slow and plain.
#![allow(missing_docs, clippy::all, reason = "replaced when the real parts land")]
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "replaced when the real parts land")]

pub mod chain {
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex};

    use bitcoin::consensus::Decodable;
    use bitcoin::{Block, BlockHash};
    use rescan_core::position::Height;
    use rescan_core::report::BlockId;
    use rescan_core::server_info::ReadingProgress;

    use crate::cancel::Cancel;

    #[derive(Clone, Copy, Debug)]
    pub struct Access(());
    impl Access {
        pub fn read() -> Self {
            Self(())
        }
        #[allow(unsafe_code, reason = "stand-in")]
        pub unsafe fn mapped() -> Self {
            Self(())
        }
    }

    #[derive(Clone, Debug)]
    pub struct ChainConfig {
        pub blocks_dir: PathBuf,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("reading {path}")]
    pub struct ChainError {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    }

    #[derive(Debug)]
    pub struct Chain {
        blocks_dir: PathBuf,
        newest: Mutex<Option<Arc<ChainSnapshot>>>,
    }

    #[derive(Debug)]
    pub struct ChainSnapshot {
        pub blocks: Vec<Arc<Block>>,
    }

    impl Chain {
        pub fn open(config: ChainConfig) -> Result<Self, ChainError> {
            Ok(Self { blocks_dir: config.blocks_dir, newest: Mutex::new(None) })
        }
        pub fn network(&self) -> rescan_core::network::Network {
            rescan_core::network::Network::Regtest
        }
        pub fn refresh(&self, _cancel: &Cancel) -> Result<Arc<ChainSnapshot>, ChainError> {
            let path = self.blocks_dir.join("blk00000.dat");
            let bytes = std::fs::read(&path).map_err(|source| ChainError { path, source })?;
            let mut rest = bytes.as_slice();
            let mut blocks: Vec<Arc<Block>> = Vec::new();
            while rest.len() > 8 && rest[..4] == [0xfa, 0xbf, 0xb5, 0xda] {
                rest = &rest[8..];
                let block = Block::consensus_decode(&mut rest).unwrap();
                let at = blocks.iter().position(|b| b.block_hash() == block.header.prev_blockhash).map_or(0, |p| p + 1);
                blocks.truncate(at);
                blocks.push(Arc::new(block));
            }
            let snapshot = Arc::new(ChainSnapshot { blocks });
            *self.newest.lock().unwrap() = Some(snapshot.clone());
            Ok(snapshot)
        }
        pub fn newest(&self) -> Option<Arc<ChainSnapshot>> {
            self.newest.lock().unwrap().clone()
        }
        pub fn reading(&self) -> ReadingProgress {
            ReadingProgress::default()
        }
        pub fn blocks_dir(&self) -> &Path {
            &self.blocks_dir
        }
    }

    impl ChainSnapshot {
        pub fn tip(&self) -> Option<BlockId> {
            self.id(Height(self.blocks.len().checked_sub(1)? as u32))
        }
        pub fn id(&self, height: Height) -> Option<BlockId> {
            let block = self.blocks.get(height.to_index())?;
            Some(BlockId { height, hash: block.block_hash(), time: block.header.time })
        }
        pub fn lowest_complete_to(&self, _height: Height) -> Option<Height> {
            Some(Height(0))
        }
        pub fn first_height_since(&self, time: u32) -> Option<Height> {
            let time = time.saturating_sub(7200);
            self.blocks.iter().position(|b| b.header.time >= time).map(|p| Height(p as u32))
        }
        pub fn locator(&self, height: Height) -> Vec<BlockHash> {
            (0..=height.0).rev().take(3).filter_map(|h| self.id(Height(h))).map(|id| id.hash).collect()
        }
        pub fn fork_height(&self, other: &ChainSnapshot) -> Option<Height> {
            let same = self.blocks.iter().zip(&other.blocks).take_while(|(a, b)| a.block_hash() == b.block_hash());
            let same = same.count();
            (same < self.blocks.len()).then_some(Height(same as u32))
        }
    }
}

pub mod scan {
    use std::num::NonZeroUsize;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use bitcoin::Amount;
    use rescan_core::position::{Height, HeightRange};
    use rescan_core::report::*;
    use rescan_core::request::Verify;
    use rescan_core::watch::WatchSet;
    use tokio::sync::oneshot;

    use super::chain::{Chain, ChainSnapshot};
    use crate::cancel::Cancel;

    #[derive(Debug, thiserror::Error)]
    #[error("a worker panicked")]
    pub struct WorkerPanicked;

    #[derive(Debug)]
    pub struct WorkerPool(rayon::ThreadPool);
    impl WorkerPool {
        pub fn new(workers: NonZeroUsize) -> Result<Self, rayon::ThreadPoolBuildError> {
            rayon::ThreadPoolBuilder::new().num_threads(workers.get()).build().map(Self)
        }
        pub async fn run<T: Send + 'static>(
            &self,
            job: impl FnOnce() -> T + Send + 'static,
        ) -> Result<T, WorkerPanicked> {
            let (sender, receiver) = oneshot::channel();
            self.0.spawn_fifo(move || {
                if let Ok(value) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)) {
                    let _ = sender.send(value);
                }
            });
            receiver.await.map_err(|_| WorkerPanicked)
        }
    }

    pub struct ScanPlan {
        pub snapshot: Arc<ChainSnapshot>,
        pub range: HeightRange,
        pub watch: Arc<WatchSet>,
        pub keychain_count: u32,
        pub verify: Verify,
    }

    #[derive(Debug, Default)]
    pub struct ScanProgress {
        pub blocks_done: AtomicU64,
        pub blocks_total: AtomicU64,
        pub bytes_done: AtomicU64,
        pub bytes_total: AtomicU64,
    }

    #[derive(Clone, Debug)]
    pub struct ScanTotals {
        pub outcome: Outcome,
        pub transactions: u64,
        pub unspent_count: u64,
        pub unspent: Amount,
        pub keychains: Vec<KeychainUse>,
        pub blocks_scanned: u64,
        pub bytes_scanned: u64,
        pub last_settled: Option<Height>,
    }

    pub struct Scan {
        plan: ScanPlan,
        cancel: Cancel,
        progress: Arc<ScanProgress>,
        totals: ScanTotals,
    }
    impl Scan {
        pub fn start(_pool: &WorkerPool, _chain: Arc<Chain>, plan: ScanPlan, cancel: Cancel) -> Scan {
            let progress = Arc::new(ScanProgress::default());
            progress.blocks_total.store(plan.range.count(), Relaxed);
            let totals = ScanTotals {
                outcome: Outcome::Complete,
                transactions: 0,
                unspent_count: 0,
                unspent: Amount::ZERO,
                keychains: vec![KeychainUse::Unused; plan.keychain_count as usize],
                blocks_scanned: 0,
                bytes_scanned: 0,
                last_settled: None,
            };
            Scan { plan, cancel, progress, totals }
        }
        pub async fn next(&mut self) -> Result<Option<Vec<BlockReport>>, Failure> {
            tokio::task::yield_now().await;
            let height = self.plan.range.first().0 + self.totals.blocks_scanned as u32;
            if height > self.plan.range.last().0 {
                return Ok(None);
            }
            if self.cancel.is_cancelled() {
                self.totals.outcome = Outcome::Cancelled;
                return Ok(None);
            }
            let block = &self.plan.snapshot.blocks[height as usize];
            self.totals.blocks_scanned += 1;
            self.totals.last_settled = Some(Height(height));
            self.progress.blocks_done.fetch_add(1, Relaxed);
            let mut transactions = Vec::new();
            for (i, tx) in block.txdata.iter().enumerate() {
                let received: Vec<_> = tx
                    .output
                    .iter()
                    .enumerate()
                    .filter_map(|(vout, out)| {
                        let origins = self.plan.watch.origins(out.script_pubkey.as_bytes());
                        (!origins.is_empty()).then(|| Received {
                            vout: vout as u32,
                            value: out.value,
                            script_pubkey: out.script_pubkey.clone(),
                            origins,
                        })
                    })
                    .collect();
                if !received.is_empty() {
                    let txid = tx.compute_txid();
                    self.totals.transactions += 1;
                    transactions.push(TransactionReport { tx_index: i as u32, txid, received, spent: vec![] });
                }
            }
            if transactions.is_empty() {
                return Ok(Some(vec![]));
            }
            let hash = block.block_hash();
            Ok(Some(vec![BlockReport { height: Height(height), hash, time: block.header.time, transactions }]))
        }
        pub fn progress(&self) -> Arc<ScanProgress> {
            self.progress.clone()
        }
        pub fn totals(&self) -> ScanTotals {
            self.totals.clone()
        }
    }

    pub struct BlockReader(Scan);
    impl BlockReader {
        pub fn start(
            pool: &WorkerPool,
            chain: Arc<Chain>,
            snapshot: Arc<ChainSnapshot>,
            range: HeightRange,
            cancel: Cancel,
        ) -> Self {
            let watch = Arc::new(rescan_core::watch::WatchSetBuilder::new().build());
            let plan = ScanPlan { snapshot, range, watch, keychain_count: 0, verify: Verify::None };
            Self(Scan::start(pool, chain, plan, cancel))
        }
        pub async fn next(&mut self) -> Result<Option<Vec<FullBlock>>, Failure> {
            if self.0.next().await?.is_none() {
                return Ok(None);
            }
            let height = self.0.totals.last_settled.unwrap();
            let block = &self.0.plan.snapshot.blocks[height.to_index()];
            let data = bitcoin::consensus::serialize(&**block);
            Ok(Some(vec![FullBlock { height, hash: block.block_hash(), data }]))
        }
        pub fn progress(&self) -> Arc<ScanProgress> {
            self.0.progress()
        }
        pub fn totals(&self) -> ScanTotals {
            self.0.totals()
        }
    }
}
