//! Notifications to systemd, received on a test socket.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_tests::{Manner, Scene, ServerProcess, patiently};
use rustix::process::Signal;

use crate::program;

/// The manager's side of `NOTIFY_SOCKET`.
struct Manager(UnixDatagram);

impl Manager {
    /// Waits for a line that begins with `wanted`, and returns all lines so far.
    fn wait_for(&self, wanted: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let mut bytes = [0; 4096];
        loop {
            let len = self.0.recv(&mut bytes).unwrap_or_else(|error| panic!("{error}: no {wanted} after {lines:?}"));
            let message = std::str::from_utf8(&bytes[..len]).unwrap();
            lines.extend(message.lines().map(str::to_owned));
            if message.lines().any(|line| line.starts_with(wanted)) {
                return lines;
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
    // A missing message fails the test instead of blocking it.
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut environment = vec![("NOTIFY_SOCKET", path.to_str().unwrap())];
    environment.extend(watchdog_usec.map(|usec| ("WATCHDOG_USEC", usec)));
    let server = ServerProcess::start_in(program(), &scene.server, &[], &environment);
    (scene, server, Manager(socket))
}

#[test]
fn the_manager_is_notified_of_readiness_height_and_stop() {
    let (_scene, server, manager) = managed(None);
    let lines = manager.wait_for("READY=1");
    assert_eq!(lines[0], "READY=1", "the first message");
    patiently(async { drop(server.client().await) });
    if !lines.iter().any(|line| line.starts_with("STATUS=serving")) {
        manager.wait_for("STATUS=serving regtest to height 7, 0 scans under way");
    }
    server.signal(Signal::TERM);
    let lines = manager.wait_for("STOPPING=1");
    assert!(!lines.iter().any(|line| line == "WATCHDOG=1"), "no watchdog was requested: {lines:?}");
    assert!(server.wait().0.success());
}

#[test]
fn watchdog_messages_repeat_if_the_manager_requests_them() {
    let (_scene, _server, manager) = managed(Some("100000"));
    manager.wait_for("READY=1");
    for _ in 0..5 {
        manager.wait_for("WATCHDOG=1");
    }
}
