//! One connection to a node: its tip, and the wait for the next.
//!
//! A wait occupies a thread of the node until it ends, even when nobody waits for it any more. So every wait ends by itself
//! within half a minute, other calls have a thread of their own, and whoever leaves interrupts the wait first.

use std::time::Duration;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::twoparty::VatNetwork;
use capnp_rpc::{Disconnector, RpcSystem};
use rescan_core::position::Height;
use rescan_core::server_info::NodeTip;
use tokio::io::{BufReader, BufWriter};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

use crate::node_capnp::{block_ref, init, mining, thread};

/// How long the node may keep a wait without a new tip: for as long, at most, its thread is taken after we are gone.
const WAIT: Duration = Duration::from_secs(30);

/// How much later than a wait's end its answer may come, from a machine under load; and how long any other call may take. A
/// chain that is being loaded is waited for without an end.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// How long a node that is being left is spoken to.
const LEAVE_MAX: Duration = Duration::from_secs(1);

/// A node's messages are a few hundred bytes; in words of 8.
const MESSAGE_WORDS_MAX: usize = 1 << 17;

/// Why a node cannot be asked, or no longer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    /// The calls that are needed are not there.
    #[error(
        "what listens there does not answer as bitcoin-node v31 or later does: update the node, or give another --node-socket"
    )]
    TooOld,
    /// It gives nothing any more.
    #[error("the node is stopping; the link comes back with it")]
    Stopping,
    /// It is gone.
    #[error("the node hung up: it stopped or crashed; the link comes back with it")]
    HungUp,
    /// It neither answers nor hangs up.
    #[error("the node does not answer for {} s; it is asked anew", (WAIT + ANSWER_MAX).as_secs())]
    Silent,
    /// It answers with what makes no sense.
    #[error("the node's answer is not understood: {detail}")]
    Malformed { detail: String },
    /// It answers with an error.
    #[error("the node refuses a call: {0}")]
    Call(capnp::Error),
}

impl From<capnp::Error> for ConnectionError {
    fn from(error: capnp::Error) -> Self {
        match error.kind {
            capnp::ErrorKind::Unimplemented => Self::TooOld,
            capnp::ErrorKind::Disconnected => Self::HungUp,
            _ => Self::Call(error),
        }
    }
}

/// A node that answers.
pub(crate) struct Connection {
    mining: mining::Client,
    /// For the wait.
    waiting: thread::Client,
    /// For everything else.
    asking: thread::Client,
    disconnector: Disconnector<Side>,
    system: AbortOnDrop,
}

/// What moves the messages does not outlive the connection.
struct AbortOnDrop(JoinHandle<Result<(), capnp::Error>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// Introduces itself, and waits for as long as the node loads its chain. Must run in a `LocalSet`.
    pub(crate) async fn open(stream: UnixStream) -> Result<Self, ConnectionError> {
        let (reader, writer) = stream.into_split();
        let mut options = capnp::message::ReaderOptions::new();
        options.traversal_limit_in_words(Some(MESSAGE_WORDS_MAX));
        let (reader, writer) = (BufReader::new(reader).compat(), BufWriter::new(writer).compat_write());
        let mut system = RpcSystem::new(Box::new(VatNetwork::new(reader, writer, Side::Client, options)), None);
        let init: init::Client = system.bootstrap(Side::Server);
        let disconnector = system.get_disconnector();
        let system = AbortOnDrop(tokio::task::spawn_local(system));
        // Nothing here is waited for before the last call: all of it travels at once.
        let threads = init.construct_request().send().pipeline.get_threads();
        let thread = |name: &str| {
            let mut request = threads.make_thread_request();
            request.get().set_name(name);
            request.send().pipeline.get_thread()
        };
        let (waiting, asking) = (thread("rescan-wait"), thread("rescan-ask"));
        let mut request = init.make_mining_request();
        request.get().init_context().set_thread(asking.clone());
        let response = request.send().promise.await?;
        let response = response.get()?;
        if !response.has_mining() {
            return Err(ConnectionError::Stopping);
        }
        Ok(Self { mining: response.get_mining()?, waiting, asking, disconnector, system })
    }

    /// Its tip; none while it stops.
    pub(crate) async fn tip(&self) -> Result<Option<NodeTip>, ConnectionError> {
        let mut request = self.mining.get_tip_request();
        request.get().init_context().set_thread(self.asking.clone());
        let response = in_time(ANSWER_MAX, request.send().promise).await?;
        let response = response.get()?;
        response.get_has_tip().then(|| read_tip(response.get_tip()?)).transpose()
    }

    /// Its tip once that is no longer `known`, or the same after a while; none if it stops, or was interrupted.
    pub(crate) async fn tip_after(&self, known: &BlockHash) -> Result<Option<NodeTip>, ConnectionError> {
        let mut request = self.mining.wait_tip_changed_request();
        let mut asked = request.get();
        asked.reborrow().init_context().set_thread(self.waiting.clone());
        asked.set_known_tip(&known.to_byte_array());
        asked.set_timeout_millis(WAIT.as_secs_f64() * 1000.0);
        let response = in_time(WAIT + ANSWER_MAX, request.send().promise).await?;
        let response = response.get()?;
        response.has_tip().then(|| read_tip(response.get_tip()?)).transpose()
    }

    /// Ends the wait in the node, if one is under way, and hangs up.
    pub(crate) async fn leave(self) {
        let Self { mining, waiting, asking, disconnector, system } = self;
        let farewell = async {
            // Whatever it says to that: it is left.
            drop(mining.interrupt_request().send().promise.await);
            drop((mining, waiting, asking));
            drop(disconnector.await);
        };
        if timeout(LEAVE_MAX, farewell).await.is_err() {
            tracing::debug!("the node does not answer to being left");
        }
        drop(system);
    }
}

/// An answer, if it comes in time.
async fn in_time<T>(
    max: Duration,
    answer: impl Future<Output = Result<T, capnp::Error>>,
) -> Result<T, ConnectionError> {
    timeout(max, answer).await.map_or(Err(ConnectionError::Silent), |answered| answered.map_err(Into::into))
}

fn read_tip(tip: block_ref::Reader<'_>) -> Result<NodeTip, ConnectionError> {
    let malformed = |detail: String| ConnectionError::Malformed { detail };
    let hash = tip.get_hash()?;
    let height = tip.get_height();
    let hash = BlockHash::from_slice(hash).map_err(|error| malformed(format!("hash of its tip: {error}")))?;
    let height = u32::try_from(height).map_err(|error| malformed(format!("height of its tip, {height}: {error}")))?;
    Ok(NodeTip { height: Height(height), hash })
}
