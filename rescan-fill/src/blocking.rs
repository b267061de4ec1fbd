//! Calls of the node, which block, from asynchronous code.

use rescan_node::RpcError;

use crate::error::FillError;

/// Runs a call on a thread where it may block for minutes; other tasks, Ctrl-C among them, go on.
pub(crate) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, FillError> + Send + 'static,
) -> Result<T, FillError> {
    // The thread panicked, which is a defect here, or the runtime is ending.
    tokio::task::spawn_blocking(call).await.unwrap_or_else(|error| Err(RpcError::unexpected("a call", error).into()))
}
