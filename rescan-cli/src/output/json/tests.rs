//! The contract, byte by byte. If one of these fails, the change breaks scripts that read the lines.

use rescan_client::bitcoin::hashes::Hash;
use rescan_client::bitcoin::{BlockHash, OutPoint, ScriptBuf, Txid};
use rescan_client::position::{Height, HeightRange};
use rescan_client::report::{BlockId, FailureKind, Origin, RefusalReason};
use rescan_client::server_info::{
    ChainInfo, ChainSource, ChainState, Feature, Limits, Metrics, NodeHeight, NodeLink, NodeLinkState, NodeTip,
    ReadingProgress, ServerInfo,
};

use rescan_client::Reverted;
use rescan_client::bitcoin::{Amount, Network};
use rescan_client::coins::Coin;
use rescan_client::report::{BlockReport, KeychainUse, Outcome, Received, Spent, Summary, TransactionReport};

use super::*;
use crate::wallets::{Labels, Wallet};

fn text(line: &Line) -> String {
    serde_json::to_string(line).expect("lines are plain data")
}

/// Printed hashes are reversed, so the byte that comes last in memory comes first in print.
fn hash(first_printed: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[31] = first_printed;
    bytes
}

fn printed(first: &str) -> String {
    format!("{first}{}", "0".repeat(62))
}

fn report(received: Vec<Received>, spent: Vec<Spent>) -> BlockReport {
    BlockReport {
        height: Height(712),
        hash: BlockHash::from_byte_array(hash(0xaa)),
        time: 1_700_000_000,
        is_late: false,
        header: None,
        transactions: vec![TransactionReport {
            tx_index: 3,
            txid: Txid::from_byte_array(hash(0xbb)),
            received,
            spent,
            raw: None,
            merkle_branch: None,
        }],
    }
}

fn received(origins: Vec<Origin>) -> Received {
    Received { vout: 0, value: Amount::from_sat(1_000), script_pubkey: ScriptBuf::from(vec![0, 0x14]), origins }
}

fn spent(value: Option<u64>, origins: Vec<Origin>) -> Spent {
    let prevout = OutPoint { txid: Txid::from_byte_array(hash(0xcc)), vout: 1 };
    Spent { vin: 0, prevout, value: value.map(Amount::from_sat), origins }
}

fn only_line(report: &BlockReport, wallet: &Wallet) -> String {
    let lines: Vec<String> = transactions(report, wallet).map(|line| text(&line)).collect();
    assert_eq!(lines.len(), 1);
    lines[0].clone()
}

fn unnamed<const N: usize>(branch_counts: [u32; N]) -> Wallet {
    Wallet::unnamed(Labels::new(branch_counts))
}

fn wallet(name: &str) -> Wallet {
    Wallet { name: Some(name.to_owned()), labels: Labels::new([2]) }
}

fn keychain(keychain: u32, index: Option<u32>) -> Vec<Origin> {
    vec![Origin::Keychain { keychain, index }]
}

fn head() -> String {
    format!(
        r#"{{"type":"transaction","height":712,"block_hash":"{}","block_time":1700000000,"txid":"{}","tx_index":3,"#,
        printed("aa"),
        printed("bb")
    )
}

#[test]
fn a_transaction_line_is_that_of_the_contract() {
    let report = report(vec![received(keychain(0, Some(5)))], vec![spent(Some(900), keychain(1, Some(2)))]);
    let expected = format!(
        r#"{}"received":[{{"vout":0,"value_sat":1000,"script_pubkey":"0014","descriptor":0,"index":5}}],"spent":[{{"vin":0,"prevout":{{"txid":"{}","vout":1}},"value_sat":900,"descriptor":1,"index":2}}]}}"#,
        head(),
        printed("cc")
    );
    assert_eq!(only_line(&report, &unnamed([1, 1])), expected);
}

#[test]
fn an_unknown_value_and_the_index_of_a_single_script_are_null() {
    let report = report(vec![received(keychain(0, None))], vec![spent(None, vec![Origin::Outpoint(0)])]);
    let expected = format!(
        r#"{}"received":[{{"vout":0,"value_sat":1000,"script_pubkey":"0014","descriptor":0,"index":null}}],"spent":[{{"vin":0,"prevout":{{"txid":"{}","vout":1}},"value_sat":null,"descriptor":null,"index":null}}]}}"#,
        head(),
        printed("cc")
    );
    assert_eq!(only_line(&report, &unnamed([1])), expected);
}

#[test]
fn a_multipath_descriptor_keeps_its_position_and_names_the_branch() {
    let report = report(vec![received(keychain(2, Some(5)))], vec![]);
    let expected = format!(
        r#"{}"received":[{{"vout":0,"value_sat":1000,"script_pubkey":"0014","descriptor":1,"branch":1,"index":5}}],"spent":[]}}"#,
        head()
    );
    assert_eq!(only_line(&report, &unnamed([1, 2])), expected);
}

#[test]
fn only_a_late_line_ends_with_late() {
    let mut report = report(vec![received(keychain(0, Some(5)))], vec![]);
    let in_time = only_line(&report, &unnamed([1]));
    report.is_late = true;
    let expected = format!(r#"{},"late":true}}"#, in_time.strip_suffix('}').expect("an object"));
    assert_eq!(only_line(&report, &unnamed([1])), expected);
}

#[test]
fn a_transaction_line_of_a_wallet_names_it_first() {
    let report = report(vec![received(keychain(1, Some(5)))], vec![]);
    let expected = format!(
        r#"{}"received":[{{"vout":0,"value_sat":1000,"script_pubkey":"0014","descriptor":0,"branch":1,"index":5}}],"spent":[]}}"#,
        head().replace(r#""height""#, r#""wallet":"al\"ice","height""#)
    );
    assert_eq!(only_line(&report, &wallet("al\"ice")), expected);
}

fn a_coin(tx_index: u32, origins: Vec<Origin>) -> Coin {
    Coin {
        height: Height(712),
        block_hash: BlockHash::from_byte_array(hash(0xaa)),
        tx_index,
        outpoint: OutPoint { txid: Txid::from_byte_array(hash(0xbb)), vout: 4 },
        value: Amount::from_sat(1_000),
        script_pubkey: ScriptBuf::from(vec![0, 0x14]),
        origins,
    }
}

#[test]
fn a_coin_line_is_that_of_the_contract() {
    let expected = format!(
        r#"{{"type":"coin","txid":"{}","vout":4,"value_sat":1000,"script_pubkey":"0014","descriptor":1,"index":5,"height":712,"tx_index":3,"block_hash":"{}","coinbase":false}}"#,
        printed("bb"),
        printed("aa")
    );
    assert_eq!(text(&coin(&a_coin(3, keychain(1, Some(5))), &unnamed([1, 1]))), expected);
}

#[test]
fn a_coin_line_of_a_wallet_names_it_first_and_a_coinbase_is_one() {
    let expected = format!(
        r#"{{"type":"coin","wallet":"bob","txid":"{}","vout":4,"value_sat":1000,"script_pubkey":"0014","descriptor":0,"branch":0,"index":5,"height":712,"tx_index":0,"block_hash":"{}","coinbase":true}}"#,
        printed("bb"),
        printed("aa")
    );
    assert_eq!(text(&coin(&a_coin(0, keychain(0, Some(5))), &wallet("bob"))), expected);
}

#[test]
fn a_summary_line_of_a_wallet_names_it_first() {
    let line = text(&summary(&a_summary(Outcome::Complete, vec![]), &wallet("bob"), 0));
    assert!(line.starts_with(r#"{"type":"summary","wallet":"bob","outcome":"complete","#), "{line}");
}

fn a_summary(outcome: Outcome, keychains: Vec<KeychainUse>) -> Summary {
    let tip = BlockId { height: Height(1_000), hash: BlockHash::from_byte_array(hash(0xdd)), time: 1_700_000_000 };
    Summary {
        outcome,
        range: HeightRange::new(Height(0), Height(1_000)).expect("ascending"),
        tip,
        transactions: 771,
        unspent_count: 3,
        unspent: Amount::from_sat(12_085),
        watched_through: vec![None; keychains.len()],
        keychains,
        blocks_scanned: 1_001,
        bytes_scanned: 1_077_814_507,
        prepare_micros: 90_999,
        elapsed_micros: 240_000,
        locator: vec![tip.hash, BlockHash::from_byte_array(hash(0xee))],
        passes: 2,
    }
}

#[test]
fn a_summary_line_is_that_of_the_contract() {
    let line = summary(&a_summary(Outcome::Complete, vec![KeychainUse::LastUsed(432)]), &unnamed([1]), 81_234);
    let expected = format!(
        r#"{{"type":"summary","outcome":"complete","from_height":0,"to_height":1000,"tip_hash":"{}","transactions":771,"unspent_count":3,"unspent_sat":12085,"keychains":[{{"descriptor":0,"last_used_index":432}}],"blocks_scanned":1001,"bytes_scanned":1077814507,"bytes_received":81234,"prepare_ms":90,"elapsed_ms":240,"outcome_height":null,"locator":["{}","{}"]}}"#,
        printed("dd"),
        printed("dd"),
        printed("ee")
    );
    assert_eq!(text(&line), expected);
}

#[test]
fn every_outcome_has_its_name_and_two_have_a_height() {
    let outcomes = [
        (Outcome::Complete, r#""outcome":"complete""#, r#""outcome_height":null"#),
        (Outcome::Cancelled, r#""outcome":"cancelled""#, r#""outcome_height":null"#),
        (Outcome::PrunedBelow(Height(7)), r#""outcome":"pruned""#, r#""outcome_height":7"#),
        (Outcome::ReorganisedFrom(Height(8)), r#""outcome":"reorganised""#, r#""outcome_height":8"#),
    ];
    for (outcome, word, height) in outcomes {
        let line = text(&summary(&a_summary(outcome, vec![]), &unnamed([]), 0));
        assert!(line.contains(word) && line.contains(height), "{line}");
    }
}

#[test]
fn a_summary_has_a_keychain_a_branch_and_null_where_there_is_no_index() {
    let uses = vec![KeychainUse::Unused, KeychainUse::LastUsed(0), KeychainUse::UsedSingle];
    let line = text(&summary(&a_summary(Outcome::Complete, uses), &unnamed([2, 1]), 0));
    let expected = r#""keychains":[{"descriptor":0,"branch":0,"last_used_index":null},{"descriptor":0,"branch":1,"last_used_index":0},{"descriptor":1,"last_used_index":null}]"#;
    assert!(line.contains(expected), "{line}");
}

#[test]
fn an_info_line_has_every_field_of_the_servers() {
    let info = ServerInfo {
        protocol_version: 1,
        software: "rescan-server 0.1.0".to_owned(),
        network: Network::Regtest,
        features: vec![Feature::Scan, Feature::Unknown, Feature::Birthday],
        chain: ChainInfo {
            genesis: BlockHash::from_byte_array(hash(0x0f)),
            state: ChainState::Ready,
            tip: None,
            lowest_height: Height(0),
            source: ChainSource::Files,
            reading: ReadingProgress { bytes_done: 5, bytes_total: 6 },
        },
        limits: Limits {
            message_bytes_max: 1,
            connections_max: 2,
            scans_per_connection_max: 3,
            watch_sets_per_connection_max: 4,
            scripts_per_watch_set_max: 5,
            outpoints_per_watch_set_max: 6,
            entry_bytes_per_watch_set_max: 7,
            watched_per_connection_max: 8,
            watched_pool: 9,
            scans_max: 10,
            calls_open_max: 11,
            calls_waiting_max: 12,
            capabilities_max: 13,
            unanswered_bytes_max: 14,
            unanswered_bytes_pool: 15,
            stalled_after_millis: 16,
            unread_after_millis: 17,
            message_after_millis: 18,
        },
        node: NodeLink {
            state: NodeLinkState::Lost,
            since: 1_700_000_000,
            tip: Some(NodeTip { height: Height(7), hash: BlockHash::from_byte_array(hash(0x0e)) }),
            reason: "the node hung up".to_owned(),
        },
        metrics: Metrics {
            scans_begun: 9,
            scans_complete: 7,
            bytes_walked: 8,
            connections_now: 3,
            refusals: vec![(RefusalReason::BadRange, 2)],
            failures: vec![(FailureKind::Unreadable, 1)],
            node_tip: NodeHeight::Height(Height(6)),
            ..Metrics::default()
        },
    };
    let expected = format!(
        r#"{{"type":"info","software":"rescan-server 0.1.0","protocol_version":1,"network":"regtest","features":["scan","birthday"],"chain_state":"ready","chain_source":"files","genesis_hash":"{}","tip_height":null,"tip_hash":null,"tip_time":null,"lowest_height":0,"reading_bytes_done":5,"reading_bytes_total":6,"limits":{{"message_bytes_max":1,"connections_max":2,"scans_per_connection_max":3,"watch_sets_per_connection_max":4,"scripts_per_watch_set_max":5,"outpoints_per_watch_set_max":6,"entry_bytes_per_watch_set_max":7,"watched_per_connection_max":8,"watched_pool":9,"scans_max":10,"calls_open_max":11,"calls_waiting_max":12,"capabilities_max":13,"unanswered_bytes_max":14,"unanswered_bytes_pool":15,"stalled_after_millis":16,"unread_after_millis":17,"message_after_millis":18}},"node":{{"state":"lost","since":1700000000,"tip_height":7,"tip_hash":"{}","reason":"the node hung up"}},"figures":{{"scans_begun":9,"scans_under_way":2,"scans_complete":7,"scans_cancelled":0,"scans_pruned":0,"scans_reorganised":0,"scans_refused":0,"scans_failed":0,"scans_abandoned":0,"block_matches":0,"blocks_walked":0,"bytes_walked":8,"last_scan_bytes_per_second":0,"transactions_reported":0,"connections_now":3,"connections_accepted":0,"connections_turned_away":0,"connections_of_other_users":0,"connections_broken":0,"refusals":{{"bad_range":2}},"failures":{{"unreadable":1}},"node_link":true,"node_height":6,"lag_blocks":7}}}}"#,
        printed("0f"),
        printed("0e")
    );
    assert_eq!(text(&super::info(&info)), expected);
}

#[test]
fn a_withdrawn_line_names_block_and_txid_and_a_restarted_line_nothing() {
    let (block_hash, txid) = (BlockHash::from_byte_array(hash(0xaa)), Txid::from_byte_array(hash(0xbb)));
    let line = reverted(&Reverted { height: Height(712), block_hash, txid, origins: Vec::new() }, None);
    let (block_hash, txid) = (printed("aa"), printed("bb"));
    let expected = format!(r#"{{"type":"withdrawn","height":712,"block_hash":"{block_hash}","txid":"{txid}"}}"#);
    assert_eq!(text(&line), expected);
    assert_eq!(text(&Line::Restarted), r#"{"type":"restarted"}"#);
}

#[test]
fn a_connected_or_disconnected_block_is_named_by_height_and_hash() {
    let block = BlockId { height: Height(712), hash: BlockHash::from_byte_array(hash(0xaa)), time: 1_700_000_000 };
    let rest = format!(r#""height":712,"block_hash":"{}"}}"#, printed("aa"));
    assert_eq!(text(&connected(&block)), format!(r#"{{"type":"connected",{rest}"#));
    assert_eq!(text(&disconnected(&block)), format!(r#"{{"type":"disconnected",{rest}"#));
}
