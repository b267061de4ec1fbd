//! Full scan, sync and following for BDK wallets. The methods of [`BdkRescanClient`] read like those of BDK's own chain sources.
//!
//! A [`WalletRequest`] copies everything that a scan needs from the wallet. So the future is [`Send`], and the wallet may be used
//! or changed while it runs. Only confirmed transactions are known here: an update neither confirms nor evicts an
//! unconfirmed transaction of the wallet, unless a block has it.
//!
//! BDK's own `FullScanRequest` has scripts, and asks its caller for more of them as they are found. A rescan server derives
//! scripts itself, so a request here has the descriptors.
//!
//! An update's chain is consistent: the scan is pinned to one chain, and every block in the update is of that chain. It
//! starts at the highest block that the wallet and the chain have in common. Blocks of the wallet that were reorganised out
//! are replaced by the active ones at their heights, so that BDK drops them and their confirmations. BDK then treats their
//! transactions as unconfirmed, until a transaction in the chain conflicts with them.
//!
//! The feature `bdk` of this crate is off by default. It adds `bdk_wallet` 3 and nine crates that come with it, from
//! `bdk_chain` to a second `rand`: some ten seconds of one core in a debug build. `bitcoin`, `miniscript` and
//! `secp256k1` are those of this crate: no type has to be converted. A program that uses `bdk_chain` without `bdk_wallet` makes
//! its request by [`WalletRequest::from_chain`], with any type of keychain.
//!
//! ```no_run
//! use bdk_wallet::Wallet;
//! use rescan_client::bdk::{BdkRescanClient, WalletRequest};
//! use rescan_client::{Client, RangeStart};
//!
//! # async fn example(external: String, internal: String) -> Result<(), Box<dyn std::error::Error>> {
//! let mut wallet = Wallet::create(external, internal).network(bdk_wallet::bitcoin::Network::Bitcoin).create_wallet_no_persist()?;
//! let client = BdkRescanClient::new(Client::connect("/home/satoshi/.bitcoin/rescan.sock").await?);
//!
//! let request = WalletRequest::of(&wallet).gap_limit(100);
//! let progress = |it: &rescan_client::report::Progress| println!("{} of {} blocks", it.blocks_done, it.blocks_total);
//! let birthday = RangeStart::Birthday(1_620_000_000);
//! wallet.apply_update(client.full_scan_with_progress(&request, birthday, progress).await?)?;
//! println!("{}", wallet.balance());
//!
//! // Tomorrow, from there:
//! wallet.apply_update(client.sync(&WalletRequest::of(&wallet)).await?)?;
//!
//! // Or block by block, as they come:
//! loop {
//!     wallet.apply_update(client.follow(&WalletRequest::of(&wallet)).await?)?;
//! }
//! # }
//! ```

mod chain_update;
mod client;
mod error;
mod gather;
mod request;

pub use client::BdkRescanClient;
pub use error::BdkError;
pub use request::WalletRequest;
