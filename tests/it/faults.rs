//! Files that are edited beneath a running server: reports stay true, missing data is reported, and
//! the answer returns once the files are whole again.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rescan_client::report::{FailureKind, Outcome};
use rescan_client::{ScanError, ScanRequest, Verify};
use rescan_core::position::FileNumber;
use rescan_fixtures::chain_builder::{ChainBuilder, Record};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, ScanRecord, Scene, patiently, scan};

fn script() -> bitcoin::ScriptBuf {
    TestWallet::new("frank").script(ScriptKind::P2wpkh, 0)
}

fn watch() -> ScanRequest {
    ScanRequest::new().script(script()).verify(Verify::All)
}

const BLOCKS: u32 = 24;

fn chain() -> ChainBuilder {
    let mut chain = ChainBuilder::new();
    for _ in 0..BLOCKS {
        chain.coinbase_to(&script()).mine_block();
    }
    chain.file_bytes_max(1_500).xor([1, 9, 7, 3, 5, 8, 2, 6]);
    chain
}

fn each_way_to_read() -> impl Iterator<Item = Scene> {
    [false, true].into_iter().map(|is_mapped| Scene::serve(chain(), Manner { is_mapped, ..Manner::default() }))
}

/// A complete scan of the whole chain.
fn assert_whole(scene: &Scene, found: &ScanRecord) {
    assert_eq!(found.summary().outcome, Outcome::Complete);
    assert_eq!(found.summary().tip.hash, scene.chain.tip_hash());
    let heard: Vec<_> = found.reports.iter().map(|report| (report.height.0, report.hash)).collect();
    let made: Vec<_> = (1..=scene.chain.tip_height()).map(|height| (height, scene.chain.hash_at(height))).collect();
    assert_eq!(heard, made);
}

/// No report is of a block outside the chain.
fn assert_true(scene: &Scene, found: &ScanRecord) {
    assert!(found.reports.iter().all(|report| scene.is_active(&report.hash)), "a false report");
}

/// The server looks at its files, they change, and change back.
fn while_changed(scene: &Scene, change: impl FnOnce(), look: impl FnOnce(&ScanRecord), back: impl FnOnce()) {
    patiently(async {
        let client = scene.server.client().await;
        assert_whole(scene, &scan(&client, watch()).await);
        change();
        let found = scan(&client, watch()).await;
        assert_true(scene, &found);
        look(&found);
        back();
        assert_whole(scene, &scan(&client, watch()).await);
    });
}

/// Where a finished file lies that is not the first.
fn a_finished_file(scene: &mut Scene) -> std::path::PathBuf {
    assert!(scene.files.files().current_file() > FileNumber(2));
    scene.files.files().path(FileNumber(1))
}

fn is_pruned(found: &ScanRecord) {
    assert!(matches!(found.summary().outcome, Outcome::PrunedBelow(_)), "{:?}", found.end);
    assert!(found.reports.is_empty());
}

#[test]
fn another_block_at_the_place_of_the_last_is_seen_though_length_and_time_stay() {
    for mut scene in each_way_to_read() {
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
        let tail = scene.span_at(BLOCKS);
        let path = scene.files.files().path(tail.file);
        File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        patiently(async {
            let client = scene.server.client().await;
            assert_whole(&scene, &scan(&client, watch()).await);
            // A node that crashed before it settled the last block may receive a sibling first
            // after its restart.
            scene.chain.rewind(1);
            scene.chain.coinbase_to(&script()).mine_block();
            let sibling = scene.chain.tip_hash();
            let bytes = bitcoin::consensus::serialize(scene.chain.block(&sibling).unwrap());
            assert_eq!(bytes.len(), usize::try_from(tail.size).unwrap());
            scene.files.files().overwrite(tail.file, tail.offset.into(), &bytes).unwrap();
            File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
            // The first scan may end with a reorganisation; no scan reports the overwritten block.
            let first = scan(&client, watch()).await;
            assert_true(&scene, &first);
            assert_whole(&scene, &scan(&client, watch()).await);
        });
    }
}

#[test]
fn a_file_that_another_replaces_takes_its_blocks_along_and_brings_them_back() {
    for mut scene in each_way_to_read() {
        let path = a_finished_file(&mut scene);
        let (aside, other) = (scene.server.beside("aside"), scene.server.beside("other"));
        fs::copy(scene.files.files().path(FileNumber(2)), &other).unwrap();
        let change = || {
            fs::rename(&path, &aside).unwrap();
            fs::rename(&other, &path).unwrap();
        };
        while_changed(&scene, change, is_pruned, || fs::rename(&aside, &path).unwrap());
    }
}

#[test]
fn a_file_that_shrinks_and_grows_again_gives_what_it_has_each_time() {
    for mut scene in each_way_to_read() {
        let path = a_finished_file(&mut scene);
        let whole = fs::read(&path).unwrap();
        // The end of a finished file may be a block with wrong last bytes, which is reported as
        // such.
        let is_gone = |found: &ScanRecord| match &found.end {
            Err(ScanError::Failed(failure)) => {
                assert_eq!(failure.at.as_ref().map(|at| &at.path), Some(&path), "{failure}");
            }
            _ => is_pruned(found),
        };
        for left in [0, 1, whole.len() / 2, whole.len() - 1] {
            let cut = || fs::write(&path, &whole[..left]).unwrap();
            while_changed(&scene, cut, is_pruned, || fs::write(&path, &whole).unwrap());
            // Grown with zeros, it is as long as it was.
            let zeros = [&whole[..left], &vec![0; whole.len() - left]].concat();
            while_changed(&scene, || fs::write(&path, zeros).unwrap(), is_gone, || fs::write(&path, &whole).unwrap());
        }
    }
}

#[test]
fn a_directory_that_is_away_is_named_and_its_blocks_are_there_when_it_is_back() {
    for scene in each_way_to_read() {
        let (blocks, aside) = (scene.server.blocks_dir(), scene.server.beside("unmounted"));
        let names = |found: &ScanRecord| {
            assert_eq!(found.failure().kind, FailureKind::Unreadable);
            let text = found.failure().to_string();
            assert!(text.contains(&blocks.display().to_string()), "{text}");
        };
        while_changed(&scene, || fs::rename(&blocks, &aside).unwrap(), names, || fs::rename(&aside, &blocks).unwrap());
        // The empty mount point of a disk that is gone.
        let unmount = || {
            fs::rename(&blocks, &aside).unwrap();
            fs::create_dir(&blocks).unwrap();
        };
        let is_told = |found: &ScanRecord| {
            let text = found.failure().to_string();
            assert!(text.contains("xor.dat") && text.contains("is its disk mounted"), "{text}");
        };
        let mount = || {
            fs::remove_dir(&blocks).unwrap();
            fs::rename(&aside, &blocks).unwrap();
        };
        while_changed(&scene, unmount, is_told, mount);
    }
}

#[test]
fn another_key_is_refused_until_the_old_one_is_back() {
    for scene in each_way_to_read() {
        let key = scene.server.blocks_dir().join("xor.dat");
        let old = fs::read(&key).unwrap();
        for (new, says) in [(&[0; 8][..], "restart rescan-server"), (&[1; 3][..], "3 bytes")] {
            let is_told = |found: &ScanRecord| {
                let text = found.failure().to_string();
                assert!(text.contains("xor.dat") && text.contains(says), "{text}");
            };
            while_changed(&scene, || fs::write(&key, new).unwrap(), is_told, || fs::write(&key, &old).unwrap());
        }
    }
}

#[test]
fn a_hole_in_the_place_of_blocks_is_no_block_and_those_around_it_stand() {
    for mut scene in each_way_to_read() {
        let span = scene.span_at(BLOCKS / 2);
        let path = scene.files.files().path(span.file);
        let whole = fs::read(&path).unwrap();
        let files = scene.files.files();
        files.erase(span.file, u64::from(span.offset) - 8, usize::try_from(span.size).unwrap() + 8).unwrap();
        patiently(async {
            let client = scene.server.client().await;
            let found = scan(&client, watch()).await;
            assert_eq!(found.summary().outcome, Outcome::PrunedBelow(rescan_client::position::Height(BLOCKS / 2 + 1)));
            fs::write(&path, &whole).unwrap();
            assert_whole(&scene, &scan(&client, watch()).await);
            // The node writes the block once more, somewhere else, and a hole between takes no more
            // from it.
            let record = Record::Block(scene.chain.hash_at(BLOCKS / 2));
            scene.files.files().write_hole(700).unwrap();
            scene.files.write(&scene.chain, &[record]).unwrap();
            scene.files.files().erase(span.file, span.offset.into(), usize::try_from(span.size).unwrap()).unwrap();
            assert_whole(&scene, &scan(&client, watch()).await);
        });
    }
}

#[test]
fn times_before_1970_and_in_the_future_confuse_nobody() {
    for mut scene in each_way_to_read() {
        let times = [
            SystemTime::UNIX_EPOCH - Duration::from_secs(86_400),
            SystemTime::UNIX_EPOCH,
            SystemTime::now() + Duration::from_secs(86_400 * 365 * 50),
            // The clock goes back to before the last writing.
            SystemTime::now() - Duration::from_secs(86_400),
        ];
        for time in times {
            patiently(async {
                let client = scene.server.client().await;
                assert_whole(&scene, &scan(&client, watch()).await);
                scene.chain.coinbase_to(&script()).mine_block();
                scene.append();
                set_times(&scene.server.blocks_dir(), time);
                assert_whole(&scene, &scan(&client, watch()).await);
                // The same again under the same times.
                assert_whole(&scene, &scan(&client, watch()).await);
            });
        }
        scene.server.stop();
        scene.server.start();
        patiently(async { assert_whole(&scene, &scan(&scene.server.client().await, watch()).await) });
    }
}

fn set_times(directory: &Path, time: SystemTime) {
    for entry in fs::read_dir(directory).unwrap() {
        File::options().write(true).open(entry.unwrap().path()).unwrap().set_modified(time).unwrap();
    }
}

#[test]
fn a_scan_under_way_when_its_directory_goes_ends_with_a_word() {
    for is_mapped in [false, true] {
        let scene = Scene::serve(Scene::talkative(&script(), 150, 1_000), Manner { is_mapped, ..Manner::default() });
        let (blocks, aside) = (scene.server.blocks_dir(), scene.server.beside("unmounted"));
        patiently(async {
            let client = scene.server.client().await;
            let held = client.scan(watch()).await.unwrap();
            // The scan has started once it returns its chain; its reports do not fit into the
            // buffers between server and client.
            held.handle().block_ids(vec![]).await.unwrap();
            fs::rename(&blocks, &aside).unwrap();
            let told = ScanRecord::of(held).await;
            assert_true(&scene, &told);
            let Err(ScanError::Failed(failure)) = &told.end else { panic!("{:?}", told.end) };
            assert!(failure.to_string().contains(&blocks.display().to_string()), "{failure}");
            fs::rename(&aside, &blocks).unwrap();
            assert_whole(&scene, &scan(&client, watch()).await);
        });
    }
}
