//! The scan request that the arguments ask for, checked before any connection is made.

use std::path::Path;

use rescan_client::bitcoin::{Network, NetworkKind};
use rescan_client::descriptor::{self, DescriptorError, Keychain};
use rescan_client::position::Height;
use rescan_client::wallets;
use rescan_client::{Deliver, GivenKeychain, RangeEnd, RangeStart, ScanRequest};

use super::wallets_file;
use crate::args::{FollowArgs, ScanArgs, WatchArgs};
use crate::error::{CliError, DescriptorPosition};
use crate::wallets::{Labels, Wallet, WalletSet};

/// A scan request, and the wallets that it is for.
#[derive(Debug)]
pub(crate) struct WatchRequest {
    pub(crate) scan: ScanRequest,
    pub(crate) wallets: WalletSet,
}

impl WatchRequest {
    /// The request of `rescan scan`. A multipath descriptor becomes one keychain per path.
    pub(crate) fn of_scan(args: &ScanArgs) -> Result<Self, CliError> {
        let mut scan = without_keychains(&args.watch);
        scan.range.to = args.to_height.map_or(RangeEnd::Tip, |height| RangeEnd::Height(Height(height)));
        scan.deliver = if args.coins { Deliver::Coins } else { Deliver::History };
        match &args.wallets {
            Some(path) => of_file(path, args.watch.gap_limit, &scan),
            None => Self::of_descriptors(scan, &args.watch.descriptors, args.watch.gap_limit),
        }
    }

    /// The request of `rescan follow`.
    pub(crate) fn of_following(args: &FollowArgs) -> Result<Self, CliError> {
        Self::of_descriptors(without_keychains(&args.watch), &args.watch.descriptors, args.watch.gap_limit)
    }

    /// Adds the keychains of descriptors to a request, for the wallet of the command line.
    pub(crate) fn of_descriptors(
        mut scan: ScanRequest,
        descriptors: &[String],
        gap_limit: u32,
    ) -> Result<Self, CliError> {
        let (keychains, labels) = keychains(descriptors, gap_limit, None)?;
        scan.keychains = keychains;
        Ok(Self { scan, wallets: WalletSet::One(Wallet::unnamed(labels)) })
    }

    /// Refuses descriptors of another network than the server's. The test networks share one key format, so only the
    /// main network can be told apart from them.
    pub(crate) fn check_network(&self, server: Network) -> Result<(), CliError> {
        for (number, wallet) in self.wallets.list().iter().enumerate() {
            let keychains = self.wallets.keychains_of(number, &self.scan.keychains);
            for (label, keychain) in wallet.labels.iter().zip(keychains) {
                let wallet = wallet.name.is_some().then_some(number);
                let position = DescriptorPosition { wallet, descriptor: label.descriptor };
                match Keychain::parse(&keychain.descriptor, NetworkKind::from(server)) {
                    Err(error @ DescriptorError::WrongNetwork { .. }) => {
                        let detail = format!(": the server is one of {server}");
                        return Err(CliError::descriptor(position, &error).with_detail(&detail));
                    }
                    Err(error) => return Err(CliError::descriptor(position, &error)),
                    Ok(_keychain) => {}
                }
            }
        }
        Ok(())
    }
}

/// Outpoints, range and verification. The keychains may belong to several wallets.
fn without_keychains(args: &WatchArgs) -> ScanRequest {
    let mut scan = ScanRequest::new().verify(args.verify.into());
    scan.outpoints.clone_from(&args.outpoints);
    scan.range.from = match args.birthday {
        Some(seconds) => RangeStart::Birthday(seconds),
        None => RangeStart::Height(args.from_height.map_or(Height::GENESIS, Height)),
    };
    scan
}

fn of_file(path: &Path, gap_limit: u32, scan: &ScanRequest) -> Result<WatchRequest, CliError> {
    let mut split = wallets::Wallets::new();
    let mut list = Vec::new();
    for (number, (name, descriptors)) in wallets_file::read(path)?.into_iter().enumerate() {
        let (keychains, labels) = keychains(&descriptors, gap_limit, Some(number))?;
        let wallet = keychains.into_iter().fold(wallets::Wallet::new(), wallets::Wallet::keychain);
        split.add(name.clone(), wallet).map_err(|error| {
            CliError::usage(
                format!("{}: {error}", path.display()),
                "give each wallet its own name: the output contains it",
            )
        })?;
        list.push(Wallet { name: Some(name), labels });
    }
    Ok(WatchRequest { scan: split.watched_by(scan.clone()), wallets: WalletSet::Named(list, split) })
}

/// The keychains of descriptors, one per path, and their labels. `wallet` is the number of the wallet in a file.
pub(crate) fn keychains(
    descriptors: &[String],
    gap_limit: u32,
    wallet: Option<usize>,
) -> Result<(Vec<GivenKeychain>, Labels), CliError> {
    let mut keychains = Vec::new();
    let mut branch_counts = Vec::with_capacity(descriptors.len());
    for (descriptor, text) in (0..).zip(descriptors) {
        let branches = descriptor::expand(text)
            .map_err(|error| CliError::descriptor(DescriptorPosition { wallet, descriptor }, &error))?;
        branch_counts.push(u32::try_from(branches.len()).unwrap_or(u32::MAX));
        keychains.extend(branches.into_iter().map(|branch| GivenKeychain::new(branch).gap_limit(gap_limit)));
    }
    Ok((keychains, Labels::new(branch_counts)))
}
