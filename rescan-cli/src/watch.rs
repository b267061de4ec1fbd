//! What the command line asks to be watched, checked before anything is connected to.

use std::path::Path;

use rescan_client::bitcoin::{Network, NetworkKind};
use rescan_client::descriptor::{self, DescriptorError, Keychain};
use rescan_client::position::Height;
use rescan_client::wallets::{Wallet, Wallets};
use rescan_client::{Deliver, GivenKeychain, RangeEnd, RangeStart, ScanRequest};

use crate::args::{FollowArgs, ScanArgs, WatchArgs};
use crate::labels::Labels;
use crate::parties::{Parties, Party};
use crate::trouble::{DescriptorPlace, Trouble};
use crate::wallets_file;

/// A request, and whom it is for.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) request: ScanRequest,
    pub(crate) parties: Parties,
}

/// Makes a request of the arguments. Multipath descriptors become one keychain a path.
pub(crate) fn prepare(args: &ScanArgs) -> Result<Watch, Trouble> {
    let mut request = request(&args.watch);
    request.range.to = args.to_height.map_or(RangeEnd::Tip, |height| RangeEnd::Height(Height(height)));
    request.deliver = if args.coins { Deliver::Coins } else { Deliver::History };
    match &args.wallets {
        Some(path) => prepare_wallets(path, args.watch.gap_limit, &request),
        None => prepare_one(&args.watch, request),
    }
}

/// The same of the arguments of a following.
pub(crate) fn prepare_following(args: &FollowArgs) -> Result<Watch, Trouble> {
    prepare_one(&args.watch, request(&args.watch))
}

/// All but the keychains, which may be of several wallets.
fn request(args: &WatchArgs) -> ScanRequest {
    let mut request = ScanRequest::new().verify(args.verify.into());
    request.outpoints.clone_from(&args.outpoints);
    request.range.from = match args.birthday {
        Some(seconds) => RangeStart::Birthday(seconds),
        None => RangeStart::Height(args.from_height.map_or(Height::GENESIS, Height)),
    };
    request
}

fn prepare_one(args: &WatchArgs, mut request: ScanRequest) -> Result<Watch, Trouble> {
    let (keychains, labels) = keychains(&args.descriptors, args.gap_limit, None)?;
    request.keychains = keychains;
    Ok(Watch { request, parties: Parties::One(Party::alone(labels)) })
}

fn prepare_wallets(path: &Path, gap_limit: u32, request: &ScanRequest) -> Result<Watch, Trouble> {
    let mut wallets = Wallets::new();
    let mut parties = Vec::new();
    for (number, (name, descriptors)) in wallets_file::read(path)?.into_iter().enumerate() {
        let (keychains, labels) = keychains(&descriptors, gap_limit, Some(number))?;
        let wallet = keychains.into_iter().fold(Wallet::new(), Wallet::keychain);
        wallets.add(name.clone(), wallet).map_err(|error| {
            Trouble::usage(
                format!("{}: {error}", path.display()),
                "each line printed says by name which wallet it is of",
            )
        })?;
        parties.push(Party { wallet: Some(name), labels });
    }
    Ok(Watch { request: wallets.watched_by(request.clone()), parties: Parties::Wallets(parties, wallets) })
}

/// The keychains of descriptors, one a path, and what they are called.
pub(crate) fn keychains(
    descriptors: &[String],
    gap_limit: u32,
    wallet: Option<usize>,
) -> Result<(Vec<GivenKeychain>, Labels), Trouble> {
    let mut keychains = Vec::new();
    let mut branch_counts = Vec::with_capacity(descriptors.len());
    for (descriptor, text) in (0..).zip(descriptors) {
        let branches = descriptor::expand(text)
            .map_err(|error| Trouble::descriptor(DescriptorPlace { wallet, descriptor }, &error))?;
        branch_counts.push(u32::try_from(branches.len()).unwrap_or(u32::MAX));
        keychains.extend(branches.into_iter().map(|branch| GivenKeychain::new(branch).gap_limit(gap_limit)));
    }
    Ok((keychains, Labels::new(branch_counts)))
}

/// Refuses descriptors of another network than the server's. The test networks share their keys' format, so that only
/// the main network can be told from them.
pub(crate) fn check_network(watch: &Watch, server: Network) -> Result<(), Trouble> {
    for (number, party) in watch.parties.list().iter().enumerate() {
        let keychains = watch.parties.keychains_of(number, &watch.request.keychains);
        for (label, keychain) in party.labels.iter().zip(keychains) {
            let wallet = party.wallet.is_some().then_some(number);
            let place = DescriptorPlace { wallet, descriptor: label.descriptor };
            match Keychain::parse(&keychain.descriptor, NetworkKind::from(server)) {
                Err(error @ DescriptorError::WrongNetwork { .. }) => {
                    let mut trouble = Trouble::descriptor(place, &error);
                    trouble.message = trouble.message.map(|said| format!("{said}: the server is one of {server}"));
                    return Err(trouble);
                }
                Err(error) => return Err(Trouble::descriptor(place, &error)),
                Ok(_keychain) => {}
            }
        }
    }
    Ok(())
}
