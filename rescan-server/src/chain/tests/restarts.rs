//! The state file across restarts, and unusable state files.

use rescan_core::blocks::obfuscation::ObfuscationKey;

use super::*;
use crate::chain::state_file::StateFile;

/// Opens and refreshes a chain; returns it with the number of headers read.
fn start(scene: &Scene) -> (Chain, u64) {
    let chain = scene.open();
    refreshed(&chain);
    let read = chain.progress().headers_read;
    (chain, read)
}

fn state_path(scene: &Scene) -> PathBuf {
    let entries = fs::read_dir(scene.state_dir()).unwrap().map(|entry| entry.unwrap().path());
    entries.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "chain")).unwrap()
}

fn file_count(scene: &Scene) -> u64 {
    let names = fs::read_dir(scene.blocks_dir()).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_str().unwrap().starts_with("blk")).count() as u64
}

#[test]
fn a_second_start_reads_one_header_a_file_and_those_that_are_new() {
    let scene = Scene::new();
    let mut chain = chain_of(400);
    chain.reorg(2);
    chain.side_branch(5, 2);
    let mut files = chain.xor([2; 8]).shuffle_window(3, 40).file_bytes_max(4000).write(&scene.blocks_dir()).unwrap();
    scene.age();
    let (opened, read) = start(&scene);
    assert_eq!(read, chain.made().count() as u64);
    drop(opened);
    let (opened, read) = start(&scene);
    assert_eq!(read, file_count(&scene), "the last record of each file");
    assert_is_active(&scene, &opened.newest().unwrap(), &chain, 0);
    drop(opened);

    let before = file_count(&scene);
    files.files().roll_over().unwrap();
    scene.age();
    chain.mine(3);
    files.append(&chain).unwrap();
    let (opened, read) = start(&scene);
    assert_eq!(read, before + 3);
    assert_is_active(&scene, &opened.newest().unwrap(), &chain, 0);
}

#[test]
fn a_pruned_and_a_gapped_chain_are_restored_too() {
    for (omitted, pruned_below) in [(0..=0, 150), (50..=99, 0)] {
        let scene = Scene::new();
        let mut chain = chain_of(300);
        chain.reorg(3).file_bytes_max(4000).omit(omitted).prune_below(pruned_below).write(&scene.blocks_dir()).unwrap();
        scene.age();
        let (opened, _) = start(&scene);
        let first = opened.newest().unwrap();
        drop(opened);
        let (opened, read) = start(&scene);
        let again = opened.newest().unwrap();
        assert_eq!(read, file_count(&scene));
        assert!(first.rootless_from().is_some());
        assert_eq!(first.rootless_from(), again.rootless_from());
        assert_eq!(first.fork_height(&again), None);
        assert_is_active(&scene, &again, &chain, first.lowest_complete_to(Height(300)).unwrap().0);
    }
}

#[test]
fn copies_and_stale_blocks_are_restored() {
    let scene = Scene::new();
    let mut chain = chain_of(30);
    let twice = chain.hash_at(4);
    chain.side_branch(1, 1);
    chain.append(Record::Block(twice)).append(Record::File(FileNumber(1))).write(&scene.blocks_dir()).unwrap();
    scene.age();
    let (opened, _) = start(&scene);
    let copies = opened.newest().unwrap().copies(Height(4));
    assert_eq!(copies.len(), 2);
    drop(opened);
    let (opened, _) = start(&scene);
    assert_eq!(opened.newest().unwrap().copies(Height(4)), copies);
    drop(opened);
    // The stale branch wins later; its first block is known only from the state file.
    let stale = chain.stale().next().unwrap().1.block_hash();
    chain.activate(stale).mine(2);
    let writer_dir = tempfile::tempdir().unwrap();
    let tail: Vec<Record> = (31..=32).map(|height| Record::Block(chain.hash_at(height))).collect();
    chain.write_records(writer_dir.path(), &tail).unwrap();
    fs::copy(writer_dir.path().join("blk00000.dat"), scene.blocks_dir().join("blk00002.dat")).unwrap();
    let (opened, _) = start(&scene);
    assert_is_active(&scene, &opened.newest().unwrap(), &chain, 0);
}

/// Of two branches without their fork, neither has more work. The selection must not depend on the order of insertion.
#[test]
fn of_two_runs_without_a_root_the_earlier_record_stays_over_a_second_start() {
    let scene = Scene::new();
    let mut chain = chain_of(20);
    let side = chain.side_branch(2, 2);
    let records: Vec<Record> = [chain.hash_at(0), side[0], side[1], chain.hash_at(19), chain.hash_at(20)]
        .into_iter()
        .map(Record::Block)
        .collect();
    chain.write_records(&scene.blocks_dir(), &records).unwrap();
    scene.age();
    for _ in 0..2 {
        let (opened, _) = start(&scene);
        assert_eq!(tip_of(&opened.newest().unwrap()), (20, side[1]));
    }
}

#[test]
fn a_state_file_damaged_at_any_byte_costs_a_new_walk_and_nothing_else() {
    let scene = Scene::new();
    let mut chain = chain_of(4);
    chain.file_bytes_max(700).write(&scene.blocks_dir()).unwrap();
    scene.age();
    drop(start(&scene));
    let path = state_path(&scene);
    let whole = fs::read(&path).unwrap();
    let all = chain.made().count() as u64;
    let check = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let (opened, read) = start(&scene);
        assert_eq!(read, all, "it is read anew");
        assert_is_active(&scene, &opened.newest().unwrap(), &chain, 0);
        drop(opened);
        assert_eq!(fs::read(&path).unwrap().len(), whole.len(), "it is written anew");
    };
    let state_file =
        StateFile::lock(&scene.state_dir(), &scene.blocks_dir(), Network::Regtest, ObfuscationKey::CLEAR).unwrap();
    let is_refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        state_file.load().is_err()
    };
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(is_refused(&damaged), "byte {at}");
        assert!(is_refused(&whole[..at]), "{at} bytes");
    }
    drop(state_file);
    for at in (0..whole.len()).step_by(97) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        check(&damaged);
        check(&whole[..at]);
    }
    check(&[&whole[..], &[0]].concat());
}

#[test]
fn a_state_file_of_another_version_or_network_is_replaced() {
    let scene = Scene::new();
    let chain = chain_of(12);
    chain.write(&scene.blocks_dir()).unwrap();
    scene.age();
    drop(start(&scene));
    let path = state_path(&scene);
    for (at, value) in [(8, 99), (12, 0xf9)] {
        let mut foreign = fs::read(&path).unwrap();
        foreign[at] = value;
        let body = foreign.len() - 4;
        let checksum = crc32c::crc32c(&foreign[..body]);
        foreign[body..].copy_from_slice(&checksum.to_le_bytes());
        fs::write(&path, foreign).unwrap();
        let (opened, read) = start(&scene);
        assert_eq!(read, 13);
        assert_is_active(&scene, &opened.newest().unwrap(), &chain, 0);
    }
}

#[test]
fn a_second_server_on_one_state_is_an_error() {
    let scene = Scene::new();
    chain_of(3).write(&scene.blocks_dir()).unwrap();
    let first = scene.open();
    let error = Chain::open(scene.config()).unwrap_err();
    assert!(matches!(error, ChainError::StateLocked(_)), "{error}");
    assert!(error.to_string().contains("--state-dir"), "{error}");
    let elsewhere = ChainConfig { state_dir: scene.dir.path().join("other"), ..scene.config() };
    refreshed(&Chain::open(elsewhere).unwrap());
    drop(first);
    refreshed(&scene.open());
}

#[test]
fn without_a_state_directory_the_chain_is_read_each_time() {
    let scene = Scene::new();
    let chain = chain_of(9);
    chain.write(&scene.blocks_dir()).unwrap();
    fs::write(scene.state_dir(), "a file where a directory should be").unwrap();
    for _ in 0..2 {
        let (opened, read) = start(&scene);
        assert_eq!(read, 10);
        assert_is_active(&scene, &opened.newest().unwrap(), &chain, 0);
    }
}

#[test]
fn a_state_file_that_cannot_be_replaced_is_left_and_the_chain_is_served() {
    let scene = Scene::new();
    let mut chain = chain_of(9);
    chain.write(&scene.blocks_dir()).unwrap();
    scene.age();
    drop(start(&scene));
    let path = state_path(&scene);
    // A directory in place of the new file; permissions would not stop root.
    fs::create_dir(path.with_extension("new")).unwrap();
    let before = fs::read(&path).unwrap();
    chain.mine(1);
    chain.write(&scene.blocks_dir()).unwrap();
    let (opened, _) = start(&scene);
    assert_is_active(&scene, &opened.newest().unwrap(), &chain, 0);
    drop(opened);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn positions_that_changed_between_two_starts_are_found_again() {
    let scene = Scene::new();
    let mut chain = chain_of(40);
    chain.file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    scene.age();
    drop(start(&scene));
    // A reindexed or copied directory: same blocks at other positions.
    fs::remove_dir_all(scene.blocks_dir()).unwrap();
    chain.file_bytes_max(5000).shuffle_window(9, 20).write(&scene.blocks_dir()).unwrap();
    let (opened, _) = start(&scene);
    assert_is_active(&scene, &opened.newest().unwrap(), &chain, 0);
}

#[test]
fn nothing_is_written_into_the_blocks_directory() {
    let scene = Scene::new();
    chain_of(5).xor([4; 8]).write(&scene.blocks_dir()).unwrap();
    let names = |path: &Path| {
        let mut names: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names(&scene.blocks_dir());
    drop(start(&scene));
    assert_eq!(names(&scene.blocks_dir()), before);
}
