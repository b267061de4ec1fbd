//! The wallet's side of rescan: asks a server beside a Bitcoin Core node for a wallet's history, and streams the matches as
//! they are found.
//!
//! # Dependency
//!
//! The crate is not on crates.io. Depend on its repository:
//!
//! ```toml
//! rescan-client = { git = "https://HOST/rescan.git" } # features = ["bdk"] for BDK wallets
//! ```
//!
//! # The objects
//!
//! A [`Client`] is a connection to the server's Unix socket. [`Client::scan`] sends a [`ScanRequest`] (descriptors,
//! scripts, coins, a range of blocks) and returns a [`ScanStream`]: a [`Stream`](futures::Stream) of [`ScanEvent`]s. It has
//! one [`BlockReport`](report::BlockReport) for each block that touches the wallet, in chain order, and at last the
//! [`Summary`](report::Summary). Reports arrive while the scan runs. A slow wallet slows its own scan: a bounded number of
//! reports waits here, the rest of the scan waits on the server.
//!
//! Dropping the stream stops the scan within one block. [`ScanStream::cancel`] ends it with a summary of the blocks that it
//! has reached. A scan's [`Outcome`](report::Outcome) is in its summary; a [`ScanError`] means that there is none.
//!
//! [`Client::watch`] uploads a watch set once, for several scans. [`Client::blocks`] ships whole blocks instead, for a wallet
//! that shows the server nothing. [`Client::match_block`] matches one block a call, and leaves nothing on the server.
//! [`blocking`] has the same client for callers without an async runtime.
//!
//! Everything here is [`Send`] and runs under any executor: the Cap'n Proto objects, which are not `Send`, stay on the
//! connection's own thread.
//!
//! # A scan
//!
//! ```no_run
//! use futures::StreamExt;
//! use rescan_client::{Client, ScanEvent, ScanRequest};
//!
//! # async fn history(descriptor: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("/home/satoshi/.bitcoin/rescan.sock").await?;
//! let mut scan = client.scan(ScanRequest::new().keychain(descriptor)).await?;
//! while let Some(event) = scan.next().await {
//!     match event? {
//!         ScanEvent::Report(block) => {
//!             for transaction in block.transactions {
//!                 println!("{} at height {}", transaction.txid, block.height);
//!             }
//!         }
//!         ScanEvent::Finished(summary) => println!("{:?}, {} unspent", summary.outcome, summary.unspent),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A keychain is watched by its gap limit: indexes 0 to (last used or revealed) plus [`GivenKeychain::gap_limit`], in any order
//! of use. If a use reveals scripts that were used in earlier blocks, reports of those come late, with the new matches alone;
//! [`history::History`] sorts them in.
//!
//! # Coins
//!
//! Unspent coins without the history: coins that were created and spent in the range never leave the server.
//! [`coins::CoinLedger`] derives the same from reports.
//!
//! ```no_run
//! use futures::StreamExt;
//! use rescan_client::{Client, GivenKeychain, ScanEvent, ScanRequest};
//!
//! # async fn coins(client: Client, descriptor: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let keychain = GivenKeychain::new(descriptor).gap_limit(20).revealed(7);
//! let mut scan = client.scan(ScanRequest::new().keychain(keychain).coins()).await?;
//! while let Some(event) = scan.next().await {
//!     match event? {
//!         ScanEvent::Coin(coin) => println!("{} {} since {}", coin.outpoint, coin.value, coin.height),
//!         ScanEvent::Finished(summary) => println!("{} coins, {}", summary.unspent_count, summary.unspent),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Resuming a scan
//!
//! A [`Checkpoint`] keeps the resume point, the live coins, and the undo data of the last 288 blocks, with which a
//! reorganisation is reverted. Kill the wallet or the server at any moment and run the same again: the union of all reports,
//! by block hash and txid, equals the reports of one scan.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use futures::StreamExt;
//! use rescan_client::{Checkpoint, Client, ResumeEvent, ScanRequest};
//!
//! # async fn resume(client: Client, descriptor: &str, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
//! let request = ScanRequest::new().keychain(descriptor).mark_every(std::time::Duration::from_secs(1));
//! let begun = Checkpoint::load(file)?;
//! let checkpoint = begun.unwrap_or_else(|| Checkpoint::new(client.server_info().chain.genesis, &request));
//! let mut scan = client.resume(request, checkpoint)?;
//! while let Some(event) = scan.next().await {
//!     match event? {
//!         ResumeEvent::Report(block) => println!("block {}", block.height), // store it before the checkpoint is saved
//!         ResumeEvent::Reverted(it) => println!("{} is no longer in the chain", it.txid),
//!         ResumeEvent::Settled | ResumeEvent::Finished(_) => drop(scan.checkpoint().save(file)?),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Following
//!
//! [`Client::follow`] continues from there: a [`Follower`] is a stream of the blocks that the chain connects and disconnects,
//! with their reports. Its checkpoint outlives it. [`FollowEvent`] explains the order of events.
//!
//! ```no_run
//! use futures::StreamExt;
//! use rescan_client::{Checkpoint, Client, FollowEvent, ScanRequest};
//!
//! # async fn follow(client: Client, descriptor: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let request = ScanRequest::new().keychain(descriptor);
//! let checkpoint = Checkpoint::new(client.server_info().chain.genesis, &request);
//! let mut follower = client.follow(request, checkpoint)?;
//! while let Some(event) = follower.next().await {
//!     match event? {
//!         FollowEvent::Report(block) => println!("{} transactions in {}", block.transactions.len(), block.hash),
//!         FollowEvent::Reverted(it) => println!("{} is no longer in the chain", it.txid),
//!         FollowEvent::Disconnected(block) => println!("block {} was disconnected", block.hash),
//!         FollowEvent::Connected(block) => println!("block {} was connected", block.hash),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Many wallets
//!
//! Any number of wallets share one scan; [`wallets::Wallets`] splits its reports.
//!
//! ```no_run
//! use futures::StreamExt;
//! use rescan_client::wallets::{Wallet, Wallets};
//! use rescan_client::{Client, ScanEvent, ScanRequest};
//!
//! # async fn all(client: Client, alice: &str, bob: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let mut wallets = Wallets::new();
//! wallets.add("alice", Wallet::new().keychain(alice))?;
//! wallets.add("bob", Wallet::new().keychain(bob))?;
//! let names: Vec<&str> = wallets.names().collect();
//! let mut scan = client.scan(wallets.watched_by(ScanRequest::new())).await?;
//! while let Some(event) = scan.next().await {
//!     if let ScanEvent::Report(block) = event? {
//!         for (wallet, own) in wallets.split_report(&block) {
//!             println!("{}: {} transactions at {}", names[wallet], own.transactions.len(), own.height);
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # BDK
//!
//! With the feature `bdk`, the module `bdk` fills a `bdk_wallet::Wallet` and keeps it up to date.
//!
#![cfg_attr(feature = "bdk", doc = "```no_run")]
#![cfg_attr(not(feature = "bdk"), doc = "```ignore")]
//! use rescan_client::bdk::{BdkRescanClient, WalletRequest};
//! use rescan_client::{Client, RangeStart};
//!
//! # async fn fill(client: Client, wallet: &mut bdk_wallet::Wallet) -> Result<(), Box<dyn std::error::Error>> {
//! let client = BdkRescanClient::new(client);
//! let request = WalletRequest::of(wallet).gap_limit(100);
//! wallet.apply_update(client.full_scan(&request, RangeStart::Birthday(1_620_000_000)).await?)?;
//! wallet.apply_update(client.sync(&WalletRequest::of(wallet)).await?)?; // from then on
//! println!("{}", wallet.balance());
//! # Ok(())
//! # }
//! ```
//!
//! # Proofs
//!
//! With [`ScanRequest::raw_transactions`] and [`ScanRequest::merkle_branches`], each reported transaction comes with its
//! bytes and its branch to the header of its block. Both are checked here as they arrive; a proof that fails ends the scan with
//! [`CallError::Protocol`]. The wallet must know itself that a header is of the chain with the most work. No proof shows that
//! nothing was omitted.

mod connection;
mod error;

mod block_match;
mod calls;
mod request;
mod scan;

mod client;

mod checkpoint;
mod generator;

mod resume;

mod follow;

pub mod wallets;

pub mod blocking;

#[cfg(feature = "bdk")]
pub mod bdk;

pub use bitcoin;
pub use checkpoint::{Checkpoint, LoadError, ResumeError, Reverted, SaveError};
pub use client::Client;
pub use connection::{ByteCount, Traffic};
pub use error::{CallError, ConnectError, LOCATE_HASHES_MAX, SOCKET_PATH_BYTES_MAX, ScanError};
pub use follow::{FollowEvent, Follower};
pub use request::ScanRequest;
pub use rescan_core::block_match::{MatchContent, MatchEntries, MatchedBlock};
pub use rescan_core::blocks::merkle;
pub use rescan_core::request::{
    Deliver, Extras, GAP_LIMIT_DEFAULT, GAP_LIMIT_MAX, GivenKeychain, GivenOutpoint, INDEX_MAX, RangeEnd, RangeRequest,
    RangeStart, Scanned, Verify,
};
pub use rescan_core::watching::descriptor;
pub use rescan_core::{coins, history, position, report, server_info};
pub use resume::{ResumableScan, ResumeEvent};
pub use scan::{BlockEvent, BlockStream, ScanEvent, ScanHandle, ScanStream, WatchSet};
