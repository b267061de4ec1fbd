//! The check that a birthday is not after the tip.

use std::time::{Duration, SystemTime};

use rescan_client::report::BlockId;
use rescan_client::{CallError, Client};
use rescan_compare::units;

use crate::error::CliError;

/// Seconds by which a block's time may be off; the server subtracts them from a birthday
/// (`TIMESTAMP_WINDOW`, `src/chain.h` of Bitcoin Core).
const WINDOW_SECS: u32 = 7_200;

/// Refuses the birthday of the command line if every block is older: the scan would cover the tip
/// alone.
pub(crate) async fn check_birthday(client: &Client, birthday: Option<u32>) -> Result<(), CliError> {
    let Some(birthday) = birthday else { return Ok(()) };
    let is_after = |tip: &BlockId| birthday > tip.time.saturating_add(WINDOW_SECS);
    // The server's information has the tip as last seen.
    let seen = client.server_info().chain.tip;
    match &seen {
        Some(tip) if !is_after(tip) => return Ok(()),
        // The first reading of the block files takes minutes, and a scan shows its progress.
        None if u64::from(birthday) <= now_secs() => return Ok(()),
        _ => {}
    }
    let tip = match client.wait_tip(None, Duration::ZERO).await {
        Err(CallError::Unsupported { .. }) => seen,
        tip => tip?,
    };
    match tip.filter(is_after) {
        None => Ok(()),
        Some(tip) => Err(CliError::usage(
            format!(
                "--birthday {} UTC is after the tip, at height {} of {} UTC: there is nothing to scan",
                units::utc(birthday),
                tip.height,
                units::utc(tip.time)
            ),
            format!(
                "is the day right, and has the node caught up? for a wallet newer than the tip, give --from-height {}",
                tip.height
            ),
        )),
    }
}

fn now_secs() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
