//! The link against nodes that do what a real one cannot be asked to, or not in time: the server's side of `node.capnp`, scripted.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::cell::{Cell, RefCell};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::twoparty::VatNetwork;
use capnp_rpc::{RpcSystem, new_client};
use futures::FutureExt;
use rescan_core::position::Height;
use rescan_core::server_info::{NodeLink, NodeLinkState, NodeTip};
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::timeout;
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

use super::link::{Link, NodeNews};
use crate::node_capnp::{init, mining, thread, thread_map};

const PATIENCE: Duration = Duration::from_secs(30);

/// What a fake node does, shared by all its connections.
struct Script {
    /// None while it is stopping.
    tip: watch::Sender<Option<NodeTip>>,
    /// It is as old as v30, which has no such call.
    is_old: Cell<bool>,
    /// Its hashes are of five bytes.
    is_mad: Cell<bool>,
    /// So many waits end at once, with the tip that is known.
    spurious: Cell<u32>,
    /// So many waits end at once, with nothing.
    barren: Cell<u32>,
    /// Its waits do not hear of tips.
    is_deaf: Cell<bool>,
    /// It does not name its tip, as while it holds its lock.
    is_busy: watch::Sender<bool>,
    interrupted: Notify,
    interrupts: Cell<u32>,
    waits: Cell<u32>,
    threads: RefCell<Vec<String>>,
    connections: Cell<u32>,
}

impl Script {
    fn new(tip: NodeTip) -> Rc<Self> {
        Rc::new(Self {
            tip: watch::Sender::new(Some(tip)),
            is_old: Cell::default(),
            is_mad: Cell::default(),
            spurious: Cell::default(),
            barren: Cell::default(),
            is_deaf: Cell::default(),
            is_busy: watch::Sender::default(),
            interrupted: Notify::new(),
            interrupts: Cell::default(),
            waits: Cell::default(),
            threads: RefCell::default(),
            connections: Cell::default(),
        })
    }

    fn write(&self, tip: NodeTip, mut told: crate::node_capnp::block_ref::Builder<'_>) {
        let hash = tip.hash.to_byte_array();
        told.set_hash(if self.is_mad.get() { &hash[..5] } else { &hash });
        told.set_height(i32::try_from(tip.height.0).unwrap());
    }
}

struct Thread;
impl thread::Server for Thread {}

struct Init(Rc<Script>);

impl init::Server for Init {
    async fn construct(
        self: Rc<Self>,
        _params: init::ConstructParams,
        mut results: init::ConstructResults,
    ) -> capnp::Result<()> {
        results.get().set_threads(new_client(Threads(Rc::clone(&self.0))));
        Ok(())
    }

    async fn make_mining(
        self: Rc<Self>,
        _params: init::MakeMiningParams,
        mut results: init::MakeMiningResults,
    ) -> capnp::Result<()> {
        if self.0.is_old.get() {
            return Err(capnp::Error::unimplemented("Method not implemented.".to_owned()));
        }
        if self.0.tip.borrow().is_some() {
            results.get().set_mining(new_client(Mining(Rc::clone(&self.0))));
        }
        Ok(())
    }
}

struct Threads(Rc<Script>);

impl thread_map::Server for Threads {
    async fn make_thread(
        self: Rc<Self>,
        params: thread_map::MakeThreadParams,
        mut results: thread_map::MakeThreadResults,
    ) -> capnp::Result<()> {
        self.0.threads.borrow_mut().push(params.get()?.get_name()?.to_string()?);
        results.get().set_thread(new_client(Thread));
        Ok(())
    }
}

struct Mining(Rc<Script>);

impl mining::Server for Mining {
    async fn get_tip(
        self: Rc<Self>,
        params: mining::GetTipParams,
        mut results: mining::GetTipResults,
    ) -> capnp::Result<()> {
        assert!(params.get()?.get_context()?.has_thread());
        drop(self.0.is_busy.subscribe().wait_for(|is_busy| !is_busy).await.unwrap());
        let tip = *self.0.tip.borrow();
        if let Some(tip) = tip {
            self.0.write(tip, results.get().init_tip());
            results.get().set_has_tip(true);
        }
        Ok(())
    }

    async fn wait_tip_changed(
        self: Rc<Self>,
        params: mining::WaitTipChangedParams,
        mut results: mining::WaitTipChangedResults,
    ) -> capnp::Result<()> {
        let script = &self.0;
        let params = params.get()?;
        assert!(params.get_context()?.has_thread());
        assert!(params.get_timeout_millis() <= 30_000.0, "the node's thread would be taken for longer");
        let known = BlockHash::from_slice(params.get_known_tip()?).unwrap();
        script.waits.set(script.waits.get() + 1);
        if script.barren.get() > 0 {
            script.barren.set(script.barren.get() - 1);
            return Ok(());
        }
        let mut tips = script.tip.subscribe();
        if script.spurious.get() > 0 {
            script.spurious.set(script.spurious.get() - 1);
        } else {
            tokio::select! {
                changed = tips.wait_for(|tip| !script.is_deaf.get() && tip.is_none_or(|tip| tip.hash != known)) => drop(changed.unwrap()),
                () = script.interrupted.notified() => return Ok(()),
            }
        }
        let tip = *tips.borrow();
        if let Some(tip) = tip {
            script.write(tip, results.get().init_tip());
        }
        Ok(())
    }

    async fn interrupt(
        self: Rc<Self>,
        _params: mining::InterruptParams,
        _results: mining::InterruptResults,
    ) -> capnp::Result<()> {
        self.0.interrupts.set(self.0.interrupts.get() + 1);
        self.0.interrupted.notify_one();
        Ok(())
    }
}

/// A node that listens until dropped. Its socket stays, as a real one's does.
struct FakeNode(JoinHandle<()>);

impl FakeNode {
    fn listen(path: &PathBuf, script: &Rc<Script>) -> Self {
        drop(fs::remove_file(path));
        let listener = UnixListener::bind(path).unwrap();
        let script = Rc::clone(script);
        Self(tokio::task::spawn_local(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _address) = listener.accept().await.unwrap();
                script.connections.set(script.connections.get() + 1);
                connections.spawn_local(serve(stream, Rc::clone(&script)));
            }
        }))
    }

    /// Stops, with all its connections, and waits until it has.
    async fn die(self) {
        self.0.abort();
        drop(self.0.await);
    }
}

async fn serve(stream: UnixStream, script: Rc<Script>) {
    let (reader, writer) = stream.into_split();
    let network = VatNetwork::new(reader.compat(), writer.compat_write(), Side::Server, Default::default());
    let init: init::Client = new_client(Init(script));
    drop(RpcSystem::new(Box::new(network), Some(init.client)).await);
}

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
