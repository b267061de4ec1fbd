//! One connection: Cap'n Proto over a Unix socket, from the first byte to the last.
//!
//! Every error here ends this connection and nothing else.

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

use crate::logging::peer_text;
use crate::metrics::counters::Counters;
use crate::session::bootstrap::Session;
use crate::session::guard::budget::Budget;
use crate::session::guard::gate::{Gate, gated};
use crate::session::guard::intake::Intake;
use crate::session::guard::limits::{MESSAGE_BYTES_SHARE, WINDOW_BYTES};
use crate::session::guard::meter::{Meter, MeteredNetwork};
use crate::session::guard::watchdog::stalled;
use crate::session::scan::running::RunningScans;
use crate::session::shared::Shared;

/// The time for which a stopping server waits for a client to take its last messages.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// Serves one client until it leaves, breaks the protocol, or `stop` completes.
pub(crate) async fn serve(
    stream: UnixStream,
    shared: Rc<Shared>,
    running: Rc<RunningScans>,
    stop: impl Future<Output = ()>,
) {
    let limits = shared.limits;
    let budget = Budget::new(&shared.message_bytes, MESSAGE_BYTES_SHARE, limits.unanswered_bytes_max);
    let intake = Intake::new(budget, limits.message_bytes_max as u64); // usize has at most 64 bits
    let gate = Rc::new(Gate::default());
    let counters = Arc::clone(&shared.counters);
    let (reader, writer) = stream.into_split();
    let (reader, writer) = gated(&gate, &intake, reader.compat(), writer.compat_write());
    // 8 KiB each way, the default: larger buffers copy more and gain nothing, none at all doubles the system calls.
    let mut network = twoparty::VatNetwork::new(
        BufReader::new(reader),
        BufWriter::new(writer),
        Side::Server,
        limits.reader_options(),
    );
    network.set_window_size(WINDOW_BYTES);
    let network = MeteredNetwork { inner: network, meter: Meter::new(Rc::clone(&intake), &limits) };
    let bootstrap: rescan::Client = capnp_rpc::new_client(Session::new(shared, running));
    let mut system = RpcSystem::new(Box::new(network), Some(bootstrap.client));
    let disconnector = system.get_disconnector();
    tokio::select! {
        ended = &mut system => log_end(ended, &counters),
        stall = stalled(gate, intake, limits) => tracing::info!(%stall, "a connection is ended"),
        () = stop => {
            // The disconnector flushes the queue, for which the system must be polled.
            let farewell = async {
                tokio::select! {
                    ended = &mut system => log_end(ended, &counters),
                    ended = disconnector => log_end(ended, &counters),
                }
            };
            if timeout(FAREWELL_MAX, farewell).await.is_err() {
                tracing::debug!("a client did not take its last messages");
            }
        }
    }
}

fn log_end(ended: capnp::Result<()>, counters: &Counters) {
    match ended {
        Ok(()) => tracing::debug!("a client left"),
        Err(error) if error.kind == capnp::ErrorKind::Overloaded => {
            counters.connection_broken();
            tracing::info!(reason = error.extra, "a connection is ended: it exceeded a limit");
        }
        // A killed client may leave part of a message.
        Err(error) if matches!(error.kind, capnp::ErrorKind::PrematureEndOfFile | capnp::ErrorKind::Disconnected) => {
            tracing::debug!(error = peer_text(&error), "a client left in the middle of a message");
        }
        Err(error) => {
            counters.connection_broken();
            tracing::info!(error = peer_text(&error), "a connection is ended: its peer broke the protocol");
        }
    }
}

/// Refuses a client with an `abort` message that states the reason.
pub(crate) async fn turn_away(mut stream: UnixStream, reason: &str) {
    let mut message = capnp::message::Builder::new_default();
    let mut abort = message.init_root::<rpc_capnp::message::Builder<'_>>().init_abort();
    abort.set_reason(reason);
    abort.set_type(rpc_capnp::exception::Type::Overloaded);
    let bytes = capnp::serialize::write_message_to_words(&message);
    // The buffer of a new socket has room for this. Otherwise the client loses only the reason.
    drop(timeout(FAREWELL_MAX, stream.write_all(&bytes)).await);
}
