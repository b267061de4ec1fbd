//! The scan request that the arguments ask for, checked before any connection is made.

use std::path::Path;

use rescan_client::bitcoin::{Network, NetworkKind};
use rescan_client::descriptor::{self, DescriptorError};
use rescan_client::position::Height;
use rescan_client::wallets;
use rescan_client::{Deliver, RangeEnd, RangeStart, ScanRequest};

use super::birthdays::Birthdays;
use super::forms::read_descriptors;
use super::given::GivenDescriptor;
use super::keychains::Keychains;
use super::{node_wallet, wallets_file};
use crate::args::{CompareArgs, FollowArgs, NetworkName, NodeArgs, ScanArgs, WatchArgs, WatchedArgs};
use crate::error::{CliError, DescriptorPosition};
use crate::output::notice;
use crate::wallets::{Wallet, WalletSet};

/// The most notes about descriptors. Of a file of addresses, each would have one.
const NOTES_MAX: usize = 8;

/// A scan request, and the wallets that it is for.
#[derive(Debug)]
pub(crate) struct WatchRequest {
    pub(crate) scan: ScanRequest,
    pub(crate) wallets: WalletSet,
    /// How some descriptors were understood.
    notes: Vec<String>,
    /// The reason to begin at the first block, if birthdays are known.
    start_note: Option<&'static str>,
    /// The place of each descriptor, by wallet.
    positions: Vec<Vec<DescriptorPosition>>,
}

impl WatchRequest {
    /// The request of `rescan scan`. A multipath descriptor becomes one keychain per path.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or a descriptor cannot be watched.
    pub(crate) fn of_scan(args: &ScanArgs) -> Result<Self, CliError> {
        let mut request = Self::of_watched(&args.watch, &args.node, args.socket.network)?;
        request.scan.range.to = args.to_height.map_or(RangeEnd::Tip, |height| RangeEnd::Height(Height(height)));
        request.scan.deliver = if args.coins { Deliver::Coins } else { Deliver::History };
        Ok(request)
    }

    /// The request of `rescan follow`.
    ///
    /// # Errors
    ///
    /// As of [`of_scan`](Self::of_scan).
    pub(crate) fn of_following(args: &FollowArgs) -> Result<Self, CliError> {
        Self::of_watched(&args.watch, &args.node, args.socket.network)
    }

    /// The request of `rescan compare`, which chooses the range itself.
    ///
    /// # Errors
    ///
    /// As of [`of_scan`](Self::of_scan).
    pub(crate) fn of_comparison(args: &CompareArgs) -> Result<Self, CliError> {
        let mut request = Self::of(ScanRequest::new(), &args.watched, &args.node, args.socket.network)?;
        request.begin_at(RangeStart::Height(Height::GENESIS));
        Ok(request)
    }

    /// Adds the keychains of arguments to a request. It begins at the earliest birthday.
    fn of(
        scan: ScanRequest,
        args: &WatchedArgs,
        node: &NodeArgs,
        network: Option<NetworkName>,
    ) -> Result<Self, CliError> {
        if let Some(path) = &args.wallets {
            return Self::of_file(scan, path, args.gap_limit);
        }
        let mut given = GivenDescriptor::arguments(&args.descriptors);
        if let Some(path) = &args.descriptors_file {
            given.extend(read_descriptors(path)?);
        }
        if let Some(name) = &args.wallet {
            given.extend(node_wallet::read(node, network, name)?);
        }
        Self::of_given(scan, &given, args.gap_limit)
    }

    /// Adds the keychains of descriptors to a request, for a wallet without a name.
    ///
    /// # Errors
    ///
    /// If a descriptor cannot be watched.
    pub(crate) fn of_given(
        mut scan: ScanRequest,
        given: &[GivenDescriptor],
        gap_limit: Option<u32>,
    ) -> Result<Self, CliError> {
        let mut keychains = Keychains::of(given, gap_limit)?;
        scan.keychains = std::mem::take(&mut keychains.list);
        let wallets = WalletSet::One(Wallet::unnamed(std::mem::take(&mut keychains.labels)));
        Ok(Self::new(scan, wallets, vec![keychains]))
    }

    fn of_watched(args: &WatchArgs, node: &NodeArgs, network: Option<NetworkName>) -> Result<Self, CliError> {
        let mut scan = ScanRequest::new().verify(args.start.verify.into());
        scan.outpoints.clone_from(&args.outpoints);
        let mut request = Self::of(scan, &args.watched, node, network)?;
        if let Some(start) = args.start.start() {
            request.begin_at(start);
        }
        Ok(request)
    }

    fn of_file(scan: ScanRequest, path: &Path, gap_limit: Option<u32>) -> Result<Self, CliError> {
        let mut split = wallets::Wallets::new();
        let (mut list, mut all) = (Vec::new(), Vec::new());
        for (name, given) in wallets_file::read(path)? {
            let mut keychains = Keychains::of(&given, gap_limit)?;
            let list_of_wallet = std::mem::take(&mut keychains.list);
            let wallet = list_of_wallet.into_iter().fold(wallets::Wallet::new(), wallets::Wallet::keychain);
            split.add(name.clone(), wallet).map_err(|error| {
                CliError::usage(
                    format!("{}: {error}", path.display()),
                    "give each wallet its own name: the output contains it",
                )
            })?;
            list.push(Wallet { name: Some(name), labels: std::mem::take(&mut keychains.labels) });
            all.push(keychains);
        }
        Ok(Self::new(split.watched_by(scan), WalletSet::Named(list, split), all))
    }

    fn new(mut scan: ScanRequest, wallets: WalletSet, keychains: Vec<Keychains>) -> Self {
        let mut birthdays = Birthdays::default();
        keychains.iter().for_each(|one| birthdays.merge(one.birthdays));
        let (start, start_note) = birthdays.start();
        scan.range.from = start;
        let meanings = keychains.iter().flat_map(|one| &one.meanings);
        let left_out = meanings.clone().count().saturating_sub(NOTES_MAX);
        let mut notes: Vec<String> = meanings.take(NOTES_MAX).cloned().collect();
        if left_out > 0 {
            notes.push(format!("{left_out} more descriptors are taken likewise"));
        }
        let positions = keychains.into_iter().map(|one| one.positions).collect();
        Self { scan, wallets, notes, start_note, positions }
    }

    /// Begins elsewhere than at the earliest birthday.
    pub(crate) fn begin_at(&mut self, start: RangeStart) {
        self.scan.range.from = start;
        self.start_note = None;
    }

    /// Prints on stderr how some descriptors were understood.
    pub(crate) fn print_notes(&self) {
        let notes = self.notes.iter().map(String::as_str).chain(self.start_note);
        notes.for_each(|note| notice(&format!("note: {note}")));
    }

    /// Refuses descriptors of another network than the server's. The test networks share one key format, so only the
    /// main network can be told apart from them.
    pub(crate) fn check_network(&self, server: Network) -> Result<(), CliError> {
        for (number, (wallet, positions)) in self.wallets.list().iter().zip(&self.positions).enumerate() {
            let keychains = self.wallets.keychains_of(number, &self.scan.keychains);
            for (label, keychain) in wallet.labels.iter().zip(keychains) {
                let checked = descriptor::check_network(&keychain.descriptor, NetworkKind::from(server));
                let Err(error) = checked else { continue };
                let place = usize::try_from(label.descriptor).ok().and_then(|number| positions.get(number));
                let refused = CliError::descriptor(place.unwrap_or(&DescriptorPosition::Argument(0)), &error);
                return Err(match error {
                    DescriptorError::WrongNetwork { .. } => {
                        refused.with_detail(&format!(": the server is one of {server}"))
                    }
                    _ => refused,
                });
            }
        }
        Ok(())
    }
}
