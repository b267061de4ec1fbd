//! A wallet that follows, and applies every event blindly.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use bitcoin::BlockHash;
use futures::StreamExt;
use rescan_client::report::BlockId;
use rescan_client::{Checkpoint, Client, FollowEvent, ScanRequest};
use tokio::sync::oneshot;

/// The wallet's view of the chain.
#[derive(Clone, Debug, Default)]
struct View {
    /// The height of its tip.
    height: Option<u32>,
    /// The hash of that block; unknown if the block above it has just been disconnected.
    tip: Option<BlockHash>,
    /// The blocks that touch it.
    blocks: BTreeMap<u32, BlockHash>,
}

impl View {
    fn apply(&mut self, event: FollowEvent) {
        match event {
            FollowEvent::Report(report) => {
                self.blocks.insert(report.height.0, report.hash);
            }
            FollowEvent::Reverted(withdrawn) => {
                let taken = self.blocks.remove(&withdrawn.height.0);
                assert_eq!(taken, Some(withdrawn.block_hash), "a report is taken back that was not made");
            }
            FollowEvent::Restarted => *self = Self::default(),
            FollowEvent::CaughtUp(summary) => self.stand_on(&summary.tip),
            FollowEvent::Connected(block) => {
                let below = self.height.expect("it has caught up before a block comes");
                assert_eq!(block.height.0, below + 1, "a block is left out or comes twice");
                self.stand_on(&block);
            }
            FollowEvent::Disconnected(block) => {
                assert_eq!(Some(block.height.0), self.height, "another block goes than the last");
                assert!(self.tip.is_none_or(|tip| tip == block.hash), "another block goes than the last");
                (self.height, self.tip) = (Some(block.height.0 - 1), None);
            }
            FollowEvent::Started(_) | FollowEvent::Settled => {}
            other => panic!("{other:?}"),
        }
    }

    fn stand_on(&mut self, block: &BlockId) {
        (self.height, self.tip) = (Some(block.height.0), Some(block.hash));
    }
}

/// A follower on a dedicated thread, and its view.
pub(crate) struct FollowingWallet {
    view: Arc<Mutex<View>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FollowingWallet {
    /// Begins to follow over a separate connection.
    pub(crate) fn start(socket: std::path::PathBuf, request: ScanRequest) -> Self {
        let view = Arc::new(Mutex::new(View::default()));
        let (stop, stopped) = oneshot::channel();
        let believed = Arc::clone(&view);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = follow(&socket, request, &believed) => {}
                    // Its sender is only ever dropped.
                    _stopped = stopped => {}
                }
            });
        });
        Self { view, stop: Some(stop), thread: Some(thread) }
    }

    /// Whether it believes this: the tip, and the heights of the blocks that touch it.
    pub(crate) fn believes(&self, tip: BlockHash, heights: &[u32]) -> bool {
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        view.tip == Some(tip) && view.blocks.keys().copied().eq(heights.iter().copied())
    }

    /// The same, where only the height of the tip is known, as after a block was left.
    pub(crate) fn stands_at(&self, height: u32, heights: &[u32]) -> bool {
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        view.height == Some(height) && view.blocks.keys().copied().eq(heights.iter().copied())
    }

    /// Its view, for failure messages.
    pub(crate) fn describe(&self) -> String {
        format!("{:?}", self.view.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn follow(socket: &std::path::Path, request: ScanRequest, believed: &Mutex<View>) {
    let client = Client::connect(socket).await.unwrap();
    let checkpoint = Checkpoint::new(client.server_info().chain.genesis, &request);
    let mut follower = client.follow(request, checkpoint).unwrap();
    while let Some(event) = follower.next().await {
        let event = event.unwrap();
        believed.lock().unwrap().apply(event);
    }
    panic!("the following ended");
}

impl Drop for FollowingWallet {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !std::thread::panicking()
        {
            // The events contradicted each other.
            std::panic::resume_unwind(panic);
        }
    }
}
