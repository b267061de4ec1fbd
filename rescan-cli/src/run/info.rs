//! `rescan info`: the server's version, chain, limits and counters.

use crate::args::InfoArgs;
use crate::error::{CliError, Exit};
use crate::output::{Output, json, tables};
use crate::request::connect;

pub(super) async fn run(args: &InfoArgs) -> Result<Exit, CliError> {
    let client = connect(&args.socket).await?;
    let mut output = Output::stdout();
    if args.json {
        output.line(&json::info(client.server_info()))?;
    } else {
        output.text(&tables::info(client.server_info()))?;
    }
    output.finish()?;
    Ok(Exit::Complete)
}
