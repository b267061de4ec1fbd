//! The request of a fill: its options, and the descriptors to import first.

use std::path::Path;

use rescan_client::bitcoin::Network;
use rescan_client::{RangeStart, ScanRequest};
use rescan_fill::FillOptions;
use rescan_node::{ListedDescriptor, RpcClient, RpcError};
use serde::Deserialize;

use super::forms::read_descriptors;
use super::given::{Birthday, GivenDescriptor};
use super::imports::imports;
use super::watch_request::WatchRequest;
use crate::args::{FillArgs, refuse_key};
use crate::error::CliError;

/// A fill, as the arguments ask for it.
pub(crate) struct FillRequest {
    pub(crate) options: FillOptions,
    given: Vec<GivenDescriptor>,
    /// None if no descriptors were given.
    watched: Option<WatchRequest>,
    /// Whether the wallet has no other descriptors.
    is_new: bool,
}

impl FillRequest {
    /// Reads the descriptors.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or a descriptor cannot be watched.
    pub(crate) fn of(args: &FillArgs) -> Result<Self, CliError> {
        // Messages repeat the name.
        refuse_key("--wallet", "the name of a wallet", Path::new(&args.wallet))?;
        let from = args.start.start();
        let mut given = args.descriptors.as_deref().map(read_descriptors).transpose()?.unwrap_or_default();
        let birthday = match from {
            Some(RangeStart::Birthday(seconds)) => Some(Birthday::Time(seconds)),
            Some(RangeStart::Height(height)) => Some(Birthday::Height(height.0)),
            _ => None,
        };
        if let Some(birthday) = birthday {
            given.iter_mut().for_each(|given| given.birthday = birthday);
        }
        let watch = |given: &Vec<_>| WatchRequest::of_given(ScanRequest::new(), given, Some(args.gap_limit));
        let watched = Some(&given).filter(|given| !given.is_empty()).map(watch).transpose()?;
        // Once imported, a descriptor has no annotation: the largest gap limit holds for all.
        let annotated = watched.iter().flat_map(|watched| &watched.scan.keychains).map(|keychain| keychain.gap_limit);
        let gap_limit = annotated.max().map_or(args.gap_limit, |annotated| annotated.max(args.gap_limit));
        let options = FillOptions { from, gap_limit, verify: args.start.verify.into(), fetch: args.fetch };
        Ok(Self { options, given, watched, is_new: args.create })
    }

    /// Refuses descriptors of another network, and prints how some were understood.
    pub(crate) fn check_network(&self, server: Network) -> Result<(), CliError> {
        let Some(watched) = &self.watched else { return Ok(()) };
        watched.check_network(server)?;
        watched.print_notes();
        Ok(())
    }

    /// The descriptors to import. Calls the node for the time of a birthday that is a height.
    pub(crate) fn imports(&self, node: &RpcClient) -> Result<Vec<ListedDescriptor>, RpcError> {
        let Some(watched) = &self.watched else { return Ok(Vec::new()) };
        let labels = watched.wallets.list().iter().flat_map(|wallet| wallet.labels.iter());
        imports(labels.zip(&watched.scan.keychains), &self.given, self.is_new, |height| block_time(node, height))
    }
}

/// The time of a block.
fn block_time(node: &RpcClient, height: u32) -> Result<u32, RpcError> {
    #[derive(Deserialize)]
    struct Header {
        time: u32,
    }
    let hash = node.block_hash(height)?;
    Ok(node.call::<Header>("getblockheader", &(hash.to_string(),))?.time)
}
