//! Notifications of changed block files, for a server without a linked node.
//!
//! A notification does not name the change: a refresh finds it. Notifications may be missing, as on a network file
//! system, so a slow poll runs in addition.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::event::EventKind;
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::sleep;

/// How long writes are collected into one notification: a node that catches up writes without a pause.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// A watched blocks directory.
#[derive(Debug)]
pub(crate) struct FileWatch {
    /// Notifications stop when this is dropped.
    _watcher: Option<RecommendedWatcher>,
    changed: Arc<Notify>,
}

impl FileWatch {
    /// Watches `blocks_dir`. If that fails, it warns and never notifies.
    pub(crate) fn new(blocks_dir: &Path) -> Self {
        let changed = Arc::new(Notify::new());
        let notifier = Arc::clone(&changed);
        let on_event = move |event: notify::Result<Event>| {
            // A lost event may have been a change.
            if event.map_or(true, |event| concerns_blocks(&event)) {
                notifier.notify_one();
            }
        };
        let watching = notify::recommended_watcher(on_event).and_then(|mut watcher| {
            watcher.watch(blocks_dir, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        let watcher = watching.map_err(|error| {
            tracing::warn!(
                directory = %blocks_dir.display(),
                %error,
                "cannot watch block files; polling every few seconds; if limits are exhausted, raise fs.inotify.max_user_watches or \
                 max_user_instances"
            );
        });
        Self { _watcher: watcher.ok(), changed }
    }

    /// Waits for a change since the last call, and collects those that follow at once.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
        sleep(DEBOUNCE).await;
    }
}

/// Whether an event changes a block file. Reading one does not.
fn concerns_blocks(event: &Event) -> bool {
    let is_change = !matches!(event.kind, EventKind::Access(_));
    let is_block_file = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("blk") && name.ends_with(".dat")
    };
    is_change && (event.need_rescan() || event.paths.iter().any(|path| is_block_file(path)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn run<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
    }

    #[test]
    fn a_created_written_or_removed_block_file_is_notified() {
        run(async {
            let directory = tempfile::tempdir().unwrap();
            let watch = FileWatch::new(directory.path());
            let path = directory.path().join("blk00000.dat");
            fs::write(&path, b"one").unwrap();
            timeout(PATIENCE, watch.changed()).await.unwrap();
            fs::OpenOptions::new()
                .append(true)
                .open(&path)
                .and_then(|mut file| {
                    use std::io::Write;
                    file.write_all(b"two")
                })
                .unwrap();
            timeout(PATIENCE, watch.changed()).await.unwrap();
            fs::remove_file(&path).unwrap();
            timeout(PATIENCE, watch.changed()).await.unwrap();
        });
    }

    #[test]
    fn reads_and_other_files_are_not_notified() {
        let event = |kind, name: &str| Event::new(kind).add_path(Path::new("/blocks").join(name));
        use notify::event::{AccessKind, AccessMode, DataChange, ModifyKind};
        let read = EventKind::Access(AccessKind::Open(AccessMode::Any));
        let write = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        assert!(concerns_blocks(&event(write, "blk00001.dat")));
        assert!(!concerns_blocks(&event(read, "blk00001.dat")));
        assert!(!concerns_blocks(&event(write, "rev00001.dat")));
    }

    #[test]
    fn a_directory_that_cannot_be_watched_never_notifies() {
        run(async {
            let watch = FileWatch::new(Path::new("/nowhere/at/all"));
            assert!(timeout(Duration::ZERO, watch.changed()).await.is_err());
        });
    }
}
