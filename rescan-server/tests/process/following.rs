//! A wallet that follows, of whose blocks none is ever taken back.

use futures::StreamExt;
use rescan_client::{FollowEvent, Follower};

/// Takes what a follower is told up to where it has caught up with the chain at this height; the heights that pay it.
pub(crate) async fn hear(follower: &mut Follower, height: u32) -> Vec<u32> {
    let mut paid = Vec::new();
    loop {
        match follower.next().await.unwrap().unwrap() {
            FollowEvent::Report(report) => paid.push(report.height.0),
            FollowEvent::CaughtUp(summary) if summary.tip.height.0 == height => return paid,
            told @ (FollowEvent::Disconnected(_) | FollowEvent::Reverted(_) | FollowEvent::Restarted) => {
                panic!("{told:?}: nothing was left")
            }
            _ => {}
        }
    }
}
