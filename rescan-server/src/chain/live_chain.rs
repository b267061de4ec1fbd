//! The chain of one blocks directory, refreshed by one thread at a time and read by all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bitcoin::{BlockHash, ScriptBuf};
use rescan_core::causes::with_causes;
use rescan_core::chain::active_chain::ActiveChain;
use rescan_core::chain::network::Network;
use rescan_core::position::FileNumber;
use rescan_core::server_info::{ChainSource, NodeLink, NodeLinkState};

use super::error::ChainError;
use super::indexer::Indexer;
use super::node_view::NodeView;
use super::progress::{ProgressCounters, RefreshProgress};
use super::state_file::{StateFile, StateFileError};
use crate::blocks::block_file::Access;
use crate::blocks::block_files::BlockFiles;
use crate::blocks::blocks_dir::read_key;
use crate::blocks::network_dir::network_of;
use crate::cancel::Cancel;

/// How to open a chain.
#[derive(Clone, Debug)]
pub struct ChainConfig {
    /// The directory of `blk*.dat`.
    pub blocks_dir: PathBuf,
    /// The expected network; none accepts the network of the files.
    pub network: Option<Network>,
    /// The block challenge of a custom signet, for files whose genesis is pruned.
    pub signet_challenge: Option<ScriptBuf>,
    /// The directory of the state file, created if missing. Nothing is ever written into `blocks_dir`.
    pub state_dir: PathBuf,
    /// How to access finished block files.
    pub access: Access,
}

/// The active chain of one blocks directory.
#[derive(Debug)]
pub struct Chain {
    network: Network,
    files: BlockFiles,
    state_file: Option<StateFile>,
    indexer: Mutex<Indexer>,
    newest: RwLock<Option<Arc<ActiveChain>>>,
    progress: ProgressCounters,
    suspects: Mutex<BTreeSet<FileNumber>>,
    /// Locked after `suspects` by code that holds both.
    node: Mutex<NodeView>,
}

impl Chain {
    /// Opens a blocks directory: determines network and key, locks and loads the state file. Walks no file yet.
    ///
    /// # Errors
    /// [`ChainError`]: the directory is missing, its network is unknown, or another server holds the state file. An
    /// unusable state file or an unwritable state directory is only logged.
    pub fn open(config: ChainConfig) -> Result<Self, ChainError> {
        let ChainConfig { blocks_dir, network, signet_challenge, state_dir, access } = config;
        let key = read_key(&blocks_dir)?;
        let network = network_of(&blocks_dir, network, signet_challenge.as_ref())?;
        let state_file = match StateFile::lock(&state_dir, &blocks_dir, network, key) {
            Ok(state_file) => Some(state_file),
            Err(error @ StateFileError::Locked { .. }) => return Err(ChainError::StateLocked(error)),
            Err(error) => {
                let reason = with_causes(&error);
                tracing::warn!(%reason, "no state is kept, so every start reads all headers; make --state-dir writable");
                None
            }
        };
        let restored = state_file.as_ref().and_then(|state_file| match state_file.load() {
            Ok(restored) => restored,
            Err(error) => {
                let reason = with_causes(&error);
                tracing::warn!(%reason, "the state file is unusable; reading all headers and replacing it");
                None
            }
        });
        Ok(Self {
            network,
            files: BlockFiles::new(blocks_dir, key, access),
            state_file,
            indexer: Mutex::new(Indexer::new(network, restored)),
            newest: RwLock::default(),
            progress: ProgressCounters::default(),
            suspects: Mutex::default(),
            node: Mutex::default(),
        })
    }

    /// Indexes all changes since the last refresh, publishes the active chain and returns it.
    ///
    /// If the files lack the node's tip, the previous chain stays published for as long as the tip may still come.
    /// Concurrent callers wait for each other. The first refresh reads every header that the state file lacks.
    ///
    /// # Errors
    /// [`ChainError`]; the previous chain stays published.
    pub fn refresh(&self, cancel: &Cancel) -> Result<Arc<ActiveChain>, ChainError> {
        let mut indexer = self.lock_indexer();
        self.check_key()?;
        // Taken before the files are listed: the node writes a block before it reports it.
        let node_tip = lock(&self.node).tip();
        let suspects = std::mem::take(&mut *lock(&self.suspects));
        if let Err(error) = indexer.update(&self.files, &suspects, &self.progress, cancel) {
            lock(&self.suspects).extend(suspects);
            return Err(error);
        }
        let is_tip_missing = node_tip.is_some_and(|tip| !indexer.knows(&tip));
        if let Some(newest) = self.newest().filter(|_| is_tip_missing && lock(&self.node).is_patient()) {
            self.allow_mapping(&indexer);
            return Ok(newest);
        }
        let is_changed = indexer.select(&self.files, node_tip)?;
        let snapshot = match self.newest().filter(|_| !is_changed) {
            Some(newest) => newest,
            None => Arc::new(indexer.active_chain()),
        };
        self.publish(&snapshot, node_tip);
        self.allow_mapping(&indexer);
        if let Some(state_file) = self.state_file.as_ref().filter(|_| indexer.is_worth_saving()) {
            save(state_file, &mut indexer);
        }
        Ok(snapshot)
    }

    fn check_key(&self) -> Result<(), ChainError> {
        if read_key(self.files.directory())? == self.files.key() {
            return Ok(());
        }
        let path = self.files.directory().join("xor.dat");
        Err(if path.exists() { ChainError::KeyChanged { path } } else { ChainError::KeyGone { path } })
    }

    /// The chain published last; none before the first refresh. Reads nothing.
    #[must_use]
    pub fn newest(&self) -> Option<Arc<ActiveChain>> {
        self.newest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The progress of the running or the last refresh. Cheap.
    #[must_use]
    pub fn progress(&self) -> RefreshProgress {
        self.progress.load()
    }

    /// The network of the chain.
    #[must_use]
    pub fn network(&self) -> Network {
        self.network
    }

    /// The block files of the chain.
    #[must_use]
    pub fn files(&self) -> &BlockFiles {
        &self.files
    }

    /// Marks a file whose content contradicts the index. It is read and not mapped until the next refresh has walked
    /// it from its start.
    pub fn suspect(&self, file: FileNumber) {
        let mut suspects = lock(&self.suspects);
        if suspects.insert(file) {
            let path = self.files.path(file);
            tracing::warn!(path = %path.display(), "block file changed unexpectedly, as after a crash of the node; the next refresh rereads it");
        }
        self.files.stop_mapping(file);
    }

    /// Receives the node's tip, or that no node is linked. The next refresh follows the tip. A lost node ends all
    /// mapping at once.
    pub fn on_tip(&self, link: &NodeLink) {
        let height = self.newest().and_then(|newest| newest.tip()).map(|tip| tip.height);
        let mut node = lock(&self.node);
        match link.tip.filter(|_| link.state == NodeLinkState::Connected) {
            Some(tip) => node.on_tip(tip.hash),
            None => {
                if node.on_disconnect(height) {
                    self.files.set_mappable(BTreeMap::new());
                }
            }
        }
    }

    /// Whether the node or the files alone determined the published chain.
    #[must_use]
    pub fn source(&self) -> ChainSource {
        if lock(&self.node).is_confirmed() { ChainSource::Node } else { ChainSource::Files }
    }

    /// Whether the published chain lacks the node's tip and the tip may still come.
    #[must_use]
    pub fn awaits_tip(&self) -> bool {
        lock(&self.node).awaits_tip()
    }

    /// Holds the lock of the suspects, so that no file suspected meanwhile is mapped before it was walked, and the lock of the
    /// node, so that none is mapped after the node was lost.
    fn allow_mapping(&self, indexer: &Indexer) {
        let suspects = lock(&self.suspects);
        let node = lock(&self.node);
        self.files.set_mappable(if node.may_map() { indexer.mappable(&suspects) } else { BTreeMap::new() });
    }

    fn publish(&self, snapshot: &Arc<ActiveChain>, node_tip: Option<BlockHash>) {
        let before = self.newest.write().unwrap_or_else(PoisonError::into_inner).replace(Arc::clone(snapshot));
        let tip = snapshot.tip();
        let was_confirmed = self.source() == ChainSource::Node;
        lock(&self.node).on_publish(tip.map(|tip| (tip.hash, tip.height)), node_tip);
        let is_confirmed = self.source() == ChainSource::Node;
        let is_same = before.is_some_and(|before| Arc::ptr_eq(&before, snapshot));
        if let Some(tip) = tip.filter(|_| !is_same || was_confirmed != is_confirmed) {
            let source = if is_confirmed { "confirmed by the node" } else { "from files, not confirmed by a node" };
            tracing::info!(height = tip.height.0, hash = %tip.hash, source, "active chain");
        }
    }

    /// A panic under this lock may have left the index inconsistent; then everything is read anew.
    pub(super) fn lock_indexer(&self) -> MutexGuard<'_, Indexer> {
        self.indexer.lock().unwrap_or_else(|poisoned| {
            tracing::error!("the last refresh panicked; reading all headers anew; please report this");
            let mut indexer = poisoned.into_inner();
            *indexer = Indexer::new(self.network, None);
            self.indexer.clear_poison();
            indexer
        })
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        // An index that a panic may have left inconsistent must not be saved.
        let Ok(mut indexer) = self.indexer.lock() else { return };
        let node_tip = lock(&self.node).tip();
        if let Some(state_file) = self.state_file.as_ref().filter(|_| indexer.has_unsaved())
            && indexer.select(&self.files, node_tip).is_ok()
        {
            save(state_file, &mut indexer);
        }
    }
}

fn save(state_file: &StateFile, indexer: &mut Indexer) {
    if let Err(error) = indexer.save(state_file) {
        let reason = with_causes(&error);
        tracing::warn!(%reason, "cannot save the state file; the next start reads more headers; check --state-dir");
    }
}

/// Ignores poison: a panic under these locks is reported elsewhere, and the guarded values are valid after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
