//! A disk that is unmounted beneath a running server and mounted again, in a mount namespace of the server alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use bitcoin::ScriptBuf;
use rescan_client::report::Outcome;
use rescan_client::{Checkpoint, ScanError, ScanRequest};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, ScanRecord, Scene, ServerProcess, patiently, say_skipped, scan};

use crate::following::reports_to;
use crate::program;

/// Starts the server in a new namespace in which the disk is mounted. The mount point replaces `--datadir`, the first
/// argument.
const IN_NAMESPACE: &str = r#"#!/bin/sh
shift 2
exec unshare --mount --propagation private sh -c "$MOUNT"' && exec "$SERVER" --blocks-dir "$BLOCKS" "$@"' sh "$@"
"#;

/// Each with a thousand outputs for the wallet: its reports exceed all buffers between server and wallet.
const BLOCKS: u32 = 150;

const KEY: [u8; 8] = [1, 9, 7, 3, 5, 8, 2, 6];

/// Without a key there is no `xor.dat` that could be missed.
const NO_KEY: [u8; 8] = [0; 8];

/// How a shell mounts the disk.
#[derive(Clone, Copy, Debug)]
enum Disk {
    /// Part of a file system that stays mounted elsewhere.
    Bound,
    /// A file system that ends when unmounted. Its replacement has the same files.
    Whole,
}

impl Disk {
    fn mount(self) -> &'static str {
        match self {
            Self::Bound => r#"mount --bind "$DISK" "$BLOCKS""#,
            Self::Whole => {
                r#"mount -t tmpfs none "$STAGE" && cp -p "$DISK"/* "$STAGE" && mount --move "$STAGE" "$BLOCKS""#
            }
        }
    }
}

fn script() -> ScriptBuf {
    TestWallet::new("sybil").script(ScriptKind::P2wpkh, 0)
}

fn watch() -> ScanRequest {
    ScanRequest::new().script(script())
}

/// A server whose blocks directory is a mount that only the server sees.
struct Mounted {
    /// The content of the disk.
    scene: Scene,
    server: ServerProcess,
    disk: Disk,
}

impl Mounted {
    fn start(disk: Disk, access: &str, key: [u8; 8]) -> Self {
        let mut chain = Scene::talkative(&script(), BLOCKS, 1_000);
        chain.file_bytes_max(1 << 20).xor(key);
        let scene = Scene::write(chain, Manner::default());
        for place in ["blocks", "stage"] {
            fs::create_dir(scene.server.beside(place)).unwrap();
        }
        let starter = scene.server.beside("in_namespace");
        fs::write(&starter, IN_NAMESPACE).unwrap();
        fs::set_permissions(&starter, fs::Permissions::from_mode(0o755)).unwrap();
        let places = places(&scene).map(|(name, path)| (name, path.to_str().unwrap().to_owned()));
        let mut environment: Vec<(&str, &str)> = places.iter().map(|(name, path)| (*name, path.as_str())).collect();
        environment.extend([("MOUNT", disk.mount()), ("SERVER", program().to_str().unwrap())]);
        let server = ServerProcess::start_in(&starter, &scene.server, &["--access", access], &environment);
        Self { scene, server, disk }
    }

    /// Runs a shell command in the server's namespace.
    fn within(&self, command: &str) -> Output {
        let namespace = format!("--mount=/proc/{}/ns/mnt", self.server.id());
        let mut shell = Command::new("nsenter");
        shell.arg(namespace).args(["sh", "-c", command]).envs(places(&self.scene));
        shell.output().unwrap()
    }

    fn done_within(&self, command: &str) {
        let output = self.within(command);
        assert!(output.status.success(), "{command}: {output:?}");
    }

    /// Asserts that the scan found exactly the whole chain.
    fn assert_whole(&self, found: &ScanRecord) {
        assert_eq!(found.summary().outcome, Outcome::Complete);
        assert_eq!(found.heights(), (1..=self.scene.chain.tip_height()).collect::<Vec<_>>());
    }

    /// Asserts that the scan failed and named the directory.
    fn assert_failed(&self, found: &ScanRecord) {
        let Err(ScanError::Failed(failure)) = &found.end else { panic!("{:?}", found.end) };
        let blocks = self.scene.server.beside("blocks").display().to_string();
        assert!(failure.to_string().contains(&blocks), "{failure}");
    }
}

fn places(scene: &Scene) -> [(&'static str, PathBuf); 3] {
    let server = &scene.server;
    [("DISK", server.blocks_dir()), ("BLOCKS", server.beside("blocks")), ("STAGE", server.beside("stage"))]
}

/// Whether mount namespaces can be created here; reports a skip if not.
fn may_mount() -> bool {
    let mut mounting = Command::new("unshare");
    mounting.args(["--mount", "--propagation", "private", "mount", "-t", "tmpfs", "none", "/tmp"]);
    let may = mounting.output().is_ok_and(|output| output.status.success());
    if !may {
        say_skipped("unshare(1) and the privilege to mount in a namespace of its own");
    }
    may
}

/// With two disks, two kinds of access and two keys, the four runs of the tests cover every pair of values.
fn unmount_and_mount_again(disk: Disk, access: &str, key: [u8; 8]) {
    let mut mounted = Mounted::start(disk, access, key);
    patiently(async {
        let client = mounted.server.client().await;
        let checkpoint = Checkpoint::new(client.server_info().chain.genesis, &watch());
        let mut follower = client.follow(watch(), checkpoint).unwrap();
        assert_eq!(reports_to(&mut follower, BLOCKS).await, (1..=BLOCKS).collect::<Vec<_>>());
        let held = client.scan(watch()).await.unwrap();
        // The scan walks once it answers for its chain; its reports exceed all buffers.
        held.handle().block_ids(vec![]).await.unwrap();
        let refused = mounted.within(r#"umount "$BLOCKS""#);
        assert!(String::from_utf8_lossy(&refused.stderr).contains("busy"), "{refused:?}");
        mounted.done_within(r#"umount --lazy "$BLOCKS""#);
        let scanned = ScanRecord::of(held).await;
        assert_eq!(scanned.heights(), (1..=u32::try_from(scanned.reports.len()).unwrap()).collect::<Vec<_>>());
        mounted.assert_failed(&scanned);
        mounted.assert_failed(&scan(&client, watch()).await);
        let info = client.info().await.unwrap();
        assert_eq!(info.chain.tip.map(|tip| tip.height.0), Some(BLOCKS), "the last published tip");
        // The node wrote a block while the disk was away.
        mounted.scene.chain.coinbase_to(&script()).mine_block();
        mounted.scene.append();
        mounted.done_within(mounted.disk.mount());
        // No scan runs, and the file watch is on the old mount: the slow poll finds the block.
        assert_eq!(reports_to(&mut follower, BLOCKS + 1).await, [BLOCKS + 1]);
        mounted.assert_whole(&scan(&client, watch()).await);
    });
    let log = mounted.server.log();
    assert!(log.contains("WARN cannot read block files"), "{log}");
}

#[test]
fn an_unmounted_directory_is_an_error_and_followed_again_once_it_is_back() {
    if may_mount() {
        unmount_and_mount_again(Disk::Bound, "read", NO_KEY);
        unmount_and_mount_again(Disk::Bound, "mapped", KEY);
    }
}

#[test]
fn a_file_system_that_ends_is_an_error_and_its_replacement_is_followed() {
    if may_mount() {
        unmount_and_mount_again(Disk::Whole, "read", KEY);
        unmount_and_mount_again(Disk::Whole, "mapped", NO_KEY);
    }
}
