//! Changes that a live node makes to the files beneath a running server.

use super::*;
use crate::blocks::block_files::BlockFileError;

#[test]
fn a_refresh_picks_up_what_was_appended_and_older_snapshots_stay() {
    let scene = Scene::new();
    let mut chain = chain_of(10);
    let mut files = chain.xor([8; 8]).preallocate(1 << 16).file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    assert!(opened.newest().is_none());
    let before = refreshed(&opened);
    for _ in 0..30 {
        chain.mine(1);
        files.append(&chain).unwrap();
        assert_is_active(&scene, &refreshed(&opened), &chain, 0);
    }
    assert_eq!(before.tip().unwrap().height, Height(10));
    assert_eq!(before.fork_height(&opened.newest().unwrap()), None);
}

#[test]
fn a_refresh_without_changes_returns_the_same_snapshot_and_reads_nothing() {
    let scene = Scene::new();
    chain_of(50).file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    scene.age();
    let opened = scene.open();
    let first = refreshed(&opened);
    let read = opened.progress().headers_read;
    assert_eq!(read, 51);
    assert!(Arc::ptr_eq(&first, &refreshed(&opened)));
    assert_eq!(opened.progress().headers_read, read);
}

#[test]
fn a_reorganisation_is_followed_and_its_fork_is_found() {
    let scene = Scene::new();
    let mut chain = chain_of(50);
    let mut files = chain.file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    for depth in 1..20 {
        let before = refreshed(&opened);
        let height = chain.tip_height();
        chain.reorg(depth);
        files.append(&chain).unwrap();
        let after = refreshed(&opened);
        assert_is_active(&scene, &after, &chain, 0);
        assert_eq!(before.fork_height(&after), Some(Height(height - depth + 1)));
        assert_eq!(after.fork_height(&after.clone()), None);
    }
}

#[test]
fn pruning_keeps_known_headers_and_removes_blocks() {
    let scene = Scene::new();
    let mut chain = chain_of(100);
    let mut files = chain.file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    let before = refreshed(&opened);
    files.prune_below(60).unwrap();
    let after = refreshed(&opened);
    let lowest = after.lowest_complete_to(Height(100)).unwrap();
    assert!(lowest.0 > 0 && lowest.0 <= 60);
    assert_is_active(&scene, &after, &chain, lowest.0);
    assert_eq!(after.rootless_from(), None, "the ancestors are known, though pruned");
    assert_eq!(after.block(Height(3)), None);
    assert_eq!(after.id(Height(3)).unwrap().hash, chain.hash_at(3));
    assert_eq!(before.fork_height(&after), None, "a pruned block is still the chain's");
    let span = before.block(Height(3)).unwrap().span;
    assert!(matches!(opened.files().window(&[span]), Err(BlockFileError::Vanished { .. })));
    drop(opened);
    let again = scene.open();
    assert_eq!(refreshed(&again).id(Height(3)).unwrap().hash, chain.hash_at(3), "the state file keeps it");
}

#[test]
fn a_node_that_crashed_and_rewrites_finished_files_is_followed_back() {
    let scene = Scene::new();
    let mut old = chain_of(300);
    let mut files = old.xor([6; 8]).file_bytes_max(8000).write(&scene.blocks_dir()).unwrap();
    scene.age();
    let opened = scene.open();
    let before = refreshed(&opened);
    assert_eq!(before.tip().unwrap().height, Height(300));

    // The node restarts with file 0 as it was at height 20, and without the files after it.
    let end = files.span(&old.hash_at(20)).unwrap().end();
    files.files().rewind_to_file(FileNumber(0), u32::try_from(end).unwrap()).unwrap();
    old.rewind(280).mine(40);
    for number in 2..=files.files().current_file().0 + 40 {
        let _ = files.files().prune(FileNumber(number));
    }
    files.append(&old).unwrap();
    assert_eq!(tip_of(&refreshed(&opened)), tip_of(&scene.fresh_chain()), "equal to a first refresh");
    assert_is_active(&scene, &refreshed(&opened), &old, 0);
    assert_eq!(before.fork_height(&refreshed(&opened)), Some(Height(21)));
}

#[test]
fn a_rewritten_file_with_later_files_has_the_result_of_a_first_refresh() {
    let scene = Scene::new();
    let mut chain = chain_of(200);
    let mut files = chain.file_bytes_max(8000).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    refreshed(&opened);
    let end = files.span(&chain.hash_at(5)).unwrap().end();
    files.files().rewind_to_file(FileNumber(0), u32::try_from(end).unwrap()).unwrap();
    chain.rewind(195);
    for _ in 0..12 {
        chain.mine(1);
        files.append(&chain).unwrap();
        let (followed, fresh) = (refreshed(&opened), scene.fresh_chain());
        assert_eq!(tip_of(&followed), tip_of(&fresh));
        assert_eq!(followed.rootless_from(), fresh.rootless_from());
        assert_eq!(followed.fork_height(&fresh), None);
        assert_eq!(fresh.fork_height(&followed), None);
    }
}

#[test]
fn a_recreated_datadir_has_nothing_of_the_old_one() {
    let scene = Scene::new();
    chain_of(80).file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    refreshed(&opened);
    fs::remove_dir_all(scene.blocks_dir()).unwrap();
    assert!(matches!(opened.refresh(&Cancel::new()), Err(ChainError::BlocksDir(_))));
    assert_eq!(opened.newest().unwrap().tip().unwrap().height, Height(80), "the snapshot stays");
    let mut anew = ChainBuilder::new();
    anew.reorg(0).mine(7).file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    assert_is_active(&scene, &refreshed(&opened), &anew, 0);
}

#[test]
fn another_key_beneath_a_running_server_is_an_error() {
    let scene = Scene::new();
    chain_of(5).xor([1; 8]).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    refreshed(&opened);
    fs::write(scene.blocks_dir().join("xor.dat"), [2; 8]).unwrap();
    assert!(matches!(opened.refresh(&Cancel::new()), Err(ChainError::KeyChanged { .. })));
}

#[test]
fn a_missing_key_differs_from_a_changed_one_and_may_come_back() {
    let scene = Scene::new();
    let mut chain = chain_of(5);
    chain.xor([1; 8]).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    refreshed(&opened);
    let (there, away) = (scene.blocks_dir().join("xor.dat"), scene.dir.path().join("xor.dat"));
    fs::rename(&there, &away).unwrap();
    assert!(matches!(opened.refresh(&Cancel::new()), Err(ChainError::KeyGone { path }) if path == there));
    fs::rename(&away, &there).unwrap();
    assert_is_active(&scene, &refreshed(&opened), &chain, 0);
}

/// As after an unmount: missing files are not pruned files.
#[test]
fn a_directory_that_lost_all_files_is_an_error_and_no_empty_chain() {
    let scene = Scene::new();
    let mut chain = chain_of(40);
    chain.file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    refreshed(&opened);
    let away = scene.dir.path().join("away");
    fs::rename(scene.blocks_dir(), &away).unwrap();
    fs::create_dir(scene.blocks_dir()).unwrap();
    let error = opened.refresh(&Cancel::new()).unwrap_err();
    assert!(matches!(&error, ChainError::Empty { files, .. } if *files > 1), "{error}");
    assert_eq!(opened.newest().unwrap().tip().unwrap().height, Height(40), "the snapshot stays");
    fs::remove_dir(scene.blocks_dir()).unwrap();
    fs::rename(&away, scene.blocks_dir()).unwrap();
    assert_is_active(&scene, &refreshed(&opened), &chain, 0);
}

#[test]
fn a_linked_file_is_followed_and_not_treated_as_pruned_while_its_disk_is_away() {
    let scene = Scene::new();
    let mut chain = chain_of(40);
    chain.file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    let (disk, away) = (scene.dir.path().join("disk"), scene.dir.path().join("away"));
    fs::create_dir(&disk).unwrap();
    let link = scene.blocks_dir().join("blk00000.dat");
    fs::rename(&link, disk.join("blk00000.dat")).unwrap();
    std::os::unix::fs::symlink(disk.join("blk00000.dat"), &link).unwrap();
    let opened = scene.open();
    assert_is_active(&scene, &refreshed(&opened), &chain, 0);
    fs::rename(&disk, &away).unwrap();
    let error = opened.refresh(&Cancel::new()).unwrap_err();
    let ChainError::BlocksDir(BlocksDirError::BrokenLink { path }) = &error else { panic!("{error}") };
    assert_eq!(*path, link);
    fs::rename(&away, &disk).unwrap();
    assert_is_active(&scene, &refreshed(&opened), &chain, 0);
}

#[test]
fn a_suspected_file_is_walked_again_though_its_time_did_not_change() {
    let scene = Scene::new();
    let mut chain = chain_of(30);
    let mut files = chain.file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    scene.age();
    let opened = scene.open();
    refreshed(&opened);
    let span = files.span(&chain.hash_at(3)).unwrap();
    files.files().flip(span, 20, 1).unwrap();
    scene.age();
    assert_eq!(refreshed(&opened).lowest_complete_to(Height(30)), Some(Height(0)), "the change is undetected");
    opened.suspect(span.file);
    let after = refreshed(&opened);
    assert_eq!(after.block(Height(3)), None);
    assert_eq!(after.lowest_complete_to(Height(30)), Some(Height(4)));
}

#[test]
fn a_cancelled_first_refresh_is_an_error_and_the_next_one_continues() {
    let scene = Scene::new();
    let mut chain = chain_of(30);
    chain.file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(matches!(opened.refresh(&cancel), Err(ChainError::Cancelled)));
    assert!(opened.newest().is_none());
    assert_is_active(&scene, &refreshed(&opened), &chain, 0);
}

#[test]
fn progress_ends_at_its_total() {
    let scene = Scene::new();
    chain_of(30).file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    refreshed(&opened);
    let reading = opened.progress();
    let on_disk: u64 =
        fs::read_dir(scene.blocks_dir()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert_eq!((reading.bytes_done, reading.bytes_total), (on_disk, on_disk));
}

#[test]
fn only_finished_files_are_mapped() {
    let scene = Scene { access: Access::mapped_in_test(), ..Scene::new() };
    let mut chain = chain_of(60);
    let mut files = chain.xor([0x77; 8]).preallocate(1 << 16).file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    let snapshot = refreshed(&opened);
    let last = files.files().current_file();
    for (height, block) in chain.active() {
        let span = snapshot.block(Height(height)).unwrap().span;
        let window = opened.files().window(&[span]).unwrap();
        assert_eq!(window.is_mapped(), span.file < last, "height {height}");
        let mut bytes = Vec::new();
        window.with_block(span, |raw| raw.copy_clear(&mut bytes)).unwrap().unwrap();
        assert_eq!(bytes, bitcoin::consensus::serialize(block));
        window.recheck().unwrap();
    }
    let early = snapshot.block(Height(3)).unwrap().span;
    opened.suspect(early.file);
    assert!(!opened.files().window(&[early]).unwrap().is_mapped(), "a suspected file is read");
    refreshed(&opened);
    assert!(opened.files().window(&[early]).unwrap().is_mapped(), "until it is walked again");
}

/// Appends a block to any file, as a node that fills several files at a time does.
fn append_to(scene: &Scene, number: FileNumber, chain: &ChainBuilder) {
    let (_, block) = chain.active().last().unwrap();
    let block = bitcoin::consensus::serialize(block);
    let size = u32::try_from(block.len()).unwrap().to_le_bytes();
    let record = [&Network::Regtest.magic().0[..], &size, &block].concat();
    let mut file = File::options().append(true).open(scene.blocks_dir().join(number.file_name())).unwrap();
    std::io::Write::write_all(&mut file, &record).unwrap();
}

#[test]
fn a_file_that_grows_beside_a_later_one_is_read_once_growth_was_detected() {
    let scene = Scene { access: Access::mapped_in_test(), ..Scene::new() };
    let mut chain = chain_of(60);
    let mut files = chain.file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    let snapshot = refreshed(&opened);
    let (early, last) = (snapshot.block(Height(3)).unwrap().span, files.files().current_file());
    let between = snapshot.block(Height(30)).unwrap().span;
    assert!(early.file < between.file && between.file < last);
    assert!(opened.files().window(&[early]).unwrap().is_mapped(), "growth is not yet detected");
    for _ in 0..3 {
        for number in [early.file, last] {
            chain.mine(1);
            append_to(&scene, number, &chain);
        }
        assert_is_active(&scene, &refreshed(&opened), &chain, 0);
        let window = opened.files().window(&[early]).unwrap();
        assert!(!window.is_mapped());
        chain.mine(1);
        append_to(&scene, early.file, &chain);
        window.recheck().unwrap();
        assert!(opened.files().window(&[between]).unwrap().is_mapped(), "other files stay mapped");
    }
}

#[test]
fn the_last_file_is_mapped_once_the_next_one_exists() {
    let scene = Scene { access: Access::mapped_in_test(), ..Scene::new() };
    let mut chain = chain_of(2);
    let mut files = chain.preallocate(1 << 16).file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    let early = refreshed(&opened).block(Height(1)).unwrap().span;
    while files.files().current_file() == early.file {
        assert!(!opened.files().window(&[early]).unwrap().is_mapped());
        chain.mine(1);
        files.append(&chain).unwrap();
        refreshed(&opened);
    }
    assert!(opened.files().window(&[early]).unwrap().is_mapped());
}

#[test]
fn a_changed_file_is_not_mapped_after_a_cancelled_refresh() {
    let scene = Scene { access: Access::mapped_in_test(), ..Scene::new() };
    chain_of(60).file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    scene.age();
    let opened = scene.open();
    let early = refreshed(&opened).block(Height(3)).unwrap().span;
    assert!(opened.files().window(&[early]).unwrap().is_mapped());
    let path = scene.blocks_dir().join(early.file.file_name());
    File::options().write(true).open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(matches!(opened.refresh(&cancel), Err(ChainError::Cancelled)));
    assert!(!opened.files().window(&[early]).unwrap().is_mapped());
}

/// Panics during a refresh, after `damage` changed the indexer.
fn panic_in_a_refresh(chain: &Chain, damage: impl FnOnce(&mut Indexer) + Send) {
    std::thread::scope(|scope| {
        let panicking = scope.spawn(|| {
            damage(&mut chain.lock_indexer());
            let _indexer = chain.lock_indexer();
            panic!("for the test");
        });
        assert!(panicking.join().is_err());
    });
}

#[test]
fn after_a_panic_the_index_is_rebuilt_from_the_files() {
    let scene = Scene::new();
    let mut chain = chain_of(20);
    chain.file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    scene.age();
    let opened = scene.open();
    refreshed(&opened);
    let read = opened.progress().headers_read;
    // Every file counts as known, and none of their blocks is in the index, which is of mainnet.
    panic_in_a_refresh(&opened, |indexer| {
        *indexer = Indexer::new(Network::Main, None);
        indexer.update(opened.files(), &BTreeSet::new(), &ProgressCounters::default(), &Cancel::new()).unwrap();
    });
    assert_is_active(&scene, &refreshed(&opened), &chain, 0);
    assert_eq!(opened.progress().headers_read, 2 * read, "all headers are read anew");
    assert_is_active(&scene, &refreshed(&opened), &chain, 0);
    assert_eq!(opened.progress().headers_read, 2 * read, "once");
}

#[test]
fn an_index_left_by_a_panic_is_not_saved() {
    let saved = |damage: fn(&Chain)| {
        let scene = Scene::new();
        chain_of(20).file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
        let opened = scene.open();
        refreshed(&opened);
        damage(&opened);
        drop(opened);
        let entries = fs::read_dir(scene.state_dir()).unwrap();
        entries.map(|entry| entry.unwrap().metadata().unwrap().len()).sum::<u64>() > 0
    };
    assert!(saved(|_chain| ()), "new headers are saved at the end");
    assert!(!saved(|chain| panic_in_a_refresh(chain, |_indexer| ())));
}

#[test]
fn files_without_a_record_differ_from_empty_ones() {
    let scene = Scene::new();
    fs::create_dir(scene.blocks_dir()).unwrap();
    let opened = scene.open();
    refreshed(&opened);
    assert!(!opened.lock_indexer().is_without_records());
    fs::write(scene.blocks_dir().join("blk00000.dat"), [0; 1000]).unwrap();
    refreshed(&opened);
    assert!(opened.lock_indexer().is_without_records());
    chain_of(2).write(&scene.blocks_dir()).unwrap();
    refreshed(&opened);
    assert!(!opened.lock_indexer().is_without_records());
}
