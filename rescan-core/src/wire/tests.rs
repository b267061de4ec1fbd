//! What is written is read back unchanged; what nobody wrote is an error and never a panic.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::time::Duration;

use bitcoin::block::Header;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, Network, OutPoint, ScriptBuf, TxMerkleNode, TxOut, Txid};
use capnp::message::{Builder, ReaderOptions};
use capnp::traits::Owned;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::block_match::*;
use crate::coins::Coin;
use crate::position::{Height, HeightRange};
use crate::report::*;
use crate::request::*;
use crate::rescan_capnp as wire;
use crate::server_info::*;

/// Writes a message of type `T`, sends it through its flat form, and hands what arrives to `read`.
fn through_a_message<T: Owned, R>(write: impl FnOnce(T::Builder<'_>), read: impl FnOnce(T::Reader<'_>) -> R) -> R {
    let mut message = Builder::new_default();
    write(message.init_root::<T::Builder<'_>>());
    let flat = capnp::serialize::write_message_to_words(&message);
    let message = capnp::serialize::read_message_from_flat_slice(&mut flat.as_slice(), ReaderOptions::new()).unwrap();
    read(message.get_root::<T::Reader<'_>>().unwrap())
}

fn block_hashes() -> impl Strategy<Value = BlockHash> {
    any::<[u8; 32]>().prop_map(BlockHash::from_byte_array)
}

fn outpoints() -> impl Strategy<Value = OutPoint> {
    (any::<[u8; 32]>(), any::<u32>()).prop_map(|(txid, vout)| OutPoint { txid: Txid::from_byte_array(txid), vout })
}

fn scripts() -> impl Strategy<Value = ScriptBuf> {
    vec(any::<u8>(), 0..80).prop_map(ScriptBuf::from_bytes)
}

fn amounts() -> impl Strategy<Value = Amount> {
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

fn block_ids() -> impl Strategy<Value = BlockId> {
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

fn coins() -> impl Strategy<Value = Coin> {
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

fn reports() -> impl Strategy<Value = BlockReport> {
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

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Complete),
        Just(Outcome::Cancelled),
        heights().prop_map(Outcome::PrunedBelow),
        heights().prop_map(Outcome::ReorganisedFrom),
    ]
}

fn keychain_uses() -> impl Strategy<Value = KeychainUse> {
    prop_oneof![Just(KeychainUse::Unused), Just(KeychainUse::UsedSingle), any::<u32>().prop_map(KeychainUse::LastUsed),]
}

/// As many uses as watched indexes.
fn keychains() -> impl Strategy<Value = (Vec<KeychainUse>, Vec<Option<u32>>)> {
    vec((keychain_uses(), option::of(any::<u32>())), 0..4).prop_map(|both| both.into_iter().unzip())
}

fn marks() -> impl Strategy<Value = Mark> {
    (heights(), block_ids(), vec(block_hashes(), 0..4), keychains()).prop_map(
        |(from, block, locator, (keychains, watched_through))| Mark {
            from,
            block,
            locator,
            keychains,
            watched_through,
        },
    )
}

fn scan_requests() -> impl Strategy<Value = ScanRequest> {
    let verify = prop::sample::select(vec![Verify::Reported, Verify::All, Verify::None]);
    let deliver = prop::sample::select(vec![Deliver::History, Deliver::Coins]);
    let extras =
        any::<[bool; 2]>().prop_map(|[raw_transactions, merkle_branches]| Extras { raw_transactions, merkle_branches });
    let mark_every = option::of((1..=u32::MAX).prop_map(|millis| Duration::from_millis(millis.into())));
    let covered = (heights(), vec(option::of(any::<u32>()), 0..4))
        .prop_map(|(from, watched_through)| Covered { from, watched_through });
    (ranges(), verify, deliver, extras, mark_every, option::of(covered)).prop_map(
        |(range, verify, deliver, extras, mark_every, covered)| ScanRequest {
            range,
            verify,
            deliver,
            extras,
            mark_every,
            covered,
        },
    )
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

fn endings() -> impl Strategy<Value = Ending> {
    prop_oneof![
        summaries().prop_map(Ending::Summary),
        refusals().prop_map(Ending::Refused),
        failures().prop_map(Ending::Failed),
    ]
}

fn block_matches() -> impl Strategy<Value = BlockMatch> {
    let content = prop_oneof![
        Just(MatchContent::Nothing),
        vec(any::<u8>(), 0..300).prop_map(MatchContent::Block),
        Just(MatchContent::NotOnDisk),
    ];
    let answered = (block_ids(), option::of(block_ids()), content)
        .prop_map(|(block, next, content)| BlockMatch::Answered(MatchedBlock { block, next, content }));
    prop_oneof![answered, refusals().prop_map(BlockMatch::Refused), failures().prop_map(BlockMatch::Failed)]
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

fn server_infos() -> impl Strategy<Value = ServerInfo> {
    let network = prop::sample::select(vec![
        Network::Bitcoin,
        Network::Testnet,
        Network::Testnet4,
        Network::Signet,
        Network::Regtest,
    ]);
    let features = vec(
        prop::sample::select(vec![
            Feature::Scan,
            Feature::Blocks,
            Feature::Birthday,
            Feature::GapRule,
            Feature::Coins,
            Feature::Proofs,
            Feature::Locator,
            Feature::MatchBlock,
            Feature::WaitTip,
        ]),
        0..4,
    );
    let state = prop::sample::select(vec![ChainState::Reading, ChainState::Ready, ChainState::Failed]);
    let source = prop::sample::select(vec![ChainSource::Files, ChainSource::Node]);
    let chain = (block_hashes(), state, option::of(block_ids()), heights(), source, any::<[u64; 2]>()).prop_map(
        |(genesis, state, tip, lowest_height, source, [bytes_done, bytes_total])| ChainInfo {
            genesis,
            state,
            tip,
            lowest_height,
            source,
            reading: ReadingProgress { bytes_done, bytes_total },
        },
    );
    let limits = (any::<[u64; 8]>(), any::<[u32; 10]>()).prop_map(|(wide, narrow)| Limits {
        message_bytes_max: wide[0],
        connections_max: narrow[0],
        scans_per_connection_max: narrow[1],
        watch_sets_per_connection_max: narrow[2],
        scripts_per_watch_set_max: wide[1],
        outpoints_per_watch_set_max: wide[2],
        entry_bytes_per_watch_set_max: wide[3],
        watched_per_connection_max: wide[4],
        watched_pool: wide[5],
        scans_max: narrow[3],
        calls_open_max: narrow[4],
        calls_waiting_max: narrow[5],
        capabilities_max: narrow[6],
        unanswered_bytes_max: wide[6],
        unanswered_bytes_pool: wide[7],
        stalled_after_millis: narrow[7],
        unread_after_millis: narrow[8],
        message_after_millis: narrow[9],
    });
    (any::<u32>(), ".{0,20}", network, features, chain, limits, node_links(), figures()).prop_map(
        |(protocol_version, software, network, features, chain, limits, node, figures)| ServerInfo {
            protocol_version,
            software,
            network,
            features,
            chain,
            limits,
            node,
            figures,
        },
    )
}

fn node_links() -> impl Strategy<Value = NodeLink> {
    let state = prop::sample::select(vec![
        NodeLinkState::Off,
        NodeLinkState::Absent,
        NodeLinkState::Connecting,
        NodeLinkState::Connected,
        NodeLinkState::Lost,
        NodeLinkState::Refused,
    ]);
    let tip = option::of((heights(), block_hashes()).prop_map(|(height, hash)| NodeTip { height, hash }));
    (state, any::<u64>(), tip, ".{0,20}").prop_map(|(state, since, tip, reason)| NodeLink { state, since, tip, reason })
}

fn figures() -> impl Strategy<Value = Figures> {
    let refusals = vec((prop::sample::select(RefusalReason::KNOWN.to_vec()), any::<u64>()), 0..4);
    let failures = vec((prop::sample::select(FailureKind::KNOWN.to_vec()), any::<u64>()), 0..4);
    let node_tip =
        prop_oneof![Just(NodeHeight::NotAsked), Just(NodeHeight::Unreachable), heights().prop_map(NodeHeight::Height)];
    (any::<[u64; 17]>(), any::<u32>(), refusals, failures, node_tip).prop_map(
        |(counts, connections_now, refusals, failures, node_tip)| Figures {
            scans_begun: counts[0],
            scans_complete: counts[1],
            scans_cancelled: counts[2],
            scans_pruned: counts[3],
            scans_reorganised: counts[4],
            scans_refused: counts[5],
            scans_failed: counts[6],
            scans_abandoned: counts[7],
            block_matches: counts[8],
            blocks_walked: counts[9],
            bytes_walked: counts[10],
            last_scan_bytes_per_second: counts[11],
            transactions_reported: counts[12],
            connections_accepted: counts[13],
            connections_turned_away: counts[14],
            connections_of_other_users: counts[15],
            connections_broken: counts[16],
            connections_now,
            refusals,
            failures,
            node_tip,
        },
    )
}

#[test]
fn every_reason_and_kind_of_the_schema_is_known_by_a_name_of_its_own() {
    let reasons = (0..).map_while(|number| crate::rescan_capnp::RefusalReason::try_from(number).ok()).count();
    let kinds = (0..).map_while(|number| crate::rescan_capnp::FailureKind::try_from(number).ok()).count();
    assert_eq!((RefusalReason::KNOWN.len(), FailureKind::KNOWN.len()), (reasons, kinds));
    let mut names: Vec<_> = RefusalReason::KNOWN.iter().map(|reason| reason.name()).collect();
    names.extend(FailureKind::KNOWN.iter().map(|kind| kind.name()));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), reasons + kinds);
}

#[test]
fn a_chain_lags_by_the_blocks_that_the_node_has_and_it_has_not() {
    let node = NodeHeight::Height(Height(10));
    assert_eq!(node.lag_blocks(Some(Height(7))), Some(3));
    assert_eq!(node.lag_blocks(Some(Height(12))), Some(0), "the node went back");
    assert_eq!(node.lag_blocks(None), Some(11), "the genesis block too");
    assert_eq!(NodeHeight::Unreachable.lag_blocks(Some(Height(7))), None);
}

proptest! {
    #[test]
    fn a_report_is_read_as_it_was_written(report in reports()) {
        let read = through_a_message::<wire::block_report::Owned, _>(
            |builder| write_report(&report, builder).unwrap(),
            |reader| read_report(reader).unwrap(),
        );
        prop_assert_eq!(read, report);
    }

    #[test]
    fn the_size_of_a_report_is_told_within_a_fifth(report in reports()) {
        let mut message = Builder::new_default();
        write_report(&report, message.init_root()).unwrap();
        let real = capnp::serialize::compute_serialized_size_in_words(&message) * 8;
        let told = report_bytes(&report);
        prop_assert!(told * 5 >= real * 4 && told * 4 <= real * 5 + 64, "told {told} of {real}");
    }

    #[test]
    fn an_ending_is_read_as_it_was_written(ending in endings()) {
        let read = through_a_message::<wire::scan_result::Owned, _>(
            |builder| write_ending(&ending, builder).unwrap(),
            |reader| read_ending(reader).unwrap(),
        );
        prop_assert_eq!(read, ending);
    }

    #[test]
    fn what_came_of_one_block_is_read_as_it_was_written(found in block_matches()) {
        let read = through_a_message::<wire::block_match::Owned, _>(
            |builder| write_block_match(&found, builder).unwrap(),
            |reader| read_block_match(reader).unwrap(),
        );
        prop_assert_eq!(read, found);
    }

    #[test]
    fn a_scan_request_is_read_as_it_was_written(request in scan_requests()) {
        let read = through_a_message::<wire::scan_request::Owned, _>(
            |builder| write_scan_request(&request, builder).unwrap(),
            |reader| read_scan_request(reader).unwrap(),
        );
        prop_assert_eq!(read, request);
    }

    #[test]
    fn a_given_keychain_is_read_as_it_was_written(
        descriptor in ".{0,40}",
        gap_limit in any::<u32>(),
        last_revealed in option::of(any::<u32>()),
    ) {
        let given = GivenKeychain { descriptor, gap_limit, last_revealed };
        let read = through_a_message::<wire::keychain::Owned, _>(
            |builder| write_given_keychain(&given, builder),
            |reader| read_given_keychain(reader).unwrap(),
        );
        prop_assert_eq!(read, given);
    }

    #[test]
    fn a_mark_is_read_as_it_was_written(mark in marks()) {
        let read = through_a_message::<wire::mark::Owned, _>(
            |builder| write_mark(&mark, builder).unwrap(),
            |reader| read_mark(reader).unwrap(),
        );
        prop_assert_eq!(read, mark);
    }

    #[test]
    fn a_coin_is_read_as_it_was_written_and_its_size_is_told_within_a_fifth(coin in coins()) {
        let mut message = Builder::new_default();
        write_coin(&coin, message.init_root()).unwrap();
        let real = capnp::serialize::compute_serialized_size_in_words(&message) * 8;
        let told = coin_bytes(&coin);
        prop_assert!(told * 5 >= real * 4 && told * 4 <= real * 5 + 64, "told {told} of {real}");
        let read = through_a_message::<wire::coin::Owned, _>(
            |builder| write_coin(&coin, builder).unwrap(),
            |reader| read_coin(reader).unwrap(),
        );
        prop_assert_eq!(read, coin);
    }

    #[test]
    fn a_given_outpoint_is_read_as_it_was_written(
        outpoint in outpoints(),
        output in option::of((amounts(), scripts())),
    ) {
        let output = output.map(|(value, script_pubkey)| TxOut { value, script_pubkey });
        let given = GivenOutpoint { outpoint, output };
        let read = through_a_message::<wire::given_outpoint::Owned, _>(
            |builder| write_given_outpoint(&given, builder).unwrap(),
            |reader| read_given_outpoint(reader).unwrap(),
        );
        prop_assert_eq!(read, given);
    }

    #[test]
    fn a_server_is_read_as_it_described_itself(info in server_infos()) {
        let read = through_a_message::<wire::server_info::Owned, _>(
            |builder| write_server_info(&info, builder).unwrap(),
            |reader| read_server_info(reader).unwrap(),
        );
        prop_assert_eq!(read, info);
    }

    #[test]
    fn progress_and_sizes_are_read_as_they_were_written(
        numbers in any::<[u64; 5]>(),
        phase in prop::sample::select(vec![Phase::ReadingChain, Phase::Deriving, Phase::Walking, Phase::Done]),
        keychains in any::<u32>(),
    ) {
        let [blocks_done, blocks_total, bytes_done, bytes_total, elapsed_micros] = numbers;
        let progress = Progress { phase, blocks_done, blocks_total, bytes_done, bytes_total, elapsed_micros };
        let read = through_a_message::<wire::progress::Owned, _>(
            |builder| write_progress(&progress, builder).unwrap(),
            read_progress,
        );
        prop_assert_eq!(read, progress);
        let size = WatchSetSize { keychains, scripts: blocks_done, outpoints: blocks_total };
        let read = through_a_message::<wire::watch_set_size::Owned, _>(
            |builder| write_watch_set_size(&size, builder),
            read_watch_set_size,
        );
        prop_assert_eq!(read, size);
    }

    #[test]
    fn blocks_and_block_ids_are_read_as_they_were_written(id in block_ids(), data in vec(any::<u8>(), 0..300)) {
        let block = FullBlock { height: id.height, hash: id.hash, data };
        let read = through_a_message::<wire::full_block::Owned, _>(
            |builder| write_full_block(&block, builder).unwrap(),
            |reader| read_full_block(reader).unwrap(),
        );
        prop_assert_eq!(read, block);
        let read = through_a_message::<wire::block_id::Owned, _>(
            |builder| write_block_id(&id, builder),
            |reader| read_block_id(reader).unwrap(),
        );
        prop_assert_eq!(read, Some(id));
    }

    /// Whole words of noise after a segment table that is in order, so that the noise is taken for pointers.
    #[test]
    fn noise_is_an_error_or_a_value_and_never_a_panic(words in vec(any::<[u8; 8]>(), 1..64)) {
        let mut flat = [[0, 0, 0, 0], u32::try_from(words.len()).unwrap().to_le_bytes()].concat();
        flat.extend(words.concat());
        read_as_everything(&flat);
    }

    /// A good message with some of its bytes changed reaches deeper than noise does.
    #[test]
    fn a_damaged_message_is_an_error_or_a_value_and_never_a_panic(
        report in reports(),
        ending in endings(),
        info in server_infos(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut messages = [Builder::new_default(), Builder::new_default(), Builder::new_default()];
        let [first, second, third] = &mut messages;
        write_report(&report, first.init_root()).unwrap();
        write_ending(&ending, second.init_root()).unwrap();
        write_server_info(&info, third.init_root()).unwrap();
        for message in &messages {
            let mut flat = capnp::serialize::write_message_to_words(message);
            for (at, byte) in &damage {
                let at = at.index(flat.len());
                flat[at] = *byte;
            }
            read_as_everything(&flat);
        }
    }
}

/// Reads the bytes as each kind of message there is.
fn read_as_everything(flat: &[u8]) {
    let Ok(message) = capnp::serialize::read_message_from_flat_slice(&mut &*flat, ReaderOptions::new()) else { return };
    // What they are read as does not matter, only that the reading comes back.
    drop(message.get_root().map(read_report));
    drop(message.get_root().map(read_ending));
    drop(message.get_root().map(read_scan_request));
    drop(message.get_root().map(read_range));
    drop(message.get_root().map(read_given_outpoint));
    drop(message.get_root().map(read_given_keychain));
    drop(message.get_root().map(read_mark));
    drop(message.get_root().map(read_coin));
    drop(message.get_root().map(read_server_info));
    drop(message.get_root().map(read_progress).map(|_progress| ()));
    drop(message.get_root().map(read_watch_set_size).map(|_size| ()));
    drop(message.get_root().map(read_full_block));
    drop(message.get_root().map(read_block_id));
    drop(message.get_root().map(read_refusal));
    drop(message.get_root().map(read_failure));
    drop(message.get_root::<wire::rescan::blocks_params::Reader<'_>>().map(|it| it.get_range().map(read_range)));
    drop(
        message.get_root::<wire::report_sink::reports_params::Reader<'_>>().map(|it| it.get_batch().map(read_reports)),
    );
    drop(message.get_root::<wire::block_sink::blocks_params::Reader<'_>>().map(|it| it.get_batch().map(read_blocks)));
}

#[test]
fn a_hash_of_the_wrong_length_is_named() {
    let error = through_a_message::<wire::full_block::Owned, _>(
        |mut builder| builder.set_hash(&[7; 31]),
        |reader| read_full_block(reader).unwrap_err(),
    );
    assert_eq!(error.to_string(), "block.hash is 31 bytes long, expected 32");
}

#[test]
fn a_report_without_transactions_is_refused() {
    let error = through_a_message::<wire::block_report::Owned, _>(
        |mut builder| builder.set_hash(&[7; 32]),
        |reader| read_report(reader).unwrap_err(),
    );
    assert!(matches!(error, WireError::Empty { field: "report.transactions" }), "{error}");
}

#[test]
fn a_match_without_an_origin_is_refused() {
    let error = through_a_message::<wire::block_report::Owned, _>(
        |mut builder| {
            builder.set_hash(&[7; 32]);
            let mut transaction = builder.init_transactions(1).get(0);
            transaction.set_txid(&[8; 32]);
            transaction.init_received(1);
        },
        |reader| read_report(reader).unwrap_err(),
    );
    assert!(matches!(error, WireError::Empty { field: "received.origins" }), "{error}");
}

#[test]
fn a_summary_upside_down_is_refused() {
    let error = through_a_message::<wire::scan_result::Owned, _>(
        |builder| {
            let mut summary = builder.init_summary();
            summary.set_from_height(5);
            summary.set_to_height(4);
        },
        |reader| read_ending(reader).unwrap_err(),
    );
    assert!(matches!(error, WireError::UpsideDown { from: 5, to: 4 }), "{error}");
}

#[test]
fn a_block_id_never_written_stands_for_a_height_outside_the_chain() {
    let read = through_a_message::<wire::block_id::Owned, _>(|_builder| (), |reader| read_block_id(reader).unwrap());
    assert_eq!(read, None);
}

/// The struct is written by hand, since no enumerant of this version has the number 900:
/// data section of two words, one pointer; the first 16 bits are the reason.
#[test]
fn a_reason_of_a_newer_server_is_kept_as_unknown() {
    #[rustfmt::skip]
    let flat = [
        0, 0, 0, 0,  4, 0, 0, 0,                // one segment of four words
        0, 0, 0, 0,  2, 0, 1, 0,                // root: a struct of two data words and one pointer
        0x84, 3, 0, 0, 0, 0, 0, 0,              // reason 900
        9, 0, 0, 0, 0, 0, 0, 0,                 // position 9
        0, 0, 0, 0, 0, 0, 0, 0,                 // no detail
    ];
    let message = capnp::serialize::read_message_from_flat_slice(&mut flat.as_slice(), ReaderOptions::new()).unwrap();
    let refusal = read_refusal(message.get_root().unwrap()).unwrap();
    assert_eq!((refusal.reason, refusal.position), (RefusalReason::Unknown, 9));
}

/// Likewise: the first 16 bits of an outcome say which it is, and 77 is none of those known.
#[test]
fn an_outcome_of_a_newer_server_is_an_error_that_says_so() {
    #[rustfmt::skip]
    let flat = [
        0, 0, 0, 0,  2, 0, 0, 0,
        0, 0, 0, 0,  1, 0, 0, 0,                // root: a struct of one data word
        77, 0, 0, 0, 0, 0, 0, 0,
    ];
    let message = capnp::serialize::read_message_from_flat_slice(&mut flat.as_slice(), ReaderOptions::new()).unwrap();
    let error = super::ending::read_outcome(message.get_root().unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "outcome has the value 77, which is newer than this program: upgrade it");
}
