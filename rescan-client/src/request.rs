//! The request of a scan: the entries to watch, the blocks, the proofs, and the kind of answer.

use std::time::Duration;

use bitcoin::{BlockHash, ScriptBuf};
use rescan_core::position::Height;
use rescan_core::request::{
    self, Deliver, Extras, GivenKeychain, GivenOutpoint, RangeEnd, RangeRequest, RangeStart, Scanned, Verify,
};

/// The methods that add an entry, of a request and of a wallet alike.
macro_rules! watches_more {
    () => {
        /// Watches one more keychain: a descriptor, with the default gap limit, or a [`GivenKeychain`] that says more.
        #[must_use]
        pub fn keychain(mut self, keychain: impl Into<GivenKeychain>) -> Self {
            self.keychains.push(keychain.into());
            self
        }

        /// Watches one more script.
        #[must_use]
        pub fn script(mut self, script: ScriptBuf) -> Self {
            self.scripts.push(script);
            self
        }

        /// Watches for the spend of one more coin.
        #[must_use]
        pub fn outpoint(mut self, outpoint: GivenOutpoint) -> Self {
            self.outpoints.push(outpoint);
            self
        }
    };
}

pub(crate) use watches_more;

/// A scan to be made. By default: nothing watched, from genesis to the tip, reported blocks proven, all history and
/// nothing beside it.
///
/// [`Origin`](rescan_core::report::Origin)s in the reports name the entries by their positions in these lists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanRequest {
    /// Output descriptors with public keys only, one path each, and how far beyond its last use each is watched; see
    /// [`descriptor::expand`](rescan_core::watching::descriptor::expand) for descriptors of several paths.
    pub keychains: Vec<GivenKeychain>,
    /// Bare scripts.
    pub scripts: Vec<ScriptBuf>,
    /// Coins from before the range whose spends are wanted.
    pub outpoints: Vec<GivenOutpoint>,
    /// The blocks to look through.
    pub range: RangeRequest,
    /// Which blocks must hash to the merkle root of their header.
    pub verify: Verify,
    /// The kind of answer: history, or the coins that are unspent at the end.
    pub deliver: Deliver,
    /// Proofs to send with each reported transaction. They are checked on arrival.
    pub extras: Extras,
    /// The interval between two [`ResumePoint`](rescan_core::report::ResumePoint)s; none are sent if it is `None`.
    pub mark_every: Option<Duration>,
    /// The part that earlier scans of the same keychains covered, if this one resumes them.
    pub scanned: Option<Scanned>,
    /// The wallets that the entries belong to, if there are several. They are not sent; a checkpoint is bound to them.
    pub(crate) owners: Vec<Owner>,
}

/// A wallet's part of the entries of a request: its name, and the number of entries in each list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) name: String,
    pub(crate) keychains: usize,
    pub(crate) scripts: usize,
    pub(crate) outpoints: usize,
}

impl Default for ScanRequest {
    fn default() -> Self {
        Self {
            keychains: Vec::new(),
            scripts: Vec::new(),
            outpoints: Vec::new(),
            range: RangeRequest { from: RangeStart::Height(Height::GENESIS), to: RangeEnd::Tip },
            verify: Verify::default(),
            deliver: Deliver::default(),
            extras: Extras::default(),
            mark_every: None,
            scanned: None,
            owners: Vec::new(),
        }
    }
}

impl ScanRequest {
    /// The default request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    watches_more!();

    /// Begins at a height instead of genesis.
    #[must_use]
    pub fn from_height(mut self, height: Height) -> Self {
        self.range.from = RangeStart::Height(height);
        self
    }

    /// Begins two hours before the wallet was made: at the first block whose max-time is at least `seconds` less 7,200;
    /// `seconds` since 1970.
    #[must_use]
    pub fn birthday(mut self, seconds: u32) -> Self {
        self.range.from = RangeStart::Birthday(seconds);
        self
    }

    /// Begins after the highest of these blocks that is in the active chain: the locator of an earlier scan, newest first.
    #[must_use]
    pub fn after(mut self, locator: Vec<BlockHash>) -> Self {
        self.range.from = RangeStart::After(locator);
        self
    }

    /// Ends at a height instead of the tip.
    #[must_use]
    pub fn to_height(mut self, height: Height) -> Self {
        self.range.to = RangeEnd::Height(height);
        self
    }

    /// Proves more blocks, or none.
    #[must_use]
    pub fn verify(mut self, verify: Verify) -> Self {
        self.verify = verify;
        self
    }

    /// Asks for the coins that are unspent at the end, as [`ScanEvent::Coin`](crate::ScanEvent::Coin)s, and no reports.
    #[must_use]
    pub fn coins(mut self) -> Self {
        self.deliver = Deliver::Coins;
        self
    }

    /// Asks for the bytes of each reported transaction.
    #[must_use]
    pub fn raw_transactions(mut self) -> Self {
        self.extras.raw_transactions = true;
        self
    }

    /// Asks for the merkle branch of each reported transaction, and the header of its block.
    #[must_use]
    pub fn merkle_branches(mut self) -> Self {
        self.extras.merkle_branches = true;
        self
    }

    /// Asks for a [`ScanEvent::Settled`](crate::ScanEvent::Settled) about this often.
    #[must_use]
    pub fn mark_every(mut self, interval: Duration) -> Self {
        self.mark_every = Some(interval);
        self
    }

    /// Resumes earlier scans of the same keychains.
    #[must_use]
    pub fn scanned(mut self, scanned: Scanned) -> Self {
        self.scanned = Some(scanned);
        self
    }

    /// The request without its watch set, which is sent ahead of it.
    pub(crate) fn call(&self) -> request::ScanOptions {
        request::ScanOptions {
            range: self.range.clone(),
            verify: self.verify,
            deliver: self.deliver,
            extras: self.extras,
            mark_every: self.mark_every,
            scanned: self.scanned.clone(),
        }
    }
}
