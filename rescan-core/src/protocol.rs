//! Constants of protocol version 1 that the server enforces and the client respects.

use std::time::Duration;

/// Most hashes in one call to `Rescan.locate`, and most heights in one call to `Scan.blockIds`.
pub const BLOCK_IDS_PER_CALL_MAX: u32 = 4_096;

/// Longest wait of one call to `Rescan.waitTip`. A longer timeout counts as this.
pub const TIP_WAIT_MAX: Duration = Duration::from_secs(60);

/// Most blocks that a wallet can undo in a reorganisation: those of two days. Bitcoin Core never
/// prunes as many of the last blocks (`MIN_BLOCKS_TO_KEEP` in `src/validation.h`).
pub const REORG_BLOCKS_MAX: u32 = 288;
