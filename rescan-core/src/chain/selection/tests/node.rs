//! Selection with a node that reports its tip.

use super::*;

/// An event between two selections.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// This many further blocks are read.
    Read(usize),
    /// The node reports one of the blocks read so far as its tip.
    NodeTip(prop::sample::Index),
    /// The node is gone.
    NodeGone,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1usize..12).prop_map(Step::Read),
        4 => any::<prop::sample::Index>().prop_map(Step::NodeTip),
        2 => Just(Step::NodeGone),
    ];
    prop::collection::vec(step, 1..30)
}

/// The rule as a specification, regardless of speed.
#[derive(Default)]
struct Oracle {
    records: Vec<HeaderRecord>,
    node_tip: Option<BlockHash>,
    invalidated: Vec<BlockHash>,
    selected: Option<Vec<BlockHash>>,
}

impl Oracle {
    fn select(&mut self) -> Vec<BlockHash> {
        let before = self.selected.take().unwrap_or_else(|| heaviest(&self.records));
        let chain = match self.node_tip {
            None => heaviest_without(&self.records, &self.invalidated),
            Some(tip) => {
                let chain: Vec<BlockHash> =
                    chain_to(&self.records, self.find(tip)).iter().map(|record| record.hash).collect();
                self.invalidated.retain(|lowest| !chain.contains(lowest));
                let abandoned: Vec<BlockHash> = before.iter().filter(|hash| !chain.contains(hash)).copied().collect();
                let gained: Vec<BlockHash> = chain.iter().filter(|hash| !before.contains(hash)).copied().collect();
                if !abandoned.is_empty() && self.work(&abandoned) >= self.work(&gained) {
                    self.invalidated.push(abandoned[0]);
                }
                chain
            }
        };
        self.selected = Some(chain.clone());
        chain
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
    fn the_nodes_tip_is_the_tip_and_a_branch_it_abandoned_for_less_stays_invalidated(records in trees(), steps in steps()) {
        let mut selection = ChainSelection::new(Network::Regtest);
        let mut unread = records.into_iter();
        let mut rule = Oracle { records: unread.next().into_iter().collect(), ..Oracle::default() };
        rule.records.iter().for_each(|record| selection.insert(*record));
        for step in steps {
            match step {
                Step::Read(blocks) => for record in unread.by_ref().take(blocks) {
                    rule.records.push(record);
                    selection.insert(record);
                },
                Step::NodeTip(which) => rule.node_tip = Some(which.get(&rule.records).hash),
                Step::NodeGone => rule.node_tip = None,
            }
            selection.on_tip(rule.node_tip);
            let snapshot = select(&mut selection);
            prop_assert_eq!(hashes(&snapshot), rule.select(), "after {:?}", step);
        }
    }
}

/// Genesis, blocks 1 to 5 on it, and 6 and 7 on block 2.
fn forked() -> ChainSelection {
    let genesis = Network::Regtest.genesis_hash();
    let mut selection = ChainSelection::new(Network::Regtest);
    selection.insert(record(0, genesis, BlockHash::all_zeros(), 0));
    selection.insert(record(1, hash_of(1), genesis, 0));
    for (made, parent) in [(2, 1), (3, 2), (4, 3), (5, 4), (6, 2), (7, 6)] {
        selection.insert(record(made, hash_of(made), hash_of(parent), 0));
    }
    select(&mut selection);
    selection
}

fn tip(selection: &mut ChainSelection) -> Option<BlockHash> {
    select(selection).tip().map(|tip| tip.hash)
}

#[test]
fn an_invalidated_branch_stays_inactive_though_it_is_heavier_and_grows() {
    let mut selection = forked();
    assert_eq!(tip(&mut selection), Some(hash_of(5)));
    selection.on_tip(Some(hash_of(7)));
    assert_eq!(tip(&mut selection), Some(hash_of(7)));
    selection.on_tip(None);
    assert_eq!(tip(&mut selection), Some(hash_of(7)));
    selection.insert(record(8, hash_of(8), hash_of(5), 0));
    assert_eq!(tip(&mut selection), Some(hash_of(7)));
    // The node reconsiders it.
    selection.on_tip(Some(hash_of(8)));
    assert_eq!(tip(&mut selection), Some(hash_of(8)));
    selection.on_tip(None);
    assert_eq!(tip(&mut selection), Some(hash_of(8)));
}

#[test]
fn a_branch_abandoned_for_more_work_may_win_again() {
    let mut selection = forked();
    selection.on_tip(Some(hash_of(7)));
    select(&mut selection);
    // The node reconsiders, and finds that 3 to 5 have more.
    selection.on_tip(Some(hash_of(5)));
    select(&mut selection);
    selection.on_tip(None);
    for (made, parent) in [(8, 7), (9, 8)] {
        selection.insert(record(made, hash_of(made), hash_of(parent), 0));
    }
    assert_eq!(tip(&mut selection), Some(hash_of(9)));
}

#[test]
fn blocks_above_the_nodes_tip_wait_until_it_reports_them() {
    let mut selection = forked();
    selection.on_tip(Some(hash_of(5)));
    selection.insert(record(8, hash_of(8), hash_of(5), 0));
    assert_eq!(tip(&mut selection), Some(hash_of(5)));
    selection.on_tip(Some(hash_of(8)));
    assert_eq!(tip(&mut selection), Some(hash_of(8)));
}

#[test]
fn a_tip_in_no_file_changes_nothing() {
    let mut selection = forked();
    selection.on_tip(Some(hash_of(99)));
    assert_eq!(tip(&mut selection), Some(hash_of(5)));
    assert!(!selection.knows(&hash_of(99)));
}

#[test]
fn a_pruned_nodes_tip_is_followed_though_nothing_links_it_to_genesis() {
    let mut selection = ChainSelection::new(Network::Regtest);
    for (made, parent) in [(101, 100), (102, 101), (103, 102), (104, 101)] {
        selection.insert(record(made, hash_of(made), hash_of(parent), 0));
    }
    let height = |span: RecordSpan| {
        // Block 104 is at height 102.
        let made = span.file.0 * BLOCKS_PER_FILE + (span.offset - 8) / 300;
        Some(Height(if made == 104 { 102 } else { made }))
    };
    selection.select(&mut |span| height(span));
    assert_eq!(selection.active_chain().tip().map(|tip| tip.hash), Some(hash_of(103)));
    selection.on_tip(Some(hash_of(104)));
    selection.select(&mut |span| height(span));
    assert_eq!(selection.active_chain().tip().map(|tip| tip.hash), Some(hash_of(104)));
    selection.on_tip(None);
    selection.select(&mut |span| height(span));
    assert_eq!(selection.active_chain().tip().map(|tip| tip.hash), Some(hash_of(104)));
}
