//! The choice where a node says which tip is its own.

use super::*;

/// What happens to a tree between two choices.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many further blocks are read.
    Read(usize),
    /// The node names one of the blocks read so far as its tip.
    NodeSays(prop::sample::Index),
    /// Nobody can ask the node.
    NodeGone,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1usize..12).prop_map(Step::Read),
        4 => any::<prop::sample::Index>().prop_map(Step::NodeSays),
        2 => Just(Step::NodeGone),
    ];
    prop::collection::vec(step, 1..30)
}

/// The rule in so many words, without a thought for speed.
#[derive(Default)]
struct Oracle {
    records: Vec<HeaderRecord>,
    node_tip: Option<BlockHash>,
    left: Vec<BlockHash>,
    chosen: Option<Vec<BlockHash>>,
}

impl Oracle {
    fn choose(&mut self) -> Vec<BlockHash> {
        let before = self.chosen.take().unwrap_or_else(|| oracle(&self.records));
        let chosen = match self.node_tip {
            None => oracle_without(&self.records, &self.left),
            Some(tip) => {
                let chain: Vec<BlockHash> =
                    chain_to(&self.records, self.find(tip)).iter().map(|record| record.hash).collect();
                self.left.retain(|left| !chain.contains(left));
                let abandoned: Vec<BlockHash> = before.iter().filter(|hash| !chain.contains(hash)).copied().collect();
                let gained: Vec<BlockHash> = chain.iter().filter(|hash| !before.contains(hash)).copied().collect();
                if !abandoned.is_empty() && self.work(&abandoned) >= self.work(&gained) {
                    self.left.push(abandoned[0]);
                }
                chain
            }
        };
        self.chosen = Some(chosen.clone());
        chosen
    }

    fn find(&self, hash: BlockHash) -> &HeaderRecord {
        self.records.iter().find(|record| record.hash == hash).expect("it was read")
    }

    fn work(&self, hashes: &[BlockHash]) -> u128 {
        let records: Vec<HeaderRecord> = hashes.iter().map(|hash| *self.find(*hash)).collect();
        work_of(&records)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn the_nodes_tip_is_the_tip_and_what_it_left_for_less_stays_left_without_it(records in trees(), steps in steps()) {
        let mut tree = BlockIndex::new(Network::Regtest);
        let mut unread = records.into_iter();
        let mut rule = Oracle { records: unread.next().into_iter().collect(), ..Oracle::default() };
        rule.records.iter().for_each(|record| tree.insert(*record));
        for step in steps {
            match step {
                Step::Read(blocks) => for record in unread.by_ref().take(blocks) {
                    rule.records.push(record);
                    tree.insert(record);
                },
                Step::NodeSays(which) => rule.node_tip = Some(which.get(&rule.records).hash),
                Step::NodeGone => rule.node_tip = None,
            }
            tree.set_node_tip(rule.node_tip);
            let snapshot = settle(&mut tree);
            prop_assert_eq!(hashes(&snapshot), rule.choose(), "after {:?}", step);
        }
    }
}

/// Genesis, blocks 1 to 5 on it, and 6 and 7 on block 2.
fn forked() -> BlockIndex {
    let genesis = Network::Regtest.genesis_hash();
    let mut tree = BlockIndex::new(Network::Regtest);
    tree.insert(record(0, genesis, BlockHash::all_zeros(), 0));
    tree.insert(record(1, hash_of(1), genesis, 0));
    for (made, parent) in [(2, 1), (3, 2), (4, 3), (5, 4), (6, 2), (7, 6)] {
        tree.insert(record(made, hash_of(made), hash_of(parent), 0));
    }
    settle(&mut tree);
    tree
}

fn tip(tree: &mut BlockIndex) -> Option<BlockHash> {
    settle(tree).tip().map(|tip| tip.hash)
}

#[test]
fn an_invalidated_branch_stays_left_though_it_is_heavier_and_grows() {
    let mut tree = forked();
    assert_eq!(tip(&mut tree), Some(hash_of(5)));
    tree.set_node_tip(Some(hash_of(7)));
    assert_eq!(tip(&mut tree), Some(hash_of(7)));
    tree.set_node_tip(None);
    assert_eq!(tip(&mut tree), Some(hash_of(7)));
    tree.insert(record(8, hash_of(8), hash_of(5), 0));
    assert_eq!(tip(&mut tree), Some(hash_of(7)));
    // The node takes it back.
    tree.set_node_tip(Some(hash_of(8)));
    assert_eq!(tip(&mut tree), Some(hash_of(8)));
    tree.set_node_tip(None);
    assert_eq!(tip(&mut tree), Some(hash_of(8)));
}

#[test]
fn a_branch_that_was_left_for_more_work_may_win_again() {
    let mut tree = forked();
    tree.set_node_tip(Some(hash_of(7)));
    settle(&mut tree);
    // The node reconsiders, and finds that 3 to 5 have more.
    tree.set_node_tip(Some(hash_of(5)));
    settle(&mut tree);
    tree.set_node_tip(None);
    for (made, parent) in [(8, 7), (9, 8)] {
        tree.insert(record(made, hash_of(made), hash_of(parent), 0));
    }
    assert_eq!(tip(&mut tree), Some(hash_of(9)));
}

#[test]
fn blocks_above_the_nodes_tip_wait_until_it_names_them() {
    let mut tree = forked();
    tree.set_node_tip(Some(hash_of(5)));
    tree.insert(record(8, hash_of(8), hash_of(5), 0));
    assert_eq!(tip(&mut tree), Some(hash_of(5)));
    tree.set_node_tip(Some(hash_of(8)));
    assert_eq!(tip(&mut tree), Some(hash_of(8)));
}

#[test]
fn a_tip_that_no_file_has_changes_nothing() {
    let mut tree = forked();
    tree.set_node_tip(Some(hash_of(99)));
    assert_eq!(tip(&mut tree), Some(hash_of(5)));
    assert!(!tree.knows(&hash_of(99)));
}

#[test]
fn a_pruned_nodes_tip_is_followed_though_nothing_links_it_to_genesis() {
    let mut tree = BlockIndex::new(Network::Regtest);
    for (made, parent) in [(101, 100), (102, 101), (103, 102), (104, 101)] {
        tree.insert(record(made, hash_of(made), hash_of(parent), 0));
    }
    let height = |span: RecordSpan| {
        // Block 104 stands at height 102.
        let made = span.file.0 * BLOCKS_PER_FILE + (span.offset - 8) / 300;
        Some(Height(if made == 104 { 102 } else { made }))
    };
    tree.settle(&mut |span| height(span));
    assert_eq!(tree.snapshot().tip().map(|tip| tip.hash), Some(hash_of(103)));
    tree.set_node_tip(Some(hash_of(104)));
    tree.settle(&mut |span| height(span));
    assert_eq!(tree.snapshot().tip().map(|tip| tip.hash), Some(hash_of(104)));
    tree.set_node_tip(None);
    tree.settle(&mut |span| height(span));
    assert_eq!(tree.snapshot().tip().map(|tip| tip.hash), Some(hash_of(104)));
}
