//! A scripted node for tests: the serving side of `node.capnp`.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::twoparty::VatNetwork;
use capnp_rpc::{RpcSystem, new_client};
use rescan_core::server_info::NodeTip;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

use crate::node_capnp::{init, mining, thread, thread_map};

/// The behaviour of a fake node and its counters, shared by all its connections.
pub(crate) struct Script {
    /// None while it is stopping.
    pub(crate) tip: watch::Sender<Option<NodeTip>>,
    /// The node is v30 and has no such call.
    pub(crate) is_old: Cell<bool>,
    /// Its hashes have five bytes.
    pub(crate) sends_short_hashes: Cell<bool>,
    /// How many waits return the known tip at once.
    pub(crate) spurious: Cell<u32>,
    /// How many waits return null at once.
    pub(crate) null_waits: Cell<u32>,
    /// Its waits miss new tips.
    pub(crate) misses_tips: Cell<bool>,
    /// `getTip` does not return, as while the node holds its lock.
    pub(crate) is_busy: watch::Sender<bool>,
    pub(crate) interrupted: Notify,
    pub(crate) interrupts: Cell<u32>,
    /// Calls of `getTip`.
    pub(crate) tip_calls: Cell<u32>,
    pub(crate) waits: Cell<u32>,
    pub(crate) threads: RefCell<Vec<String>>,
    pub(crate) connections: Cell<u32>,
}

impl Script {
    pub(crate) fn new(tip: NodeTip) -> Rc<Self> {
        Rc::new(Self {
            tip: watch::Sender::new(Some(tip)),
            is_old: Cell::default(),
            sends_short_hashes: Cell::default(),
            spurious: Cell::default(),
            null_waits: Cell::default(),
            misses_tips: Cell::default(),
            is_busy: watch::Sender::default(),
            interrupted: Notify::new(),
            interrupts: Cell::default(),
            tip_calls: Cell::default(),
            waits: Cell::default(),
            threads: RefCell::default(),
            connections: Cell::default(),
        })
    }

    fn write(&self, tip: NodeTip, mut block_ref: crate::node_capnp::block_ref::Builder<'_>) {
        let hash = tip.hash.to_byte_array();
        block_ref.set_hash(if self.sends_short_hashes.get() { &hash[..5] } else { &hash });
        block_ref.set_height(i32::try_from(tip.height.0).unwrap());
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
        self.0.tip_calls.set(self.0.tip_calls.get() + 1);
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
        assert!(params.get_timeout_millis() <= 30_000.0, "a longer wait would occupy the node's thread");
        let known = BlockHash::from_slice(params.get_known_tip()?).unwrap();
        script.waits.set(script.waits.get() + 1);
        if script.null_waits.get() > 0 {
            script.null_waits.set(script.null_waits.get() - 1);
            return Ok(());
        }
        let mut tips = script.tip.subscribe();
        if script.spurious.get() > 0 {
            script.spurious.set(script.spurious.get() - 1);
        } else {
            tokio::select! {
                changed = tips.wait_for(|tip| !script.misses_tips.get() && tip.is_none_or(|tip| tip.hash != known)) => drop(changed.unwrap()),
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

/// A node that listens until dropped. Its socket file stays, as a real node's does.
pub(crate) struct FakeNode(JoinHandle<()>);

impl FakeNode {
    pub(crate) fn listen(path: &PathBuf, script: &Rc<Script>) -> Self {
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

    /// Drops all connections and waits until that is done.
    pub(crate) async fn stop(self) {
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
