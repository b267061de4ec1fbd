//! A node that answers, and the check of its chain.

use bitcoin::{BlockHash, Network};
use rescan_core::position::{Height, HeightRange};
use rescan_node::{Credentials, RpcClient, RpcError, RpcTraffic};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::error::NodeError;
use super::process::pid_beside;

/// A node whose RPC answered. Clones share its traffic counts.
#[derive(Clone, Debug)]
pub struct Node {
    rpc: RpcClient,
    version: String,
    network: String,
    pid: Option<u32>,
}

impl Node {
    /// Asks a node for its version and its chain.
    ///
    /// # Errors
    /// [`NodeError::Rpc`] with the reason that it does not answer.
    pub async fn connect(rpc: RpcClient) -> Result<Self, NodeError> {
        blocking(move || {
            let pid = match rpc.credentials() {
                Credentials::Cookie(cookie) if rpc.address().is_this_machine() => pid_beside(cookie),
                _ => None,
            };
            let version = rpc.network_info()?.software();
            let network = rpc.blockchain_info()?.chain;
            Ok(Self { rpc, version, network, pid })
        })
        .await
    }

    /// Name and version as it tells its peers: `Satoshi 29.0.0`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Its process, if it runs on this machine and wrote its number beside its cookie.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Traffic with it so far.
    #[must_use]
    pub fn traffic(&self) -> RpcTraffic {
        self.rpc.traffic()
    }

    /// Checks that it is of the server's network, and has these blocks, of which `tip` is the last,
    /// on disk.
    ///
    /// # Errors
    /// [`NodeError`] with the difference.
    pub(crate) async fn check(&self, network: Network, range: HeightRange, tip: BlockHash) -> Result<(), NodeError> {
        let expected = network.to_core_arg();
        if self.network != expected {
            let (found, expected) = (self.network.clone(), expected.to_owned());
            return Err(NodeError::OtherNetwork { address: self.rpc.address().clone(), found, expected });
        }
        let rpc = self.rpc.clone();
        let info = blocking(move || Ok(rpc.blockchain_info()?)).await?;
        let (first, last) = (range.first(), range.last());
        if info.blocks < last.0 {
            return Err(NodeError::Behind { found: info.blocks, expected: last });
        }
        self.check_block(last, tip).await?;
        match info.pruneheight {
            Some(lowest) if first.0 < lowest => Err(NodeError::Pruned { lowest }),
            _ => Ok(()),
        }
    }

    /// Checks that its active chain has this block, and so all before it.
    ///
    /// # Errors
    /// [`NodeError::OtherChain`] if it has another at that height.
    pub(crate) async fn check_block(&self, height: Height, expected: BlockHash) -> Result<(), NodeError> {
        let found = self.block_hash(height).await?;
        if found == expected { Ok(()) } else { Err(NodeError::OtherChain { height, found, expected }) }
    }

    /// The block at a height of its active chain.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) async fn block_hash(&self, height: Height) -> Result<BlockHash, NodeError> {
        let rpc = self.rpc.clone();
        blocking(move || Ok(rpc.block_hash(height.0)?)).await
    }

    /// Calls a method, and reads its result.
    ///
    /// # Errors
    /// [`NodeError`] if there is no result as documented.
    pub(crate) async fn call<T, P>(&self, method: &'static str, params: P) -> Result<T, NodeError>
    where
        T: DeserializeOwned + Send + 'static,
        P: Serialize + Send + 'static,
    {
        let rpc = self.rpc.clone();
        blocking(move || Ok(rpc.call(method, &params)?)).await
    }

    /// Calls a method with parameters that are JSON already, and returns its result as JSON.
    ///
    /// # Errors
    /// [`NodeError`] if there is no result.
    pub(crate) async fn call_raw(
        &self,
        method: &'static str,
        params: Box<RawValue>,
    ) -> Result<Box<RawValue>, NodeError> {
        let rpc = self.rpc.clone();
        blocking(move || Ok(rpc.call_raw(method, &params)?)).await
    }
}

/// Runs a call on a thread where it may block for minutes; other tasks, Ctrl-C among them, go on.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, NodeError> + Send + 'static,
) -> Result<T, NodeError> {
    // The thread panicked, which is a defect here, or the runtime is ending.
    tokio::task::spawn_blocking(call).await.unwrap_or_else(|error| Err(RpcError::unexpected("a call", error).into()))
}
