//! The node as the tests of this folder use it.

use rescan_tests::LiveNode;

#[test]
fn a_node_mines_stops_dies_and_comes_back_with_what_it_had_written() {
    let Some(mut node) = LiveNode::start(&[]) else { return };
    assert_eq!(node.tip().0, 0);
    let mined = node.mine(3);
    assert_eq!(node.tip(), (3, mined[2]));
    assert_eq!(node.hash_at(2), mined[1]);
    node.invalidate(&mined[1]);
    assert_eq!(node.tip(), (1, mined[0]));
    node.reconsider(&mined[1]);
    assert_eq!(node.tip(), (3, mined[2]));
    node.stop();
    node.restart();
    assert_eq!(node.tip(), (3, mined[2]));
    node.kill();
    assert!(!node.is_running());
    node.restart();
    assert!(node.tip().0 <= 3);
    assert!(node.socket().exists());
}
