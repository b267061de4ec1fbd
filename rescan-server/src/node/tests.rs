//! The link to nodes whose behaviour a real node does not show on demand.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use futures::FutureExt;
use rescan_core::position::Height;
use rescan_core::server_info::{NodeLink, NodeLinkState, NodeTip};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::timeout;

use super::fake_node::{FakeNode, Script};
use super::link_task::LinkTask;
use super::tip_watcher::TipWatcher;

const PATIENCE: Duration = Duration::from_secs(30);

fn tip(height: u32) -> NodeTip {
    NodeTip { height: Height(height), hash: BlockHash::hash(&height.to_le_bytes()) }
}

/// A directory for a socket, a link to the socket, and its watcher.
struct Scene {
    directory: TempDir,
    path: PathBuf,
    node: TipWatcher,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Scene {
    /// The link is not made before the first wait in the test.
    fn new() -> Self {
        let directory = tempfile::tempdir_in("/tmp").unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let path = directory.path().join("node.sock");
        let (link, node) = LinkTask::new(path.clone());
        let stop = watch::Sender::new(false);
        let running = tokio::task::spawn_local(link.run(stop.subscribe()));
        Self { directory, path, node, stop, running }
    }

    async fn wait_for(&mut self, wanted: &str, is_it: impl Fn(&NodeLink) -> bool) -> NodeLink {
        let waiting = async {
            let mut last = self.node.status();
            while !is_it(&last) {
                last = self.node.changed().await.unwrap();
            }
            last
        };
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("waited in vain for {wanted}"))
    }

    /// Whether the link changed since the last wait.
    fn has_changed(&mut self) -> bool {
        self.node.changed().now_or_never().is_some()
    }

    async fn wait_for_tip(&mut self, height: u32) -> NodeLink {
        let is_it = |link: &NodeLink| link.state == NodeLinkState::Connected && link.tip == Some(tip(height));
        self.wait_for(&format!("tip {height}"), is_it).await
    }

    async fn wait_for_state(&mut self, state: NodeLinkState) -> NodeLink {
        self.wait_for(&format!("{state:?}"), |link| link.state == state).await
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

#[test]
fn each_tip_is_published_whether_it_is_higher_or_lower_than_the_one_before() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(7)));
        let _node = FakeNode::listen(&scene.path, &script);
        let link = scene.wait_for_tip(7).await;
        assert!(link.since > 1_700_000_000 && link.reason.is_empty());
        for height in [8, 9, 3, 4, 0] {
            script.tip.send_replace(Some(tip(height)));
            scene.wait_for_tip(height).await;
        }
        assert_eq!(*script.threads.borrow(), ["rescan-wait", "rescan-ask"]);
        assert_eq!(script.connections.get(), 1);
    });
}

#[test]
fn tips_that_come_faster_than_waits_end_with_the_last() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(1)));
        let _node = FakeNode::listen(&scene.path, &script);
        scene.wait_for_tip(1).await;
        for height in 2..100 {
            script.tip.send_replace(Some(tip(height)));
        }
        scene.wait_for_tip(99).await;
        assert!(script.waits.get() < 10, "tips are coalesced");
    });
}

#[test]
fn a_wait_that_ends_with_the_known_tip_is_not_published() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(1)));
        script.spurious.set(3);
        let _node = FakeNode::listen(&scene.path, &script);
        scene.wait_for_tip(1).await;
        scene.has_changed();
        while script.waits.get() < 4 {
            tokio::task::yield_now().await;
        }
        assert!(!scene.has_changed());
        script.tip.send_replace(Some(tip(2)));
        scene.wait_for_tip(2).await;
    });
}

#[test]
fn a_query_returns_a_tip_that_the_wait_has_not_reported() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(5)));
        script.misses_tips.set(true);
        let _node = FakeNode::listen(&scene.path, &script);
        scene.wait_for_tip(5).await;
        for height in [5, 6, 6, 2] {
            script.tip.send_replace(Some(tip(height)));
            scene.node.query_tip().await;
            assert_eq!(scene.node.status().tip, Some(tip(height)));
        }
        script.misses_tips.set(false);
        script.tip.send_replace(Some(tip(3)));
        scene.wait_for_tip(3).await;
        assert_eq!(script.connections.get(), 1);
    });
}

#[test]
fn a_query_does_not_wait_for_a_busy_or_absent_node() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(5)));
        scene.node.query_tip().await;
        let node = FakeNode::listen(&scene.path, &script);
        scene.wait_for_tip(5).await;
        script.is_busy.send_replace(true);
        scene.node.query_tip().await;
        let link = scene.node.status();
        assert_eq!((link.state, link.tip), (NodeLinkState::Connected, Some(tip(5))));
        script.tip.send_replace(Some(tip(6)));
        scene.wait_for_tip(6).await;
        script.is_busy.send_replace(false);
        node.stop().await;
        scene.wait_for_state(NodeLinkState::Lost).await;
        scene.node.query_tip().await;
        TipWatcher::disabled().query_tip().await;
    });
}

#[test]
fn a_node_that_stops_is_lost_and_comes_back() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(5)));
        let _node = FakeNode::listen(&scene.path, &script);
        scene.wait_for_tip(5).await;
        script.tip.send_replace(None);
        let link = scene.wait_for_state(NodeLinkState::Lost).await;
        assert!(link.reason.contains("stopping"), "{}", link.reason);
        assert_eq!(link.tip, Some(tip(5)), "the last tip is kept");
        script.tip.send_replace(Some(tip(6)));
        scene.wait_for_tip(6).await;
    });
}

#[test]
fn a_node_that_refuses_waits_is_reconnected_after_a_pause() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(5)));
        script.null_waits.set(1);
        let _node = FakeNode::listen(&scene.path, &script);
        scene.wait_for_tip(5).await;
        scene.wait_for_state(NodeLinkState::Lost).await;
        scene.wait_for_tip(5).await;
        assert_eq!(script.connections.get(), 2);
        assert!(script.waits.get() <= 2);
    });
}

#[test]
fn a_node_older_than_v31_is_refused_until_it_is_updated() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(5)));
        script.is_old.set(true);
        let _node = FakeNode::listen(&scene.path, &script);
        let link = scene.wait_for_state(NodeLinkState::Refused).await;
        assert!(link.reason.contains("v31 or later"), "{}", link.reason);
        assert_eq!(link.tip, None);
        script.is_old.set(false);
        scene.wait_for_tip(5).await;
    });
}

/// The paused clock advances whenever the runtime is idle.
#[test]
fn a_node_that_neither_answers_nor_hangs_up_gets_a_new_connection() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(5)));
        script.misses_tips.set(true);
        let _node = FakeNode::listen(&scene.path, &script);
        let begun = tokio::time::Instant::now();
        let is_lost =
            |link: &NodeLink| link.state == NodeLinkState::Lost && link.reason.contains("no answer from the node");
        while !is_lost(&scene.node.status()) {
            scene.node.changed().await.unwrap();
        }
        assert!(begun.elapsed() >= Duration::from_secs(60), "half of that is the timeout of a wait");
        script.misses_tips.set(false);
        script.tip.send_replace(Some(tip(6)));
        while scene.node.status().tip != Some(tip(6)) {
            scene.node.changed().await.unwrap();
        }
        assert_eq!(script.connections.get(), 2);
    });
}

#[test]
fn a_node_that_crashes_during_a_wait_is_lost_and_found_again_on_the_same_path() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(5)));
        let node = FakeNode::listen(&scene.path, &script);
        scene.wait_for_tip(5).await;
        node.stop().await;
        let link = scene.wait_for_state(NodeLinkState::Lost).await;
        assert!(link.reason.contains("hung up") || link.reason.contains("nobody listens"), "{}", link.reason);
        // The crash lost its latest blocks.
        script.tip.send_replace(Some(tip(2)));
        let _node = FakeNode::listen(&scene.path, &script);
        scene.wait_for_tip(2).await;
    });
}

#[test]
fn a_malformed_tip_ends_the_link() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(5)));
        script.sends_short_hashes.set(true);
        let _node = FakeNode::listen(&scene.path, &script);
        let link = scene.wait_for_state(NodeLinkState::Lost).await;
        assert!(link.reason.contains("not understood"), "{}", link.reason);
        assert_eq!(link.tip, None);
    });
}

#[test]
fn a_socket_that_others_could_replace_is_refused() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(5)));
        for mode in [0o770, 0o703, 0o1777] {
            fs::set_permissions(scene.directory.path(), fs::Permissions::from_mode(mode)).unwrap();
            let node = FakeNode::listen(&scene.path, &script);
            let reason = format!("mode {mode:03o}");
            let is_refused =
                |link: &NodeLink| link.state == NodeLinkState::Refused && link.reason.contains(reason.as_str());
            scene.wait_for(&reason, is_refused).await;
            node.stop().await;
        }
        assert_eq!(script.connections.get(), 0);
    });
}

#[test]
fn a_socket_in_the_directory_of_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        rescan_tests::say_skipped("root: only root can give a directory to another user");
        return;
    }
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(5)));
        std::os::unix::fs::chown(scene.directory.path(), Some(12_345), None).unwrap();
        let _node = FakeNode::listen(&scene.path, &script);
        let link = scene.wait_for_state(NodeLinkState::Refused).await;
        assert!(link.reason.contains("belongs to user 12345"), "{}", link.reason);
        assert_eq!(script.connections.get(), 0);
    });
}

#[test]
fn a_missing_socket_and_a_file_that_is_none_have_different_states() {
    run(async {
        let mut scene = Scene::new();
        let link = scene.wait_for("no socket", |link| !link.reason.is_empty()).await;
        assert_eq!(link.state, NodeLinkState::Absent);
        assert!(link.reason.contains("-ipcbind=unix"), "{}", link.reason);
        fs::write(&scene.path, b"").unwrap();
        let link = scene.wait_for_state(NodeLinkState::Refused).await;
        assert!(link.reason.contains("is not a socket"), "{}", link.reason);
    });
}

#[test]
fn a_stopping_server_interrupts_its_wait() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(5)));
        let _node = FakeNode::listen(&scene.path, &script);
        scene.wait_for_tip(5).await;
        while script.waits.get() == 0 {
            tokio::task::yield_now().await;
        }
        scene.stop.send_replace(true);
        timeout(PATIENCE, scene.running).await.unwrap().unwrap();
        assert_eq!(script.interrupts.get(), 1);
    });
}

#[test]
fn a_silent_node_does_not_delay_a_stopping_server() {
    run(async {
        let mut scene = Scene::new();
        let _silent = UnixListener::bind(&scene.path).unwrap();
        scene.wait_for_state(NodeLinkState::Connecting).await;
        scene.stop.send_replace(true);
        timeout(PATIENCE, scene.running).await.unwrap().unwrap();
    });
}
