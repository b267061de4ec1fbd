//! Arbitrary requests and reports, for property tests.

mod endings;
mod servers;

use std::time::Duration;

use bitcoin::block::Header;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, TxMerkleNode, Txid};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

pub(crate) use self::endings::{block_matches, endings};
pub(crate) use self::servers::server_infos;
use crate::coins::Coin;
use crate::position::Height;
use crate::report::*;
use crate::request::*;

fn block_hashes() -> impl Strategy<Value = BlockHash> {
    any::<[u8; 32]>().prop_map(BlockHash::from_byte_array)
}

pub(crate) fn outpoints() -> impl Strategy<Value = OutPoint> {
    (any::<[u8; 32]>(), any::<u32>()).prop_map(|(txid, vout)| OutPoint { txid: Txid::from_byte_array(txid), vout })
}

pub(crate) fn scripts() -> impl Strategy<Value = ScriptBuf> {
    vec(any::<u8>(), 0..80).prop_map(ScriptBuf::from_bytes)
}

pub(crate) fn amounts() -> impl Strategy<Value = Amount> {
    any::<u64>().prop_map(Amount::from_sat)
}

fn heights() -> impl Strategy<Value = Height> {
    any::<u32>().prop_map(Height)
}

fn origins() -> impl Strategy<Value = Vec<Origin>> {
    let origin = prop_oneof![
        (any::<u32>(), option::of(any::<u32>())).prop_map(|(keychain, index)| Origin::Keychain { keychain, index }),
        any::<u32>().prop_map(Origin::Script),
        any::<u32>().prop_map(Origin::Outpoint),
    ];
    vec(origin, 1..4)
}

pub(crate) fn block_ids() -> impl Strategy<Value = BlockId> {
    (heights(), block_hashes(), any::<u32>()).prop_map(|(height, hash, time)| BlockId { height, hash, time })
}

fn transactions() -> impl Strategy<Value = TransactionReport> {
    let received = (any::<u32>(), amounts(), scripts(), origins())
        .prop_map(|(vout, value, script_pubkey, origins)| Received { vout, value, script_pubkey, origins });
    let spent = (any::<u32>(), outpoints(), option::of(amounts()), origins())
        .prop_map(|(vin, prevout, value, origins)| Spent { vin, prevout, value, origins });
    let raw = option::of(vec(any::<u8>(), 0..300));
    let branch = option::of(vec(any::<[u8; 32]>().prop_map(TxMerkleNode::from_byte_array), 0..5));
    (any::<u32>(), any::<[u8; 32]>(), vec(received, 0..4), vec(spent, 0..4), raw, branch).prop_map(
        |(tx_index, txid, received, spent, raw, merkle_branch)| TransactionReport {
            tx_index,
            txid: Txid::from_byte_array(txid),
            received,
            spent,
            raw,
            merkle_branch,
        },
    )
}

fn headers() -> impl Strategy<Value = Header> {
    any::<([u8; 32], [u8; 32], [u8; 16])>().prop_map(|(first, second, rest)| {
        bitcoin::consensus::deserialize(&[&first[..], &second[..], &rest[..]].concat()).unwrap()
    })
}

pub(crate) fn coins() -> impl Strategy<Value = Coin> {
    (block_ids(), any::<u32>(), outpoints(), amounts(), scripts(), origins()).prop_map(
        |(id, tx_index, outpoint, value, script_pubkey, origins)| Coin {
            height: id.height,
            block_hash: id.hash,
            tx_index,
            outpoint,
            value,
            script_pubkey,
            origins,
        },
    )
}

pub(crate) fn reports() -> impl Strategy<Value = BlockReport> {
    (block_ids(), any::<bool>(), option::of(headers()), vec(transactions(), 1..4)).prop_map(
        |(id, is_late, header, transactions)| BlockReport {
            height: id.height,
            hash: id.hash,
            time: id.time,
            is_late,
            header,
            transactions,
        },
    )
}

fn keychain_uses() -> impl Strategy<Value = KeychainUse> {
    prop_oneof![Just(KeychainUse::Unused), Just(KeychainUse::UsedSingle), any::<u32>().prop_map(KeychainUse::LastUsed),]
}

/// As many uses as watched indexes.
fn keychains() -> impl Strategy<Value = (Vec<KeychainUse>, Vec<Option<u32>>)> {
    vec((keychain_uses(), option::of(any::<u32>())), 0..4).prop_map(|both| both.into_iter().unzip())
}

pub(crate) fn marks() -> impl Strategy<Value = ResumePoint> {
    (heights(), block_ids(), vec(block_hashes(), 0..4), keychains()).prop_map(
        |(from, block, locator, (keychains, watched_through))| ResumePoint {
            from,
            block,
            locator,
            keychains,
            watched_through,
        },
    )
}

pub(crate) fn scan_requests() -> impl Strategy<Value = ScanOptions> {
    let verify = prop::sample::select(vec![Verify::Reported, Verify::All, Verify::None]);
    let deliver = prop::sample::select(vec![Deliver::History, Deliver::Coins]);
    let extras =
        any::<[bool; 2]>().prop_map(|[raw_transactions, merkle_branches]| Extras { raw_transactions, merkle_branches });
    let mark_every = option::of((1..=u32::MAX).prop_map(|millis| Duration::from_millis(millis.into())));
    let scanned = (heights(), vec(option::of(any::<u32>()), 0..4))
        .prop_map(|(from, watched_through)| Scanned { from, watched_through });
    (ranges(), verify, deliver, extras, mark_every, option::of(scanned)).prop_map(
        |(range, verify, deliver, extras, mark_every, scanned)| ScanOptions {
            range,
            verify,
            deliver,
            extras,
            mark_every,
            scanned,
        },
    )
}

fn ranges() -> impl Strategy<Value = RangeRequest> {
    let from = prop_oneof![
        heights().prop_map(RangeStart::Height),
        any::<u32>().prop_map(RangeStart::Birthday),
        vec(block_hashes(), 0..4).prop_map(RangeStart::After),
    ];
    let to = prop_oneof![Just(RangeEnd::Tip), heights().prop_map(RangeEnd::Height)];
    (from, to).prop_map(|(from, to)| RangeRequest { from, to })
}
