//! The objects that a client has of the server: it, watch sets, scans.

use std::cell::RefCell;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use capnp_rpc::new_client;
use rescan_client::bitcoin::hashes::Hash;
use rescan_client::position::Height;
use rescan_client::report::{BlockId, Progress};
use rescan_core::block_match::BlockMatch;
use rescan_core::rescan_capnp::{rescan, scan, server_info, watch_set};
use rescan_core::wire;
use tokio::sync::{Notify, oneshot};
use tokio::task::spawn_local;

use super::stage::{Sink, Stage};
use super::{Cues, Rpc, Seal, Seen, Step, block_id, progress, read};

pub(super) struct FakeServer {
    pub(super) script: RefCell<Option<Vec<Step>>>,
    pub(super) info: Vec<u8>,
    pub(super) seal: Seal,
    pub(super) derivation: Option<Progress>,
    pub(super) block_match: Option<BlockMatch>,
    pub(super) seen: Arc<Mutex<Seen>>,
    pub(super) cues: RefCell<Cues>,
    pub(super) raw: Rc<UnixStream>,
    pub(super) hang_up: Rc<Notify>,
}

impl FakeServer {
    /// Plays the script into a sink, and returns the capability of that scan.
    fn play(&self, sink: Sink) -> scan::Client {
        let cancelled = Rc::new(Notify::new());
        let steps = self.script.borrow_mut().take().expect("one scan a script");
        let mut cues = self.cues.borrow_mut();
        cues.begin.take().expect("one scan a script").send(()).ok();
        let stage = Stage {
            reach: RefCell::new(cues.reach.take()),
            seen: Arc::clone(&self.seen),
            cancelled: Rc::clone(&cancelled),
            raw: Rc::clone(&self.raw),
            hang_up: Rc::clone(&self.hang_up),
        };
        spawn_local(stage.play(steps, sink));
        new_client(FakeScan { cancelled, _dropped: cues.dropped.take() })
    }
}

impl rescan::Server for FakeServer {
    async fn info(self: Rc<Self>, _: rescan::InfoParams, mut results: rescan::InfoResults) -> Rpc {
        read::<server_info::Owned>(&self.info, |info| results.get().set_info(info).unwrap());
        Ok(())
    }

    async fn new_watch_set(
        self: Rc<Self>,
        _: rescan::NewWatchSetParams,
        mut results: rescan::NewWatchSetResults,
    ) -> Rpc {
        let set = FakeWatchSet { seen: Arc::clone(&self.seen), seal: self.seal.clone(), derivation: self.derivation };
        results.get().set_watch_set(new_client(set));
        Ok(())
    }

    async fn scan(self: Rc<Self>, params: rescan::ScanParams, mut results: rescan::ScanResults) -> Rpc {
        let params = params.get()?;
        self.seen.lock().unwrap().request = Some(wire::read_scan_request(params.get_request()?).unwrap());
        results.get().set_scan(self.play(Sink::Reports(params.get_sink()?)));
        Ok(())
    }

    /// Its chain has the blocks whose hash begins with a 7, all at that height.
    async fn locate(self: Rc<Self>, params: rescan::LocateParams, mut results: rescan::LocateResults) -> Rpc {
        let hashes = wire::read_hashes("hashes", params.get()?.get_hashes()?).unwrap();
        if let Some(&hash) = hashes.iter().find(|hash| hash.to_byte_array()[0] == 7) {
            wire::write_block_id(&BlockId { height: Height(7), hash, time: 70 }, results.get().init_found());
        }
        self.seen.lock().unwrap().located = hashes;
        Ok(())
    }

    async fn match_block(
        self: Rc<Self>,
        params: rescan::MatchBlockParams,
        mut results: rescan::MatchBlockResults,
    ) -> Rpc {
        let params = params.get()?;
        let scripts = params.get_scripts()?.iter().map(|script| script.unwrap().to_vec()).collect();
        let outpoints = wire::read_outpoints(params.get_outpoints()?).map(Result::unwrap).collect();
        let asked = (params.get_height(), params.get_hash()?.to_vec(), scripts, outpoints);
        self.seen.lock().unwrap().matched = Some(asked);
        match &self.block_match {
            Some(found) => wire::write_block_match(found, results.get().init_result()).unwrap(),
            None => {
                let dropped = self.cues.borrow_mut().dropped.take();
                self.cues.borrow_mut().begin.take().unwrap().send(()).ok();
                std::future::pending::<()>().await;
                drop(dropped);
            }
        }
        Ok(())
    }

    async fn blocks(self: Rc<Self>, params: rescan::BlocksParams, mut results: rescan::BlocksResults) -> Rpc {
        results.get().set_scan(self.play(Sink::Blocks(params.get()?.get_sink()?)));
        Ok(())
    }
}

struct FakeWatchSet {
    seen: Arc<Mutex<Seen>>,
    seal: Seal,
    derivation: Option<Progress>,
}

impl watch_set::Server for FakeWatchSet {
    async fn add_keychains(self: Rc<Self>, params: watch_set::AddKeychainsParams) -> Rpc {
        let mut seen = self.seen.lock().unwrap();
        seen.uploads += 1;
        for keychain in params.get()?.get_keychains()? {
            seen.keychains.push(wire::read_given_keychain(keychain).unwrap());
        }
        Ok(())
    }

    async fn add_scripts(self: Rc<Self>, params: watch_set::AddScriptsParams) -> Rpc {
        let mut seen = self.seen.lock().unwrap();
        seen.uploads += 1;
        for script in params.get()?.get_scripts()? {
            seen.scripts.push(script?.to_vec());
        }
        Ok(())
    }

    async fn add_outpoints(self: Rc<Self>, params: watch_set::AddOutpointsParams) -> Rpc {
        let mut seen = self.seen.lock().unwrap();
        seen.uploads += 1;
        for outpoint in params.get()?.get_outpoints()? {
            seen.outpoints.push(wire::read_given_outpoint(outpoint).unwrap());
        }
        Ok(())
    }

    async fn seal(self: Rc<Self>, _: watch_set::SealParams, mut results: watch_set::SealResults) -> Rpc {
        let result = results.get().init_result();
        match &self.seal {
            Seal::Refused(refusal) => wire::write_refusal(refusal, result.init_refused()).unwrap(),
            Seal::Done => drop(result.init_sealed()),
            Seal::Never => std::future::pending().await,
        }
        Ok(())
    }

    async fn progress(self: Rc<Self>, _: watch_set::ProgressParams, mut results: watch_set::ProgressResults) -> Rpc {
        let progress = self.derivation.ok_or_else(|| capnp::Error::unimplemented("progress".to_owned()))?;
        wire::write_progress(&progress, results.get().init_progress()).unwrap();
        Ok(())
    }
}

struct FakeScan {
    cancelled: Rc<Notify>,
    _dropped: Option<oneshot::Sender<()>>,
}

impl scan::Server for FakeScan {
    async fn progress(self: Rc<Self>, _: scan::ProgressParams, mut results: scan::ProgressResults) -> Rpc {
        wire::write_progress(&progress(), results.get().init_progress()).unwrap();
        Ok(())
    }

    async fn cancel(self: Rc<Self>, _: scan::CancelParams, _: scan::CancelResults) -> Rpc {
        self.cancelled.notify_one();
        Ok(())
    }

    async fn block_ids(self: Rc<Self>, params: scan::BlockIdsParams, mut results: scan::BlockIdsResults) -> Rpc {
        let heights = params.get()?.get_heights()?;
        let mut ids = results.get().init_ids(heights.len());
        for (index, height) in (0..).zip(heights) {
            if let Some(id) = block_id(Height(height)) {
                wire::write_block_id(&id, ids.reborrow().get(index));
            }
        }
        Ok(())
    }
}
