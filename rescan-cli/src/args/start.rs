//! Arguments of every scan: its first block, and the blocks to prove.

use clap::{Args, ValueEnum};
use rescan_client::position::Height;
use rescan_client::{RangeStart, Verify};

use super::BLOCKS;
use super::birthday::parse_birthday;

/// The first block of a scan, and the blocks that the server proves.
#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// The first block to scan [default: that of the earliest birthday of the descriptors, or 0]
    #[arg(long, value_name = "HEIGHT", conflicts_with = "birthday", help_heading = BLOCKS)]
    pub(crate) from_height: Option<u32>,
    /// The wallet's birthday, as YYYY-MM-DD or seconds since 1970, in place of a first block
    ///
    /// Scans from two hours before it, as Bitcoin Core does, since block times may be off by that much.
    #[arg(long, value_name = "TIME", value_parser = parse_birthday, help_heading = BLOCKS)]
    pub(crate) birthday: Option<u32>,
    /// Which blocks to check against the merkle root of their header
    #[arg(long, value_enum, default_value_t = VerifyName::Reported, help_heading = BLOCKS)]
    pub(crate) verify: VerifyName,
}

impl StartArgs {
    /// The start that the arguments name, if they do.
    pub(crate) fn start(&self) -> Option<RangeStart> {
        match (self.birthday, self.from_height) {
            (Some(seconds), _) => Some(RangeStart::Birthday(seconds)),
            (None, height) => height.map(|height| RangeStart::Height(Height(height))),
        }
    }
}

/// Which blocks are checked against their merkle root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum VerifyName {
    /// Blocks with matches
    Reported,
    /// Every block: also detects a flipped bit that hides a match; slower
    All,
    /// No block: trusts the disk, as Bitcoin Core's own rescan does
    None,
}

impl From<VerifyName> for Verify {
    fn from(name: VerifyName) -> Self {
        match name {
            VerifyName::Reported => Self::Reported,
            VerifyName::All => Self::All,
            VerifyName::None => Self::None,
        }
    }
}
