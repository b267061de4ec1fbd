//! `rescan info` and `rescan demo`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rustix::process::Pid;

use super::{assert_error, code, dir, interrupt, rescan, run, text};
use rescan_tests::fake::{Script, serve_at};

#[test]
fn info_says_that_the_chain_is_from_files() {
    let (_dir, socket) = dir();
    let _fake = serve_at(Path::new(&socket), Script::new(vec![]));
    let output = run(&["info", "--socket", &socket]);
    assert_eq!(code(&output), 0);
    assert!(text(&output.stdout).contains("from files, not confirmed by a node"));
}

#[test]
fn a_missing_server_of_the_demo_is_named() {
    assert_error(&run(&["demo", "--server", "/nonexistent/rescan-server"]), 1, "no rescan-server at");
}

/// A demo with its temporary files in `dir` and a shell script for a server.
fn demo(dir: &Path, script: &str) -> Command {
    let server = dir.join("server");
    fs::write(&server, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&server, fs::Permissions::from_mode(0o755)).unwrap();
    let temporary = dir.join("t");
    fs::create_dir(&temporary).unwrap();
    let mut command = rescan(&["demo", "--server", server.to_str().unwrap()]);
    command.env("TMPDIR", temporary);
    command
}

fn left_behind(dir: &Path) -> usize {
    fs::read_dir(dir.join("t")).unwrap().count()
}

#[test]
fn a_demo_whose_server_fails_prints_its_log_and_removes_all_files() {
    let (dir, _) = dir();
    let output = demo(dir.path(), "echo no such option >&2; exit 2").output().unwrap();
    assert_error(&output, 1, "no such option");
    assert_eq!(left_behind(dir.path()), 0);
}

#[test]
fn ctrl_c_ends_the_demos_server_and_removes_all_files() {
    let (dir, _) = dir();
    let fifo = dir.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    let child = demo(dir.path(), &format!("echo $$ > {}; exec sleep 600", fifo.display())).spawn().unwrap();
    // Opening waits for the server to open its end.
    let server: i32 = fs::read_to_string(&fifo).unwrap().trim().parse().unwrap();
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 130, "{}", text(&output.stderr));
    assert_eq!(left_behind(dir.path()), 0);
    assert!(rustix::process::test_kill_process(Pid::from_raw(server).unwrap()).is_err(), "the server still runs");
}

/// Skipped without a server beside this command; a build of the workspace puts it there.
#[test]
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn the_demo_equals_bitcoin_core() {
    let server = Path::new(env!("CARGO_BIN_EXE_rescan")).with_file_name("rescan-server");
    if !server.is_file() {
        let required = std::env::var_os("RESCAN_REQUIRE_SERVER").is_some();
        assert!(!required, "no {}: run cargo test --workspace, which builds it", server.display());
        println!("skipped: no {}; cargo build -p rescan-server makes it", server.display());
        return;
    }
    let output = run(&["demo"]);
    let stdout = text(&output.stdout);
    assert_eq!((code(&output), text(&output.stderr)), (0, String::new()), "{stdout}");
    assert!(stdout.contains("All 6 wallets equal the result of Bitcoin Core v31.99"), "{stdout}");
    let output = run(&["demo", "--wallet", "vault"]);
    let stdout = text(&output.stdout);
    assert_eq!(code(&output), 0, "{stdout}");
    assert!(stdout.contains("165 transactions, 330 coins unspent, 69.19991600 BTC"), "{stdout}");
}
