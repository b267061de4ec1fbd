//! `rescan info`: what the server is and sees.

use crate::args::InfoArgs;
use crate::exit_code::Exit;
use crate::output::{Output, human, json};
use crate::socket;
use crate::trouble::Trouble;

pub(crate) async fn run(args: &InfoArgs) -> Result<Exit, Trouble> {
    let client = socket::connect(&args.socket).await?;
    let mut output = Output::stdout();
    if args.json {
        output.line(&json::info(client.server_info()))?;
    } else {
        output.text(&human::info(client.server_info()))?;
    }
    output.finish()?;
    Ok(Exit::Complete)
}
