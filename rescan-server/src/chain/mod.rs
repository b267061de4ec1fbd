//! The active chain of a blocks directory that a live node may be writing to.
//!
//! A refresh looks at what the directory says of each file, walks those that are new or changed, forgets those that are gone, lets the
//! header tree choose, and publishes a new immutable snapshot; scans that run keep theirs. It asks no node itself: it is told what
//! one says, and follows that; without, what files alone cannot prove is warned of in the log.
//!
//! All methods may block on disk reads; none of them holds a lock while it waits for anything but the disk.

pub(crate) mod file_state;
mod indexer;
mod node_view;
pub mod state_file;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bitcoin::{BlockHash, ScriptBuf};
use rescan_core::causes::with_causes;
pub use rescan_core::chain::active_chain::{ActiveChain, ChainBlock};
use rescan_core::chain::network::Network;
use rescan_core::position::FileNumber;
use rescan_core::server_info::{ChainSource, NodeLink, NodeLinkState};

use crate::blocks::block_file::Access;
use crate::blocks::block_files::BlockFiles;
use crate::blocks::blocks_dir::{BlocksDirError, read_key};
use crate::blocks::network_dir::{NetworkDirError, network_of};
use crate::cancel::Cancel;
use crate::chain::state_file::{StateFile, StateFileError};
use indexer::Walk;
use node_view::NodeView;

/// What a chain is opened with.
#[derive(Clone, Debug)]
pub struct ChainConfig {
    /// The folder that holds `blk*.dat`.
    pub blocks_dir: PathBuf,
    /// The network, if it is to be no other; else the one the files are of.
    pub network: Option<Network>,
    /// The block challenge of a custom signet, for where its genesis is pruned away.
    pub signet_challenge: Option<ScriptBuf>,
    /// Where the state file is kept; made if missing. Nothing is ever written into `blocks_dir`.
    pub state_dir: PathBuf,
    /// How finished block files are reached.
    pub access: Access,
}

/// Why the chain cannot be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The blocks directory cannot be used.
    #[error(transparent)]
    BlocksDir(#[from] BlocksDirError),
    /// It is not told which network this is.
    #[error(transparent)]
    Network(#[from] NetworkDirError),
    /// Another server holds the state file.
    #[error(transparent)]
    StateLocked(StateFileError),
    /// A block file cannot be read.
    #[error("cannot read {} near offset {offset}: {}", path.display(), next_step(source))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// How far the walk had come, in bytes from the start of the file.
        offset: u64,
        /// What the operating system says.
        source: io::Error,
    },
    /// The block files are gone, all at once. A node that prunes keeps the last ones.
    #[error("no block file is left in {}, where {files} were: is its disk mounted? It is looked at again by itself", directory.display())]
    Empty {
        /// The folder.
        directory: PathBuf,
        /// How many there were.
        files: usize,
    },
    /// `xor.dat` is gone, and with it the key without which the blocks cannot be read.
    #[error("{} is gone: is its disk mounted? It is looked for again by itself", path.display())]
    KeyGone {
        /// The file.
        path: PathBuf,
    },
    /// `xor.dat` changed: this is another node's directory than it was.
    #[error("the key in {} changed: the blocks directory was made anew; restart rescan-server", path.display())]
    KeyChanged {
        /// The file.
        path: PathBuf,
    },
    /// The refresh was told to stop. What it had read is kept.
    #[error("the reading of block files was cancelled")]
    Cancelled,
}

/// What an operator can do about a file that the operating system does not give.
fn next_step(refused: &io::Error) -> &'static str {
    match rustix::io::Errno::from_io_error(refused) {
        Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => {
            "raise the limit of open files (LimitNOFILE=, ulimit -n)"
        }
        Some(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM) => "run rescan-server as the node's user",
        _ => "check the disk",
    }
}

/// How far a refresh has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadingProgress {
    /// Bytes of block files passed.
    pub bytes_done: u64,
    /// Bytes of block files to pass.
    pub bytes_total: u64,
    /// Headers read and hashed since the chain was opened.
    pub headers_read: u64,
}

/// The same, where a refresh can write while others read.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    bytes_done: AtomicU64,
    bytes_total: AtomicU64,
    headers_read: AtomicU64,
}

/// The active chain of one blocks directory.
#[derive(Debug)]
pub struct Chain {
    network: Network,
    files: BlockFiles,
    state_file: Option<StateFile>,
    walk: Mutex<Walk>,
    newest: RwLock<Option<Arc<ActiveChain>>>,
    progress: Progress,
    suspects: Mutex<BTreeSet<FileNumber>>,
    /// Locked after `suspects`, where both are.
    node: Mutex<NodeView>,
}

impl Chain {
    /// Opens a blocks directory: finds the network and the key, locks and loads the state file. It does not walk yet.
    ///
    /// # Errors
    /// [`ChainError`]: no such directory, a network that cannot be told, a state file that another server holds. A state
    /// file that is of no use, or a state directory that cannot be written, is only warned of.
    pub fn open(config: ChainConfig) -> Result<Self, ChainError> {
        let ChainConfig { blocks_dir, network, signet_challenge, state_dir, access } = config;
        let key = read_key(&blocks_dir)?;
        let network = network_of(&blocks_dir, network, signet_challenge.as_ref())?;
        let state_file = match StateFile::lock(&state_dir, &blocks_dir, network, key) {
            Ok(state_file) => Some(state_file),
            Err(error @ StateFileError::Locked { .. }) => return Err(ChainError::StateLocked(error)),
            Err(error) => {
                let reason = with_causes(&error);
                tracing::warn!(%reason, "no state is kept, so that every start reads all headers; make --state-dir writable");
                None
            }
        };
        let remembered = state_file.as_ref().and_then(|state_file| match state_file.load() {
            Ok(remembered) => remembered,
            Err(error) => {
                let reason = with_causes(&error);
                tracing::warn!(%reason, "the state file is of no use; all headers are read anew and it is replaced");
                None
            }
        });
        Ok(Self {
            network,
            files: BlockFiles::new(blocks_dir, key, access),
            state_file,
            walk: Mutex::new(Walk::new(network, remembered)),
            newest: RwLock::default(),
            progress: Progress::default(),
            suspects: Mutex::default(),
            node: Mutex::default(),
        })
    }

    /// Reads what was appended, changed or taken away since the last time, publishes the chain as it is now and returns
    /// it. A chain in which the node's tip is not to be found yet does not take the place of the one before, for as long as the
    /// tip may still come. Callers at the same time wait for each other. The first one after opening reads every header that the state file does not have.
    ///
    /// # Errors
    /// [`ChainError`]; the snapshot published before stays.
    pub fn refresh(&self, cancel: &Cancel) -> Result<Arc<ActiveChain>, ChainError> {
        let mut walk = self.lock_walk();
        self.check_key()?;
        // Asked for before the files are looked at: a block is written before it is named.
        let node_tip = lock(&self.node).tip();
        let suspects = std::mem::take(&mut *lock(&self.suspects));
        let found = walk.look(&self.files, &suspects, &self.progress, cancel);
        if let Err(error) = found {
            lock(&self.suspects).extend(suspects);
            return Err(error);
        }
        let is_missing = node_tip.is_some_and(|tip| !walk.knows(&tip));
        if let Some(newest) = self.newest().filter(|_| is_missing && lock(&self.node).is_patient()) {
            self.allow_mapping(&walk);
            return Ok(newest);
        }
        let is_changed = walk.settle(&self.files, node_tip)?;
        let snapshot = match self.newest().filter(|_| !is_changed) {
            Some(newest) => newest,
            None => Arc::new(walk.snapshot()),
        };
        self.publish(&snapshot, node_tip);
        self.allow_mapping(&walk);
        if let Some(state_file) = self.state_file.as_ref().filter(|_| walk.is_worth_saving()) {
            save(state_file, &mut walk);
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

    /// The snapshot that was published last; none before the first refresh. Reads nothing.
    #[must_use]
    pub fn newest(&self) -> Option<Arc<ActiveChain>> {
        self.newest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How far the refresh under way has come, or the last one came. Cheap.
    #[must_use]
    pub fn reading(&self) -> ReadingProgress {
        // Relaxed: these are figures for people, and order nothing.
        let load = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        ReadingProgress {
            bytes_done: load(&self.progress.bytes_done),
            bytes_total: load(&self.progress.bytes_total),
            headers_read: load(&self.progress.headers_read),
        }
    }

    /// The network of the chain.
    #[must_use]
    pub fn network(&self) -> Network {
        self.network
    }

    /// The bytes of its blocks.
    #[must_use]
    pub fn files(&self) -> &BlockFiles {
        &self.files
    }

    /// A file is not what it was, as whoever read it found. From here on it is read and not mapped, until the next refresh has walked it from
    /// its start.
    pub fn suspect(&self, file: FileNumber) {
        let mut suspects = lock(&self.suspects);
        if suspects.insert(file) {
            tracing::warn!(path = %self.files.path(file).display(), "the file is not what it was, as after a crash of the node; it is read anew at the next refresh");
        }
        self.files.stop_mapping(file);
    }

    /// What the node says now, or that nobody can ask it. The next refresh goes by it; if it is gone, no file is mapped from here on.
    pub fn on_tip(&self, link: &NodeLink) {
        let height = self.newest().and_then(|newest| newest.tip()).map(|tip| tip.height);
        let mut node = lock(&self.node);
        match link.tip.filter(|_| link.state == NodeLinkState::Connected) {
            Some(tip) => node.name(tip.hash),
            None => {
                if node.lose(height) {
                    self.files.set_mappable(BTreeMap::new());
                }
            }
        }
    }

    /// Who says that the chain published last is the active one.
    #[must_use]
    pub fn source(&self) -> ChainSource {
        if lock(&self.node).is_confirmed() { ChainSource::Node } else { ChainSource::Files }
    }

    /// Whether the node named a tip that the chain published last does not end in, and that may still come.
    #[must_use]
    pub fn awaits_tip(&self) -> bool {
        lock(&self.node).awaits_tip()
    }

    /// Under the lock of the suspects, so that a file suspected meanwhile is not mapped again unwalked, and under the
    /// node's, so that none is after the node was lost.
    fn allow_mapping(&self, walk: &Walk) {
        let suspects = lock(&self.suspects);
        let node = lock(&self.node);
        self.files.set_mappable(if node.may_map() { walk.mappable(&suspects) } else { BTreeMap::new() });
    }

    fn publish(&self, snapshot: &Arc<ActiveChain>, node_tip: Option<BlockHash>) {
        let before = self.newest.write().unwrap_or_else(PoisonError::into_inner).replace(Arc::clone(snapshot));
        let tip = snapshot.tip();
        let was_confirmed = self.source() == ChainSource::Node;
        lock(&self.node).compare(tip.map(|tip| (tip.hash, tip.height)), node_tip);
        let is_confirmed = self.source() == ChainSource::Node;
        let is_same = before.is_some_and(|before| Arc::ptr_eq(&before, snapshot));
        if let Some(tip) = tip.filter(|_| !is_same || was_confirmed != is_confirmed) {
            let source = if is_confirmed { "confirmed by the node" } else { "from files, not confirmed by a node" };
            tracing::info!(height = tip.height.0, hash = %tip.hash, source, "active chain");
        }
    }

    /// A panic while it was held may have left the tree half-made: then everything is read anew.
    fn lock_walk(&self) -> MutexGuard<'_, Walk> {
        self.walk.lock().unwrap_or_else(|poisoned| {
            tracing::error!(
                "reading the block files panicked the last time; all headers are read anew: please report this"
            );
            let mut walk = poisoned.into_inner();
            *walk = Walk::new(self.network, None);
            self.walk.clear_poison();
            walk
        })
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        // What a panic may have left half-made is not to be remembered.
        let Ok(mut walk) = self.walk.lock() else { return };
        let node_tip = lock(&self.node).tip();
        if let Some(state_file) = self.state_file.as_ref().filter(|_| walk.has_unsaved())
            && walk.settle(&self.files, node_tip).is_ok()
        {
            save(state_file, &mut walk);
        }
    }
}

fn save(state_file: &StateFile, walk: &mut Walk) {
    if let Err(error) = walk.save(state_file) {
        let reason = with_causes(&error);
        tracing::warn!(%reason, "the state is not saved; the next start reads more headers; check the --state-dir");
    }
}

/// A panic while one of these was held is our own bug, told elsewhere; what they guard is whole after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
