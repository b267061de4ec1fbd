//! Refused starts of the command: a log line with the reason, and the documented exit code.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_tests::{Manner, Scene, patiently};

use crate::{program, start};

fn written() -> Scene {
    let mut chain = ChainBuilder::new();
    chain.mine(3);
    Scene::write(chain, Manner::default())
}

/// Runs the command until it exits.
fn run(words: &[&str]) -> Output {
    Command::new(program()).args(words).stdin(Stdio::null()).env("NO_COLOR", "1").output().unwrap()
}

fn assert_refused(output: &Output, code: i32, says: &str) {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(says), "{stderr}");
    assert!(output.stdout.is_empty(), "stdout is empty");
}

fn words<'a>(datadir: &'a Path, socket: &'a Path, state: &'a Path) -> Vec<&'a str> {
    let path = |path: &'a Path| path.to_str().unwrap();
    vec!["--datadir", path(datadir), "--socket", path(socket), "--state-dir", path(state)]
}

#[test]
fn block_files_of_another_network_than_the_named_one_are_refused() {
    let scene = written();
    let (blocks, socket, state) = (scene.server.blocks_dir(), scene.server.socket(), scene.server.state_dir());
    let [blocks, path, state] = [&blocks, &socket, &state].map(|path| path.to_str().unwrap());
    let line = ["--blocks-dir", blocks, "--network", "main", "--socket", path, "--state-dir", state];
    assert_refused(&run(&line), 1, "is of regtest, expected main");
    assert!(!socket.exists());
}

#[test]
fn a_second_server_on_the_same_socket_or_state_is_refused_and_the_first_serves_on() {
    let scene = written();
    let first = start(&scene.server, &[]);
    let (datadir, socket, state) = (scene.server.datadir(), scene.server.socket(), scene.server.state_dir());
    let (other_socket, other_state) = (scene.server.beside("s2"), scene.server.beside("state2"));
    assert_refused(&run(&words(&datadir, &socket, &other_state)), 1, "another rescan-server serves");
    assert_refused(&run(&words(&datadir, &other_socket, &state)), 1, state.to_str().unwrap());
    patiently(async { drop(first.client().await) });
}
