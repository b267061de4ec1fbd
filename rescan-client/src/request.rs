//! What a wallet asks for in one scan: what it watches, which blocks, how much of them is proven.

use bitcoin::ScriptBuf;
use rescan_core::position::Height;
use rescan_core::request::{GivenOutpoint, RangeEnd, RangeRequest, RangeStart, Verify};

/// A scan to be made. By default: nothing watched, from genesis to the tip, reported blocks proven.
///
/// [`Origin`](rescan_core::report::Origin)s in the reports name the entries by their positions in these lists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanRequest {
    /// Output descriptors with public keys only, one path each; see [`descriptor::expand`](rescan_core::descriptor::expand)
    /// for those of several.
    pub keychains: Vec<String>,
    /// Bare scripts.
    pub scripts: Vec<ScriptBuf>,
    /// Coins from before the range whose spends are wanted.
    pub outpoints: Vec<GivenOutpoint>,
    /// The blocks to look through.
    pub range: RangeRequest,
    /// Which blocks must hash to the merkle root of their header.
    pub verify: Verify,
}

impl Default for ScanRequest {
    fn default() -> Self {
        Self {
            keychains: Vec::new(),
            scripts: Vec::new(),
            outpoints: Vec::new(),
            range: RangeRequest { from: RangeStart::Height(Height::GENESIS), to: RangeEnd::Tip },
            verify: Verify::default(),
        }
    }
}

impl ScanRequest {
    /// The default request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Watches one more descriptor.
    #[must_use]
    pub fn keychain(mut self, descriptor: impl Into<String>) -> Self {
        self.keychains.push(descriptor.into());
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
}
