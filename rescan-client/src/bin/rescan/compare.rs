//! `rescan compare`: the same rescan done in several ways against the live server, and what each took.

use rescan_client::ScanRequest;
use rescan_client::compare::{self, CompareRequest, Curve};

use crate::args::CompareArgs;
use crate::exit_code::Exit;
use crate::output::{Output, comparison};
use crate::parties::{Parties, Party};
use crate::progress::Steps;
use crate::socket;
use crate::trouble::Trouble;
use crate::watch::{self, Watch};

pub(crate) async fn run(args: &CompareArgs) -> Result<Exit, Trouble> {
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
    let mut output = Output::stdout();
    if args.json {
        output.comparison(&comparison)?;
    } else {
        output.text(&comparison::text(&comparison))?;
    }
    output.finish()?;
    Ok(Exit::Complete)
}
