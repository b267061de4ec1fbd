//! A chain that follows a node's tip.

use rescan_core::server_info::NodeTip;

use super::*;

fn at(height: u32, hash: BlockHash) -> NodeLink {
    let tip = Some(NodeTip { height: Height(height), hash });
    NodeLink { state: NodeLinkState::Connected, since: 0, tip, reason: String::new() }
}

fn lost(link: &NodeLink) -> NodeLink {
    NodeLink { state: NodeLinkState::Lost, ..link.clone() }
}

#[test]
fn the_nodes_branch_is_served_despite_a_heavier_one_also_after_the_node_is_gone() {
    let scene = Scene::new();
    let mut chain = chain_of(10);
    let side = chain.side_branch(4, 2);
    chain.write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    assert_eq!(tip_of(&refreshed(&opened)), (10, chain.tip_hash()));
    assert_eq!(opened.source(), ChainSource::Files);
    let link = at(8, side[1]);
    opened.on_tip(&link);
    let snapshot = refreshed(&opened);
    assert_eq!(tip_of(&snapshot), (8, side[1]));
    assert_eq!(opened.source(), ChainSource::Node);
    assert!(Arc::ptr_eq(&snapshot, &refreshed(&opened)));
    opened.on_tip(&lost(&link));
    assert_eq!(opened.source(), ChainSource::Files);
    assert_eq!(tip_of(&refreshed(&opened)), (8, side[1]));
    // The node reactivates the other branch.
    opened.on_tip(&at(10, chain.tip_hash()));
    assert_eq!(tip_of(&refreshed(&opened)), (10, chain.tip_hash()));
}

#[test]
fn a_node_that_agrees_with_the_files_confirms_the_same_snapshot() {
    let scene = Scene::new();
    let chain = chain_of(10);
    chain.write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    let before = refreshed(&opened);
    opened.on_tip(&at(10, chain.tip_hash()));
    assert!(Arc::ptr_eq(&before, &refreshed(&opened)));
    assert_eq!(opened.source(), ChainSource::Node);
}

#[test]
fn a_tip_missing_on_disk_is_awaited_and_the_previous_chain_stays() {
    let scene = Scene::new();
    let mut chain = chain_of(10);
    let mut files = chain.write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    opened.on_tip(&at(10, chain.tip_hash()));
    let before = refreshed(&opened);
    assert!(!opened.awaits_tip());
    chain.mine(1);
    files.append(&chain).unwrap();
    chain.mine(1);
    opened.on_tip(&at(12, chain.tip_hash()));
    assert!(Arc::ptr_eq(&before, &refreshed(&opened)), "block 11 is on disk, and not the node's tip");
    assert!(opened.awaits_tip());
    files.append(&chain).unwrap();
    assert_eq!(tip_of(&refreshed(&opened)), (12, chain.tip_hash()));
    assert!(!opened.awaits_tip());
}

#[test]
fn nothing_is_mapped_after_the_node_is_lost_until_it_is_back_at_its_height() {
    let scene = Scene { access: Access::mapped_in_test(), ..Scene::new() };
    let mut chain = chain_of(30);
    let mut files = chain.file_bytes_max(3000).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    let is_mapped = || opened.files().mappable_to(FileNumber(0)).is_some();
    let link = at(30, chain.tip_hash());
    opened.on_tip(&link);
    refreshed(&opened);
    assert!(is_mapped());
    opened.on_tip(&lost(&link));
    assert!(!is_mapped(), "at once, and not with the next refresh");
    refreshed(&opened);
    assert!(!is_mapped());
    opened.on_tip(&at(20, chain.hash_at(20)));
    assert_eq!(tip_of(&refreshed(&opened)), (20, chain.hash_at(20)));
    assert!(!is_mapped());
    chain.mine(1);
    files.append(&chain).unwrap();
    opened.on_tip(&at(31, chain.tip_hash()));
    refreshed(&opened);
    assert!(is_mapped());
}
