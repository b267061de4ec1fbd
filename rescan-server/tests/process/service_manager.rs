//! What systemd is told, by a socket that stands for it.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_tests::{Manner, Scene, ServerProcess, patiently};
use rustix::process::Signal;

use crate::program;

/// The manager's side of `NOTIFY_SOCKET`.
struct Manager(UnixDatagram);

impl Manager {
    /// Waits for a message that has `wanted` as one of its lines or as the beginning of one, and gives all before it too.
    fn wait_for(&self, wanted: &str) -> Vec<String> {
        let mut heard = Vec::new();
        let mut bytes = [0; 4096];
        loop {
            let len = self.0.recv(&mut bytes).unwrap_or_else(|error| panic!("{error}: no {wanted} after {heard:?}"));
            let message = std::str::from_utf8(&bytes[..len]).unwrap();
            heard.extend(message.lines().map(str::to_owned));
            if message.lines().any(|line| line.starts_with(wanted)) {
                return heard;
            }
        }
    }
}

fn managed(watchdog_usec: Option<&str>) -> (Scene, ServerProcess, Manager) {
    let mut chain = ChainBuilder::new();
    chain.mine(7);
    let scene = Scene::write(chain, Manner::default());
    let path = scene.server.beside("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    // A message that never comes fails the test instead of holding it up.
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut environment = vec![("NOTIFY_SOCKET", path.to_str().unwrap())];
    environment.extend(watchdog_usec.map(|usec| ("WATCHDOG_USEC", usec)));
    let server = ServerProcess::start_in(program(), &scene.server, &[], &environment);
    (scene, server, Manager(socket))
}

#[test]
fn the_manager_hears_that_it_serves_up_to_which_height_and_that_it_stops() {
    let (_scene, server, manager) = managed(None);
    let heard = manager.wait_for("READY=1");
    assert_eq!(heard[0], "READY=1", "nothing comes before");
    patiently(async { drop(server.client().await) });
    if !heard.iter().any(|line| line.starts_with("STATUS=serving")) {
        manager.wait_for("STATUS=serving regtest to height 7, 0 scans under way");
    }
    server.signal(Signal::TERM);
    let heard = manager.wait_for("STOPPING=1");
    assert!(!heard.iter().any(|line| line == "WATCHDOG=1"), "nobody asked for signs of life: {heard:?}");
    assert!(server.wait().0.success());
}

#[test]
fn signs_of_life_come_again_and_again_where_the_manager_asks_for_them() {
    let (_scene, _server, manager) = managed(Some("100000"));
    manager.wait_for("READY=1");
    for _ in 0..5 {
        manager.wait_for("WATCHDOG=1");
    }
}
