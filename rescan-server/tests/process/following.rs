//! A follower on a chain without reorganisations.

use futures::StreamExt;
use rescan_client::{FollowEvent, Follower};

/// The heights of all reports until the follower has caught up with the chain at `height`.
pub(crate) async fn reports_to(follower: &mut Follower, height: u32) -> Vec<u32> {
    let mut paid = Vec::new();
    loop {
        match follower.next().await.unwrap().unwrap() {
            FollowEvent::Report(report) => paid.push(report.height.0),
            FollowEvent::CaughtUp(summary) if summary.tip.height.0 == height => return paid,
            event @ (FollowEvent::Disconnected(_) | FollowEvent::Reverted(_) | FollowEvent::Restarted) => {
                panic!("{event:?}: the chain was never reorganised")
            }
            _ => {}
        }
    }
}
