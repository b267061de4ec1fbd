//! `rescan compare`: the same rescan done in several ways against the live server, and what each took.

use rescan_client::ScanRequest;
use rescan_client::compare::{self, CompareRequest, Curve, report};

use crate::args::{CompareArgs, could_hold_a_key};
use crate::exit_code::Exit;
use crate::output::{Output, comparison};
use crate::parties::{Parties, Party};
use crate::progress::Steps;
use crate::socket;
use crate::trouble::Trouble;
use crate::watch::{self, Watch};

pub(crate) async fn run(args: &CompareArgs) -> Result<Exit, Trouble> {
    if let Some(folder) = &args.report
        && could_hold_a_key(folder)
        && !folder.exists()
    {
        return Err(Trouble::usage(
            "--report takes a folder; something else was given (not repeated here, since it could hold a key)",
            "descriptors go after --descriptor, in quotes; a folder's path can be written from the root: /..",
        ));
    }
    let (keychains, labels) = watch::keychains(&args.descriptors, args.gap_limit, None)?;
    let client = socket::connect(&args.socket).await?;
    let scan = keychains.iter().cloned().fold(ScanRequest::new(), ScanRequest::keychain);
    let asked = Watch { request: scan, parties: Parties::One(Party::alone(labels)) };
    watch::check_network(&asked, client.greeting().network)?;
    let request = CompareRequest {
        keychains,
        from_height: args.from_height,
        to_height: args.to_height,
        runs: args.runs,
        curve: if args.no_curve { Curve::LeftOut } else { Curve::Measured },
        command: args.shown(),
    };
    let steps = Steps::begin();
    let comparison = compare::compare(&client, &request, &mut |step| steps.show(step)).await?;
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
