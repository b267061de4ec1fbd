//! What the command line asks to be watched, checked before anything is connected to.

use rescan_client::bitcoin::{Network, NetworkKind};
use rescan_client::descriptor::{self, DescriptorError, Keychain};
use rescan_client::position::Height;
use rescan_client::{GivenKeychain, RangeEnd, RangeStart, ScanRequest};

use crate::args::ScanArgs;
use crate::labels::Labels;
use crate::trouble::Trouble;

/// A request, and what its keychains are called.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) request: ScanRequest,
    pub(crate) labels: Labels,
}

/// Makes a request of the arguments. Multipath descriptors become one keychain a path.
pub(crate) fn prepare(args: &ScanArgs) -> Result<Watch, Trouble> {
    let mut request = ScanRequest::new();
    let labels = add_descriptors(&mut request, &args.descriptors)?;
    request.outpoints.clone_from(&args.outpoints);
    request.range.from = match args.birthday {
        Some(seconds) => RangeStart::Birthday(seconds),
        None => RangeStart::Height(args.from_height.map_or(Height::GENESIS, Height)),
    };
    request.range.to = args.to_height.map_or(RangeEnd::Tip, |height| RangeEnd::Height(Height(height)));
    request.verify = args.verify.into();
    Ok(Watch { request, labels })
}

/// Adds the single-path descriptors of each to the request.
pub(crate) fn add_descriptors(request: &mut ScanRequest, descriptors: &[String]) -> Result<Labels, Trouble> {
    let mut branch_counts = Vec::with_capacity(descriptors.len());
    for (position, text) in (0..).zip(descriptors) {
        let branches = descriptor::expand(text).map_err(|error| Trouble::descriptor(position, &error))?;
        branch_counts.push(u32::try_from(branches.len()).unwrap_or(u32::MAX));
        request.keychains.extend(branches.into_iter().map(GivenKeychain::from));
    }
    Ok(Labels::new(branch_counts))
}

/// Refuses descriptors of another network than the server's. The test networks share their keys' format, so that only
/// the main network can be told from them.
pub(crate) fn check_network(watch: &Watch, server: Network) -> Result<(), Trouble> {
    for (label, keychain) in watch.labels.iter().zip(&watch.request.keychains) {
        match Keychain::parse(&keychain.descriptor, NetworkKind::from(server)) {
            Err(error @ DescriptorError::WrongNetwork { .. }) => {
                let mut trouble = Trouble::descriptor(label.descriptor, &error);
                trouble.message = trouble.message.map(|said| format!("{said}: the server is one of {server}"));
                return Err(trouble);
            }
            Err(error) => return Err(Trouble::descriptor(label.descriptor, &error)),
            Ok(_keychain) => {}
        }
    }
    Ok(())
}
