//! Results of methods that every caller needs.

use bitcoin::BlockHash;
use serde::Deserialize;

use crate::client::RpcClient;
use crate::error::RpcError;

/// The part of `getnetworkinfo` that is read here.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct NetworkInfo {
    /// Name and version as the node tells its peers: `/Satoshi:29.0.0/`.
    pub subversion: String,
}

impl NetworkInfo {
    /// [`Self::subversion`] for people: `Satoshi 29.0.0`.
    #[must_use]
    pub fn software(&self) -> String {
        self.subversion.trim_matches('/').replacen(':', " ", 1)
    }
}

/// The part of `getblockchaininfo` that is read here.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct BlockchainInfo {
    /// The network, as [`bitcoin::Network::to_core_arg`] names it.
    pub chain: String,
    /// Height of the tip.
    pub blocks: u32,
    /// The lowest height whose block is kept; none unless the node prunes.
    pub pruneheight: Option<u32>,
}

impl RpcClient {
    /// Calls `getnetworkinfo`.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn network_info(&self) -> Result<NetworkInfo, RpcError> {
        self.call("getnetworkinfo", &[(); 0])
    }

    /// Calls `getblockchaininfo`.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn blockchain_info(&self) -> Result<BlockchainInfo, RpcError> {
        self.call("getblockchaininfo", &[(); 0])
    }

    /// Calls `getblockhash`: the active chain's block at a height.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn block_hash(&self, height: u32) -> Result<BlockHash, RpcError> {
        const METHOD: &str = "getblockhash";
        let hash: String = self.call(METHOD, &(height,))?;
        hash.parse().map_err(|error| RpcError::unexpected(METHOD, error))
    }
}
