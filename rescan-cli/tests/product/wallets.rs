//! The wallets that Bitcoin Core wrote, through the command.

use rescan_fixtures::core_datadir::{Expected, ExpectedWallet, Which};
use rescan_tests::{Manner, TestServer};
use serde_json::{Value, json};

use crate::{Ended, scan};

fn descriptors<'a>(wallets: impl IntoIterator<Item = &'a ExpectedWallet>) -> Vec<&'a str> {
    let entries = wallets.into_iter().flat_map(|wallet| &wallet.descriptors);
    entries.flat_map(|entry| ["--descriptor", entry.descriptor.as_str()]).collect()
}

/// The received outputs that are not spent, by outpoint. Each wallet has received everything that it spends.
fn coins(lines: &[Value]) -> Vec<(String, u64, u64)> {
    let mut coins: Vec<(String, u64, u64)> = Vec::new();
    for line in lines {
        for spent in line["spent"].as_array().unwrap() {
            let outpoint = format!("{}:{}", spent["prevout"]["txid"].as_str().unwrap(), spent["prevout"]["vout"]);
            coins.retain(|(coin, ..)| *coin != outpoint);
        }
        for received in line["received"].as_array().unwrap() {
            let outpoint = format!("{}:{}", line["txid"].as_str().unwrap(), received["vout"]);
            coins.push((outpoint, received["value_sat"].as_u64().unwrap(), line["height"].as_u64().unwrap()));
        }
    }
    coins
}

fn assert_is_cores(ended: &Ended, wallet: &ExpectedWallet, expected: &Expected, name: &str) {
    let (lines, summary) = ended.answer(0);
    let places = |line: &Value| json!([line["txid"], line["height"], line["block_hash"], line["tx_index"]]);
    let history: Vec<Value> = wallet
        .transactions
        .iter()
        .map(|found| json!([found.txid.to_string(), found.height, found.block_hash.to_string(), found.tx_index]))
        .collect();
    assert_eq!(lines.iter().map(places).collect::<Vec<_>>(), history, "{name}");
    let coins_of_core: Vec<_> = wallet
        .coins
        .iter()
        .map(|coin| (coin.outpoint().to_string(), coin.value.to_sat(), u64::from(coin.height)))
        .collect();
    assert_eq!(coins(&lines), coins_of_core, "{name}");
    let found = json!([
        summary["outcome"],
        summary["from_height"],
        summary["to_height"],
        summary["tip_hash"],
        summary["transactions"],
        summary["unspent_count"],
        summary["unspent_sat"],
        summary["blocks_scanned"],
        summary["outcome_height"]
    ]);
    let due = json!([
        "complete",
        0,
        expected.tip_height,
        expected.tip_hash.to_string(),
        wallet.transactions.len(),
        wallet.coins.len(),
        wallet.coins_total.to_sat(),
        expected.tip_height + 1,
        null
    ]);
    assert_eq!(found, due, "{name}");
}

#[test]
fn every_wallet_prints_cores_own_result() {
    for which in Which::ALL {
        let (server, datadir) = TestServer::of_core(which, Manner { is_mapped: true, ..Manner::default() });
        for (name, wallet) in &datadir.expected().wallets {
            let mut command = scan(&server, &descriptors([wallet]));
            let ended = Ended::of(command.arg("--json"));
            assert_is_cores(&ended, wallet, datadir.expected(), name);
        }
    }
}

/// The line without the values that differ between runs: times and bytes.
fn without_figures(line: &str) -> String {
    let mut kept = line.to_owned();
    for figure in ["bytes_scanned", "bytes_received", "prepare_ms", "elapsed_ms"] {
        let Some(begin) = kept.find(&format!("\"{figure}\":")) else { continue };
        let length = kept[begin..].find([',', '}']).unwrap();
        kept.replace_range(begin..begin + length, "");
    }
    kept
}

#[test]
fn the_output_is_the_same_for_any_number_of_workers_and_either_access() {
    let which = Which::A;
    let mut first: Option<String> = None;
    for (workers, is_mapped) in [(1, false), (2, true), (8, true), (8, false)] {
        let (server, datadir) = TestServer::of_core(which, Manner { workers, is_mapped, ..Manner::default() });
        // Four wallets in one, of every kind of script: nearly every block matches.
        let wallets = ["miner", "alice", "vault", "leafy"].map(|name| &datadir.expected().wallets[name]);
        let mut command = scan(&server, &descriptors(wallets));
        let ended = Ended::of(command.arg("--json"));
        let (lines, summary) = ended.answer(0);
        assert!(lines.len() > 100 && summary["transactions"] == lines.len());
        let printed: String = ended.stdout.lines().map(|line| without_figures(line) + "\n").collect();
        assert_eq!(*first.get_or_insert_with(|| printed.clone()), printed, "{workers} workers, mapped {is_mapped}");
    }
}
