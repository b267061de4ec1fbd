//! The busy-wallet curve: the same blocks with more and more of them matching, summaries against
//! blocks shipped.

use rescan_client::Client;

use crate::comparison::{CurvePoint, CurveRun, MethodReport};
use crate::error::CompareError;
use crate::inputs::{PinnedBlocks, WatchedScripts, sample_scripts, spread};
use crate::measuring::Meter;
use crate::methods::{Context, MethodRun};
use crate::rounds::{Rounds, Steps};

/// Matching blocks of a thousand that each point aims at.
const PER_MILLE: [u64; 5] = [0, 1, 10, 100, 1_000];

/// The most blocks of the curve, the last of the range: at its finest share, two of them match.
pub(crate) const BLOCKS_MAX: u32 = 2_000;

/// Summaries and blocks matched.
const METHODS: u64 = 2;

/// The most steps of the curve, the sampling of scripts included.
pub(crate) fn run_count(rounds: u64) -> u64 {
    1 + PER_MILLE.len() as u64 * METHODS * rounds // the array's length fits
}

/// Measures the curve.
///
/// # Errors
/// Those of any run.
pub(crate) async fn measure(
    client: &Client,
    meter: &Meter,
    pinned: PinnedBlocks,
    rounds: Rounds,
    steps: &mut Steps<'_>,
) -> Result<Vec<CurvePoint>, CompareError> {
    let pinned = pinned.last_blocks(BLOCKS_MAX);
    steps.next("sampling scripts from the blocks".to_owned());
    let scripts = sample_scripts(client, pinned).await?;
    let mut points: Vec<CurvePoint> = Vec::new();
    for wanted in wanted_matches(scripts.len()) {
        let watched = WatchedScripts::new(spread(&scripts, wanted))?;
        let context = Context { peer: client, meter, pinned, watched: &watched };
        let methods = [MethodRun::Summaries(context), MethodRun::BlocksMatched(context)];
        let measured = rounds.run(&methods, &format!("{wanted} sampled scripts"), steps).await?;
        let matching_blocks = measured.answer.matching_blocks();
        let per_mille = matching_blocks.saturating_mul(1_000).checked_div(pinned.range.count()).unwrap_or(0);
        points.push(CurvePoint {
            matching_per_mille: u32::try_from(per_mille).unwrap_or(u32::MAX),
            matching_blocks,
            methods: measured.methods.iter().filter_map(medians).collect(),
        });
    }
    // The wanted matches ascend; the found ones nearly always do too, unless many blocks pay one
    // script.
    points.sort_by_key(|point| point.matching_blocks);
    Ok(points)
}

/// The number of scripts for each point; fewer points if blocks are few.
fn wanted_matches(scripts: usize) -> Vec<usize> {
    let scripts = scripts as u64; // usize is at most 64 bits
    let mut wanted: Vec<usize> = PER_MILLE
        .iter()
        .map(|per_mille| (scripts * per_mille).div_ceil(1_000))
        .filter_map(|wanted| usize::try_from(wanted).ok())
        .collect();
    wanted.dedup();
    wanted
}

/// None if the method was left out.
fn medians(report: &MethodReport) -> Option<CurveRun> {
    let wall_us = report.median(|run| Some(run.wall_us))?;
    let received_bytes = report.median(|run| Some(run.received_bytes))?;
    Some(CurveRun { method: report.method, wall_us, received_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_ascend_and_few_blocks_have_few_of_them() {
        assert_eq!(wanted_matches(2_000), [0, 2, 20, 200, 2_000]);
        assert_eq!(wanted_matches(588), [0, 1, 6, 59, 588]);
        assert_eq!(wanted_matches(5), [0, 1, 5]);
        assert_eq!(wanted_matches(0), [0]);
    }
}
