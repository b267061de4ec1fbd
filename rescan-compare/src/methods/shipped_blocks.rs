//! The loop that both methods on whole blocks share.

use rescan_core::report::FullBlock;

use super::Context;
use crate::comparison::Run;
use crate::error::CompareError;
use crate::inputs::{Shipment, ShipmentEvent};

/// Requests every pinned block, and passes each to `matches`, which returns whether anything in it
/// matched.
pub(super) async fn run(
    context: Context<'_>,
    mut matches: impl FnMut(&FullBlock) -> Result<bool, CompareError>,
) -> Result<Run, CompareError> {
    let Context { peer: client, meter, pinned, .. } = context;
    let mut running = meter.start(pinned.range.count()).await?;
    let mut shipment = Shipment::begin(client, pinned).await?;
    loop {
        match shipment.next().await? {
            ShipmentEvent::Block(block) => {
                if matches(&block)? {
                    running.matched();
                }
                running.reached(block.height);
            }
            ShipmentEvent::End(summary) => {
                let run = running.finish(pinned.range.last());
                pinned.check(&summary)?;
                return Ok(run);
            }
        }
    }
}
