//! What a live node does to the files beneath a server that runs.

use super::*;
use crate::block_files::BlockFileError;

#[test]
fn a_refresh_picks_up_what_was_appended_and_older_snapshots_stay() {
    let scene = Scene::new();
    let mut chain = chain_of(10);
    let mut files = chain.xor([8; 8]).preallocate(1 << 16).file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    assert!(opened.newest().is_none());
    let before = look(&opened);
    for _ in 0..30 {
        chain.mine(1);
        files.append(&chain).unwrap();
        assert_is_active(&scene, &look(&opened), &chain, 0);
    }
    assert_eq!(before.tip().unwrap().height, Height(10));
    assert_eq!(before.fork_height(&opened.newest().unwrap()), None);
}

#[test]
fn a_refresh_that_finds_nothing_new_gives_the_same_snapshot_and_reads_nothing() {
    let scene = Scene::new();
    chain_of(50).file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    scene.age();
    let opened = scene.open();
    let first = look(&opened);
    let read = opened.reading().headers_read;
    assert_eq!(read, 51);
    assert!(Arc::ptr_eq(&first, &look(&opened)));
    assert_eq!(opened.reading().headers_read, read);
}

#[test]
fn a_reorganisation_is_followed_and_its_fork_is_found() {
    let scene = Scene::new();
    let mut chain = chain_of(50);
    let mut files = chain.file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    for depth in 1..20 {
        let before = look(&opened);
        let height = chain.tip_height();
        chain.reorg(depth);
        files.append(&chain).unwrap();
        let after = look(&opened);
        assert_is_active(&scene, &after, &chain, 0);
        assert_eq!(before.fork_height(&after), Some(Height(height - depth + 1)));
        assert_eq!(after.fork_height(&after.clone()), None);
    }
}

#[test]
fn pruning_leaves_the_headers_that_were_seen_and_takes_the_blocks() {
    let scene = Scene::new();
    let mut chain = chain_of(100);
    let mut files = chain.file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    let before = look(&opened);
    files.prune_below(60).unwrap();
    let after = look(&opened);
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
    assert_eq!(look(&again).id(Height(3)).unwrap().hash, chain.hash_at(3), "the state file remembers it");
}

#[test]
fn a_node_that_crashed_and_rewrites_finished_files_is_followed_back() {
    let scene = Scene::new();
    let mut old = chain_of(300);
    let mut files = old.xor([6; 8]).file_bytes_max(8000).write(&scene.blocks_dir()).unwrap();
    scene.age();
    let opened = scene.open();
    let before = look(&opened);
    assert_eq!(before.tip().unwrap().height, Height(300));

    // It remembers file 0 as it was at height 20, and knows nothing of the files after it.
    let end = files.span(&old.hash_at(20)).unwrap().end();
    files.files().rewind_to_file(FileNumber(0), u32::try_from(end).unwrap()).unwrap();
    old.rewind(280).mine(40);
    for number in 2..=files.files().current_file().0 + 40 {
        let _ = files.files().prune(FileNumber(number));
    }
    files.append(&old).unwrap();
    assert_eq!(tip_of(&look(&opened)), tip_of(&scene.fresh_look()), "as if the files had never been otherwise");
    assert_is_active(&scene, &look(&opened), &old, 0);
    assert_eq!(before.fork_height(&look(&opened)), Some(Height(21)));
}

#[test]
fn a_rewritten_file_whose_later_files_stay_gives_what_a_first_look_gives() {
    let scene = Scene::new();
    let mut chain = chain_of(200);
    let mut files = chain.file_bytes_max(8000).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    look(&opened);
    let end = files.span(&chain.hash_at(5)).unwrap().end();
    files.files().rewind_to_file(FileNumber(0), u32::try_from(end).unwrap()).unwrap();
    chain.rewind(195);
    for _ in 0..12 {
        chain.mine(1);
        files.append(&chain).unwrap();
        let (followed, fresh) = (look(&opened), scene.fresh_look());
        assert_eq!(tip_of(&followed), tip_of(&fresh));
        assert_eq!(followed.rootless_from(), fresh.rootless_from());
        assert_eq!(followed.fork_height(&fresh), None);
        assert_eq!(fresh.fork_height(&followed), None);
    }
}

#[test]
fn a_datadir_that_was_wiped_and_begun_anew_leaves_nothing_behind() {
    let scene = Scene::new();
    chain_of(80).file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    look(&opened);
    fs::remove_dir_all(scene.blocks_dir()).unwrap();
    assert!(matches!(opened.refresh(&Cancel::new()), Err(ChainError::BlocksDir(_))));
    assert_eq!(opened.newest().unwrap().tip().unwrap().height, Height(80), "the snapshot stays");
    let mut anew = ChainBuilder::new();
    anew.reorg(0).mine(7).file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    assert_is_active(&scene, &look(&opened), &anew, 0);
}

#[test]
fn another_key_beneath_a_running_server_is_an_error() {
    let scene = Scene::new();
    chain_of(5).xor([1; 8]).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    look(&opened);
    fs::write(scene.blocks_dir().join("xor.dat"), [2; 8]).unwrap();
    assert!(matches!(opened.refresh(&Cancel::new()), Err(ChainError::KeyChanged { .. })));
}

#[test]
fn a_suspected_file_is_walked_again_though_its_time_did_not_change() {
    let scene = Scene::new();
    let mut chain = chain_of(30);
    let mut files = chain.file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    scene.age();
    let opened = scene.open();
    look(&opened);
    let span = files.span(&chain.hash_at(3)).unwrap();
    files.files().flip(span, 20, 1).unwrap();
    scene.age();
    assert_eq!(look(&opened).lowest_complete_to(Height(30)), Some(Height(0)), "nothing tells of the change");
    opened.suspect(span.file);
    let after = look(&opened);
    assert_eq!(after.block(Height(3)), None);
    assert_eq!(after.lowest_complete_to(Height(30)), Some(Height(4)));
}

#[test]
fn a_cancelled_first_look_says_so_and_the_next_one_goes_on() {
    let scene = Scene::new();
    let mut chain = chain_of(30);
    chain.file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(matches!(opened.refresh(&cancel), Err(ChainError::Cancelled)));
    assert!(opened.newest().is_none());
    assert_is_active(&scene, &look(&opened), &chain, 0);
}

#[test]
fn progress_ends_where_it_was_said_to_end() {
    let scene = Scene::new();
    chain_of(30).file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    look(&opened);
    let reading = opened.reading();
    let on_disk: u64 =
        fs::read_dir(scene.blocks_dir()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert_eq!((reading.bytes_done, reading.bytes_total), (on_disk, on_disk));
}

#[test]
fn only_files_that_a_later_one_has_succeeded_are_mapped() {
    let scene = Scene { access: Access::mapped_in_test(), ..Scene::new() };
    let mut chain = chain_of(60);
    let mut files = chain.xor([0x77; 8]).preallocate(1 << 16).file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    let snapshot = look(&opened);
    let last = files.files().current_file();
    for (height, block) in chain.active() {
        let span = snapshot.block(Height(height)).unwrap().span;
        let window = opened.files().window(&[span]).unwrap();
        assert_eq!(window.is_mapped(), span.file < last, "height {height}");
        let mut bytes = Vec::new();
        window.block(span).unwrap().copy_clear(&mut bytes);
        assert_eq!(bytes, bitcoin::consensus::serialize(block));
        window.recheck().unwrap();
    }
    let early = snapshot.block(Height(3)).unwrap().span;
    opened.suspect(early.file);
    assert!(!opened.files().window(&[early]).unwrap().is_mapped(), "a suspected file is read");
    look(&opened);
    assert!(opened.files().window(&[early]).unwrap().is_mapped(), "until it was walked again");
}
