//! The descriptors of a wallet that the node has loaded: `--wallet NAME`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rescan_fill::{CoreWallet, FillError};
use rescan_node::RpcError;

use super::given::GivenDescriptor;
use super::node::rpc_client;
use crate::args::{NetworkName, NodeArgs, refuse_key};
use crate::error::{CliError, DescriptorPosition};

/// The wallet's answers take milliseconds.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Reads the descriptors of a loaded wallet, in their public form. There is at least one.
///
/// # Errors
///
/// If the node does not answer, the wallet is not loaded, or it has no descriptors.
pub(super) fn read(
    args: &NodeArgs,
    network: Option<NetworkName>,
    name: &str,
) -> Result<Vec<GivenDescriptor>, CliError> {
    // Messages repeat the name.
    refuse_key("--wallet", "the name of a wallet", Path::new(name))?;
    let node = rpc_client(args, network)?.timeout(TIMEOUT);
    let listed = CoreWallet::open(&node, name).and_then(|wallet| wallet.descriptors()).map_err(refused)?;
    if listed.is_empty() {
        return Err(FillError::NoDescriptors { name: name.to_owned() }.into());
    }
    let wallet: Arc<str> = name.into();
    let position = |number| DescriptorPosition::NodeItem { wallet: wallet.clone(), number };
    Ok((0..).zip(listed).map(|(number, listed)| GivenDescriptor::listed(listed, position(number))).collect())
}

/// The error with a next step for someone who wants to read the wallet, not to make one.
fn refused(error: FillError) -> CliError {
    match error {
        FillError::NoWallet { on_disk: false, .. } => {
            CliError::usage(error.to_string(), "`bitcoin-cli listwalletdir` names the wallets on the node's disk")
        }
        FillError::Node(RpcError::MethodNotFound { .. }) => CliError::failed(
            "the node has no wallets: it was built without them, or runs with -disablewallet",
            "give the descriptors in a file: --descriptors FILE",
        ),
        error => error.into(),
    }
}
