//! `rescan compare` against a real server: every method finds the same result, and no output contains a key.
//!
//! Checks that each cost was measured, not its value.

use std::process::Command;

use rescan_compare::{CacheState, Comparison, Method, MethodResult, Run};
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::core_datadir::Which;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene, TestServer};

use crate::{Ended, rescan};

const OVER_THE_SOCKET: [Method; 4] =
    [Method::Summaries, Method::BlocksMatched, Method::BlocksDecoded, Method::RequestPerBlock];

fn compare(server: &TestServer, arguments: &[&str]) -> Command {
    let mut command = rescan(&["compare", "--socket", &server.socket_text(), "--runs", "1"]);
    command.args(arguments);
    command
}

fn comparison(ended: &Ended) -> Comparison {
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_eq!(ended.stdout.lines().count(), 1);
    serde_json::from_str(&ended.stdout).expect("it is a comparison")
}

fn only_run(comparison: &Comparison, id: Method) -> &Run {
    let way = comparison.methods.iter().find(|way| way.method == id).unwrap_or_else(|| panic!("{id:?} is missing"));
    match &way.result {
        MethodResult::Measured(runs) => match &runs[..] {
            [run] => run,
            runs => panic!("{} runs of {id:?}, expected one", runs.len()),
        },
        MethodResult::LeftOut(why) => panic!("{id:?} was left out: {why}"),
    }
}

fn assert_is_measured(comparison: &Comparison) {
    for id in OVER_THE_SOCKET {
        let run = only_run(comparison, id);
        assert!(run.wall_us > 0 && run.received_bytes > 0 && run.sent_bytes > 0, "{id:?}: {run:?}");
        assert!(run.received_messages > 0 && run.sent_messages > 0, "{id:?}: {run:?}");
        // The server is a thread of this test, and is measured too.
        assert!(run.client_cpu_us.is_some() && run.server_cpu_us.is_some(), "{id:?}: {run:?}");
        assert!(run.client_peak_bytes.is_some() && run.server_peak_bytes.is_some(), "{id:?}: {run:?}");
        assert_eq!(run.first_match_us.is_some(), comparison.wallet.transactions > 0, "{id:?}: {run:?}");
        assert!(run.first_match_us <= Some(run.wall_us), "{id:?}: {run:?}");
        let heights: Vec<u32> = run.progress.iter().map(|point| point.height).collect();
        assert!(heights.is_sorted_by(|one, next| one < next), "{id:?}: {heights:?}");
        assert_eq!(heights.last(), Some(&comparison.range.to_height), "{id:?}");
        let received: Vec<u64> = run.progress.iter().map(|point| point.received_bytes).collect();
        assert!(received.is_sorted() && received.last() == Some(&run.received_bytes), "{id:?}: {received:?}");
    }
    for id in [Method::BlocksMatched, Method::BlocksDecoded] {
        assert!(only_run(comparison, id).received_bytes >= comparison.range.bytes, "{id:?} shipped all blocks");
    }
    let per_block = only_run(comparison, Method::RequestPerBlock);
    assert!(per_block.sent_messages >= comparison.range.blocks, "{per_block:?}");
}

#[test]
fn all_methods_find_the_history_of_bitcoin_cores_own_wallets() {
    // Above the gaps in the wallets of each; every request for a block carries so many scripts.
    for (which, gap_limit) in [(Which::A, "20"), (Which::C, "300")] {
        let (server, datadir) = TestServer::of_core(which, Manner::default());
        for (name, wallet) in &datadir.expected().wallets {
            let arguments = wallet.descriptors.iter().flat_map(|entry| ["--descriptor", entry.descriptor.as_str()]);
            let arguments: Vec<&str> = arguments.chain(["--gap-limit", gap_limit, "--no-curve", "--json"]).collect();
            let ended = Ended::of(&mut compare(&server, &arguments));
            let comparison = comparison(&ended);
            assert_is_measured(&comparison);
            let found = (comparison.wallet.transactions, comparison.wallet.unspent_count);
            assert_eq!(found, (wallet.transactions.len() as u64, wallet.coins.len() as u64), "{name} in {which:?}");
            let range = &comparison.range;
            assert_eq!((range.from_height, range.to_height), (0, datadir.expected().tip_height), "{name} in {which:?}");
            assert_eq!(range.tip_hash, datadir.expected().tip_hash.to_string());
            // Reads of parallel tests count as the server's, which is in their process.
            assert_ne!(comparison.cache, CacheState::Unknown, "{name} in {which:?}");
            assert_eq!(comparison.server.network, "regtest");
            for entry in &wallet.descriptors {
                let key = entry.descriptor.split(['(', ')', '/', ',', ']']).max_by_key(|part| part.len()).unwrap();
                assert!(!ended.stdout.contains(key), "{name} in {which:?}: a key was printed");
            }
        }
    }
}

/// A chain longer than the default range. It pays a wallet below the range, at its lower end, and within it.
fn long_chain() -> (Scene, TestWallet) {
    let wallet = TestWallet::new("frank");
    let mut chain = ChainBuilder::new();
    chain.mine(110);
    while chain.tip_height() < 2_100 {
        match chain.tip_height() + 1 {
            height @ (112 | 113 | 2_000) => chain.pay(&wallet.script(ScriptKind::P2tr, height % 7), 1),
            _ => chain.mine(1),
        };
    }
    (Scene::serve(chain, Manner::default()), wallet)
}

#[test]
fn without_a_range_the_last_two_thousand_blocks_are_compared() {
    let (scene, wallet) = long_chain();
    let descriptor = wallet.descriptor(ScriptKind::P2tr);
    let arguments = ["--descriptor", &descriptor, "--gap-limit", "20", "--no-curve", "--json"];
    let found = comparison(&Ended::of(&mut compare(&scene.server, &arguments)));
    let range = (found.range.from_height, found.range.to_height, found.range.blocks);
    let tip = scene.chain.tip_height();
    assert_eq!(range, (tip - 1_999, tip, 2_000));
    assert_is_measured(&found);
    let ended = Ended::of(compare(&scene.server, &arguments).args(["--to-height", "2000", "--from-height", "1990"]));
    let range = comparison(&ended).range;
    assert_eq!((range.from_height, range.to_height, range.blocks), (1_990, 2_000, 11));
}

#[test]
fn the_table_has_every_way_and_the_curve_reaches_every_block() {
    let wallet = TestWallet::new("grace");
    let mut chain = ChainBuilder::new();
    chain.mine(110).pay(&wallet.script(ScriptKind::P2wpkh, 3), 4).mine(5);
    let scene = Scene::serve(chain, Manner::default());
    let descriptor = wallet.descriptor(ScriptKind::P2wpkh);
    let arguments = ["--descriptor", &descriptor, "--gap-limit", "20", "--from-height", "1"];
    let found = comparison(&Ended::of(compare(&scene.server, &arguments).arg("--json")));
    assert!(found.curve.is_sorted_by_key(|point| point.matching_blocks), "{:?}", found.curve);
    assert_eq!(found.curve.first().map(|point| point.matching_blocks), Some(0));
    assert_eq!(found.curve.last().map(|point| point.matching_blocks), Some(found.range.blocks));
    for point in &found.curve {
        let ids: Vec<Method> = point.methods.iter().map(|way| way.method).collect();
        assert_eq!(ids, [Method::Summaries, Method::BlocksMatched]);
    }
    let ended = Ended::of(&mut compare(&scene.server, &arguments));
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    for way in &found.methods {
        assert!(ended.stdout.contains(&way.title), "{} is not in\n{}", way.title, ended.stdout);
    }
    assert!(!ended.stdout.contains(&descriptor) && ended.stdout.contains("not measured:"), "{}", ended.stdout);
}

#[test]
fn a_report_is_three_files_with_the_comparison_and_no_key_or_script() {
    let wallet = TestWallet::new("ivan");
    let mut chain = ChainBuilder::new();
    chain.mine(110).pay(&wallet.script(ScriptKind::P2tr, 3), 2);
    let scene = Scene::serve(chain, Manner::default());
    let descriptor = wallet.descriptor(ScriptKind::P2tr);
    let folder = scene.server.beside("report");
    let arguments = ["--descriptor", &descriptor, "--gap-limit", "20", "--json", "--report", folder.to_str().unwrap()];
    let ended = Ended::of(&mut compare(&scene.server, &arguments));
    let printed = comparison(&ended);
    let files =
        ["report.json", "report.md", "index.html"].map(|name| std::fs::read_to_string(folder.join(name)).unwrap());
    let written: Comparison = serde_json::from_str(&files[0]).unwrap();
    assert_eq!(written, printed);
    let key = descriptor.split(['(', ')', '/', ']']).max_by_key(|part| part.len()).unwrap();
    let secrets = [key.to_owned(), wallet.script(ScriptKind::P2tr, 3).to_hex_string()];
    for (text, secret) in files.iter().flat_map(|text| secrets.iter().map(move |secret| (text, secret))) {
        assert!(!text.contains(secret) && !ended.stdout.contains(secret));
    }
    // A file in place of the folder.
    std::fs::write(scene.server.beside("file"), "").unwrap();
    let taken = scene.server.beside("file").to_str().unwrap().to_owned();
    Ended::of(compare(&scene.server, &arguments[..4]).args(["--no-curve", "--report", &taken]))
        .assert_error(1, "report");
}

#[test]
fn mistakes_have_the_exit_code_of_the_contract_and_a_hint() {
    let mut chain = ChainBuilder::new();
    chain.mine(9);
    let scene = Scene::serve(chain, Manner::default());
    let good = TestWallet::new("heidi").descriptor(ScriptKind::P2wpkh);
    let mistakes: [(&[&str], i32, &str); 3] = [
        (&["--descriptor", "wpkh(nonsense)"], 2, "--descriptor number 0"),
        (&["--descriptor", &good, "--to-height", "10"], 2, "the tip is at height 9"),
        (&["--descriptor", &good, "--from-height", "10"], 2, "the tip is at height 9"),
    ];
    for (arguments, code, message) in mistakes {
        let ended = Ended::of(&mut compare(&scene.server, arguments));
        ended.assert_error(code, message);
        assert!(!ended.stderr.contains(&good), "{}", ended.stderr);
    }
}

#[test]
fn a_pruned_chain_is_compared_from_where_it_is_whole() {
    let mut chain = ChainBuilder::new();
    chain.mine(40).omit(1..=20);
    let scene = Scene::serve(chain, Manner::default());
    let arguments = ["--descriptor", "raw(51)", "--no-curve", "--json"];
    let found = comparison(&Ended::of(&mut compare(&scene.server, &arguments)));
    assert_eq!((found.range.from_height, found.range.to_height), (21, 40));
    let ended = Ended::of(compare(&scene.server, &arguments).args(["--from-height", "5"]));
    ended.assert_error(1, "pruned");
    assert!(ended.stderr.contains("--from-height 21"), "{}", ended.stderr);
}
