//! A server at the limits of the operating system: open files and memory.

use std::os::unix::net::UnixStream;

use rescan_client::report::Outcome;
use rescan_client::{ScanError, ScanRequest};
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, ScanRecord, Scene, patiently, scan};
use rustix::process::Resource;

use crate::start;

fn script() -> bitcoin::ScriptBuf {
    TestWallet::new("trent").script(ScriptKind::P2wpkh, 0)
}

fn watch() -> ScanRequest {
    ScanRequest::new().script(script())
}

#[test]
fn where_no_more_files_can_be_opened_clients_wait_and_the_log_says_what_to_raise() {
    let mut chain = ChainBuilder::new();
    for _ in 0..40 {
        chain.coinbase_to(&script()).mine_block();
    }
    chain.file_bytes_max(2_000);
    let scene = Scene::write(chain, Manner::default());
    let server = start(&scene.server, &["--access", "read"]);
    patiently(async {
        let client = server.client().await;
        assert_eq!(scan(&client, watch()).await.reports.len(), 40);
        server.limit(Resource::Nofile, server.open_files() + 8);
        let crowd: Vec<UnixStream> = (0..40).map(|_| UnixStream::connect(scene.server.socket()).unwrap()).collect();
        // Open connections are served, with a result or an error that names the cause.
        for _ in 0..20 {
            match scan(&client, watch()).await.end {
                Ok(summary) => assert_eq!(summary.outcome, Outcome::Complete),
                Err(ScanError::Failed(failure)) => {
                    let text = failure.to_string();
                    assert!(text.contains("blocks") && text.contains("Too many open files"), "{text}");
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert!(server.log().contains("raise the limit of open files"), "{}", server.log());
        assert_eq!(server.log().matches("cannot accept connections").count(), 1, "once, not ten times a second");
        drop(crowd);
        let next = server.client().await;
        for client in [next, client] {
            assert_eq!(scan(&client, watch()).await.reports.len(), 40, "{}", server.log());
        }
    });
}

#[test]
fn a_file_for_whose_map_there_is_no_room_is_read() {
    let mut chain = Scene::laden(&script(), 600);
    chain.file_bytes_max(48 << 20);
    let scene = Scene::write(chain, Manner::default());
    let server = start(&scene.server, &["--workers", "1", "--page-cache", "keep"]);
    patiently(async {
        let client = server.client().await;
        // All threads have started, and no file is mapped yet.
        client.locate(vec![scene.chain.hash_at(1)]).await.unwrap();
        server.limit(Resource::As, server.address_space() + (32 << 20));
        let found = scan(&client, watch()).await;
        assert_eq!((found.summary().outcome, found.reports.len()), (Outcome::Complete, 600));
    });
    assert!(server.log().contains("cannot map block file; reading it instead"), "{}", server.log());
}

#[test]
fn a_server_without_memory_for_a_watch_set_ends_with_a_word_and_the_next_one_serves() {
    let mut chain = ChainBuilder::new();
    chain.coinbase_to(&script()).mine(3);
    let scene = Scene::write(chain, Manner::default());
    let server = start(&scene.server, &["--workers", "1"]);
    patiently(async {
        let client = server.client().await;
        assert_eq!(scan(&client, watch()).await.reports.len(), 1);
        server.limit(Resource::As, server.address_space() + (8 << 20));
        let many = (0..400_000u32).fold(watch(), |request, number| {
            request.script(bitcoin::ScriptBuf::from_bytes(number.to_le_bytes().repeat(8)))
        });
        let scanned = ScanRecord::of(client.scan(many).await.unwrap()).await;
        match scanned.end {
            Ok(summary) => panic!("8 MiB do not hold 400,000 scripts: {summary:?}"),
            Err(ScanError::Call(error)) => assert!(error.to_string().contains("the server is gone"), "{error}"),
            Err(other) => panic!("{other}"),
        }
    });
    let (status, log) = server.wait();
    assert!(!status.success());
    assert!(log.contains("memory allocation of"), "{status}: {log}");
    let server = start(&scene.server, &["--workers", "1"]);
    patiently(async { assert_eq!(scan(&server.client().await, watch()).await.reports.len(), 1) });
}
