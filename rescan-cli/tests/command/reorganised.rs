//! Scans whose chain is reorganised while they run.

use std::path::Path;
use std::process::Output;

use rescan_client::bitcoin::hashes::Hash;
use rescan_client::bitcoin::{Amount, OutPoint, Txid};
use rescan_client::position::Height;
use rescan_client::report::{BlockReport, Ending, KeychainUse, Origin, Outcome, Spent};

use super::{TPUB, code, dir, run, steps, text};
use rescan_tests::fake::{Step, serve_at};
use rescan_tests::fake::{report, summary};

/// A block with one transaction, whose txid depends on the height. It pays index `height` of the first keychain, and
/// spends the coin of block `spends`, if given.
pub(crate) fn keychain_report(height: u8, spends: Option<u8>) -> BlockReport {
    let txid = |of: u8| Txid::from_byte_array([of; 32]);
    let mut report = report(height.into(), 2);
    let transaction = &mut report.transactions[0];
    transaction.txid = txid(height);
    let origins = vec![Origin::Keychain { keychain: 0, index: Some(height.into()) }];
    transaction.received[0].origins.clone_from(&origins);
    transaction.received[0].value = Amount::from_sat(10 * u64::from(height));
    let prevout = spends.map(|of| OutPoint { txid: txid(of), vout: 0 });
    transaction.spent.extend(prevout.map(|prevout| Spent { vin: 0, prevout, value: None, origins }));
    report
}

/// A scan of one descriptor: four blocks are reported, then the last two are void. Block 4 spends the coin of block 3, and
/// the server's summary counts all four.
fn reorganised(more: &[&str]) -> Output {
    let mut end = summary(Outcome::ReorganisedFrom(Height(4)));
    (end.transactions, end.unspent_count, end.unspent) = (4, 3, Amount::from_sat(110));
    end.keychains = vec![KeychainUse::LastUsed(5)];
    end.watched_through = vec![Some(1_004)];
    let reports =
        vec![keychain_report(2, None), keychain_report(3, None), keychain_report(4, Some(3)), keychain_report(5, None)];
    let script = steps(vec![Step::Reports(reports), Step::End(Ending::Summary(end))]);
    let (_dir, socket) = dir();
    let _fake = serve_at(Path::new(&socket), script);
    let descriptor = format!("wpkh({TPUB}/0/*)");
    let output = run(&[&["scan", "--socket", &socket, "--descriptor", &descriptor], more].concat());
    assert_eq!(code(&output), 3, "{}", text(&output.stderr));
    output
}

pub(crate) fn counted(line: &serde_json::Value) -> serde_json::Value {
    serde_json::json!([line["transactions"], line["unspent_count"], line["unspent_sat"], line["keychains"]])
}

#[test]
fn reports_above_the_fork_are_neither_printed_nor_counted() {
    let stdout = text(&reorganised(&["--json"]).stdout);
    let lines: Vec<serde_json::Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["height"].as_u64()).collect::<Vec<_>>(), [Some(2), Some(3), None]);
    // The coin of block 3 is unspent again.
    let due = serde_json::json!([2, 2, 50, [{"descriptor": 0, "last_used_index": 3}]]);
    assert_eq!((counted(&lines[2]), &lines[2]["outcome_height"]), (due, &4.into()));
    let tables = text(&reorganised(&[]).stdout);
    assert!(tables.contains("2 transactions, 2 coins unspent, 0.00000050 BTC"), "{tables}");
    assert!(tables.contains("used up to index 3"), "{tables}");
}

#[test]
fn streamed_reports_above_the_fork_are_counted_as_the_help_says() {
    let stdout = text(&reorganised(&["--json", "--stream"]).stdout);
    assert_eq!(stdout.lines().count(), 5, "{stdout}");
    let last = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!(counted(&last), serde_json::json!([4, 3, 110, [{"descriptor": 0, "last_used_index": 5}]]));
    assert!(text(&run(&["scan", "--help"]).stdout).contains("still count them"));
}
