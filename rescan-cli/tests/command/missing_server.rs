//! No server at the socket, or another program.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Command;

use super::{OUTPOINT, assert_error, dir, run, text};

#[test]
fn a_missing_socket_is_named_with_a_hint() {
    let (_dir, socket) = dir();
    for arguments in [vec!["info", "--socket", &socket], vec!["scan", "--socket", &socket, "--outpoint", OUTPOINT]] {
        let output = run(&arguments);
        assert_error(&output, 1, &socket);
        assert!(text(&output.stderr).contains("is rescan-server running"));
    }
}

#[test]
fn a_file_that_is_no_socket_is_an_error_of_its_own() {
    let (_dir, socket) = dir();
    fs::write(&socket, "text").unwrap();
    assert_error(&run(&["info", "--socket", &socket]), 1, "is not a socket");
}

#[test]
fn a_socket_without_a_listener_is_an_error_of_its_own() {
    let (_dir, socket) = dir();
    drop(UnixListener::bind(&socket).unwrap());
    assert_error(&run(&["info", "--socket", &socket]), 1, "no server listens");
}

#[test]
fn a_path_too_long_for_a_socket_is_an_error_of_its_own() {
    let long = format!("/tmp/{}", "x".repeat(103));
    assert_error(&run(&["info", "--socket", &long]), 1, "108 bytes");
}

#[test]
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn a_socket_without_permission_is_an_error_of_its_own() {
    if rustix::process::geteuid().is_root() {
        // Root passes every permission check, so `setpriv`, if installed, runs the command as another user.
        let (dir, socket) = dir();
        let _listener = UnixListener::bind(&socket).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o700)).unwrap();
        let program = dir.path().join("rescan");
        fs::copy(env!("CARGO_BIN_EXE_rescan"), &program).unwrap();
        let output = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&program)
            .args(["info", "--socket", &socket])
            .output();
        match output {
            Ok(output) => assert_error(&output, 1, "no permission"),
            Err(error) => println!("skipped: cannot become another user here ({error})"),
        }
        return;
    }
    let (_dir, socket) = dir();
    let _listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o000)).unwrap();
    assert_error(&run(&["info", "--socket", &socket]), 1, "no permission");
}

#[test]
fn a_peer_without_capn_proto_is_an_error_of_its_own_and_stdout_stays_empty() {
    let (_dir, socket) = dir();
    let listener = UnixListener::bind(&socket).unwrap();
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 mail.example.org ESMTP, what do you want\r\n").unwrap();
        // Until the client hangs up.
        drop(stream.read_to_end(&mut Vec::new()));
    });
    let output = run(&["info", "--json", "--socket", &socket]);
    assert_error(&output, 1, "does not speak Cap'n Proto");
    peer.join().unwrap();
}
