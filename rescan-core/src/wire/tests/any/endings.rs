//! Arbitrary endings of a scan, and matches of one block.

use std::path::PathBuf;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{amounts, block_hashes, block_ids, heights, keychains};
use crate::block_match::*;
use crate::position::{Height, HeightRange};
use crate::report::*;

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Complete),
        Just(Outcome::Cancelled),
        heights().prop_map(Outcome::PrunedBelow),
        heights().prop_map(Outcome::ReorganisedFrom),
    ]
}

fn summaries() -> impl Strategy<Value = Summary> {
    let range =
        (any::<u32>(), any::<u32>()).prop_map(|(a, b)| HeightRange::new(Height(a.min(b)), Height(a.max(b))).unwrap());
    (
        (outcomes(), range, block_ids(), amounts()),
        any::<[u64; 6]>(),
        keychains(),
        vec(block_hashes(), 0..4),
        any::<u32>(),
    )
        .prop_map(|((outcome, range, tip, unspent), numbers, (keychains, watched_through), locator, passes)| {
            let [transactions, unspent_count, blocks_scanned, bytes_scanned, prepare_micros, elapsed_micros] = numbers;
            Summary {
                outcome,
                range,
                tip,
                transactions,
                unspent_count,
                unspent,
                keychains,
                watched_through,
                blocks_scanned,
                bytes_scanned,
                prepare_micros,
                elapsed_micros,
                locator,
                passes,
            }
        })
}

fn refusals() -> impl Strategy<Value = Refusal> {
    let reason = prop::sample::select(vec![
        RefusalReason::BadDescriptor,
        RefusalReason::WrongNetwork,
        RefusalReason::BadScript,
        RefusalReason::BadOutpoint,
        RefusalReason::TooManyEntries,
        RefusalReason::AlreadySealed,
        RefusalReason::NotSealed,
        RefusalReason::BadRange,
        RefusalReason::ForeignWatchSet,
        RefusalReason::TooManyScans,
        RefusalReason::BadGapLimit,
        RefusalReason::NotInChain,
        RefusalReason::BadCoverage,
    ]);
    (reason, any::<u64>(), ".{0,40}").prop_map(|(reason, position, detail)| Refusal { reason, position, detail })
}

fn failures() -> impl Strategy<Value = Failure> {
    let kind = prop::sample::select(vec![
        FailureKind::CorruptBlock,
        FailureKind::Unreadable,
        FailureKind::Internal,
        FailureKind::LimitReached,
    ]);
    let place = (heights(), "[a-z/]{1,20}", any::<u64>()).prop_map(|(height, path, offset)| FailurePlace {
        height,
        path: PathBuf::from(path),
        offset,
    });
    (kind, ".{0,40}", option::of(place)).prop_map(|(kind, detail, at)| Failure { kind, detail, at })
}

pub(crate) fn endings() -> impl Strategy<Value = Ending> {
    prop_oneof![
        summaries().prop_map(Ending::Summary),
        refusals().prop_map(Ending::Refused),
        failures().prop_map(Ending::Failed),
    ]
}

pub(crate) fn block_matches() -> impl Strategy<Value = BlockMatch> {
    let content = prop_oneof![
        Just(MatchContent::Nothing),
        vec(any::<u8>(), 0..300).prop_map(MatchContent::Block),
        Just(MatchContent::NotOnDisk),
    ];
    let answered = (block_ids(), option::of(block_ids()), content)
        .prop_map(|(block, next, content)| BlockMatch::Answered(MatchedBlock { block, next, content }));
    prop_oneof![answered, refusals().prop_map(BlockMatch::Refused), failures().prop_map(BlockMatch::Failed)]
}
