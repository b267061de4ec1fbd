//! `rescan compare`: the same rescan done in several ways against the live server, and what each took.

use std::path::Path;

use rescan_client::ScanRequest;
use rescan_compare::node::Node;
use rescan_compare::{CompareRequest, Curve, compare, report};

use crate::args::{CompareArgs, could_hold_a_key};
use crate::exit_code::Exit;
use crate::output::{Output, comparison};
use crate::parties::{Parties, Party};
use crate::progress::Steps;
use crate::socket;
use crate::trouble::Trouble;
use crate::watch::{self, Watch};

pub(crate) async fn run(args: &CompareArgs) -> Result<Exit, Trouble> {
    refuse_keys("--report", args.report.as_deref())?;
    refuse_keys("--cookie", args.cookie.as_deref())?;
    let (keychains, labels) = watch::keychains(&args.descriptors, args.gap_limit, None)?;
    let client = socket::connect(&args.socket).await?;
    let scan = keychains.iter().cloned().fold(ScanRequest::new(), ScanRequest::keychain);
    let asked = Watch { request: scan, parties: Parties::One(Party::alone(labels)) };
    watch::check_network(&asked, client.server_info().network)?;
    let node = match (&args.bitcoin_rpc, &args.cookie) {
        (Some(address), Some(cookie)) => Some(Node::connect(address.clone(), cookie).await?),
        _ => None,
    };
    let request = CompareRequest {
        keychains,
        from_height: args.from_height,
        to_height: args.to_height,
        runs: args.runs,
        curve: if args.no_curve { Curve::LeftOut } else { Curve::Measured },
        node,
        command: args.shown(),
    };
    let steps = Steps::begin();
    let comparison = compare(&client, &request, &mut |step| steps.show(step)).await?;
    drop(steps);
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

/// A word that should be a path and is repeated in messages must not be what looks like a key.
fn refuse_keys(flag: &str, path: Option<&Path>) -> Result<(), Trouble> {
    if path.is_some_and(|path| could_hold_a_key(path) && !path.exists()) {
        return Err(Trouble::no_path(
            flag,
            "a path",
            "descriptors go after --descriptor, in quotes; a path can be written from the root: /..",
        ));
    }
    Ok(())
}
