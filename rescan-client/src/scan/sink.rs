//! The objects that the server calls with its results.
//!
//! Each call is read whole and its message freed before the wallet is waited for. While the wallet's channel is full the
//! call stays open, and the server's flow control holds the scan. Answers that were not asked for, or whose proof fails,
//! are refused here: no code after this has to check them.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use rescan_core::report::{Ending, Summary};
use rescan_core::rescan_capnp::{block_sink, report_sink};
use rescan_core::wire;
use tokio::sync::{mpsc, oneshot};

use super::answer_check::AnswerCheck;
use super::stream::{BlockEvent, Delivery, ScanEvent};
use crate::error::{CallError, ScanError};

/// The wallet's waiting time before the server's own clock of the scan began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Preparation {
    /// Upload and seal.
    pub(super) all: Duration,
    /// The seal, in which the server derives.
    pub(super) seal: Duration,
}

impl Preparation {
    /// The summary with the wallet's clock: `elapsed` is everything, `prepare` all derivation before the walk.
    fn added_to(self, mut summary: Summary) -> Summary {
        summary.prepare_micros = summary.prepare_micros.saturating_add(micros(self.seal));
        summary.elapsed_micros = summary.elapsed_micros.saturating_add(micros(self.all));
        summary
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Delivers a scan's results to the wallet's stream.
pub(super) struct Sink<T> {
    deliveries: mpsc::Sender<Delivery<T>>,
    check: AnswerCheck,
    preparation: Rc<Cell<Preparation>>,
    ended: Rc<Cell<bool>>,
    /// Dropped with the sink, when the server or the connection drops it.
    _released: oneshot::Sender<()>,
}

/// The scan task's view of its sink.
pub(super) struct SinkWatch {
    ended: Rc<Cell<bool>>,
    /// Resolves when the server drops the sink.
    pub(super) released: oneshot::Receiver<()>,
}

impl SinkWatch {
    /// Whether the end of the scan was delivered.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.get()
    }
}

impl<T> Sink<T> {
    pub(super) fn new(
        deliveries: mpsc::Sender<Delivery<T>>,
        check: AnswerCheck,
        preparation: Rc<Cell<Preparation>>,
    ) -> (Self, SinkWatch) {
        let (release, released) = oneshot::channel();
        let ended = Rc::new(Cell::new(false));
        (
            Self { deliveries, check, preparation, ended: ended.clone(), _released: release },
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
            return Err(capnp::Error::failed("the scan has already ended".to_owned()));
        }
        self.deliver(Delivery::End(end)).await
    }

    async fn deliver(&self, delivery: Delivery<T>) -> Result<(), capnp::Error> {
        self.deliveries
            .send(delivery)
            .await
            .map_err(|_delivery| capnp::Error::disconnected("the wallet has dropped the scan".to_owned()))
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
        let checked = read.and_then(|reports| self.check.check_reports(reports));
        self.batch(checked.map(|reports| reports.into_iter().map(ScanEvent::Report).collect())).await
    }

    async fn coins(self: capnp::capability::Rc<Self>, params: report_sink::CoinsParams) -> Result<(), capnp::Error> {
        let read = params.get().and_then(report_sink::coins_params::Reader::get_batch).map_err(CallError::from);
        let read = read.and_then(|batch| Ok(wire::read_coins(batch)?));
        drop(params);
        let checked = read.and_then(|coins| self.check.check_coins(coins));
        self.batch(checked.map(|coins| coins.into_iter().map(ScanEvent::Coin).collect())).await
    }

    async fn settled(
        self: capnp::capability::Rc<Self>,
        params: report_sink::SettledParams,
    ) -> Result<(), capnp::Error> {
        let read = params.get().and_then(report_sink::settled_params::Reader::get_mark).map_err(CallError::from);
        let read = read.and_then(|mark| Ok(wire::read_resume_point(mark)?));
        drop(params);
        let checked = read.and_then(|mark| self.check.check_mark(mark));
        self.batch(checked.map(|mark| vec![ScanEvent::Settled(mark)])).await
    }

    async fn done(
        self: capnp::capability::Rc<Self>,
        params: report_sink::DoneParams,
        _results: report_sink::DoneResults,
    ) -> Result<(), capnp::Error> {
        let read = params.get().and_then(report_sink::done_params::Reader::get_result).map_err(CallError::from);
        let read =
            read.and_then(|result| Ok(wire::read_ending(result)?)).and_then(|ending| self.check.check_ending(ending));
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
