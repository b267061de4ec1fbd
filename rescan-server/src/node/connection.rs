//! One connection to a node: its tip, and the wait for the next.
//!
//! A wait occupies a thread of the node until it ends, even after its caller is gone. Therefore every wait ends by
//! itself within half a minute, other calls use a second thread, and a disconnect interrupts the wait first.

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

/// The timeout of a wait in the node, and the longest time for which its thread is occupied after we are gone.
const WAIT: Duration = Duration::from_secs(30);

/// How late the answer to a wait may come on a loaded machine, and how long any other call may take. There is no limit
/// while the node loads its chain.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// How long a disconnect may take.
const DISCONNECT_MAX: Duration = Duration::from_secs(1);

/// Limit in words of 8 bytes. The node's messages are a few hundred bytes long.
const MESSAGE_WORDS_MAX: usize = 1 << 17;

/// Why a connection cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    /// The peer lacks the calls that are needed.
    #[error("not a bitcoin-node v31 or later: update the node, or give another --node-socket")]
    TooOld,
    /// The node returns null to calls.
    #[error("the node is stopping; the link comes back with it")]
    Stopping,
    /// The node closed the connection.
    #[error("the node hung up: it stopped or crashed; the link comes back with it")]
    Disconnected,
    /// The node neither answers nor closes the connection.
    #[error("no answer from the node within {} s; reconnecting", (WAIT + ANSWER_MAX).as_secs())]
    TimedOut,
    /// An answer has an unexpected form.
    #[error("the node's answer is not understood: {detail}")]
    Malformed { detail: String },
    /// A call returned an error.
    #[error("the node refused a call: {0}")]
    Call(capnp::Error),
}

impl From<capnp::Error> for ConnectionError {
    fn from(error: capnp::Error) -> Self {
        match error.kind {
            capnp::ErrorKind::Unimplemented => Self::TooOld,
            capnp::ErrorKind::Disconnected => Self::Disconnected,
            _ => Self::Call(error),
        }
    }
}

/// An open connection to a node.
pub(crate) struct Connection {
    mining: mining::Client,
    /// The node's thread for waits.
    wait_thread: thread::Client,
    /// The node's thread for all other calls.
    call_thread: thread::Client,
    disconnector: Disconnector<Side>,
    system: AbortOnDrop,
}

/// The task that moves the messages; it does not outlive the connection.
struct AbortOnDrop(JoinHandle<Result<(), capnp::Error>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// Sets up the connection. Waits while the node loads its chain. Must run in a `LocalSet`.
    pub(crate) async fn open(stream: UnixStream) -> Result<Self, ConnectionError> {
        let (reader, writer) = stream.into_split();
        let mut options = capnp::message::ReaderOptions::new();
        options.traversal_limit_in_words(Some(MESSAGE_WORDS_MAX));
        let (reader, writer) = (BufReader::new(reader).compat(), BufWriter::new(writer).compat_write());
        let mut system = RpcSystem::new(Box::new(VatNetwork::new(reader, writer, Side::Client, options)), None);
        let init: init::Client = system.bootstrap(Side::Server);
        let disconnector = system.get_disconnector();
        let system = AbortOnDrop(tokio::task::spawn_local(system));
        // All calls but the last are pipelined: everything travels at once.
        let threads = init.construct_request().send().pipeline.get_threads();
        let thread = |name: &str| {
            let mut request = threads.make_thread_request();
            request.get().set_name(name);
            request.send().pipeline.get_thread()
        };
        let (wait_thread, call_thread) = (thread("rescan-wait"), thread("rescan-ask"));
        let mut request = init.make_mining_request();
        request.get().init_context().set_thread(call_thread.clone());
        let response = request.send().promise.await?;
        let response = response.get()?;
        if !response.has_mining() {
            return Err(ConnectionError::Stopping);
        }
        Ok(Self { mining: response.get_mining()?, wait_thread, call_thread, disconnector, system })
    }

    /// The node's tip; none while it stops.
    pub(crate) async fn tip(&self) -> Result<Option<NodeTip>, ConnectionError> {
        let mut request = self.mining.get_tip_request();
        request.get().init_context().set_thread(self.call_thread.clone());
        let response = in_time(ANSWER_MAX, request.send().promise).await?;
        let response = response.get()?;
        response.get_has_tip().then(|| read_tip(response.get_tip()?)).transpose()
    }

    /// The node's tip once it differs from `known`, or the same tip at the timeout; none if the node stops or the wait was interrupted.
    pub(crate) async fn tip_after(&self, known: &BlockHash) -> Result<Option<NodeTip>, ConnectionError> {
        let mut request = self.mining.wait_tip_changed_request();
        let mut params = request.get();
        params.reborrow().init_context().set_thread(self.wait_thread.clone());
        params.set_known_tip(&known.to_byte_array());
        params.set_timeout_millis(WAIT.as_secs_f64() * 1000.0);
        let response = in_time(WAIT + ANSWER_MAX, request.send().promise).await?;
        let response = response.get()?;
        response.has_tip().then(|| read_tip(response.get_tip()?)).transpose()
    }

    /// Interrupts the wait in the node, if there is one, and closes the connection.
    pub(crate) async fn disconnect(self) {
        let Self { mining, wait_thread, call_thread, disconnector, system } = self;
        let closing = async {
            // The connection closes whatever the answer is.
            drop(mining.interrupt_request().send().promise.await);
            drop((mining, wait_thread, call_thread));
            drop(disconnector.await);
        };
        if timeout(DISCONNECT_MAX, closing).await.is_err() {
            tracing::debug!("the node did not confirm the disconnect");
        }
        drop(system);
    }
}

/// The answer, or [`ConnectionError::TimedOut`] after `max`.
async fn in_time<T>(
    max: Duration,
    answer: impl Future<Output = Result<T, capnp::Error>>,
) -> Result<T, ConnectionError> {
    timeout(max, answer).await.map_or(Err(ConnectionError::TimedOut), |answered| answered.map_err(Into::into))
}

fn read_tip(tip: block_ref::Reader<'_>) -> Result<NodeTip, ConnectionError> {
    let malformed = |detail: String| ConnectionError::Malformed { detail };
    let hash = tip.get_hash()?;
    let height = tip.get_height();
    let hash = BlockHash::from_slice(hash).map_err(|error| malformed(format!("hash of its tip: {error}")))?;
    let height = u32::try_from(height).map_err(|error| malformed(format!("height of its tip, {height}: {error}")))?;
    Ok(NodeTip { height: Height(height), hash })
}
