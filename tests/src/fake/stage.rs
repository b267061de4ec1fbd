//! Where a scan's steps are played, one after the other, into the sink that the client gave.

use std::cell::RefCell;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use rescan_core::rescan_capnp::{block_sink, report_sink, scan_result};
use rescan_core::wire;
use tokio::sync::{Notify, oneshot};

use super::{Rpc, Seen, Step, read};

pub(super) enum Sink {
    Reports(report_sink::Client),
    Blocks(block_sink::Client),
}

impl Sink {
    async fn end(&self, fill: impl FnOnce(scan_result::Builder<'_>)) -> Rpc {
        match self {
            Self::Reports(sink) => {
                let mut done = sink.done_request();
                fill(done.get().init_result());
                done.send().promise.await.map(drop)
            }
            Self::Blocks(sink) => {
                let mut done = sink.done_request();
                fill(done.get().init_result());
                done.send().promise.await.map(drop)
            }
        }
    }
}

pub(super) struct Stage {
    pub(super) reach: RefCell<Option<oneshot::Sender<()>>>,
    pub(super) seen: Arc<Mutex<Seen>>,
    pub(super) cancelled: Rc<Notify>,
    pub(super) raw: Rc<UnixStream>,
    pub(super) hang_up: Rc<Notify>,
}

impl Stage {
    pub(super) async fn play(self, steps: Vec<Step>, sink: Sink) {
        for step in steps {
            if self.step(step, &sink).await.is_err() {
                // The client has dropped the scan.
                return;
            }
        }
    }

    async fn step(&self, step: Step, sink: &Sink) -> Rpc {
        match (step, sink) {
            (Step::Reports(reports), Sink::Reports(sink)) => {
                let mut push = sink.reports_request();
                let batch = push.get().init_batch(reports.len().try_into().unwrap());
                wire::write_reports(&reports, batch).unwrap();
                push.send().await?;
                self.seen.lock().unwrap().pushed += 1;
            }
            (Step::Coins(coins), Sink::Reports(sink)) => {
                let mut push = sink.coins_request();
                let batch = push.get().init_batch(coins.len().try_into().unwrap());
                wire::write_coins(&coins, batch).unwrap();
                push.send().await?;
                self.seen.lock().unwrap().pushed += 1;
            }
            (Step::Settled(mark), Sink::Reports(sink)) => {
                let mut push = sink.settled_request();
                wire::write_resume_point(&mark, push.get().init_mark()).unwrap();
                push.send().await?;
            }
            (Step::Blocks(blocks), Sink::Blocks(sink)) => {
                let mut push = sink.blocks_request();
                let batch = push.get().init_batch(blocks.len().try_into().unwrap());
                wire::write_blocks(&blocks, batch).unwrap();
                push.send().await?;
            }
            (Step::Reports(_) | Step::Coins(_) | Step::Settled(_) | Step::Blocks(_), _) => {
                panic!("the sink takes no such item")
            }
            (Step::End(ending), _) => sink.end(|result| wire::write_ending(&ending, result).unwrap()).await?,
            (Step::EndRaw(flat), Sink::Reports(sink)) => {
                let mut done = sink.done_request();
                read::<scan_result::Owned>(&flat, |result| done.get().set_result(result).unwrap());
                done.send().promise.await.map(drop)?;
            }
            (Step::EndRaw(_), Sink::Blocks(_)) => panic!("nothing asks for this"),
            (Step::UntilCancelled, _) => self.cancelled.notified().await,
            (Step::Reached, _) => {
                self.reach.borrow_mut().take().expect("reached once").send(()).ok();
            }
            // The script ends here, and with it the sink goes.
            (Step::LetGo, _) => return Err(capnp::Error::failed("let go".to_owned())),
            (Step::HangUp, _) => self.hang_up.notify_one(),
            (Step::Garbage, _) => (&*self.raw).write_all(&[0xff; 64]).unwrap(),
        }
        Ok(())
    }
}
