//! The three ways to update a wallet.

use std::time::Duration;

use bdk_wallet::chain::spk_client::FullScanResponse;
use rescan_core::report::{BlockId, Outcome, Progress, RefusalReason};

use super::chain_update;
use super::error::BdkError;
use super::gather;
use super::request::WalletRequest;
use crate::{Client, RangeStart, ScanError};

/// The longest wait in one call: a server allows no longer one.
const WAIT_MAX: Duration = rescan_core::protocol::TIP_WAIT_MAX;

/// How often progress is reported.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// How often a scan is started again because a reorganisation took the block that it was to start after, or a reported one. A
/// reorganisation is rare, and a second one within one scan a sign of another problem.
const ATTEMPTS_MAX: usize = 3;

const NO_PROGRESS: Option<fn(&Progress)> = None;

/// A rescan server as a chain source for BDK wallets.
///
/// Each method returns a response that applies to a [`bdk_wallet::Wallet`] as it is
/// ([`apply_update`](bdk_wallet::Wallet::apply_update)), or in its parts to the structures of `bdk_chain`.
#[derive(Clone, Debug)]
pub struct BdkRescanClient {
    inner: Client,
}

impl BdkRescanClient {
    /// A chain source over a connection.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { inner: client }
    }

    /// The connection.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.inner
    }

    /// Scans for the wallet's whole history: from `start`, which is genesis or the wallet's birthday, to the tip.
    ///
    /// # Errors
    ///
    /// [`BdkError`]; the next call may succeed.
    pub async fn full_scan<K: Ord + Clone>(
        &self,
        request: &WalletRequest<K>,
        start: RangeStart,
    ) -> Result<FullScanResponse<K>, BdkError> {
        self.attempt(request, |_common| start.clone(), NO_PROGRESS).await
    }

    /// As [`full_scan`](Self::full_scan), and calls `inspect` about twice a second with the progress.
    ///
    /// # Errors
    ///
    /// As [`full_scan`](Self::full_scan).
    pub async fn full_scan_with_progress<K: Ord + Clone>(
        &self,
        request: &WalletRequest<K>,
        start: RangeStart,
        inspect: impl FnMut(&Progress) + Send,
    ) -> Result<FullScanResponse<K>, BdkError> {
        self.attempt(request, |_common| start.clone(), Some(inspect)).await
    }

    /// Scans the blocks after the last one that the wallet and the active chain have in common: for revealed scripts and the gap
    /// beyond, and for spends of the wallet's coins.
    ///
    /// It does not scan older blocks: a payment to an address that was beyond the gap when it was mined is found by a
    /// [`full_scan`](Self::full_scan) only.
    ///
    /// # Errors
    ///
    /// As [`full_scan`](Self::full_scan).
    pub async fn sync<K: Ord + Clone>(&self, request: &WalletRequest<K>) -> Result<FullScanResponse<K>, BdkError> {
        self.attempt(request, |common| RangeStart::After(vec![common.hash]), NO_PROGRESS).await
    }

    /// Waits until the active chain's tip differs from the wallet's, and then does as [`sync`](Self::sync): disconnected blocks
    /// leave the wallet, connected ones enter it. To follow the chain, apply the update, make a new [`WalletRequest`], and call
    /// it again.
    ///
    /// ```no_run
    /// use rescan_client::bdk::{BdkRescanClient, WalletRequest};
    ///
    /// # async fn example(client: BdkRescanClient, mut wallet: bdk_wallet::Wallet) -> Result<(), Box<dyn std::error::Error>> {
    /// loop {
    ///     wallet.apply_update(client.follow(&WalletRequest::of(&wallet)).await?)?;
    ///     println!("{} at height {}", wallet.balance(), wallet.latest_checkpoint().height());
    /// }
    /// # }
    /// ```
    ///
    /// A wallet that is slow to call again gets all new blocks in one update. If the chain has only lost blocks, it waits on:
    /// BDK removes a block only by putting another in its place. Dropping the future stops the wait, and loses nothing.
    ///
    /// # Errors
    ///
    /// As [`full_scan`](Self::full_scan). After a [`CallError::Disconnected`](crate::CallError::Disconnected), connect again and
    /// continue.
    pub async fn follow<K: Ord + Clone>(&self, request: &WalletRequest<K>) -> Result<FullScanResponse<K>, BdkError> {
        let mut known = request.tip().hash();
        loop {
            let tip = self.inner.wait_tip(Some(known), WAIT_MAX).await?;
            let Some(tip) = tip.filter(|tip| tip.hash != known) else { continue };
            match self.sync(request).await {
                Err(BdkError::ChainTooShort { .. }) => known = tip.hash,
                other => return other,
            }
        }
    }

    /// Finds the highest common block of wallet and chain, scans from the start that it yields, and assembles the update; again,
    /// if the chain changed meanwhile.
    async fn attempt<K: Ord + Clone, I: FnMut(&Progress) + Send>(
        &self,
        request: &WalletRequest<K>,
        start: impl Fn(BlockId) -> RangeStart,
        mut inspect: Option<I>,
    ) -> Result<FullScanResponse<K>, BdkError> {
        for _ in 0..ATTEMPTS_MAX {
            let common = chain_update::find_common(&self.inner, request.tip()).await?;
            let mut scan = request.scan(common.height, start(common));
            scan.mark_every = inspect.is_some().then_some(PROGRESS_EVERY);
            let mut stream = self.inner.scan(scan).await?;
            let gathered = match gather::gather(&mut stream, &mut inspect).await {
                Err(BdkError::Scan(ScanError::Refused(refusal))) if refusal.reason == RefusalReason::NotInChain => {
                    continue;
                }
                other => other?,
            };
            match gathered.summary.outcome {
                Outcome::Complete => {}
                Outcome::ReorganisedFrom(_) => continue,
                outcome => return Err(BdkError::Incomplete { outcome }),
            }
            let anchors = gathered.anchor_blocks();
            let tip = gathered.summary.tip;
            let chain = chain_update::assemble(&stream.handle(), request.tip(), common, &tip, anchors).await?;
            let Some(chain) = chain else { continue };
            return Ok(FullScanResponse {
                last_active_indices: request.last_active(&gathered.summary.keychains),
                tx_update: gathered.tx_update,
                chain_update: Some(chain),
            });
        }
        Err(BdkError::KeptReorganising { attempts: ATTEMPTS_MAX })
    }
}
