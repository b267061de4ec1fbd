//! Returns free memory to the kernel while no scan is under way.
//!
//! Many scans at once leave holes in the allocator's memory. A server that runs for months beside a node should not keep
//! the peak of its busiest minute. The trim waits until no scan is under way, so no scan loses its buffers.

use std::rc::Rc;
use std::time::Duration;

use crate::allocator;
use crate::session::shared::Shared;

/// The interval of checks whether all scans have ended.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// Runs for as long as the server.
pub(crate) async fn trim_when_idle(shared: Rc<Shared>) {
    let mut trimmed_after = 0;
    loop {
        tokio::time::sleep(CHECK_EVERY).await;
        let started = shared.scan_permits.acquired_total();
        if started != trimmed_after && shared.scan_permits.all_free() {
            trimmed_after = started;
            // Not on this thread: it takes about a millisecond for each 10 MB.
            drop(shared.pool.run(allocator::give_back).await);
        }
    }
}
