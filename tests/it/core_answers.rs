//! Over the socket, every wallet of both real datadirs gets Bitcoin Core's own answer.

use rescan_client::report::{Outcome, Summary};
use rescan_client::{ScanRequest, Verify};
use rescan_fixtures::core_datadir::{CoreDatadir, ExpectedTransaction, ExpectedWallet, Which};
use rescan_tests::{Manner, ScanRecord, TestServer, patiently, scan};

fn request(wallet: &ExpectedWallet) -> ScanRequest {
    wallet.descriptors.iter().fold(ScanRequest::new(), |request, entry| request.keychain(entry.descriptor.as_str()))
}

fn assert_is_cores(found: &ScanRecord, wallet: &ExpectedWallet, context: &str) {
    let history: Vec<ExpectedTransaction> = found
        .transactions()
        .map(|(report, transaction)| ExpectedTransaction {
            txid: transaction.txid,
            height: report.height.0,
            block_hash: report.hash,
            tx_index: transaction.tx_index,
        })
        .collect();
    assert_eq!(history, wallet.transactions, "history of {context}");
    let coins = wallet.coins.iter().map(|coin| (coin.outpoint(), coin.value, coin.height, coin.script_pubkey.clone()));
    assert_eq!(found.coins(), coins.collect::<Vec<_>>(), "coins of {context}");
    let summary = found.summary();
    assert_eq!(summary.outcome, Outcome::Complete, "{context}");
    assert_eq!(summary.transactions, wallet.transactions.len() as u64, "{context}");
    let unspent = (summary.unspent_count, summary.unspent);
    assert_eq!(unspent, (wallet.coins.len() as u64, wallet.coins_total), "{context}");
}

fn assert_is_cores_tip(summary: &Summary, datadir: &CoreDatadir) {
    let expected = datadir.expected();
    assert_eq!((summary.tip.height.0, summary.tip.hash), (expected.tip_height, expected.tip_hash));
}

/// Datadir `A` is XORed, `C` is not; each has every number of workers, both ways to read, and every
/// way to verify.
#[test]
fn every_wallet_hears_cores_own_answer_however_it_is_scanned() {
    let manners = [(1, true, Verify::None), (2, false, Verify::All), (8, true, Verify::Reported)];
    for which in Which::ALL {
        for (workers, is_mapped, verify) in manners {
            let (server, datadir) = TestServer::of_core(which, Manner { workers, is_mapped, ..Manner::default() });
            patiently(async {
                let client = server.client().await;
                for (name, wallet) in &datadir.expected().wallets {
                    let found = scan(&client, request(wallet).verify(verify)).await;
                    let context = format!("{name} in {which:?}, {workers} workers, mapped {is_mapped}, {verify:?}");
                    assert_is_cores(&found, wallet, &context);
                    assert_is_cores_tip(found.summary(), &datadir);
                }
            });
        }
    }
}

/// A wallet that keeps its watch set private takes whole blocks, and they are the blocks of Core's
/// active chain.
#[test]
fn shipped_blocks_are_cores_active_chain() {
    for which in Which::ALL {
        let (server, datadir) = TestServer::of_core(which, Manner::default());
        patiently(async {
            let client = server.client().await;
            let (blocks, end) = rescan_tests::shipped(client.blocks(ScanRequest::new().range).await.unwrap()).await;
            assert_is_cores_tip(&end.unwrap(), &datadir);
            let mut previous = None;
            for (height, shipped) in (0..).zip(&blocks) {
                let block: bitcoin::Block = bitcoin::consensus::deserialize(&shipped.data).unwrap();
                assert_eq!((shipped.height.0, shipped.hash), (height, block.block_hash()));
                assert!(previous.is_none_or(|previous| previous == block.header.prev_blockhash));
                assert!(block.check_merkle_root());
                previous = Some(shipped.hash);
            }
            assert_eq!(previous, Some(datadir.expected().tip_hash));
        });
    }
}
