//! The two item streams: reports, with coins at the end, and whole blocks.

use std::sync::Arc;

use capnp::capability::{Promise, Response};
use rescan_core::coins::Coin;
use rescan_core::position::Height;
use rescan_core::report::{BlockReport, Ending, Failure, FullBlock, Outcome, ResumePoint};
use rescan_core::rescan_capnp::{block_sink, report_sink};
use rescan_core::wire;

use crate::exception::malformed;
use crate::scan::{BlockReader, Scan, ScanProgress, ScanTotals};
use crate::session::scan::item_stream::{DeliveryError, ItemEncoding, ItemStream, Sent};
use crate::session::scan::outbox::Outbox;

/// Below 16 KiB the cost of a message dominates, above 128 KiB nothing is gained: measured over a Unix socket.
const REPORT_BATCH_BYTES_MAX: usize = 64 << 10;

/// As in the schema: small blocks share a message, large blocks travel alone.
const BLOCK_BATCH_BYTES_MAX: usize = 1 << 20;

const REPORTS: ItemEncoding<report_sink::Client, BlockReport> = ItemEncoding {
    batch_bytes_max: REPORT_BATCH_BYTES_MAX,
    height: |report| report.height,
    bytes: wire::report_bytes,
    send: |sink, batch| {
        let mut request = sink.reports_request();
        encode(wire::write_reports(batch, request.get().init_batch(length(batch)?)))?;
        Ok(request.send())
    },
};

const COINS: ItemEncoding<report_sink::Client, Coin> = ItemEncoding {
    batch_bytes_max: REPORT_BATCH_BYTES_MAX,
    height: |coin| coin.height,
    bytes: wire::coin_bytes,
    send: |sink, batch| {
        let mut request = sink.coins_request();
        encode(wire::write_coins(batch, request.get().init_batch(length(batch)?)))?;
        Ok(request.send())
    },
};

const BLOCKS: ItemEncoding<block_sink::Client, FullBlock> = ItemEncoding {
    batch_bytes_max: BLOCK_BATCH_BYTES_MAX,
    height: |block| block.height,
    bytes: |block| {
        const HEADER_AND_POINTERS: usize = 72;
        block.data.len() + HEADER_AND_POINTERS
    },
    send: |sink, batch| {
        let mut request = sink.blocks_request();
        encode(wire::write_blocks(batch, request.get().init_batch(length(batch)?)))?;
        Ok(request.send())
    },
};

impl ItemStream for Scan {
    type Item = BlockReport;
    type Sink = report_sink::Client;

    const ENCODING: ItemEncoding<Self::Sink, BlockReport> = REPORTS;

    async fn next(&mut self) -> Result<Option<Vec<BlockReport>>, Failure> {
        Scan::next(self).await
    }

    fn progress(&self) -> Arc<ScanProgress> {
        Scan::progress(self)
    }

    fn outcome(&self) -> Option<Outcome> {
        Scan::outcome(self)
    }

    fn settled(&self) -> Option<Height> {
        Scan::settled(self)
    }

    fn totals(&self) -> ScanTotals {
        Scan::totals(self)
    }

    fn scripts(&self) -> u64 {
        Scan::scripts(self)
    }

    fn is_caught_up(&self) -> bool {
        Scan::is_caught_up(self)
    }

    /// Sends the coins if the wallet requested them. After a reorganisation it sends none: they may no longer exist.
    async fn finish(&self, outbox: &Outbox<Self::Sink, BlockReport>) -> Result<(), DeliveryError> {
        if !self.delivers_coins() || matches!(Scan::outcome(self), Some(Outcome::ReorganisedFrom(_))) {
            return Ok(());
        }
        let mut outbox = outbox.with_encoding(COINS);
        for coin in self.coins().await.map_err(DeliveryError::Failed)? {
            outbox.put(coin).await?;
        }
        Ok(outbox.flush().await?)
    }

    fn send_done(sink: &Self::Sink, ending: &Ending) -> Sent {
        let mut request = sink.done_request();
        encode(wire::write_ending(ending, request.get().init_result()))?;
        Ok(ack(request.send().promise))
    }

    fn send_mark(sink: &Self::Sink, mark: &ResumePoint) -> Sent {
        let mut request = sink.settled_request();
        encode(wire::write_resume_point(mark, request.get().init_mark()))?;
        Ok(request.send())
    }
}

impl ItemStream for BlockReader {
    type Item = FullBlock;
    type Sink = block_sink::Client;

    const ENCODING: ItemEncoding<Self::Sink, FullBlock> = BLOCKS;

    async fn next(&mut self) -> Result<Option<Vec<FullBlock>>, Failure> {
        BlockReader::next(self).await
    }

    fn progress(&self) -> Arc<ScanProgress> {
        BlockReader::progress(self)
    }

    fn outcome(&self) -> Option<Outcome> {
        BlockReader::outcome(self)
    }

    fn settled(&self) -> Option<Height> {
        BlockReader::settled(self)
    }

    fn totals(&self) -> ScanTotals {
        BlockReader::totals(self)
    }

    fn send_done(sink: &Self::Sink, ending: &Ending) -> Sent {
        let mut request = sink.done_request();
        encode(wire::write_ending(ending, request.get().init_result()))?;
        Ok(ack(request.send().promise))
    }
}

fn length<T>(batch: &[T]) -> capnp::Result<u32> {
    u32::try_from(batch.len()).map_err(|error| capnp::Error::failed(error.to_string()))
}

/// A value that cannot be encoded is a defect of the server, which made the value.
fn encode(written: Result<(), wire::WireError>) -> capnp::Result<()> {
    written.map_err(|error| malformed(&error))
}

/// Completes once the call is answered; drops the answer.
fn ack<T: 'static>(answer: Promise<Response<T>, capnp::Error>) -> Promise<(), capnp::Error> {
    Promise::from_future(async move { answer.await.map(drop) })
}
