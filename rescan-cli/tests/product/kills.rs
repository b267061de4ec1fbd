//! The server or the command killed at random points of a scan, again and again.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rescan_client::bitcoin::{Address, Amount, Network, ScriptBuf, TxOut};
use rescan_fixtures::chain_builder::{ChainBuilder, Coin};
use rescan_fixtures::dice::Dice;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene, ServerProcess, TestServer};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn wallet() -> TestWallet {
    TestWallet::new("judy")
}

fn script(index: u32) -> ScriptBuf {
    wallet().script(ScriptKind::P2wpkh, index)
}

/// How many kills; `RESCAN_KILLS` overrides it. A fault that one kill in 20 exposes is missed by 48 kills once in 12 runs.
/// `rescan-client/tests/checkpoint` interrupts at every kind of event without processes; this test adds the flush of stdout
/// and the replacement of the file, which each kill can hit.
fn kills_wanted() -> usize {
    std::env::var("RESCAN_KILLS").map_or(48, |kills| kills.parse().unwrap())
}

const SCRIPTS: u32 = 20;

/// More than a checkpoint can revert.
const BLOCKS: u32 = 320;

const OUTPUTS: u32 = 4;

/// Each block pays a few outputs and spends those of the block before into one: more reports than the buffers hold, and
/// few coins.
fn chain() -> ChainBuilder {
    let wallet = wallet();
    let mut chain = ChainBuilder::new();
    let mut coins: Vec<Coin> = Vec::new();
    for block in 0..BLOCKS {
        let output = |sat, index| TxOut {
            value: Amount::from_sat(sat),
            script_pubkey: wallet.script(ScriptKind::P2wpkh, index % SCRIPTS),
        };
        if !coins.is_empty() {
            chain.spend([&wallet], &coins, vec![output(3_000, block)]);
        }
        let funding = chain.fund_outputs((0..OUTPUTS).map(|vout| output(1_000, block + vout)).collect());
        coins = (0..OUTPUTS).map(|vout| Coin::of(&funding, vout)).collect();
        chain.mine_block();
    }
    chain
}

/// Single addresses: without derivation, all time goes into the scan.
fn arguments(socket: &str) -> Vec<String> {
    let mut arguments: Vec<String> = ["scan", "--json", "--socket", socket].map(ToOwned::to_owned).into();
    for index in 0..SCRIPTS {
        let address = Address::from_script(&script(index), Network::Regtest).unwrap();
        arguments.extend(["--descriptor".to_owned(), format!("addr({address})")]);
    }
    arguments
}

/// The lines of all runs together: each transaction with all its fields.
#[derive(Debug, Default, PartialEq)]
struct Printed(BTreeMap<(String, String), BTreeMap<String, Value>>);

impl Printed {
    fn add(&mut self, line: &Value) {
        assert_eq!(line["type"], "transaction");
        let key = (line["block_hash"].to_string(), line["txid"].to_string());
        let fields = self.0.entry(key).or_default();
        for field in line.as_object().unwrap() {
            match field.1 {
                Value::Array(items) => {
                    for item in items {
                        let number = item.get("vout").or(item.get("vin")).unwrap();
                        fields.insert(format!("{} {number}", field.0), item.clone());
                    }
                }
                value => drop(fields.insert(field.0.clone(), value.clone())),
            }
        }
    }
}

/// The fields that are the same in the summary of one scan and of the last of several runs.
fn lasting(summary: &Value) -> Vec<&Value> {
    let names = ["outcome", "from_height", "to_height", "tip_hash", "unspent_count", "unspent_sat", "keychains"];
    names.map(|name| &summary[name]).into()
}

/// The process killed in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Command,
    Server,
    None,
}

/// The server's program, beside this one in a built workspace.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn program() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_BIN_EXE_rescan")).with_file_name("rescan-server");
    if program.is_file() {
        return Some(program);
    }
    let required = std::env::var_os("RESCAN_REQUIRE_SERVER").is_some();
    assert!(!required, "no {}: run cargo test --workspace, which builds it", program.display());
    println!("skipped: no {}; cargo build -p rescan-server makes it", program.display());
    None
}

struct Stage {
    place: TestServer,
    program: PathBuf,
    server: Option<ServerProcess>,
    checkpoint: PathBuf,
}

impl Stage {
    fn serve(&mut self) {
        if self.server.is_none() {
            self.server = Some(ServerProcess::start(&self.program, &self.place, &["--workers", "2"]));
        }
    }

    /// One run, with a kill after so many lines. Returns the summary, if it was printed.
    fn run(&mut self, victim: Victim, lines: usize, printed: &mut Printed) -> Option<Value> {
        self.serve();
        let mut child = Command::new(env!("CARGO_BIN_EXE_rescan"))
            .args(arguments(&self.place.socket_text()))
            .arg("--checkpoint")
            .arg(&self.checkpoint)
            .args(["--checkpoint-every", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut summary = None;
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        for count in 0.. {
            if count == lines {
                match victim {
                    Victim::Command => kill_process(Pid::from_child(&child), Signal::KILL).unwrap(),
                    Victim::Server => {
                        let server = self.server.take().unwrap();
                        server.signal(Signal::KILL);
                        server.wait();
                    }
                    Victim::None => {}
                }
            }
            text.clear();
            stdout.read_line(&mut text).unwrap();
            // A killed command may leave half a line.
            let Some(line) = text.strip_suffix('\n') else { break };
            let line: Value = serde_json::from_str(line).unwrap();
            if line["type"] == "summary" { summary = Some(line) } else { printed.add(&line) }
        }
        let output = child.wait_with_output().unwrap();
        let expected = match (victim, &summary) {
            // Killed before or after it ended.
            (Victim::Command, _) => [None, Some(0)],
            (_, Some(_)) => [Some(0); 2],
            (_, None) => [Some(1); 2],
        };
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(expected.contains(&output.status.code()), "{victim:?} {:?}: {stderr}", output.status);
        summary.filter(|_| output.status.success())
    }
}

#[test]
fn after_any_kill_the_runs_together_print_one_whole_scan() {
    let Some(program) = program() else { return };
    let Scene { server: place, .. } = Scene::write(chain(), Manner::default());
    let checkpoint = place.beside("checkpoint");
    let mut stage = Stage { place, program, server: None, checkpoint };
    let mut expected = Printed::default();
    let whole = stage.run(Victim::None, 0, &mut expected).expect("nothing interrupts it");
    let lines = expected.0.len();
    assert_eq!(lines, 2 * usize::try_from(BLOCKS).unwrap() - 1);
    let mut dice = Dice::new(7, 0);
    let mut kills = [0; 2];
    let wanted = kills_wanted();
    while kills.iter().sum::<usize>() < wanted {
        std::fs::remove_file(&stage.checkpoint).unwrap_or_default();
        let mut printed = Printed::default();
        let last = loop {
            // Now and then it is left alone, else it would never end.
            let choice = dice.index(9);
            let victim = [Victim::Command, Victim::Server].get(choice % 2).filter(|_| choice > 0).copied();
            let victim = victim.unwrap_or(Victim::None);
            match stage.run(victim, dice.index(lines / 3), &mut printed) {
                Some(summary) => break summary,
                None => kills[choice % 2] += 1,
            }
        };
        assert_eq!(printed, expected, "after {kills:?} kills of commands and servers");
        assert_eq!(lasting(&last), lasting(&whole), "after {kills:?} kills of commands and servers");
    }
    assert!(kills.iter().all(|count| *count > wanted / 5), "{kills:?}");
}
