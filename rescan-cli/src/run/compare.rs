//! `rescan compare`: the same rescan by several methods against the live server, and the cost of each.

use rescan_client::ScanRequest;
use rescan_compare::{CompareRequest, Curve, Node, compare, report};

use crate::args::{CompareArgs, refuse_key};
use crate::error::{CliError, Exit};
use crate::output::{ComparisonProgress, Output, comparison};
use crate::request::{WatchRequest, connect};

pub(super) async fn run(args: &CompareArgs) -> Result<Exit, CliError> {
    // Messages repeat these paths.
    for (option, path) in [("--report", &args.report), ("--cookie", &args.cookie)] {
        path.as_ref().map_or(Ok(()), |path| refuse_key(option, "a path", path))?;
    }
    let watched = WatchRequest::of_descriptors(ScanRequest::new(), &args.descriptors, args.gap_limit)?;
    let client = connect(&args.socket).await?;
    watched.check_network(client.server_info().network)?;
    let node = match (&args.bitcoin_rpc, &args.cookie) {
        (Some(address), Some(cookie)) => Some(Node::connect(address.clone(), cookie).await?),
        _ => None,
    };
    let request = CompareRequest {
        keychains: watched.scan.keychains,
        from_height: args.from_height,
        to_height: args.to_height,
        runs: args.runs,
        curve: if args.no_curve { Curve::LeftOut } else { Curve::Measured },
        node,
        command: args.shown(),
    };
    let progress = ComparisonProgress::begin();
    let comparison = compare(&client, &request, &mut |step| progress.show(step)).await?;
    drop(progress);
    let written = args.report.as_ref().map(|folder| report::write(&comparison, folder)).transpose()?;
    let mut output = Output::stdout();
    if args.json {
        output.comparison(&comparison)?;
    } else {
        output.text(&comparison::text(&comparison))?;
        if let Some(report) = written {
            output.text(&format!("\nreport: {}\n", report.page.display()))?;
        }
    }
    output.finish()?;
    Ok(Exit::Complete)
}
