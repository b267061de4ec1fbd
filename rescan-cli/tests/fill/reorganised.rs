//! A chain that is reorganised between the scan and the calls.

use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use serde_json::{Value, json};

use crate::running::Running;
use crate::scene::{FillScene, ranged};

/// How many blocks become stale.
const DEPTH: u32 = 60;

struct Reorganised {
    scene: FillScene,
    nadia: TestWallet,
    descriptors: Value,
}

impl Reorganised {
    /// A chain with a match in every seventh block.
    fn start() -> Option<Self> {
        let scene = FillScene::start(&[])?;
        let nadia = TestWallet::new("nadia");
        let descriptors = json!([ranged(&scene.node, &nadia.descriptor(ScriptKind::P2wpkh), 999)]);
        let made = Self { scene, nadia, descriptors };
        made.mine(0, 60);
        Some(made)
    }

    fn mine(&self, first_index: u32, matches: u32) {
        for index in first_index..first_index + matches {
            self.scene.node.mine_to(1, &self.nadia.script(ScriptKind::P2wpkh, index));
            self.scene.node.mine(6);
        }
    }

    /// The last blocks become stale, and more others take their place.
    fn reorganise(&self) {
        let left = self.scene.node.hash_at(self.scene.node.tip().0 - DEPTH);
        self.scene.node.invalidate(&left);
        self.mine(100, DEPTH / 7 + 2);
    }
}

#[test]
fn a_fill_after_a_dry_run_of_a_chain_that_has_been_left_is_of_the_chain_as_it_is() {
    let Some(made) = Reorganised::start() else { return };
    let scene = &made.scene;
    let file = scene.descriptor_file("w", &made.descriptors);
    let arguments = ["--create", "--descriptors", file.to_str().unwrap()];
    let dry = scene.fill("w", &[&arguments[..], &["--dry-run"]].concat());
    assert_eq!(dry.code, 0, "{}", dry.stderr);
    let planned: Vec<(u64, u64)> = heights(&dry.lines);
    assert!(planned.len() >= 50, "{planned:?}");
    assert!(!scene.node.rpc(&["listwallets"]).contains("\"w\""), "a dry run made the wallet");
    made.reorganise();
    scene.pass_a_day();
    let filled = scene.fill("w", &arguments);
    filled.assert_equal();
    assert_ne!(heights(&filled.lines), planned);
    scene.assert_as_rescanned("w");
}

#[test]
fn a_chain_that_is_reorganised_under_a_running_fill_leaves_nothing_false() {
    let Some(made) = Reorganised::start() else { return };
    let scene = &made.scene;
    scene.pass_a_day();
    scene.create("w", false);
    scene.import("w", &made.descriptors);
    scene.assert_empty("w");
    let mut running = Running::start(&mut scene.command("w", &["--from-height", "0"]));
    running.until_calls(3);
    made.reorganise();
    running.end().assert_equal();
    scene.assert_as_rescanned("w");
}

fn heights(lines: &[Value]) -> Vec<(u64, u64)> {
    let calls = lines.iter().filter(|line| line["type"] == "call");
    calls.map(|call| (call["from_height"].as_u64().unwrap(), call["to_height"].as_u64().unwrap())).collect()
}
