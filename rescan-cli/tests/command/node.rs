//! Options that name a node: the node is found, its user proves who it is, and no message shows a password.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use rescan_fixtures::fake_node::{FakeNode, Reply};
use tempfile::TempDir;

use super::{assert_error, code, rescan, run, text};
use rescan_tests::fake::{Script, serve_at};

/// The user and the password of the scripted node's cookie.
const USER: &str = "__cookie__";

/// A node that answers every call with an error of its own: a command that shows it has reached the node.
fn starting() -> FakeNode {
    FakeNode::start(|_, _| Reply::Error(-28, "Verifying blocks"))
}

const REACHED: &str = "the node is still starting (Verifying blocks)";

/// A datadir of regtest with these lines in its configuration, and the node's cookie.
fn datadir(node: &FakeNode, conf: &str) -> TempDir {
    // In /tmp: the path of a socket must be short.
    let datadir = tempfile::tempdir_in("/tmp").unwrap();
    let folder = datadir.path().join("regtest");
    fs::create_dir(&folder).unwrap();
    fs::copy(node.cookie(), folder.join(".cookie")).unwrap();
    fs::write(datadir.path().join("bitcoin.conf"), conf).unwrap();
    datadir
}

fn port(node: &FakeNode) -> String {
    node.url().rsplit_once(':').unwrap().1.to_owned()
}

fn command(arguments: &[&str]) -> Command {
    let mut command = rescan(&[&["compare", "--descriptor", "raw(51)"], arguments].concat());
    command.env("HOME", "/nonexistent").env_remove("RESCAN_RPC_PASSWORD");
    command
}

/// Runs the command beside a scripted server in the datadir. Such a server serves one connection.
fn served(datadir: &TempDir, mut command: Command) -> Output {
    let socket = datadir.path().join("regtest/rescan.sock");
    drop(fs::remove_file(&socket));
    let _fake = serve_at(&socket, Script::new(vec![]));
    command.output().unwrap()
}

fn password_file(folder: &Path, mode: u32) -> String {
    let cookie = fs::read_to_string(folder.join("regtest/.cookie")).unwrap();
    let path = folder.join("password");
    fs::write(&path, format!("{}\nanother line\n", cookie.split_once(':').unwrap().1)).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_datadir_has_the_servers_socket_and_the_nodes_port_and_cookie() {
    let node = starting();
    let datadir = datadir(&node, &format!("[regtest]\nrpcport={}\n", port(&node)));
    assert_error(&served(&datadir, command(&["--datadir", datadir.path().to_str().unwrap()])), 1, REACHED);
}

#[test]
fn the_folder_of_a_network_is_understood_as_a_datadir() {
    let node = starting();
    let datadir = datadir(&node, &format!("regtest=1\n[regtest]\nrpcport={}\n", port(&node)));
    let folder = datadir.path().join("regtest");
    let output = served(&datadir, command(&["--datadir", folder.to_str().unwrap(), "--network", "regtest"]));
    assert_error(&output, 1, REACHED);
}

#[test]
fn an_address_needs_a_cookie_or_a_user() {
    let node = starting();
    let datadir = datadir(&node, "");
    let socket = datadir.path().join("regtest/rescan.sock");
    let (socket, cookie) = (socket.to_str().unwrap(), node.cookie());
    let (url, cookie) = (node.url(), cookie.to_str().unwrap());
    let output = served(&datadir, command(&["--socket", socket, "--bitcoin-rpc", &url, "--cookie", cookie]));
    assert_error(&output, 1, REACHED);
    let alone = command(&["--socket", socket, "--bitcoin-rpc", &url]).output().unwrap();
    assert_error(&alone, 2, "--cookie <FILE>|--rpc-user <NAME>");
    let both = command(&["--bitcoin-rpc", &url, "--cookie", cookie, "--datadir", "/d"]).output().unwrap();
    assert_error(&both, 2, "cannot be used with");
    let both = command(&["--cookie", cookie, "--rpc-user", "alice"]).output().unwrap();
    assert_error(&both, 2, "cannot be used with");
}

#[test]
fn a_user_has_a_password_from_a_file_or_the_environment_and_no_message_shows_it() {
    let node = starting();
    let datadir = datadir(&node, &format!("[regtest]\nrpcport={}\n", port(&node)));
    let path = datadir.path().to_str().unwrap();
    let file = password_file(datadir.path(), 0o600);
    let password = fs::read_to_string(&file).unwrap().lines().next().unwrap().to_owned();
    let user = ["--datadir", path, "--rpc-user", USER];
    let by_file = |file: &str| served(&datadir, command(&[&user[..], &["--rpc-password-file", file]].concat()));
    assert_error(&by_file(&file), 1, REACHED);

    let readable = password_file(datadir.path(), 0o644);
    let output = by_file(&readable);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("other users can read the password") && stderr.contains(REACHED), "{stderr}");
    assert_eq!(code(&output), 1);
    assert!(!stderr.contains(&password), "{stderr}");

    let by_environment = |password: &str| {
        let mut command = command(&user);
        command.env("RESCAN_RPC_PASSWORD", password);
        served(&datadir, command)
    };
    assert_error(&by_environment(&password), 1, REACHED);
    let output = by_environment("hunter2");
    assert_error(&output, 1, "refuses the password of __cookie__");
    assert!(!text(&output.stderr).contains("hunter2"));

    assert_error(&served(&datadir, command(&user)), 2, "--rpc-user was given, and no password");
    fs::write(&file, "\n").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    assert_error(&by_file(&file), 2, "has an empty first line");
    fs::remove_file(&file).unwrap();
    assert_error(&by_file(&file), 1, "cannot read");
}

#[test]
fn a_node_that_is_not_found_is_an_error_with_its_place_and_next_step() {
    let node = starting();
    let datadir = datadir(&node, "\nrpcport 18443\n");
    let path = datadir.path().to_str().unwrap();
    let searched = || served(&datadir, command(&["--datadir", path]));
    assert_error(&searched(), 1, "bitcoin.conf line 2: expected option=value");
    fs::remove_file(datadir.path().join("bitcoin.conf")).unwrap();
    fs::remove_file(datadir.path().join("regtest/.cookie")).unwrap();
    let output = searched();
    assert_error(&output, 1, &format!("no cookie of regtest at {path}/regtest/.cookie"));
    assert!(text(&output.stderr).contains("--rpc-password-file"), "{}", text(&output.stderr));
}

#[test]
fn a_password_is_refused_as_an_argument() {
    let output = run(&["compare", "--descriptor", "raw(51)", "--rpc-user", "alice", "--rpc-password", "hunter2"]);
    assert_error(&output, 2, "every user of this machine can read arguments");
    assert!(!text(&output.stderr).contains("hunter2"), "{}", text(&output.stderr));
}
