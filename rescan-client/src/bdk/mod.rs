//! Full scan, sync and following of a [`bdk_wallet::Wallet`], with an [`Update`] that applies to it.
//!
//! What is taken from the wallet first ([`WalletRequest`]) makes the rest free of it: the future is [`Send`], and the
//! wallet may be used or changed while it runs. Only confirmed transactions are known here: what the wallet knows to be
//! unconfirmed is neither confirmed nor taken away by an update, unless a block has it.
//!
//! An update's chain is of one view: the scan is pinned to a chain, and every block in the update is one of that chain. It
//! begins with the highest block that the wallet has and the chain too. Where a reorganisation took blocks that the wallet
//! knew, the update has what stands in their place, so that BDK drops them and every confirmation in them. BDK holds
//! what was confirmed there for pending, until something in the chain conflicts with it.
//!
//! The feature `bdk` of this crate is off by default. It adds `bdk_wallet` 3 and nine crates that come with it, from
//! `bdk_chain` to a second `rand`: some ten seconds of one core in a debug build. `bitcoin`, `miniscript` and
//! `secp256k1` are those that this crate has anyway, so that types fit without conversion.
//!
//! ```no_run
//! use bdk_wallet::Wallet;
//! use rescan_client::bdk::{self, WalletRequest};
//! use rescan_client::{Client, RangeStart};
//!
//! # async fn example(external: String, internal: String) -> Result<(), Box<dyn std::error::Error>> {
//! let mut wallet = Wallet::create(external, internal).network(bdk_wallet::bitcoin::Network::Bitcoin).create_wallet_no_persist()?;
//! let client = Client::connect("/home/satoshi/.bitcoin/rescan.sock").await?;
//!
//! let request = WalletRequest::of(&wallet).gap_limit(100);
//! wallet.apply_update(bdk::full_scan(&client, &request, RangeStart::Birthday(1_620_000_000)).await?)?;
//! println!("{}", wallet.balance());
//!
//! // Tomorrow, from where that ended:
//! wallet.apply_update(bdk::sync(&client, &WalletRequest::of(&wallet)).await?)?;
//!
//! // Or block by block, as they come:
//! loop {
//!     wallet.apply_update(bdk::follow(&client, &WalletRequest::of(&wallet)).await?)?;
//! }
//! # }
//! ```

mod chain_update;
mod error;
mod gathered;
mod wallet_request;

use std::time::Duration;

use bdk_wallet::Update;
use rescan_core::report::{BlockId, Outcome, RefusalReason};

pub use self::error::BdkError;
pub use self::wallet_request::WalletRequest;
use crate::{Client, RangeStart, ScanError};

/// How long one question for a tip may take: as long as a server lets it.
const WAIT_MAX: Duration = rescan_core::protocol::TIP_WAIT_MAX;

/// How often a scan is begun again because a reorganisation took the block that it was to begin after, or a reported one.
/// A reorganisation is rare, and a second one within one scan a sign that something else is the matter.
const ATTEMPTS_MAX: usize = 3;

/// Scans for all that the wallet ever did: from `start`, which is genesis or the wallet's birthday, to the tip.
///
/// # Errors
///
/// [`BdkError`]; nothing of the wallet is changed, and the next call may do better.
pub async fn full_scan(client: &Client, request: &WalletRequest, start: RangeStart) -> Result<Update, BdkError> {
    attempt(client, request, |_common| start.clone()).await
}

/// Scans the blocks after the last one that the wallet has and the active chain too: for what was revealed and the gap
/// beyond, and for spends of the wallet's coins.
///
/// It does not go back: an address that was never watched while its payment was mined, being beyond the gap then, is found
/// by a [`full_scan`] only.
///
/// # Errors
///
/// As [`full_scan`].
pub async fn sync(client: &Client, request: &WalletRequest) -> Result<Update, BdkError> {
    attempt(client, request, |common| RangeStart::After(vec![common.hash])).await
}

/// Waits until the active chain has another tip than the wallet, and then does what [`sync`] does: what was disconnected
/// meanwhile leaves the wallet, what was connected comes in. Apply the update, take a new [`WalletRequest`], and call it
/// again: so a wallet follows the chain for as long as it likes.
///
/// ```no_run
/// # async fn example(client: rescan_client::Client, mut wallet: bdk_wallet::Wallet) -> Result<(), Box<dyn std::error::Error>> {
/// use rescan_client::bdk::{self, WalletRequest};
///
/// loop {
///     wallet.apply_update(bdk::follow(&client, &WalletRequest::of(&wallet)).await?)?;
///     println!("{} at height {}", wallet.balance(), wallet.latest_checkpoint().height());
/// }
/// # }
/// ```
///
/// A wallet that is slow to ask again gets all blocks that came in one update. Where the chain has only lost blocks, it waits
/// on: BDK takes a block away only by putting another in its place. Dropping the future gives up waiting, and loses nothing.
///
/// # Errors
///
/// As [`full_scan`]. After a [`CallError::Disconnected`](crate::CallError::Disconnected), connect anew and go on.
pub async fn follow(client: &Client, request: &WalletRequest) -> Result<Update, BdkError> {
    let mut known = request.tip().hash();
    loop {
        let tip = client.wait_tip(Some(known), WAIT_MAX).await?;
        let Some(tip) = tip.filter(|tip| tip.hash != known) else { continue };
        match sync(client, request).await {
            Err(BdkError::ChainTooShort { .. }) => known = tip.hash,
            other => return other,
        }
    }
}

/// Finds where wallet and chain part, scans from what `start` makes of it, and puts the update together; again, where the
/// chain moved meanwhile.
async fn attempt(
    client: &Client,
    request: &WalletRequest,
    start: impl Fn(BlockId) -> RangeStart,
) -> Result<Update, BdkError> {
    for _ in 0..ATTEMPTS_MAX {
        let common = chain_update::find_common(client, request.tip()).await?;
        let mut stream = client.scan(request.scan(common.height, start(common))).await?;
        let gathered = match gathered::gather(&mut stream).await {
            Err(BdkError::Scan(ScanError::Refused(refusal))) if refusal.reason == RefusalReason::NotInChain => continue,
            other => other?,
        };
        match gathered.summary.outcome {
            Outcome::Complete => {}
            Outcome::ReorganisedFrom(_) => continue,
            outcome => return Err(BdkError::Incomplete { outcome }),
        }
        let anchors = gathered.anchor_blocks();
        let chain =
            chain_update::assemble(&stream.handle(), request.tip(), common, &gathered.summary.tip, anchors).await?;
        let Some(chain) = chain else { continue };
        return Ok(Update {
            last_active_indices: request.last_active(&gathered.summary.keychains),
            tx_update: gathered.tx_update,
            chain: Some(chain),
        });
    }
    Err(BdkError::KeptReorganising { attempts: ATTEMPTS_MAX })
}
