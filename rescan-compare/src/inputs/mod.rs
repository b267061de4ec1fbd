//! The inputs that all methods share: pinned blocks, watched scripts, and the blocks' own scripts
//! for the curve.

mod pinned_blocks;
mod script_sample;
mod shipment;
mod watched_scripts;

pub(crate) use pinned_blocks::{PinnedBlocks, choose_range};
pub(crate) use script_sample::{sample_scripts, spread};
pub(crate) use shipment::{Shipment, ShipmentEvent, missing_summary};
pub(crate) use watched_scripts::WatchedScripts;
