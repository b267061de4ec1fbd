//! `rescan compare`: the same rescan by several methods against the live server, and the cost of each.

use rescan_compare::{CompareRequest, Curve, Node, compare, report};

use crate::args::{CompareArgs, NetworkName, refuse_key};
use crate::error::{CliError, Exit};
use crate::output::{ComparisonProgress, Output, comparison};
use crate::request::{WatchRequest, connect_beside, rpc_client};

pub(super) async fn run(args: &CompareArgs, watched: WatchRequest) -> Result<Exit, CliError> {
    // Messages repeat these paths.
    args.report.as_ref().map_or(Ok(()), |path| refuse_key("--report", "a path", path))?;
    let client = connect_beside(&args.socket, &args.node).await?;
    watched.check_network(client.server_info().network)?;
    let node = if args.node.is_given() {
        let network = NetworkName::of(client.server_info().network);
        Some(Node::connect(rpc_client(&args.node, network)?).await?)
    } else {
        None
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
