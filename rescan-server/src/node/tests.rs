//! The link against nodes that do what a real one cannot be asked to, or not in time.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use futures::FutureExt;
use rescan_core::chain::network::Network;
use rescan_core::position::Height;
use rescan_core::server_info::{NodeLink, NodeLinkState, NodeTip};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::timeout;

use super::link::{Link, NodeNews};
use crate::blocks::block_file::Access;
use crate::chain::{Chain, ChainConfig};
use crate::refresh::refresher::Refresher;

mod fake_node;

use fake_node::{FakeNode, Script};

const PATIENCE: Duration = Duration::from_secs(30);

fn tip(height: u32) -> NodeTip {
    NodeTip { height: Height(height), hash: BlockHash::hash(&height.to_le_bytes()) }
}

/// A place for a socket, a link to it, and what it says.
struct Scene {
    directory: TempDir,
    path: PathBuf,
    news: NodeNews,
    stop: watch::Sender<bool>,
    keeping: JoinHandle<()>,
}

impl Scene {
    /// The link is not made before the first wait of the test.
    fn new() -> Self {
        let directory = tempfile::tempdir_in("/tmp").unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let path = directory.path().join("node.sock");
        let (link, news) = Link::new(path.clone());
        let stop = watch::Sender::new(false);
        let keeping = tokio::task::spawn_local(link.keep(stop.subscribe()));
        Self { directory, path, news, stop, keeping }
    }

    async fn hears(&mut self, what: &str, is_it: impl Fn(&NodeLink) -> bool) -> NodeLink {
        let hearing = async {
            let mut last = self.news.last();
            while !is_it(&last) {
                last = self.news.next().await.unwrap();
            }
            last
        };
        timeout(PATIENCE, hearing).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
    }

    /// Whether anything was told since the last that was waited for.
    fn has_news(&mut self) -> bool {
        self.news.next().now_or_never().is_some()
    }

    async fn hears_tip(&mut self, height: u32) -> NodeLink {
        let is_it = |link: &NodeLink| link.state == NodeLinkState::Connected && link.tip == Some(tip(height));
        self.hears(&format!("tip {height}"), is_it).await
    }

    async fn hears_state(&mut self, state: NodeLinkState) -> NodeLink {
        self.hears(&format!("{state:?}"), |link| link.state == state).await
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

#[test]
fn each_tip_is_told_whether_it_is_higher_or_lower_than_the_one_before() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(7)));
        let _node = FakeNode::listen(&scene.path, &script);
        let link = scene.hears_tip(7).await;
        assert!(link.since > 1_700_000_000 && link.reason.is_empty());
        for height in [8, 9, 3, 4, 0] {
            script.tip.send_replace(Some(tip(height)));
            scene.hears_tip(height).await;
        }
        assert_eq!(*script.threads.borrow(), ["rescan-wait", "rescan-ask"]);
        assert_eq!(script.connections.get(), 1);
    });
}

#[test]
fn tips_that_come_faster_than_they_are_asked_for_come_to_the_last() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(1)));
        let _node = FakeNode::listen(&scene.path, &script);
        scene.hears_tip(1).await;
        for height in 2..100 {
            script.tip.send_replace(Some(tip(height)));
        }
        scene.hears_tip(99).await;
        assert!(script.waits.get() < 10, "each was asked for");
    });
}

#[test]
fn a_wait_that_ends_with_the_known_tip_is_no_news() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(1)));
        script.spurious.set(3);
        let _node = FakeNode::listen(&scene.path, &script);
        scene.hears_tip(1).await;
        scene.has_news();
        while script.waits.get() < 4 {
            tokio::task::yield_now().await;
        }
        assert!(!scene.has_news());
        script.tip.send_replace(Some(tip(2)));
        scene.hears_tip(2).await;
    });
}

#[test]
fn a_node_that_is_asked_names_its_tip_before_it_gives_notice_of_it() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(5)));
        script.is_deaf.set(true);
        let _node = FakeNode::listen(&scene.path, &script);
        scene.hears_tip(5).await;
        for height in [5, 6, 6, 2] {
            script.tip.send_replace(Some(tip(height)));
            scene.news.ask().await;
            assert_eq!(scene.news.last().tip, Some(tip(height)));
        }
        script.is_deaf.set(false);
        script.tip.send_replace(Some(tip(3)));
        scene.hears_tip(3).await;
        assert_eq!(script.connections.get(), 1);
    });
}

#[test]
fn a_client_has_the_node_asked_and_a_look_at_the_files_has_not() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(5)));
        let _node = FakeNode::listen(&scene.path, &script);
        scene.hears_tip(5).await;
        let config = ChainConfig {
            blocks_dir: scene.directory.path().to_owned(),
            network: Some(Network::Regtest),
            signet_challenge: None,
            state_dir: scene.directory.path().join("state"),
            access: Access::read(),
        };
        let chain = Arc::new(Chain::open(config).unwrap());
        let (refresher, refreshing) = Refresher::new(chain, scene.news.clone(), Arc::default());
        let _refreshing = tokio::task::spawn_local(refreshing);
        let before = script.asked.get();
        refresher.look().await;
        assert_eq!(script.asked.get(), before);
        refresher.refresh().await.unwrap();
        assert_eq!(script.asked.get(), before + 1);
    });
}

#[test]
fn a_node_that_is_busy_or_not_there_is_not_waited_for() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(5)));
        scene.news.ask().await;
        let node = FakeNode::listen(&scene.path, &script);
        scene.hears_tip(5).await;
        script.is_busy.send_replace(true);
        scene.news.ask().await;
        let link = scene.news.last();
        assert_eq!((link.state, link.tip), (NodeLinkState::Connected, Some(tip(5))));
        script.tip.send_replace(Some(tip(6)));
        scene.hears_tip(6).await;
        script.is_busy.send_replace(false);
        node.die().await;
        scene.hears_state(NodeLinkState::Lost).await;
        scene.news.ask().await;
        NodeNews::off().ask().await;
    });
}

#[test]
fn a_node_that_stops_is_lost_and_comes_back() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(5)));
        let _node = FakeNode::listen(&scene.path, &script);
        scene.hears_tip(5).await;
        script.tip.send_replace(None);
        let link = scene.hears_state(NodeLinkState::Lost).await;
        assert!(link.reason.contains("stopping"), "{}", link.reason);
        assert_eq!(link.tip, Some(tip(5)), "what it said last is still told");
        script.tip.send_replace(Some(tip(6)));
        scene.hears_tip(6).await;
    });
}

#[test]
fn a_node_that_gives_no_waits_any_more_is_not_asked_without_a_pause() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(5)));
        script.barren.set(1);
        let _node = FakeNode::listen(&scene.path, &script);
        scene.hears_tip(5).await;
        scene.hears_state(NodeLinkState::Lost).await;
        scene.hears_tip(5).await;
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
        let link = scene.hears_state(NodeLinkState::Refused).await;
        assert!(link.reason.contains("v31 or later"), "{}", link.reason);
        assert_eq!(link.tip, None);
        script.is_old.set(false);
        scene.hears_tip(5).await;
    });
}

/// The clock goes on by itself wherever there is nothing else to do.
#[test]
fn a_node_that_neither_answers_nor_hangs_up_is_asked_anew_over_another_connection() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(5)));
        script.is_deaf.set(true);
        let _node = FakeNode::listen(&scene.path, &script);
        let begun = tokio::time::Instant::now();
        let is_lost = |link: &NodeLink| link.state == NodeLinkState::Lost && link.reason.contains("does not answer");
        while !is_lost(&scene.news.last()) {
            scene.news.next().await.unwrap();
        }
        assert!(begun.elapsed() >= Duration::from_secs(60), "a node may keep a wait for half of that");
        script.is_deaf.set(false);
        script.tip.send_replace(Some(tip(6)));
        while scene.news.last().tip != Some(tip(6)) {
            scene.news.next().await.unwrap();
        }
        assert_eq!(script.connections.get(), 2);
    });
}

#[test]
fn a_node_that_dies_in_a_wait_is_lost_and_found_on_the_same_path() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(5)));
        let node = FakeNode::listen(&scene.path, &script);
        scene.hears_tip(5).await;
        node.die().await;
        let link = scene.hears_state(NodeLinkState::Lost).await;
        assert!(link.reason.contains("hung up") || link.reason.contains("nobody listens"), "{}", link.reason);
        // It had not written all it knew.
        script.tip.send_replace(Some(tip(2)));
        let _node = FakeNode::listen(&scene.path, &script);
        scene.hears_tip(2).await;
    });
}

#[test]
fn a_tip_that_makes_no_sense_ends_the_link() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(5)));
        script.is_mad.set(true);
        let _node = FakeNode::listen(&scene.path, &script);
        let link = scene.hears_state(NodeLinkState::Lost).await;
        assert!(link.reason.contains("not understood"), "{}", link.reason);
        assert_eq!(link.tip, None);
    });
}

#[test]
fn a_socket_that_others_could_replace_is_not_spoken_to() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(5)));
        for mode in [0o770, 0o703, 0o1777] {
            fs::set_permissions(scene.directory.path(), fs::Permissions::from_mode(mode)).unwrap();
            let node = FakeNode::listen(&scene.path, &script);
            let told = format!("mode {mode:03o}");
            let is_refused =
                |link: &NodeLink| link.state == NodeLinkState::Refused && link.reason.contains(told.as_str());
            scene.hears(&told, is_refused).await;
            node.die().await;
        }
        assert_eq!(script.connections.get(), 0);
    });
}

#[test]
fn a_socket_in_the_directory_of_another_user_is_not_spoken_to() {
    if !rustix::process::geteuid().is_root() {
        rescan_tests::say_skipped("root, who alone can give a directory away");
        return;
    }
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(5)));
        std::os::unix::fs::chown(scene.directory.path(), Some(12_345), None).unwrap();
        let _node = FakeNode::listen(&scene.path, &script);
        let link = scene.hears_state(NodeLinkState::Refused).await;
        assert!(link.reason.contains("belongs to user 12345"), "{}", link.reason);
        assert_eq!(script.connections.get(), 0);
    });
}

#[test]
fn what_is_no_socket_and_what_is_not_there_are_told_apart() {
    run(async {
        let mut scene = Scene::new();
        let link = scene.hears("no socket", |link| !link.reason.is_empty()).await;
        assert_eq!(link.state, NodeLinkState::Absent);
        assert!(link.reason.contains("-ipcbind=unix"), "{}", link.reason);
        fs::write(&scene.path, b"").unwrap();
        let link = scene.hears_state(NodeLinkState::Refused).await;
        assert!(link.reason.contains("is not a socket"), "{}", link.reason);
    });
}

#[test]
fn a_server_that_stops_interrupts_its_wait() {
    run(async {
        let (mut scene, script) = (Scene::new(), Script::new(tip(5)));
        let _node = FakeNode::listen(&scene.path, &script);
        scene.hears_tip(5).await;
        while script.waits.get() == 0 {
            tokio::task::yield_now().await;
        }
        scene.stop.send_replace(true);
        timeout(PATIENCE, scene.keeping).await.unwrap().unwrap();
        assert_eq!(script.interrupts.get(), 1);
    });
}

#[test]
fn a_node_that_does_not_answer_keeps_no_server_from_stopping() {
    run(async {
        let mut scene = Scene::new();
        let _silent = UnixListener::bind(&scene.path).unwrap();
        scene.hears_state(NodeLinkState::Connecting).await;
        scene.stop.send_replace(true);
        timeout(PATIENCE, scene.keeping).await.unwrap().unwrap();
    });
}
