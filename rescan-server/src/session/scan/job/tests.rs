//! Scans whose task does not end normally.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::cell::RefCell;
use std::num::NonZeroUsize;

use rescan_core::chain::network::Network;
use rescan_core::report::FailureKind;
use rescan_core::rescan_capnp::report_sink;
use rescan_core::wire;
use tokio::task::LocalSet;

use super::*;
use crate::blocks::block_file::Access;
use crate::chain::{Chain, ChainConfig};
use crate::metrics::counters::Counters;
use crate::node::tip_watcher::TipWatcher;
use crate::refresh::refresher::Refresher;
use crate::scan::{Scan, WorkerPool};
use crate::session::guard::limits::SessionLimits;

/// A sink that keeps the ending of its scan.
#[derive(Clone, Default)]
struct Sink(Rc<RefCell<Option<Ending>>>);

impl report_sink::Server for Sink {
    async fn done(
        self: Rc<Self>,
        params: report_sink::DoneParams,
        _results: report_sink::DoneResults,
    ) -> capnp::Result<()> {
        self.0.replace(Some(wire::read_ending(params.get()?.get_result()?).unwrap()));
        Ok(())
    }
}

/// A scan over an empty directory, its state, and its sink.
fn job(directory: &tempfile::TempDir) -> (Job<Scan>, Rc<ScanState>, Sink) {
    let config = ChainConfig {
        blocks_dir: directory.path().to_owned(),
        network: Some(Network::Regtest),
        signet_challenge: None,
        state_dir: directory.path().join("state"),
        access: Access::read(),
    };
    let chain = Arc::new(Chain::open(config).unwrap());
    let pool = WorkerPool::new(NonZeroUsize::MIN).unwrap();
    let counters = Arc::new(Counters::default());
    let (refresher, _nobody_refreshes) =
        Refresher::new(Arc::clone(&chain), TipWatcher::disabled(), Arc::clone(&counters));
    let limits = SessionLimits::default();
    let shared = Shared::new(
        Arc::clone(&chain),
        pool,
        Rc::new(refresher),
        limits,
        TipWatcher::disabled(),
        Arc::clone(&counters),
    );
    let (state, sink) = (Rc::new(ScanState::new(chain)), Sink::default());
    let range = RangeRequest {
        from: rescan_core::request::RangeStart::Height(Height::GENESIS),
        to: rescan_core::request::RangeEnd::Tip,
    };
    let job = Job {
        shared: Rc::new(shared),
        state: Rc::clone(&state),
        call: ScanCall {
            range,
            resume: Resume::default(),
            sink: capnp_rpc::new_client(sink.clone()),
            keychain_count: Rc::default(),
        },
        count: counters.scan_started(),
    };
    (job, state, sink)
}

fn never_starts((): (), _pinned: PinnedRange) -> Result<Option<Scan>, Refusal> {
    unreachable!("nothing was prepared")
}

#[tokio::test]
async fn a_scan_that_panics_is_closed_and_its_wallet_receives_a_failure() {
    async fn panics() -> Result<(), StartError> {
        panic!("for the test")
    }
    let directory = tempfile::tempdir().unwrap();
    let (job, state, sink) = job(&directory);
    LocalSet::new().run_until(job.run(panics(), never_starts)).await;
    assert!(state.is_closed());
    let ending = sink.0.take();
    assert!(matches!(&ending, Some(Ending::Failed(failure)) if failure.kind == FailureKind::Internal), "{ending:?}");
}

#[tokio::test]
async fn a_scan_whose_task_is_aborted_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let (job, state, _sink) = job(&directory);
    let aborted = async {
        let task = tokio::task::spawn_local(job.run(std::future::pending(), never_starts));
        tokio::task::yield_now().await;
        assert!(!state.is_closed());
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    };
    LocalSet::new().run_until(aborted).await;
    assert!(state.is_closed());
}
