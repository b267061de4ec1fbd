//! The printed calls, run by a shell.

use std::process::Command;

use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use serde_json::json;

use crate::scene::{FillScene, ranged, rescan};

#[test]
fn the_calls_of_a_dry_run_fill_the_wallet_when_a_shell_runs_them() {
    let Some(scene) = FillScene::start(&["-keypool=5"]) else { return };
    let nadia = TestWallet::new("nadia");
    for index in [40, 1, 44, 3] {
        scene.node.mine_to(1, &nadia.script(ScriptKind::P2wpkh, index));
        scene.node.mine(7);
    }
    scene.pass_a_day();
    let descriptors = json!([ranged(&scene.node, &nadia.descriptor(ScriptKind::P2wpkh), 4)]);
    let file = scene.descriptor_file("by hand", &descriptors);
    let mut command = rescan("fill");
    command.args(["--wallet", "by hand", "--socket", &scene.server.socket_text(), "--dry-run", "--create"]);
    let printed = command.arg("--datadir").arg(scene.node.datadir()).arg("--descriptors").arg(&file).output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let lines = String::from_utf8(printed.stdout).unwrap();

    let programs = scene.node.client_program().parent().unwrap().to_owned();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let run = Command::new("sh").args(["-e", "-c", &lines]).env("PATH", path).output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(run.status.success(), "{lines}\n{}{}", said(&run.stdout), said(&run.stderr));

    let after = scene.fill("by hand", &["--from-height", "0"]);
    assert_eq!(after.assert_equal().calls(), 0, "{lines}");
    scene.assert_as_rescanned("by hand");
}
