//! The options of a fill.

use rescan_client::position::Height;
use rescan_client::{RangeStart, Verify};
use rescan_fill::FillOptions;

use crate::args::FillArgs;

/// The options that the arguments ask for.
pub(crate) fn fill_options(args: &FillArgs) -> FillOptions {
    let from = match (args.birthday, args.from_height) {
        (Some(seconds), _) => Some(RangeStart::Birthday(seconds)),
        (None, height) => height.map(|height| RangeStart::Height(Height(height))),
    };
    FillOptions { from, gap_limit: args.gap_limit, verify: Verify::from(args.verify), fetch: args.fetch }
}
