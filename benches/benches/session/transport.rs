//! The bandwidth of Cap'n Proto over a Unix socket while both ends are idle: messages of 1.5 MB,
//! the size of a shipped block.
//!
//! Both ends are configured like the product's: buffers, window, one thread each.

use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Instant;

use capnp::message::ReaderOptions;
use capnp_rpc::RpcSystem;
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::twoparty::VatNetwork;
use rescan_core::rescan_capnp::block_sink;
use rescan_server::session::guard::limits::WINDOW_BYTES;
use tokio::io::{BufReader, BufWriter};
use tokio::net::UnixStream;
use tokio::task::LocalSet;
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

/// About the size of a full block.
const MESSAGE_BYTES: usize = 1_500_000;

/// Drops all blocks.
struct DiscardingSink;

impl block_sink::Server for DiscardingSink {
    async fn blocks(self: capnp::capability::Rc<Self>, _params: block_sink::BlocksParams) -> Result<(), capnp::Error> {
        Ok(())
    }

    async fn done(
        self: capnp::capability::Rc<Self>,
        _params: block_sink::DoneParams,
        _results: block_sink::DoneResults,
    ) -> Result<(), capnp::Error> {
        Ok(())
    }
}

/// Pushes about `bytes` bytes from one thread to another, and returns bytes per second.
pub(crate) fn bytes_per_second(bytes: u64) -> f64 {
    let (near, far) = StdUnixStream::pair().expect("a pair of sockets");
    let taker = std::thread::spawn(move || run(take(far)));
    let pusher = std::thread::spawn(move || run(push(near, bytes.div_ceil(MESSAGE_BYTES as u64))));
    let rate = pusher.join().expect("it pushes all there is");
    taker.join().expect("it takes all there is");
    rate
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, work)
}

async fn take(socket: StdUnixStream) {
    let sink: block_sink::Client = capnp_rpc::new_client(DiscardingSink);
    // Ends once the other end has closed.
    drop(RpcSystem::new(Box::new(network(socket, Side::Server)), Some(sink.client)).await);
}

async fn push(socket: StdUnixStream, messages: u64) -> f64 {
    let mut network = network(socket, Side::Client);
    network.set_window_size(WINDOW_BYTES);
    let mut system = RpcSystem::new(Box::new(network), None);
    let sink: block_sink::Client = system.bootstrap(Side::Server);
    let system = tokio::task::spawn_local(system);
    let data = vec![7; MESSAGE_BYTES];
    // The first call waits for the connection.
    sink.done_request().send().promise.await.expect("it is taken");
    let started = Instant::now();
    for _ in 0..messages {
        let mut request = sink.blocks_request();
        request.get().init_batch(1).get(0).set_data(&data);
        request.send().await.expect("it is taken");
    }
    sink.done_request().send().promise.await.expect("all of it was taken");
    let rate = (messages * MESSAGE_BYTES as u64) as f64 / started.elapsed().as_secs_f64();
    system.abort();
    rate
}

type Halves = VatNetwork<tokio_util::compat::Compat<BufReader<tokio::net::unix::OwnedReadHalf>>>;

fn network(socket: StdUnixStream, side: Side) -> Halves {
    socket.set_nonblocking(true).expect("a socket can be");
    let (reader, writer) = UnixStream::from_std(socket).expect("it is one").into_split();
    VatNetwork::new(BufReader::new(reader).compat(), BufWriter::new(writer).compat_write(), side, ReaderOptions::new())
}
