//! What Prometheus is told, over both kinds of socket, and what becomes of those who ask badly.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use rescan_client::ScanRequest;
use rescan_client::position::Height;
use rescan_client::report::RefusalReason;
use rescan_client::server_info::Figures;
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_server::metrics::{ASKERS_MAX, REQUEST_BYTES_MAX};
use rescan_tests::{Manner, Scene, ServerProcess, patiently, scan};
use rustix::process::Signal;

use crate::{program, start};

pub(crate) const GET: &str = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn script() -> bitcoin::ScriptBuf {
    TestWallet::new("mallory").script(ScriptKind::P2wpkh, 0)
}

fn scene() -> Scene {
    let mut chain = ChainBuilder::new();
    chain.coinbase_to(&script()).mine(5);
    Scene::write(chain, Manner::default())
}

fn on_a_socket() -> (Scene, ServerProcess, std::path::PathBuf) {
    let scene = scene();
    let path = scene.server.beside("metrics.sock");
    let server = start(&scene.server, &["--metrics", &format!("unix:{}", path.display())]);
    (scene, server, path)
}

/// All that comes back for `request`.
fn ask(mut stream: impl Read + Write, request: &[u8]) -> String {
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

pub(crate) fn ask_at(path: &Path, request: &str) -> String {
    ask(UnixStream::connect(path).unwrap(), request.as_bytes())
}

/// The value of a metric in what a scrape gave.
pub(crate) fn value(scraped: &str, name: &str) -> u64 {
    let line = scraped.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in {scraped}")).parse().unwrap()
}

/// Scans twice, once in vain, and compares what a scrape gives before and after with what `info` says.
fn figures_follow_a_scan(server: &ServerProcess, scrape: impl Fn() -> String) {
    let before = scrape();
    assert!(before.starts_with("HTTP/1.1 200 OK\r\n") && before.ends_with("# EOF\n"), "{before}");
    assert_eq!((value(&before, "rescan_scans_begun_total"), value(&before, "rescan_connections")), (0, 0));
    patiently(async {
        let client = server.client().await;
        let found = scan(&client, ScanRequest::new().script(script())).await;
        let too_far = ScanRequest::new().script(script()).to_height(Height(6));
        assert_eq!(scan(&client, too_far).await.refusal().reason, RefusalReason::BadRange);
        let after = scrape();
        let told = client.info().await.unwrap().figures;
        let summary = found.summary();
        assert_eq!(value(&after, "rescan_blocks_walked_total"), summary.blocks_scanned);
        assert_eq!(value(&after, "rescan_walked_bytes_total"), summary.bytes_scanned);
        assert_eq!(value(&after, "rescan_transactions_reported_total"), 1);
        assert_eq!(value(&after, "rescan_chain_height"), 5);
        assert_eq!(value(&after, "rescan_connections"), 1);
        agree(&after, &told);
    });
}

fn agree(scraped: &str, told: &Figures) {
    for (name, figure) in [
        ("rescan_scans_begun_total", told.scans_begun),
        ("rescan_scans_ended_total{outcome=\"complete\"}", told.scans_complete),
        ("rescan_scans_ended_total{outcome=\"refused\"}", told.scans_refused),
        ("rescan_scans_under_way", told.scans_under_way()),
        ("rescan_blocks_walked_total", told.blocks_walked),
        ("rescan_walked_bytes_total", told.bytes_walked),
        ("rescan_last_scan_bytes_per_second", told.last_scan_bytes_per_second),
        ("rescan_transactions_reported_total", told.transactions_reported),
        ("rescan_connections", told.connections_now.into()),
        ("rescan_connections_accepted_total", told.connections_accepted),
        ("rescan_refusals_total{reason=\"bad_range\"}", told.refusals[0].1),
    ] {
        assert_eq!(value(scraped, name), figure, "{name}");
    }
    assert_eq!((told.scans_begun, told.scans_complete, told.scans_refused), (2, 1, 1));
    assert!(told.last_scan_bytes_per_second > 0 && told.refusals.len() == 1 && told.failures.is_empty(), "{told:?}");
}

#[test]
fn a_unix_socket_tells_the_figures_that_info_has() {
    let (_scene, server, path) = on_a_socket();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    figures_follow_a_scan(&server, || ask_at(&path, GET));
    server.signal(Signal::TERM);
    assert!(server.wait().0.success());
    assert!(!path.exists(), "it goes with its server");
}

#[test]
fn a_port_of_this_machine_tells_the_figures_that_info_has() {
    let scene = scene();
    let server = start(&scene.server, &["--metrics", "127.0.0.1:0"]);
    let log = server.log();
    let address = log.split("http://").nth(1).and_then(|rest| rest.split("/metrics").next()).unwrap();
    figures_follow_a_scan(&server, || ask(TcpStream::connect(address).unwrap(), GET.as_bytes()));
}

#[test]
fn an_address_that_other_machines_reach_or_that_makes_no_sense_is_wrong_usage() {
    for (address, says) in [
        ("0.0.0.0:9332", "can be reached from other machines"),
        ("[::]:9332", "can be reached from other machines"),
        ("10.1.2.3:9332", "give 127.0.0.1"),
        ("9332", "expected unix:PATH"),
        ("unix:", "expected unix:PATH"),
    ] {
        let words = ["--datadir", "/nonexistent", "--metrics", address];
        let output = Command::new(program()).args(words).stdin(Stdio::null()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        let stderr = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(stderr.contains(says), "{stderr}");
    }
}

#[test]
fn metrics_that_cannot_be_told_are_an_error_and_not_left_out() {
    let scene = scene();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (datadir, socket, state) = (scene.server.datadir(), scene.server.socket(), scene.server.state_dir());
    let output = Command::new(program())
        .args(["--datadir", datadir.to_str().unwrap(), "--socket", socket.to_str().unwrap()])
        .args(["--state-dir", state.to_str().unwrap(), "--metrics", &address])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(&address) && stderr.contains("give another --metrics"), "{stderr}");
}

#[test]
fn whoever_asks_for_something_else_is_told_what_there_is() {
    let (_scene, _server, path) = on_a_socket();
    for (request, status, says) in [
        ("GET / HTTP/1.1\r\n\r\n", "404 Not Found", "metrics are at /metrics"),
        ("POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "405 Method Not Allowed", "Allow: GET"),
        ("\0\0\0\x01\x02 what is this\r\n\r\n", "400 Bad Request", "expected an HTTP request"),
    ] {
        let answer = ask_at(&path, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")) && answer.contains(says), "{answer}");
    }
}

#[test]
fn a_header_without_end_is_cut_off() {
    let (_scene, _server, path) = on_a_socket();
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ").unwrap();
    // Once it has had enough, it closes, and nothing more can be written.
    let more = vec![b'y'; REQUEST_BYTES_MAX];
    while stream.write_all(&more).is_ok() {}
    let mut answer = Vec::new();
    // What it said is still there to be read; then the connection counts as broken, for what it left unread.
    let _reset = stream.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn those_who_send_nothing_are_cut_off_and_hold_up_neither_scrapes_nor_wallets() {
    let (_scene, server, path) = on_a_socket();
    let silent: Vec<UnixStream> = (0..2 * ASKERS_MAX).map(|_| UnixStream::connect(&path).unwrap()).collect();
    patiently(async {
        let client = server.client().await;
        assert_eq!(scan(&client, ScanRequest::new().script(script())).await.heights(), [1]);
    });
    let answer = ask_at(&path, GET);
    assert_eq!(value(&answer, "rescan_scans_begun_total"), 1);
    for mut stream in silent {
        let mut answer = Vec::new();
        assert_eq!(stream.read_to_end(&mut answer).unwrap(), 0, "it is closed without a word");
    }
}
