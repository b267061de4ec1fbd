//! The objects that the server calls with what it found.
//!
//! Each call is read whole and its message let go of before the wallet is waited for; while the wallet's channel is
//! full the call stays open, and the server's flow control holds the scan. What was not asked for, or does not prove what
//! was to be proven, is refused here, so that no one after this has to doubt it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use rescan_core::report::{Ending, Summary};
use rescan_core::rescan_capnp::{block_sink, report_sink};
use rescan_core::wire;
use tokio::sync::{mpsc, oneshot};

use crate::asked::Asked;
use crate::error::{CallError, ScanError};
use crate::scan_stream::{BlockEvent, Delivery, ScanEvent};

/// What the wallet waited for before the server's own clock of the scan began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Preparation {
    /// Upload and seal.
    pub(crate) all: Duration,
    /// The seal, which is where the server derives.
    pub(crate) seal: Duration,
}

impl Preparation {
    /// The summary with the wallet's clock: `elapsed` is everything, and `prepare` all derivation before the walk.
    fn added_to(self, mut summary: Summary) -> Summary {
        summary.prepare_micros = summary.prepare_micros.saturating_add(micros(self.seal));
        summary.elapsed_micros = summary.elapsed_micros.saturating_add(micros(self.all));
        summary
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Takes in what a scan yields.
pub(crate) struct Sink<T> {
    deliveries: mpsc::Sender<Delivery<T>>,
    asked: Asked,
    preparation: Rc<Cell<Preparation>>,
    ended: Rc<Cell<bool>>,
    /// Dropped with the sink, when the server or the connection lets go of it.
    _released: oneshot::Sender<()>,
}

/// What the scan's task keeps of its sink.
pub(crate) struct SinkWatch {
    ended: Rc<Cell<bool>>,
    /// Resolves when the server lets go of the sink.
    pub(crate) released: oneshot::Receiver<()>,
}

impl SinkWatch {
    /// Whether the stream has been told how the scan ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.get()
    }
}

impl<T> Sink<T> {
    pub(crate) fn new(
        deliveries: mpsc::Sender<Delivery<T>>,
        asked: Asked,
        preparation: Rc<Cell<Preparation>>,
    ) -> (Self, SinkWatch) {
        let (release, released) = oneshot::channel();
        let ended = Rc::new(Cell::new(false));
        (
            Self { deliveries, asked, preparation, ended: ended.clone(), _released: release },
            SinkWatch { ended, released },
        )
    }

    async fn batch(&self, read: Result<Vec<T>, CallError>) -> Result<(), capnp::Error> {
        match read {
            Ok(batch) => self.deliver(Delivery::Batch(batch)).await,
            Err(error) => {
                let answer = capnp::Error::failed(error.to_string());
                self.end(Err(error.into())).await?;
                Err(answer)
            }
        }
    }

    async fn done(&self, read: Result<Ending, CallError>) -> Result<(), capnp::Error> {
        self.end(match read {
            Ok(Ending::Summary(summary)) => Ok(self.preparation.get().added_to(summary)),
            Ok(Ending::Refused(refusal)) => Err(ScanError::Refused(refusal)),
            Ok(Ending::Failed(failure)) => Err(ScanError::Failed(failure)),
            Err(error) => Err(error.into()),
        })
        .await
    }

    async fn end(&self, end: Result<Summary, ScanError>) -> Result<(), capnp::Error> {
        if self.ended.replace(true) {
            return Err(capnp::Error::failed("the scan has ended already".to_owned()));
        }
        self.deliver(Delivery::End(end)).await
    }

    async fn deliver(&self, delivery: Delivery<T>) -> Result<(), capnp::Error> {
        self.deliveries
            .send(delivery)
            .await
            .map_err(|_delivery| capnp::Error::disconnected("the wallet has let go of the scan".to_owned()))
    }
}

impl report_sink::Server for Sink<ScanEvent> {
    async fn reports(
        self: capnp::capability::Rc<Self>,
        params: report_sink::ReportsParams,
    ) -> Result<(), capnp::Error> {
        let read = params.get().and_then(report_sink::reports_params::Reader::get_batch).map_err(CallError::from);
        let read = read.and_then(|batch| Ok(wire::read_reports(batch)?));
        drop(params);
        let checked = read.and_then(|reports| self.asked.check_reports(reports));
        self.batch(checked.map(|reports| reports.into_iter().map(ScanEvent::Report).collect())).await
    }

    async fn coins(self: capnp::capability::Rc<Self>, params: report_sink::CoinsParams) -> Result<(), capnp::Error> {
        let read = params.get().and_then(report_sink::coins_params::Reader::get_batch).map_err(CallError::from);
        let read = read.and_then(|batch| Ok(wire::read_coins(batch)?));
        drop(params);
        let checked = read.and_then(|coins| self.asked.check_coins(coins));
        self.batch(checked.map(|coins| coins.into_iter().map(ScanEvent::Coin).collect())).await
    }

    async fn settled(
        self: capnp::capability::Rc<Self>,
        params: report_sink::SettledParams,
    ) -> Result<(), capnp::Error> {
        let read = params.get().and_then(report_sink::settled_params::Reader::get_mark).map_err(CallError::from);
        let read = read.and_then(|mark| Ok(wire::read_resume_point(mark)?));
        drop(params);
        let checked = read.and_then(|mark| self.asked.check_mark(mark));
        self.batch(checked.map(|mark| vec![ScanEvent::Settled(mark)])).await
    }

    async fn done(
        self: capnp::capability::Rc<Self>,
        params: report_sink::DoneParams,
        _results: report_sink::DoneResults,
    ) -> Result<(), capnp::Error> {
        let read = params.get().and_then(report_sink::done_params::Reader::get_result).map_err(CallError::from);
        let read =
            read.and_then(|result| Ok(wire::read_ending(result)?)).and_then(|ending| self.asked.check_ending(ending));
        drop(params);
        Sink::done(&self, read).await
    }
}

impl block_sink::Server for Sink<BlockEvent> {
    async fn blocks(self: capnp::capability::Rc<Self>, params: block_sink::BlocksParams) -> Result<(), capnp::Error> {
        let read = params.get().and_then(block_sink::blocks_params::Reader::get_batch).map_err(CallError::from);
        let read = read.and_then(|batch| Ok(wire::read_blocks(batch)?));
        drop(params);
        self.batch(read.map(|blocks| blocks.into_iter().map(BlockEvent::Block).collect())).await
    }

    async fn done(
        self: capnp::capability::Rc<Self>,
        params: block_sink::DoneParams,
        _results: block_sink::DoneResults,
    ) -> Result<(), capnp::Error> {
        let read = params.get().and_then(block_sink::done_params::Reader::get_result).map_err(CallError::from);
        let read = read.and_then(|result| Ok(wire::read_ending(result)?));
        drop(params);
        Sink::done(&self, read).await
    }
}
