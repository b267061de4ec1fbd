//! A disk that is unmounted beneath a running server, and comes back: in a mount namespace that only the server is in.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use bitcoin::ScriptBuf;
use rescan_client::report::Outcome;
use rescan_client::{Checkpoint, ScanError, ScanRequest};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, ScanRecord, Scene, ServerProcess, patiently, say_skipped, scan};

use crate::following::hear;
use crate::program;

/// Becomes the server, in a namespace of its own in which the disk is mounted: it is given that in place of the `--datadir`, which
/// comes first.
const IN_NAMESPACE: &str = r#"#!/bin/sh
shift 2
exec unshare --mount --propagation private sh -c "$MOUNT"' && exec "$SERVER" --blocks-dir "$BLOCKS" "$@"' sh "$@"
"#;

/// Each with a thousand outputs for the wallet: what a scan tells of them does not fit between server and wallet.
const BLOCKS: u32 = 150;

/// With the second no file says that there is a key, and none is missed.
const KEYS: [[u8; 8]; 2] = [[1, 9, 7, 3, 5, 8, 2, 6], [0; 8]];

/// How the disk is mounted, as a shell does it.
#[derive(Clone, Copy, Debug)]
enum Disk {
    /// A part of a file system that stays mounted elsewhere: nothing of it ends.
    Bound,
    /// A file system that ends when it is unmounted. What is mounted in its place has the same files, all at once.
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

/// A server of a directory on which a disk is mounted, where it alone sees that.
struct Mounted {
    /// What is on the disk.
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

    /// What a shell command comes to where the server sees it.
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

    /// That whole chain, and nothing else.
    fn assert_whole(&self, found: &ScanRecord) {
        assert_eq!(found.summary().outcome, Outcome::Complete);
        assert_eq!(found.heights(), (1..=self.scene.chain.tip_height()).collect::<Vec<_>>());
    }

    /// That the directory cannot be read, and which it is.
    fn assert_said(&self, found: &ScanRecord) {
        let Err(ScanError::Failed(failure)) = &found.end else { panic!("{:?}", found.end) };
        let blocks = self.scene.server.beside("blocks").display().to_string();
        assert!(failure.to_string().contains(&blocks), "{failure}");
    }
}

fn places(scene: &Scene) -> [(&'static str, PathBuf); 3] {
    let server = &scene.server;
    [("DISK", server.blocks_dir()), ("BLOCKS", server.beside("blocks")), ("STAGE", server.beside("stage"))]
}

/// Whether namespaces of mounts can be made here; where not, that is said.
fn may_mount() -> bool {
    let mut mounting = Command::new("unshare");
    mounting.args(["--mount", "--propagation", "private", "mount", "-t", "tmpfs", "none", "/tmp"]);
    let may = mounting.output().is_ok_and(|output| output.status.success());
    if !may {
        say_skipped("unshare(1) and the privilege to mount in a namespace of its own");
    }
    may
}

fn unmount_and_mount_again(disk: Disk, access: &str, key: [u8; 8]) {
    let mut mounted = Mounted::start(disk, access, key);
    patiently(async {
        let client = mounted.server.client().await;
        let checkpoint = Checkpoint::new(client.server_info().chain.genesis, &watch());
        let mut follower = client.follow(watch(), checkpoint).unwrap();
        assert_eq!(hear(&mut follower, BLOCKS).await, (1..=BLOCKS).collect::<Vec<_>>());
        let held = client.scan(watch()).await.unwrap();
        // It walks once it answers for its chain; what it tells does not fit between here and there.
        held.handle().block_ids(vec![]).await.unwrap();
        let refused = mounted.within(r#"umount "$BLOCKS""#);
        assert!(String::from_utf8_lossy(&refused.stderr).contains("busy"), "{refused:?}");
        mounted.done_within(r#"umount --lazy "$BLOCKS""#);
        let told = ScanRecord::of(held).await;
        assert_eq!(told.heights(), (1..=u32::try_from(told.reports.len()).unwrap()).collect::<Vec<_>>());
        mounted.assert_said(&told);
        mounted.assert_said(&scan(&client, watch()).await);
        let info = client.info().await.unwrap();
        assert_eq!(info.chain.tip.map(|tip| tip.height.0), Some(BLOCKS), "the last that it saw");
        // What the node wrote where the disk was, before it came back here.
        mounted.scene.chain.coinbase_to(&script()).mine_block();
        mounted.scene.append();
        mounted.done_within(mounted.disk.mount());
        // Nobody scans: the watch was of what is no longer mounted, and the slow look finds it.
        assert_eq!(hear(&mut follower, BLOCKS + 1).await, [BLOCKS + 1]);
        mounted.assert_whole(&scan(&client, watch()).await);
    });
    let log = mounted.server.log();
    assert!(log.contains("WARN cannot read block files"), "{log}");
}

#[test]
fn a_directory_that_is_unmounted_is_said_to_be_gone_and_followed_again_once_it_is_back() {
    if may_mount() {
        for key in KEYS {
            unmount_and_mount_again(Disk::Bound, "read", key);
            unmount_and_mount_again(Disk::Bound, "mapped", key);
        }
    }
}

#[test]
fn a_file_system_that_ends_is_said_to_be_gone_and_one_in_its_place_is_followed() {
    if may_mount() {
        for key in KEYS {
            unmount_and_mount_again(Disk::Whole, "read", key);
            unmount_and_mount_again(Disk::Whole, "mapped", key);
        }
    }
}
