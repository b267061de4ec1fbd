//! One connection: Cap'n Proto over a Unix socket, from the first byte to the last.
//!
//! Whatever goes wrong here ends this connection and nothing else.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{RpcSystem, rpc_capnp, twoparty};
use futures::io::{BufReader, BufWriter};
use rescan_core::rescan_capnp::rescan;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

use crate::figures::LiveFigures;
use crate::logging::said_by_peer;
use crate::session::guard::account::Account;
use crate::session::guard::gate::{Gate, gated};
use crate::session::guard::intake::Intake;
use crate::session::guard::limits::{MESSAGE_BYTES_SHARE, WINDOW_BYTES};
use crate::session::guard::meter::{Meter, MeteredNetwork};
use crate::session::guard::watchdog::halted;
use crate::session::{Session, Shared};

/// How long a stopping server waits for a client to take what is on its way to it.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// Serves one client until it leaves, breaks the protocol, or `stop` is kept.
pub(crate) async fn serve(stream: UnixStream, shared: Rc<Shared>, stop: impl Future<Output = ()>) {
    let limits = shared.limits;
    let account = Account::new(&shared.message_bytes, MESSAGE_BYTES_SHARE, limits.unanswered_bytes_max);
    let intake = Intake::new(account, limits.message_bytes_max as u64); // usize has at most 64 bits
    let gate = Rc::new(Gate::default());
    let figures = Arc::clone(&shared.figures);
    let (reader, writer) = stream.into_split();
    let (reader, writer) = gated(&gate, &intake, reader.compat(), writer.compat_write());
    // 8 KiB each way, their default: larger buffers copy more and gain nothing, none at all doubles the system calls.
    let mut network = twoparty::VatNetwork::new(
        BufReader::new(reader),
        BufWriter::new(writer),
        Side::Server,
        limits.reader_options(),
    );
    network.set_window_size(WINDOW_BYTES);
    let network = MeteredNetwork { inner: network, meter: Meter::new(Rc::clone(&intake), &limits) };
    let bootstrap: rescan::Client = capnp_rpc::new_client(Session::new(shared));
    let mut system = RpcSystem::new(Box::new(network), Some(bootstrap.client));
    let disconnector = system.get_disconnector();
    tokio::select! {
        ended = &mut system => said(ended, &figures),
        halted = halted(gate, intake, limits) => tracing::info!(%halted, "a connection is ended"),
        () = stop => {
            // The disconnector flushes what is queued, which the system must be polled for.
            let farewell = async {
                tokio::select! {
                    ended = &mut system => said(ended, &figures),
                    ended = disconnector => said(ended, &figures),
                }
            };
            if timeout(FAREWELL_MAX, farewell).await.is_err() {
                tracing::debug!("a client did not take its last messages");
            }
        }
    }
}

fn said(ended: capnp::Result<()>, figures: &LiveFigures) {
    match ended {
        Ok(()) => tracing::debug!("a client left"),
        Err(error) if error.kind == capnp::ErrorKind::Overloaded => {
            figures.broken();
            tracing::info!(reason = error.extra, "a connection is ended: it went over a limit");
        }
        // One that is killed may leave half a message.
        Err(error) if matches!(error.kind, capnp::ErrorKind::PrematureEndOfFile | capnp::ErrorKind::Disconnected) => {
            tracing::debug!(error = said_by_peer(&error), "a client left in the middle of a message");
        }
        Err(error) => {
            figures.broken();
            tracing::info!(error = said_by_peer(&error), "a connection is ended: its peer broke the protocol");
        }
    }
}

/// Tells a client in the protocol's own words why it is not served.
pub(crate) async fn turn_away(mut stream: UnixStream, reason: &str) {
    let mut message = capnp::message::Builder::new_default();
    let mut abort = message.init_root::<rpc_capnp::message::Builder<'_>>().init_abort();
    abort.set_reason(reason);
    abort.set_type(rpc_capnp::exception::Type::Overloaded);
    let bytes = capnp::serialize::write_message_to_words(&message);
    // A new socket's buffer has room for this; if not, the client is none the wiser, and no worse off.
    drop(timeout(FAREWELL_MAX, stream.write_all(&bytes)).await);
}
