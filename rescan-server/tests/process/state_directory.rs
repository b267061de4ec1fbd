//! A state directory that cannot be used: the server serves, logs it, and the next start is right.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rescan_client::ScanRequest;
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene, ServerProcess, patiently, scan};
use rustix::process::Signal;

use crate::start;

fn script() -> bitcoin::ScriptBuf {
    TestWallet::new("sybil").script(ScriptKind::P2wpkh, 0)
}

/// Their headers need more than 16 KiB.
const BLOCKS: u32 = 400;

fn scene() -> Scene {
    let mut chain = ChainBuilder::new();
    chain.coinbase_to(&script()).mine(BLOCKS);
    Scene::write(chain, Manner::default())
}

fn answers(server: &ServerProcess) {
    patiently(async {
        let found = scan(&server.client().await, ScanRequest::new().script(script())).await;
        assert_eq!(found.heights(), [1]);
        assert_eq!(found.summary().tip.height.0, BLOCKS);
    });
}

/// Starts, scans and stops a server; returns its log.
fn serve_once(scene: &Scene) -> String {
    let server = start(&scene.server, &[]);
    answers(&server);
    server.signal(Signal::TERM);
    let (status, log) = server.wait();
    assert!(status.success(), "{status}: {log}");
    log
}

/// The path of the state file.
fn state_file(scene: &Scene) -> PathBuf {
    let mut files = fs::read_dir(scene.server.state_dir()).unwrap().map(|it| it.unwrap().path());
    files.find(|path| path.extension().is_some_and(|it| it == "chain")).unwrap()
}

/// A mounted file system; unmounted when dropped.
struct Mounted(PathBuf);

impl Mounted {
    /// None if this user may not mount.
    #[expect(clippy::print_stdout, reason = "a skipped test is reported")]
    fn tmpfs(at: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).output();
        let done = mounted.is_ok_and(|output| output.status.success());
        if !done {
            println!("skipped: this user may not mount a file system");
        }
        done.then(|| Self(at.to_owned()))
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).status());
    }
}

fn assert_warns(log: &str, text: &str) {
    let line = log.lines().find(|line| line.contains(text));
    assert!(line.is_some_and(|line| line.contains("WARN") && line.contains("--state-dir")), "{text:?} is not in {log}");
}

#[test]
fn a_full_disk_loses_the_state_and_nothing_else() {
    let scene = scene();
    let Some(disk) = Mounted::tmpfs(&scene.server.state_dir(), "size=16k") else { return };
    for _ in 0..2 {
        let log = serve_once(&scene);
        assert_warns(&log, "cannot save the state file");
        assert!(log.contains("No space left on device"), "{log}");
    }
    // With more space, the partial file does no harm.
    disk.remount("size=1m");
    assert!(!serve_once(&scene).contains("WARN"));
    assert!(state_file(&scene).is_file());
    assert!(!serve_once(&scene).contains("WARN"));
}

#[test]
fn a_read_only_disk_keeps_the_old_state() {
    let scene = scene();
    let Some(disk) = Mounted::tmpfs(&scene.server.state_dir(), "size=1m") else { return };
    serve_once(&scene);
    let before = fs::read(state_file(&scene)).unwrap();
    disk.remount("ro");
    let log = serve_once(&scene);
    assert_warns(&log, "no state is kept");
    assert_eq!(fs::read(state_file(&scene)).unwrap(), before);
    disk.remount("rw");
    assert!(!serve_once(&scene).contains("WARN"));
}

#[test]
fn a_removed_emptied_or_replaced_state_file_costs_a_new_reading() {
    let scene = scene();
    serve_once(&scene);
    let path = state_file(&scene);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, "").unwrap();
    let log = serve_once(&scene);
    assert!(log.contains("the state file is unusable") && log.contains("unexpected end of file"), "{log}");
    assert_eq!(fs::read(&path).unwrap().len(), whole.len());
    fs::remove_dir_all(scene.server.state_dir()).unwrap();
    assert!(!serve_once(&scene).contains("WARN"));
    assert_eq!(fs::read(&path).unwrap().len(), whole.len());
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let log = serve_once(&scene);
    assert!(log.contains("the state file is unusable"), "{log}");
    assert_warns(&log, "cannot save the state file");
    fs::remove_dir(&path).unwrap();
    // The directory is removed beneath a running server, which recreates it at its end.
    let server = start(&scene.server, &[]);
    answers(&server);
    fs::remove_dir_all(scene.server.state_dir()).unwrap();
    answers(&server);
    server.signal(Signal::TERM);
    assert!(server.wait().0.success());
    assert!(!serve_once(&scene).contains("ERROR"));
}
