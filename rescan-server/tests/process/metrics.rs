//! The metrics for Prometheus, over both kinds of socket, and invalid requests for them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use rescan_client::ScanRequest;
use rescan_client::position::Height;
use rescan_client::report::RefusalReason;
use rescan_client::server_info::Metrics;
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_server::metrics::{REQUEST_BYTES_MAX, SCRAPERS_MAX};
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

/// The whole response to `request`.
fn ask(mut stream: impl Read + Write, request: &[u8]) -> String {
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

pub(crate) fn ask_at(path: &Path, request: &str) -> String {
    ask(UnixStream::connect(path).unwrap(), request.as_bytes())
}

/// The value of a metric in the text of a scrape.
pub(crate) fn value(scraped: &str, name: &str) -> u64 {
    let line = scraped.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in {scraped}")).parse().unwrap()
}

/// Runs one scan and one refused scan, and compares the metrics of a scrape with those of `info`.
fn metrics_follow_a_scan(server: &ServerProcess, scrape: impl Fn() -> String) {
    let before = scrape();
    assert!(before.starts_with("HTTP/1.1 200 OK\r\n") && before.ends_with("# EOF\n"), "{before}");
    assert_eq!((value(&before, "rescan_scans_begun_total"), value(&before, "rescan_connections")), (0, 0));
    patiently(async {
        let client = server.client().await;
        let found = scan(&client, ScanRequest::new().script(script())).await;
        let too_far = ScanRequest::new().script(script()).to_height(Height(6));
        assert_eq!(scan(&client, too_far).await.refusal().reason, RefusalReason::BadRange);
        let after = scrape();
        let metrics = client.info().await.unwrap().metrics;
        let summary = found.summary();
        assert_eq!(value(&after, "rescan_blocks_walked_total"), summary.blocks_scanned);
        assert_eq!(value(&after, "rescan_walked_bytes_total"), summary.bytes_scanned);
        assert_eq!(value(&after, "rescan_transactions_reported_total"), 1);
        assert_eq!(value(&after, "rescan_chain_height"), 5);
        assert_eq!(value(&after, "rescan_connections"), 1);
        agree(&after, &metrics);
    });
}

fn agree(scraped: &str, metrics: &Metrics) {
    for (name, expected) in [
        ("rescan_scans_begun_total", metrics.scans_begun),
        ("rescan_scans_ended_total{outcome=\"complete\"}", metrics.scans_complete),
        ("rescan_scans_ended_total{outcome=\"refused\"}", metrics.scans_refused),
        ("rescan_scans_under_way", metrics.scans_under_way()),
        ("rescan_blocks_walked_total", metrics.blocks_walked),
        ("rescan_walked_bytes_total", metrics.bytes_walked),
        ("rescan_last_scan_bytes_per_second", metrics.last_scan_bytes_per_second),
        ("rescan_transactions_reported_total", metrics.transactions_reported),
        ("rescan_connections", metrics.connections_now.into()),
        ("rescan_connections_accepted_total", metrics.connections_accepted),
        ("rescan_refusals_total{reason=\"bad_range\"}", metrics.refusals[0].1),
    ] {
        assert_eq!(value(scraped, name), expected, "{name}");
    }
    assert_eq!((metrics.scans_begun, metrics.scans_complete, metrics.scans_refused), (2, 1, 1));
    assert!(
        metrics.last_scan_bytes_per_second > 0 && metrics.refusals.len() == 1 && metrics.failures.is_empty(),
        "{metrics:?}"
    );
}

#[test]
fn a_unix_socket_serves_the_metrics_that_info_has() {
    let (_scene, server, path) = on_a_socket();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    metrics_follow_a_scan(&server, || ask_at(&path, GET));
    server.signal(Signal::TERM);
    assert!(server.wait().0.success());
    assert!(!path.exists(), "it is removed with its server");
}

#[test]
fn a_port_of_this_machine_serves_the_metrics_that_info_has() {
    let scene = scene();
    let server = start(&scene.server, &["--metrics", "127.0.0.1:0"]);
    let log = server.log();
    let address = log.split("http://").nth(1).and_then(|rest| rest.split("/metrics").next()).unwrap();
    metrics_follow_a_scan(&server, || ask(TcpStream::connect(address).unwrap(), GET.as_bytes()));
}

#[test]
fn an_address_that_other_machines_reach_or_that_is_malformed_is_wrong_usage() {
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
fn metrics_that_cannot_be_served_are_an_error_and_not_left_out() {
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
fn a_request_for_another_page_is_refused_with_the_reason() {
    let (_scene, _server, path) = on_a_socket();
    for (request, status, says) in [
        ("GET / HTTP/1.1\r\n\r\n", "404 Not Found", "metrics are at /metrics"),
        ("POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "405 Method Not Allowed", "Allow: GET"),
        ("\0\0\0\x01\x02 noise\r\n\r\n", "400 Bad Request", "expected an HTTP request"),
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
    // At the limit the server closes the connection, and writes fail.
    let more = vec![b'y'; REQUEST_BYTES_MAX];
    while stream.write_all(&more).is_ok() {}
    let mut answer = Vec::new();
    // Its response can still be read. Then the connection is reset, because the server left bytes unread.
    let _reset = stream.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn silent_connections_are_cut_off_and_delay_neither_scrapes_nor_wallets() {
    let (_scene, server, path) = on_a_socket();
    let silent: Vec<UnixStream> = (0..SCRAPERS_MAX).map(|_| UnixStream::connect(&path).unwrap()).collect();
    patiently(async {
        let client = server.client().await;
        assert_eq!(scan(&client, ScanRequest::new().script(script())).await.heights(), [1]);
    });
    let answer = ask_at(&path, GET);
    assert_eq!(value(&answer, "rescan_scans_begun_total"), 1);
    for mut stream in silent {
        let mut answer = Vec::new();
        assert_eq!(stream.read_to_end(&mut answer).unwrap(), 0, "it is closed without a response");
    }
}
