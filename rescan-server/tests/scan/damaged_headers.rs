//! A flipped bit in the header of a block without matches. The walk does not read headers: the
//! chain must detect it.

use rescan_core::position::Height;
use rescan_core::report::Outcome;
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::private_access::mapped_access;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_server::blocks::block_file::Access;

use crate::{ReadChain, RunConfig, scan, watch_scripts};

const HEIGHT: u32 = 30;

/// Offset and bit within a header, one for each field: version, parent, merkle root, time, target,
/// nonce. On regtest, every second such header still meets its target.
const FLIPS: [(u32, u8); 8] = [(0, 1), (10, 1), (40, 4), (70, 1), (75, 1), (75, 0x80), (78, 1), (79, 8)];

/// The time of the flip.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flipped {
    BeforeTheFirstRead,
    UnderARunningServer,
}

/// The outcome of a scan of `chain` after one bit was flipped.
fn outcome(chain: &ChainBuilder, (offset, mask): (u32, u8), flipped: Flipped, access: Access) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let mut written = chain.write(dir.path()).unwrap();
    let span = written.span(&chain.hash_at(HEIGHT)).unwrap();
    let opened = (flipped == Flipped::UnderARunningServer).then(|| ReadChain::open(dir.path(), access));
    written.files().flip(span, offset, mask).unwrap();
    let read = opened.unwrap_or_else(|| ReadChain::open(dir.path(), access));
    let watch = watch_scripts(&[TestWallet::new("nobody").script(ScriptKind::P2wpkh, 0)]);
    scan(&read, &watch, RunConfig::with_workers(2)).unwrap().outcome
}

#[test]
fn a_block_whose_header_is_damaged_is_missing_and_no_scan_over_it_is_complete() {
    let mut chain = ChainBuilder::new();
    chain.mine(60).xor([7, 0, 1, 2, 3, 4, 5, 6]).file_bytes_max(4000);
    for (flip, access) in FLIPS.into_iter().flat_map(|flip| [(flip, mapped_access()), (flip, Access::read())]) {
        let lowest = Height(HEIGHT + 1);
        assert_eq!(
            outcome(&chain, flip, Flipped::BeforeTheFirstRead, access),
            Outcome::PrunedBelow(lowest),
            "{flip:?}"
        );
        // The pinned chain has lost a block.
        assert_eq!(
            outcome(&chain, flip, Flipped::UnderARunningServer, access),
            Outcome::ReorganisedFrom(Height(HEIGHT)),
            "{flip:?}"
        );
    }
}
