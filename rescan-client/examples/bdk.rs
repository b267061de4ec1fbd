//! Restores a BDK wallet from its two public descriptors, through the socket of a rescan server, and prints its balance:
//!
//! ```sh
//! cargo run -p rescan-client --features bdk --example bdk -- ~/.bitcoin/rescan.sock 'wpkh(tpub../0/*)' 'wpkh(tpub../1/*)'
//! ```
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;

use bdk_wallet::Wallet;
use rescan_client::bdk::{BdkRescanClient, WalletRequest};
use rescan_client::position::Height;
use rescan_client::report::Progress;
use rescan_client::{Client, RangeStart};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [socket, external, internal] = arguments.try_into().map_err(|_others| "give SOCKET EXTERNAL INTERNAL")?;

    let client = Client::connect(socket).await?;
    let network = client.server_info().network;
    let mut wallet = Wallet::create(external, internal).network(network).create_wallet_no_persist()?;

    // The whole history, once. A wallet that knows its birthday starts there instead.
    let client = BdkRescanClient::new(client);
    let request = WalletRequest::of(&wallet).gap_limit(1_000);
    let progress = |it: &Progress| println!("{} of {} blocks", it.blocks_done, it.blocks_total);
    let genesis = RangeStart::Height(Height::GENESIS);
    wallet.apply_update(client.full_scan_with_progress(&request, genesis, progress).await?)?;

    // From here on, whenever there may be new blocks: only those are scanned.
    wallet.apply_update(client.sync(&WalletRequest::of(&wallet)).await?)?;

    let tip = wallet.latest_checkpoint();
    println!("{} transactions up to height {} ({})", wallet.transactions().count(), tip.height(), tip.hash());
    println!("{}", wallet.balance());
    Ok(())
}
