//! Questions to a running scan.

use rescan_core::position::Height;
use rescan_core::report::{BlockId, Progress};
use tokio::sync::{mpsc, oneshot};

use crate::error::CallError;

/// Asks about a scan and cancels it. It does not keep the scan alive: only its stream does.
#[derive(Clone, Debug)]
pub struct ScanHandle {
    controls: mpsc::Sender<Control>,
}

impl ScanHandle {
    pub(super) fn new(controls: mpsc::Sender<Control>) -> Self {
        Self { controls }
    }

    /// Returns the scan's progress.
    ///
    /// # Errors
    ///
    /// [`CallError::Ended`] if its stream was dropped; else as [`ScanStream::progress`](super::ScanStream::progress).
    pub async fn progress(&self) -> Result<Progress, CallError> {
        self.ask(Control::Progress).await
    }

    /// Asks the scan to end early.
    ///
    /// # Errors
    ///
    /// [`CallError::Ended`] if its stream was dropped; else as [`ScanStream::cancel`](super::ScanStream::cancel).
    pub async fn cancel(&self) -> Result<(), CallError> {
        self.ask(Control::Cancel).await
    }

    /// Returns hash and time of blocks of the scan's chain, in the order of `heights`; none for a height outside that chain.
    /// At most 4,096 heights a call. Waits until the scan has started, and answers after its end too.
    ///
    /// # Errors
    ///
    /// [`CallError::Ended`] if its stream was dropped, [`CallError::Protocol`] if the server refuses the list.
    pub async fn block_ids(&self, heights: Vec<Height>) -> Result<Vec<Option<BlockId>>, CallError> {
        self.ask(|reply| Control::BlockIds(heights, reply)).await
    }

    async fn ask<T>(&self, control: impl FnOnce(Reply<T>) -> Control) -> Result<T, CallError> {
        let (reply, answer) = oneshot::channel();
        self.controls.send(control(reply)).await.map_err(|_control| CallError::Ended)?;
        answer.await.unwrap_or(Err(CallError::Ended))
    }
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, CallError>>;

/// A question to the task that holds the scan's capability.
pub(super) enum Control {
    Progress(Reply<Progress>),
    Cancel(Reply<()>),
    BlockIds(Vec<Height>, Reply<Vec<Option<BlockId>>>),
}
