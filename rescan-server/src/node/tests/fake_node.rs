//! A node that does what its script says: the server's side of `node.capnp`.

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

/// What a fake node does, shared by all its connections.
pub(super) struct Script {
    /// None while it is stopping.
    pub(super) tip: watch::Sender<Option<NodeTip>>,
    /// It is as old as v30, which has no such call.
    pub(super) is_old: Cell<bool>,
    /// Its hashes are of five bytes.
    pub(super) is_mad: Cell<bool>,
    /// So many waits end at once, with the tip that is known.
    pub(super) spurious: Cell<u32>,
    /// So many waits end at once, with nothing.
    pub(super) barren: Cell<u32>,
    /// Its waits do not hear of tips.
    pub(super) is_deaf: Cell<bool>,
    /// It does not name its tip, as while it holds its lock.
    pub(super) is_busy: watch::Sender<bool>,
    pub(super) interrupted: Notify,
    pub(super) interrupts: Cell<u32>,
    /// How often it was asked for its tip.
    pub(super) asked: Cell<u32>,
    pub(super) waits: Cell<u32>,
    pub(super) threads: RefCell<Vec<String>>,
    pub(super) connections: Cell<u32>,
}

impl Script {
    pub(super) fn new(tip: NodeTip) -> Rc<Self> {
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
            asked: Cell::default(),
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
        self.0.asked.set(self.0.asked.get() + 1);
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
pub(super) struct FakeNode(JoinHandle<()>);

impl FakeNode {
    pub(super) fn listen(path: &PathBuf, script: &Rc<Script>) -> Self {
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
    pub(super) async fn die(self) {
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
