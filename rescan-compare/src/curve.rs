//! The busy-wallet curve: the same blocks with more and more of them matching, summaries against blocks shipped.

use super::comparing::{Arm, Rounds, Steps};
use super::comparison::{CurvePoint, CurveRun, Way};
use super::error::CompareError;
use super::meter::Meter;
use super::pinned::Pinned;
use super::sample;
use super::watched::Watched;
use super::ways::{Ground, SocketWay};
use rescan_client::Client;

/// Of a thousand blocks, how many are to match at each point.
const PER_MILLE: [u64; 5] = [0, 1, 10, 100, 1_000];

/// Blocks that the curve goes over at most, the last of the range: enough for its finest share to be two of them.
pub(crate) const BLOCKS_MAX: u32 = 2_000;

/// The ways that the curve is of.
const WAYS: [SocketWay; 2] = [SocketWay::Summaries, SocketWay::BlocksMatched];

/// Runs that it takes at most, a first one that only looks for scripts included.
pub(crate) fn run_count(rounds: u64) -> u64 {
    1 + PER_MILLE.len() as u64 * WAYS.len() as u64 * rounds // array lengths fit
}

/// Measures the curve.
///
/// # Errors
/// As any run may end.
pub(crate) async fn measure(
    client: &Client,
    meter: &Meter,
    pinned: Pinned,
    rounds: Rounds,
    steps: &mut Steps<'_>,
) -> Result<Vec<CurvePoint>, CompareError> {
    let pinned = pinned.last_blocks(BLOCKS_MAX);
    steps.next("sampling scripts from the blocks".to_owned());
    let scripts = sample::scripts(client, pinned).await?;
    let mut points: Vec<CurvePoint> = Vec::new();
    for wanted in wanted_matches(scripts.len()) {
        let watched = Watched::new(sample::spread(&scripts, wanted))?;
        let ground = Ground { asked: client, meter, pinned, watched: &watched };
        let what = format!("{wanted} sampled scripts");
        let measured = rounds.go(&WAYS.map(|way| Arm::Socket(way, ground)), &what, steps).await?;
        let matching_blocks = measured.answer.matching_blocks();
        let per_mille = matching_blocks.saturating_mul(1_000).checked_div(pinned.range.count()).unwrap_or(0);
        points.push(CurvePoint {
            matching_per_mille: u32::try_from(per_mille).unwrap_or(u32::MAX),
            matching_blocks,
            ways: measured.ways.iter().filter_map(medians).collect(),
        });
    }
    // What was wanted ascends; what matched nearly always does too, unless scripts were used again and again.
    points.sort_by_key(|point| point.matching_blocks);
    Ok(points)
}

/// How many scripts are taken for each point; fewer points where blocks are few.
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

/// None of a way that was left out.
fn medians(way: &Way) -> Option<CurveRun> {
    let wall_us = way.median(|run| Some(run.wall_us))?;
    let received_bytes = way.median(|run| Some(run.received_bytes))?;
    Some(CurveRun { id: way.id, wall_us, received_bytes })
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
