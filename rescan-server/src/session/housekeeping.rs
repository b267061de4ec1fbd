//! Gives memory back to the kernel when nobody needs it any more.
//!
//! What many scans at once found leaves holes in what the allocator keeps; a server that runs for months beside a node
//! should not hold on to what its busiest minute took. Looked after only while no scan is under way, so that no scan has
//! its buffers taken away.

use std::rc::Rc;
use std::time::Duration;

use crate::allocator;
use crate::session::Shared;

/// How often it is looked whether all scans have ended.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Goes on for as long as the server does.
pub(crate) async fn keep_house(shared: Rc<Shared>) {
    let mut cleaned_after = 0;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let begun = shared.scan_slots.takings();
        if begun != cleaned_after && shared.scan_slots.is_untaken() {
            cleaned_after = begun;
            // Not on this thread: it takes about a millisecond for each 10 MB.
            drop(shared.pool.run(allocator::give_back).await);
        }
    }
}
