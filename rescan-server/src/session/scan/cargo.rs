//! What a scan carries to a wallet: reports or whole blocks, in batches, each kind into its own kind of sink.

use capnp::capability::{Promise, Response};
use rescan_core::coins::Coin;
use rescan_core::report::{BlockReport, Ending, FullBlock, ResumePoint};
use rescan_core::rescan_capnp::{block_sink, report_sink};
use rescan_core::wire;

/// One piece of what a scan yields.
pub(crate) trait Cargo: Sized + 'static {
    /// The wallet's side that takes it.
    type Sink: Clone + 'static;

    /// A batch closes before it would grow above this, in bytes; one piece alone may be larger.
    const BATCH_BYTES_MAX: usize;

    /// About how many bytes this piece takes in a message.
    fn bytes(&self) -> usize;

    /// Sends a batch. The promise is kept once there is room for another; an error of the wallet's with this batch
    /// shows with a later call.
    ///
    /// # Errors
    /// If a piece cannot be said in a message.
    fn push(sink: &Self::Sink, batch: &[Self]) -> capnp::Result<Promise<(), capnp::Error>>;

    /// Says how it ended. The promise is kept once the wallet has taken that and everything before it.
    ///
    /// # Errors
    /// If the ending cannot be said in a message.
    fn done(sink: &Self::Sink, ending: &Ending) -> capnp::Result<Promise<(), capnp::Error>>;

    /// Says that everything up to a block has been sent. Sinks that cannot be told are not.
    ///
    /// # Errors
    /// If the mark cannot be said in a message.
    fn mark(_sink: &Self::Sink, _mark: &ResumePoint) -> capnp::Result<Promise<(), capnp::Error>> {
        Ok(Promise::ok(()))
    }
}

impl Cargo for BlockReport {
    type Sink = report_sink::Client;

    /// Below 16 KiB the cost of a message rules, above 128 KiB nothing is gained: measured over a Unix socket.
    const BATCH_BYTES_MAX: usize = 64 << 10;

    fn bytes(&self) -> usize {
        wire::report_bytes(self)
    }

    fn push(sink: &Self::Sink, batch: &[Self]) -> capnp::Result<Promise<(), capnp::Error>> {
        let mut request = sink.reports_request();
        said(wire::write_reports(batch, request.get().init_batch(length(batch)?)))?;
        Ok(request.send())
    }

    fn done(sink: &Self::Sink, ending: &Ending) -> capnp::Result<Promise<(), capnp::Error>> {
        let mut request = sink.done_request();
        said(wire::write_ending(ending, request.get().init_result()))?;
        Ok(taken(request.send().promise))
    }

    fn mark(sink: &Self::Sink, mark: &ResumePoint) -> capnp::Result<Promise<(), capnp::Error>> {
        let mut request = sink.settled_request();
        said(wire::write_resume_point(mark, request.get().init_mark()))?;
        Ok(request.send())
    }
}

impl Cargo for Coin {
    type Sink = report_sink::Client;

    const BATCH_BYTES_MAX: usize = BlockReport::BATCH_BYTES_MAX;

    fn bytes(&self) -> usize {
        wire::coin_bytes(self)
    }

    fn push(sink: &Self::Sink, batch: &[Self]) -> capnp::Result<Promise<(), capnp::Error>> {
        let mut request = sink.coins_request();
        said(wire::write_coins(batch, request.get().init_batch(length(batch)?)))?;
        Ok(request.send())
    }

    fn done(sink: &Self::Sink, ending: &Ending) -> capnp::Result<Promise<(), capnp::Error>> {
        BlockReport::done(sink, ending)
    }
}

impl Cargo for FullBlock {
    type Sink = block_sink::Client;

    /// As the schema has it: small blocks share a message, and large ones travel one by one.
    const BATCH_BYTES_MAX: usize = 1 << 20;

    fn bytes(&self) -> usize {
        const HEADER_AND_POINTERS: usize = 72;
        self.data.len() + HEADER_AND_POINTERS
    }

    fn push(sink: &Self::Sink, batch: &[Self]) -> capnp::Result<Promise<(), capnp::Error>> {
        let mut request = sink.blocks_request();
        said(wire::write_blocks(batch, request.get().init_batch(length(batch)?)))?;
        Ok(request.send())
    }

    fn done(sink: &Self::Sink, ending: &Ending) -> capnp::Result<Promise<(), capnp::Error>> {
        let mut request = sink.done_request();
        said(wire::write_ending(ending, request.get().init_result()))?;
        Ok(taken(request.send().promise))
    }
}

fn length<T>(batch: &[T]) -> capnp::Result<u32> {
    u32::try_from(batch.len()).map_err(|error| capnp::Error::failed(error.to_string()))
}

/// What cannot be said in a message is a defect of ours, since domain values come from our own side.
fn said(written: Result<(), wire::WireError>) -> capnp::Result<()> {
    written.map_err(|error| capnp::Error::failed(rescan_core::causes::with_causes(&error)))
}

/// Kept once the call is answered; what the answer holds is nothing to wait for.
fn taken<T: 'static>(answer: Promise<Response<T>, capnp::Error>) -> Promise<(), capnp::Error> {
    Promise::from_future(async move { answer.await.map(drop) })
}
